/** The file that the page saves all runs in, as the page opens it again: each run as a record, its settings and its curve. */
import { curveOf, fillSeries, type KeptRun, keptOf, recordOf } from '../../../src/page/features/runs/kept.ts';
import { readRunsFile, runsFile } from '../../../src/page/features/runs/runsFile.ts';
import { createSeries } from '../../../src/page/features/training/series.ts';
import { stepMetric } from '../../../test/unit/page-fixtures.ts';
import { type Door, fuzzFile, textOf, utf8, withFile } from '../door.ts';
import { mutateBytes } from '../mutate/bytes.ts';
import { mutateJson } from '../mutate/json.ts';
import { enlargedJson } from '../mutate/large.ts';

const NAME = 'papilio-runs.json';

function written(steps: number): string {
  const series = createSeries();
  for (let step = 1; step <= steps; step++) series.add(stepMetric(step));
  for (const step of [0, steps])
    series.addEval({ step, metric: 'accuracy', value: 0.5, loss: 1, examples: 20, others: { macroF1: 0.4 } });
  const run: KeptRun = {
    ...{ key: `run-${steps}`, name: 'calm-apollo', startedAt: 1.7e12, end: 'finished', points: steps },
    link: 'v=1&preset=letters-boft&c.boft_block_size=8&seed=1',
    ...{ changed: 'b 4 → 8', note: 'wide', sweep: null, look: 3 },
    figures: {
      ...{
        model: 'glyphs-vit',
        data: 'letters',
        engine: 'webgpu',
        machine: 'a GPU',
        metric: 'accuracy',
        rate: 0.01,
      },
      ...{ steps, totalSteps: steps, loss: 0.1, stored: 200, free: 100, secondsPerStep: 0.1, seconds: 2 },
      first: { step: 0, value: 0.5 },
      best: { step: 0, value: 0.5 },
      last: { step: steps, value: 0.5 },
      peakBytes: 1000,
    },
  };
  return runsFile([
    { run, curve: curveOf(series) },
    { run: { ...run, key: 'another' }, curve: null },
  ]);
}

export const runsFileDoor: Door = {
  name: 'runs-file',
  about: 'the page’s runs in one file: their records, links and curves',
  weight: 0.5,
  seeds: () => [{ files: [fuzzFile(NAME, written(12))] }, { files: [fuzzFile(NAME, written(300))] }],
  mutate: (input, random) =>
    withFile(input, random, (bytes) =>
      random.chance(0.1) ? mutateBytes(bytes, random) : utf8(mutateJson(textOf(bytes), random)),
    ),
  enlarge: (input, random) => withFile(input, random, (bytes) => enlargedJson(bytes, random)),
  open({ files }) {
    for (const { run, curve } of readRunsFile(files[0]!.bytes, NAME)) {
      const record = recordOf(run, 1);
      if (curve !== null) fillSeries(record.series, curve);
      const again = keptOf(record, curve?.columns.step.length ?? 0);
      readRunsFile(utf8(runsFile(again === null ? [] : [{ run: again, curve }])), NAME);
    }
  },
};
