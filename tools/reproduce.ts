/**
 * `papilio reproduce [NAME …]`: runs the presets and the methods side by side as `finetune` does, and records what came out, with
 * settings and runtime, in docs/figures.json and docs/figures.md; what language models write, in docs/texts.md; the fits of the butterfly lab, in
 * docs/butterfly.json, butterfly.md and butterfly.svg.
 */
import { join } from 'node:path';
import { engineOptions, openEngine, runtimeOf } from '../src/cli/engine.ts';
import { finetuneCommand } from '../src/cli/finetune.ts';
import { trainingFlags } from '../src/cli/finetuneOptions.ts';
import { command, type OptionTable, type Values } from '../src/cli/options.ts';
import { kindOf, readText, writeBytes } from '../src/cli/runtime.ts';
import { note } from '../src/cli/terminal.ts';
import { fail, PapilioError } from '../src/lib/errors.ts';
import type { EngineName } from '../src/training/protocol.ts';
import type { TrainingSettings } from '../src/training/settings.ts';
import { fitFigure } from './butterfly/figure.ts';
import { FIT_TRIALS, type FitRecord, runFits } from './butterfly/fits.ts';
import { fitsPage } from './butterfly/page.ts';
import { isDone } from './reproduce/done.ts';
import { type Figure, figureOf, meanOf, table } from './reproduce/figures.ts';
import { type Trial, trials, VOICE } from './reproduce/trials.ts';
import { textsPage } from './voice/report.ts';

/** What a file of records has so far. */
async function known<Kept>(path: string): Promise<Kept[]> {
  return (await kindOf(path)) === 'file' ? (JSON.parse(await readText(path)) as Kept[]) : [];
}

/** The records of a file with a new one in the place of that of the same name and engine. */
async function withRecord<Kept extends { readonly name: string; readonly engine: EngineName }>(
  path: string,
  record: Kept,
): Promise<Kept[]> {
  const all = await known<Kept>(path);
  const at = all.findIndex(({ name, engine }) => name === record.name && engine === record.engine);
  all.splice(at === -1 ? all.length : at, 1, record);
  await writeBytes(path, `${JSON.stringify(all, null, 2)}\n`);
  return all;
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
    about:
      'goes on with what the same command left in --out: what is done is taken, the rest trained from its last checkpoint on',
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
  let leftOut = 0;
  for (const trial of all.filter(isWanted)) {
    const came = await trained(trial, values);
    if (came === 'left-out') leftOut++;
    else if (typeof came === 'number') return came;
    else {
      const figures = await withRecord(join(values.docs, 'figures.json'), came);
      await writeBytes(join(values.docs, 'figures.md'), table(figures));
      await writeBytes(join(values.docs, 'texts.md'), textsPage(figures, VOICE));
    }
  }
  await reproduceFits(FIT_TRIALS.filter(isWanted), values);
  return leftOut > 0 ? 1 : 0;
}

/** @returns the figure of a trial's runs; the exit code of one that failed; 'left-out' where one has a checkpoint that cannot be used, which is said */
async function trained(trial: Trial, values: Values<typeof options>): Promise<Figure | number | 'left-out'> {
  const runs: { readonly seed: number; readonly figure: Figure }[] = [];
  for (const { training, folder } of variants(trial, values)) {
    const name = join(trial.name, folder);
    const out = join(values.out, name);
    note(`${name}\n`);
    const asked = { ...trial, training };
    try {
      if (values.resume && (await isDone(asked, out, values.engine))) note('It was done before.\n');
      else {
        const code = await runOne(asked, out, values);
        if (code !== 0) return code;
      }
    } catch (error) {
      if (!(error instanceof PapilioError) || error.kind !== 'checkpoint') throw error;
      note(`${error.message}\n`);
      note(
        `${name} is left out, since its checkpoint cannot be gone on with: delete ${out} and give the same command again.\n`,
      );
      return 'left-out';
    }
    runs.push({ seed: training.seed ?? 1, figure: await figureOf(trial, out) });
  }
  return trial.seeds ? meanOf(runs) : runs[0]!.figure;
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
