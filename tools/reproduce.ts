/**
 * `papilio reproduce [NAME …]`: runs the presets and the methods side by side as `finetune` does, and records what came out, with
 * settings and runtime, in docs/figures.json and docs/figures.md; what language models write, in docs/texts.md; the fits of the butterfly lab, in
 * docs/butterfly.json, butterfly.md and butterfly.svg.
 */
import { join } from 'node:path';
import { METHODS, type MethodId } from '../src/adapters/registry.ts';
import { engineOptions, openEngine, runtimeOf } from '../src/cli/engine.ts';
import { finetuneCommand } from '../src/cli/finetune.ts';
import { trainingFlags } from '../src/cli/finetuneOptions.ts';
import { command, type OptionTable, type Values } from '../src/cli/options.ts';
import { kindOf, readText, writeBytes } from '../src/cli/runtime.ts';
import { note } from '../src/cli/terminal.ts';
import { fail } from '../src/lib/errors.ts';
import { PRESETS } from '../src/page/features/setup/presets.ts';
import type { EngineName } from '../src/training/protocol.ts';
import type { TrainingSettings } from '../src/training/settings.ts';
import { fitFigure } from './butterfly/figure.ts';
import { FIT_TRIALS, type FitRecord, runFits } from './butterfly/fits.ts';
import { fitsPage } from './butterfly/page.ts';
import { type Point, textsPage, type VoiceFigure, voiceFigure } from './voice/report.ts';

interface Trial {
  readonly name: string;
  readonly model: string;
  readonly data: string;
  readonly method: MethodId;
  readonly config: Readonly<Record<string, unknown>>;
  readonly training: Partial<TrainingSettings>;
  /** Runs with each of these: the figure is the mean over seeds, at the rate that is best in it. */
  readonly seeds?: readonly number[];
  readonly rates?: readonly number[];
}

const SEEDS = [1, 2, 3];
/** Of a head alone, whose best is not known before. */
const HEAD_RATES = [0.003, 0.01, 0.03, 0.1, 0.3];

/** As many held-out letters as there are: shares near 96 % are known to half a point, near 80 % to one. */
const COUNTED = { evalEvery: 0, evalExamples: 2000 };

/** The guide's run in full, and what every method gets on the same task: enough to tell that it learns. */
const LONG = { steps: 1000, batchSize: 16, evalEvery: 250, evalExamples: 1040 };
const PICTURES = { steps: 200, batchSize: 16, evalEvery: 0, evalExamples: 1040 };

/** The preset of the language model: every method gets its steps. */
const VOICE = 'tales-recipes';

/** The presets, the guide's run and the head alone beside the first of them, and every method as it starts, for equally many steps on two tasks. */
function trials(): Trial[] {
  const own = PRESETS.filter((p) => p.model !== 'own').map((p) => ({ ...p, name: p.id }));
  const first = own[0]!;
  const guide = { ...first, name: 'letters-guide', training: { ...first.training, ...LONG } };
  const seeded = {
    ...{ ...first, name: `${first.name}-seeds`, seeds: SEEDS },
    training: { ...first.training, ...COUNTED },
  };
  const voice = own.find((p) => p.id === VOICE)!;
  const { learningRate: _, ...texts } = voice.training;
  const head: Trial = {
    ...{ ...seeded, name: 'letters-head-seeds', method: 'head', config: {}, rates: HEAD_RATES },
  };
  const beside = (data: string, model: string, training: Partial<TrainingSettings>) =>
    (Object.keys(METHODS) as MethodId[]).map(
      (method): Trial => ({ name: `${method}-${data}`, model, data, method, config: {}, training }),
    );
  return [
    guide,
    seeded,
    head,
    ...beside('letters', 'glyphs-vit', PICTURES),
    ...beside('recipes', 'tales-gpt', texts),
    ...own,
    { ...voice, name: `${VOICE}-seeds`, seeds: SEEDS },
  ];
}

interface Figure {
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
interface RunFile {
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
async function figureOf({ name, model, data, method }: Trial, out: string): Promise<Figure> {
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
function meanOf(runs: readonly { readonly seed: number; readonly figure: Figure }[]): Figure {
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

/** What a file of records has so far. */
async function known<Kept>(path: string): Promise<Kept[]> {
  return (await kindOf(path)) === 'file' ? (JSON.parse(await readText(path)) as Kept[]) : [];
}

/** The records of a file with a new one in the place of that of the same name and engine. */
async function withRecord<Kept extends { readonly name: string; readonly engine: EngineName }>(
  path: string,
  record: Kept,
): Promise<Kept[]> {
  const others = (await known<Kept>(path)).filter(
    ({ name, engine }) => name !== record.name || engine !== record.engine,
  );
  const all = [...others, record];
  await writeBytes(path, `${JSON.stringify(all, null, 2)}\n`);
  return all;
}

function table(figures: readonly Figure[]): string {
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
    'Written by `npm run -s papilio -- reproduce`; every number was measured by the run in its row, quality on held-out examples only; a row of several seeds has their mean. How the letters preset was chosen, by other letters than the held-out ones here, stands in [letters.md](letters.md). Settings not shown are those that the preset, or the start of the method, had on the date of the row. Rows whose runtime is onnxruntime-node ran the same graphs and gradients on its CPU build, and their parity compares that with onnxruntime-web; parity of the GPU is in the rows of Node and Deno. Seconds per step are those of the run, on a machine that may have been busy; for speed see `bench`.',
    '',
    '| run | model | data | method | steps | learning rate | metric | before | after | examples | trainable stored / free | s/step | parity maxRel | runtime | date |',
    '|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

const options = {
  out: { type: 'string', value: 'DIR', default: 'out/reproduce', about: 'where the runs go' },
  docs: {
    type: 'string',
    value: 'DIR',
    default: 'docs',
    about: 'where the records are: figures.json, butterfly.json and their pages',
  },
  steps: { type: 'number', about: 'steps of every run', otherwise: "the run's own" },
  'eval-examples': {
    type: 'number',
    about: 'held-out examples of every evaluation',
    otherwise: "the run's own",
  },
  resume: {
    type: 'boolean',
    about: 'goes on with what the same command left in --out: runs are trained from their last checkpoint on',
  },
  engine: engineOptions.engine,
  'engine-path': engineOptions['engine-path'],
} as const satisfies OptionTable;

export const reproduceCommand = command(
  {
    name: 'reproduce',
    about:
      'Runs the presets, the methods side by side and the fits of the butterfly lab, and records what came out; all of them unless some are named.',
    positionals: '[NAME …]',
    options,
  },
  reproduce,
);

/** The settings of each run of a trial, and its folder in the trial's own. */
function variants(
  { training, seeds, rates }: Trial,
  { steps, 'eval-examples': evalExamples }: Values<typeof options>,
): { readonly training: Partial<TrainingSettings>; readonly folder: string }[] {
  const asItIs = [undefined];
  return (rates ?? asItIs).flatMap((learningRate) =>
    (seeds ?? asItIs).map((seed) => {
      const given = Object.entries({ learningRate, seed, steps, evalExamples }).filter(
        ([, value]) => value !== undefined,
      );
      return {
        training: { ...training, ...Object.fromEntries(given) },
        folder: [learningRate, seed].filter((value) => value !== undefined).join('-'),
      };
    }),
  );
}

/** @returns the exit code of `finetune` */
const runOne = (
  { model, data, method, config, training }: Trial,
  out: string,
  values: Values<typeof options>,
): Promise<number> =>
  finetuneCommand([
    ...['--model', `embedded:${model}`, '--data', `embedded:${data}`, '--method', method],
    ...['--config', JSON.stringify(config), '--out', out, values.resume ? '--resume' : '--overwrite'],
    ...trainingFlags(training),
    ...['--engine', values.engine],
    ...(values['engine-path'] === undefined ? [] : ['--engine-path', values['engine-path']]),
  ]);

async function reproduce(values: Values<typeof options>, positionals: readonly string[]): Promise<number> {
  const all = trials();
  const names = [...all, ...FIT_TRIALS].map(({ name }) => name);
  const unknown = positionals.filter((name) => !names.includes(name));
  if (unknown.length > 0)
    fail('bad-argument', `There is no run ${unknown.join(', ')}; there are ${names.join(', ')}.`);
  const isWanted = ({ name }: { readonly name: string }) =>
    positionals.length === 0 || positionals.includes(name);
  const wanted = all.filter(isWanted);
  const json = join(values.docs, 'figures.json');
  for (const trial of wanted) {
    const runs: { readonly seed: number; readonly figure: Figure }[] = [];
    for (const { training, folder } of variants(trial, values)) {
      const out = join(values.out, trial.name, folder);
      note(`${join(trial.name, folder)}\n`);
      const code = await runOne({ ...trial, training }, out, values);
      if (code !== 0) return code;
      runs.push({ seed: training.seed ?? 1, figure: await figureOf(trial, out) });
    }
    const figure = trial.seeds ? meanOf(runs) : runs[0]!.figure;
    const figures = await withRecord(json, figure);
    await writeBytes(join(values.docs, 'figures.md'), table(figures));
    await writeBytes(join(values.docs, 'texts.md'), textsPage(figures, VOICE));
  }
  await reproduceFits(FIT_TRIALS.filter(isWanted), values);
  return 0;
}

/** The fits of the butterfly lab; the figure is of those of random rotations. */
async function reproduceFits(
  wanted: typeof FIT_TRIALS,
  { docs, engine, 'engine-path': path, steps }: Values<typeof options>,
): Promise<void> {
  if (wanted.length === 0) return;
  const backend = await openEngine({ engine, 'engine-path': path, threads: undefined, tune: undefined });
  for (const trial of wanted) {
    const record = await runFits(trial, backend, runtimeOf(backend), note, steps);
    const records = await withRecord<FitRecord>(join(docs, 'butterfly.json'), record);
    await writeBytes(join(docs, 'butterfly.md'), fitsPage(records));
    const drawn = records.find(({ name }) => name === FIT_TRIALS[0]!.name);
    if (drawn !== undefined) await writeBytes(join(docs, 'butterfly.svg'), fitFigure(drawn));
  }
  backend.close();
}
