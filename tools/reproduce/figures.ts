/** The figures of docs/: what a run came to, the mean of several, and the page of all. */
import { join } from 'node:path';
import { readText } from '../../src/cli/runtime.ts';
import type { EngineName } from '../../src/training/protocol.ts';
import type { TrainingSettings } from '../../src/training/settings.ts';
import { type Point, type VoiceFigure, voiceFigure } from '../voice/report.ts';
import { type Trial, VOICE } from './trials.ts';

export interface Figure {
  readonly name: string;
  readonly model: string;
  readonly data: string;
  readonly method: string;
  readonly steps: number;
  readonly learningRate: number;
  readonly metric: string;
  readonly before: number;
  readonly after: number;
  readonly examples: number;
  readonly stored: number;
  readonly free: number;
  readonly secondsPerStep: number;
  readonly maxRel: number;
  readonly engine: EngineName;
  readonly runtime: string;
  readonly date: string;
  /** Of a mean: all runs, those at other rates too. */
  readonly runs?: readonly {
    readonly learningRate: number;
    readonly seed: number;
    readonly after: number;
    readonly voice?: VoiceFigure;
  }[];
  readonly voice?: VoiceFigure;
  readonly curve?: readonly Point[];
}

/** What `finetune` writes of a run, as far as it is recorded. */
export interface RunFile {
  /** Of a run that came to its end: `done` where the merged file computes what was trained. */
  readonly status?: string;
  readonly steps: number;
  readonly eval: Pick<Figure, 'metric' | 'before' | 'after' | 'examples'>;
  readonly trainable: Pick<Figure, 'stored' | 'free'>;
  readonly secondsPerStep: number;
  readonly parity: { readonly maxRel: number };
  readonly training: TrainingSettings;
  readonly device: { readonly engine: EngineName };
  readonly runtime: string;
  readonly date: string;
  readonly evaluations: readonly Point[];
}

/** The figure of a run in the folder `out`; where it learnt a voice, its merged file writes. */
export async function figureOf({ name, model, data, method }: Trial, out: string): Promise<Figure> {
  const run = JSON.parse(await readText(join(out, 'run.json'))) as RunFile;
  const isVoice = name === VOICE;
  const merged = join(out, 'model.onnx');
  return {
    ...{ name, model, data, method },
    steps: run.steps,
    learningRate: run.training.learningRate,
    ...run.eval,
    ...run.trainable,
    secondsPerStep: run.secondsPerStep,
    maxRel: run.parity.maxRel,
    engine: run.device.engine,
    runtime: run.runtime,
    date: run.date.slice(0, 10),
    ...(data === 'recipes' ? { voice: await voiceFigure(`embedded:${model}`, merged, isVoice) } : {}),
    ...(isVoice ? { curve: run.evaluations.map(({ step, value }) => ({ step, value })) } : {}),
  };
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** The mean over seeds at the rate that is best in it; parity of the worst run. */
export function meanOf(runs: readonly { readonly seed: number; readonly figure: Figure }[]): Figure {
  const at = (rate: number) => runs.map((run) => run.figure).filter((f) => f.learningRate === rate);
  const rates = [...new Set(runs.map(({ figure }) => figure.learningRate))];
  const [best] = rates.map(at).sort((a, b) => mean(b.map((f) => f.after)) - mean(a.map((f) => f.after))) as [
    Figure[],
  ];
  const { voice: _, ...of } = best[0]!;
  return {
    ...of,
    before: mean(best.map((f) => f.before)),
    after: mean(best.map((f) => f.after)),
    secondsPerStep: mean(best.map((f) => f.secondsPerStep)),
    maxRel: Math.max(...best.map((f) => f.maxRel)),
    runs: runs.map(({ seed, figure: { learningRate, after, voice } }) => ({
      ...{ learningRate, seed, after },
      ...(voice && { voice }),
    })),
  };
}

/** The page of all figures. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map((f) => {
    const show = (v: number) => (f.metric === 'accuracy' ? `${(100 * v).toFixed(1)} %` : v.toFixed(2));
    const at = f.runs
      ?.filter(({ learningRate }) => learningRate === f.learningRate)
      .map(({ after }) => after);
    const from = at ? `; of ${at.length} seeds, ${show(Math.min(...at))} to ${show(Math.max(...at))}` : '';
    const rates = [...new Set(f.runs?.map(({ learningRate }) => learningRate))];
    const best = rates.length > 1 ? `; the best of ${rates.join(', ')}` : '';
    return `| ${f.name} | ${f.model} | ${f.data} | ${f.method} | ${f.steps} | ${f.learningRate}${best} | ${f.metric} | ${show(f.before)} | ${show(f.after)}${from} | ${f.examples} | ${f.stored} / ${f.free} | ${f.secondsPerStep.toFixed(2)} | ${f.maxRel.toExponential(1)} | ${f.runtime} | ${f.date} |`;
  });
  return [
    '# Figures',
    '',
    'Written by `npm run -s papilio -- reproduce`; every number was measured by the run in its row, quality on held-out examples only; a row of several seeds has their mean. How the letters preset was chosen, by other letters than the held-out ones here, stands in [letters.md](letters.md). Settings not shown are those that the preset, or the start of the method, had on the date of the row. Rows whose runtime names onnxruntime-node ran the same graphs and gradients on its CPU build, and their parity compares that with onnxruntime-web; parity of WebGPU is in the rows that name its adapter. Seconds per step are those of the run, on a machine that may have been busy; for speed see `bench`.',
    '',
    '| run | model | data | method | steps | learning rate | metric | before | after | examples | trainable stored / free | s/step | parity maxRel | runtime | date |',
    '|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
