/** The drawn runs over each other: held-out score, held-out loss or the loss of training. */
import { useCallback, useMemo, useState } from 'react';
import { useStore } from 'zustand';
import { fixed, say } from '../../../common.ts';
import { Chart, type ChartLine, type ChartSpec } from '../../parts/Chart.tsx';
import { Block } from '../../parts/Facts.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { Sentences } from '../../parts/Sentences.tsx';
import { useRun, useUi } from '../../usePage.ts';
import { drawnRuns, lineOf, type RunRecord } from '../training/runs.ts';
import { BESIDE } from '../training/SideChart.tsx';
import { smooth, smoothFormula, thin } from '../training/series.ts';
import type { RunBook } from './book.ts';

const KINDS = () =>
  ({ score: say`held-out score`, held: say`held-out loss`, loss: say`loss of training` }) as const;
type Kind = keyof ReturnType<typeof KINDS>;

function pointsOf(
  { series }: RunRecord,
  kind: Kind,
  beta: number,
): Pick<ChartLine, 'x' | 'y' | 'hasMarkers' | 'whole'> {
  const { evals } = series;
  if (kind !== 'loss')
    return {
      x: evals.map(({ step }) => step),
      y: evals.map(({ value, loss }) => (kind === 'score' ? value : loss)),
      hasMarkers: true,
    };
  const steps = series.column('step');
  const loss = series.column('loss');
  const smoothed = smooth(loss, beta);
  const places = thin(smoothed);
  return {
    x: places.map((i) => steps[i]!),
    y: places.map((i) => smoothed[i]!),
    whole: {
      ...{ x: steps, y: loss },
      ...(beta > 0 ? { smoothed: { y: smoothed, formula: smoothFormula(beta) } } : {}),
    },
  };
}

export function Curves({ book }: { readonly book: RunBook }) {
  const [kind, setKind] = useState<Kind>('score');
  const runs = useRun((s) => s.runs);
  const currentId = useRun((s) => s.current?.id ?? null);
  const smoothing = useUi((s) => s.smoothing);
  const selected = useStore(book.view, (s) => s.selected);
  const baseline = useStore(book.view, (s) => s.baseline);
  const drawn = useMemo(() => {
    const own = drawnRuns(runs, currentId);
    // What others are held against is drawn with them.
    const against = runs.filter(
      (run) => run.key === baseline && !own.includes(run) && run.series.evals.length > 0,
    );
    return [...against, ...own];
  }, [runs, currentId, baseline]);
  const sources = useMemo(() => drawn.map(({ series }) => series), [drawn]);
  const pick = useCallback((key: string) => book.select(key), [book]);
  const spec = useMemo(
    () => (): ChartSpec => {
      const main =
        drawn.find(({ key }) => key === selected) ?? drawn.find(({ id }) => id === currentId) ?? drawn.at(-1);
      const metric = main?.series.evals[0]?.metric;
      // Scores of another kind are on another scale.
      const alike =
        kind === 'score' ? drawn.filter(({ series }) => series.evals[0]?.metric === metric) : drawn;
      return {
        lines: alike.map((run) => ({
          id: run.key,
          name: run.key === baseline ? say`${run.name} (baseline)` : run.name,
          ...pointsOf(run, kind, smoothing),
          ...lineOf(run.look),
          width: run === main ? 2.6 : 2,
          opacity: run === main || run.id === currentId || run.key === baseline ? 1 : BESIDE,
        })),
        xTitle: say`step`,
        yTitle: '',
        names: { x: say`step`, y: KINDS()[kind] },
        isLog: false,
        isShare: kind === 'score' && metric === 'accuracy',
      };
    },
    [drawn, kind, smoothing, selected, currentId, baseline],
  );
  return (
    <Block
      title={say`Curves`}
      beside={
        <Picker
          label={say`What is drawn`}
          isLabelHidden
          value={kind}
          items={Object.entries(KINDS()).map(([id, title]) => ({ id, title }))}
          onChange={(id) => setKind(id as Kind)}
        />
      }
    >
      <Chart
        spec={spec}
        sources={sources}
        name={say`Runs by ${KINDS()[kind]}`}
        label={say`Runs by ${KINDS()[kind]}, figures in the table above`}
        height={240}
        onPick={pick}
      />
      <p className="hint">
        <Sentences>
          {say`Tick the runs to draw in the table; press a line to see which run it is.`}
          {kind === 'loss' ? say`Smoothed by ${fixed(smoothing, 2)}, as under Train.` : null}
        </Sentences>
      </p>
    </Block>
  );
}
