/** The end of `finetune`: merge, check the merged file, say what came of the run, write everything. */
import { basename, join } from 'node:path';
import { median, PapilioError } from '../common.ts';
import type { Dataset } from '../data.ts';
import { shown } from '../hub.ts';
import { type CardOf, hubFolder, modelCard, type ParityReport } from '../merged.ts';
import {
  type DataReport,
  type EvalMetric,
  type Forecast,
  methodFacts,
  type Outcome,
  outcomeOf,
  type RunRequest,
  scoredOn,
} from '../protocol.ts';
import {
  type Backend,
  type MergedFile,
  metricsCsv,
  reportModel,
  type Session,
  sessionProject,
} from '../trainer.ts';
import { runtimeOf } from './engine.ts';
import type { FinetuneValues } from './finetuneOptions.ts';
import { sideBySide } from './forecast.ts';
import { describeWritten, exitCodeOf, openMerged, writeMerged } from './mergedFile.ts';
import { writeProject } from './python.ts';
import { writeInto } from './runtime.ts';
import { note, print } from './terminal.ts';

/** A run of the command: what it was asked and how it began. */
export interface RunOfCommand {
  readonly values: FinetuneValues;
  readonly request: RunRequest;
  readonly on: Backend;
  readonly data: DataReport;
  readonly forecast: Forecast | null;
  /** Scores of the model without an adapter, and of what the run began with. */
  readonly before: EvalMetric;
  readonly start: EvalMetric;
}

/** `accuracy 0.9 on 20 examples`. */
export const scoreOf = (score: EvalMetric): string =>
  `${score.metric} ${score.value.toFixed(4)} on ${scoredOn(score)}`;

/** What every run.json says of the run's settings. */
export const settingsOf = (session: Session, { values, request, on }: RunOfCommand) => ({
  method: request.method,
  model: shown(values.model),
  data: shown(values.data),
  dataOptions: request.data.options ?? {},
  config: request.config,
  training: session.setup.training,
  runtime: runtimeOf(on),
  device: on.info,
  tuning: session.engine.tuning,
  date: new Date().toISOString(),
});

const ADAPTER_FILES = ['adapter_config.json', 'adapter_model.safetensors'] as const;

/** @returns the exit code: 1 where the merged file does not compute what was trained */
export async function finishRun(
  session: Session,
  run: RunOfCommand,
  say: (line: string) => void,
): Promise<number> {
  const { values, forecast } = run;
  const { out } = values;
  const after = await scoreAtEnd(session, run.before);
  const trainedPeak = session.engine.stats?.peakBytes ?? null;
  const adapter = await session.exportAdapter();
  // Before merging, which may fail: what was trained is not lost with it.
  for (const name of ADAPTER_FILES) await writeInto(out, name, adapter[name]);
  const merged = await mergeOrKeep(session, run);
  const outcome = outcomeOf(factsOf(session, run, after));
  const result = resultOf(session, run, after, merged, outcome);
  const names = await writeAll(session, run, merged, result, adapter.warnings, outcome);
  for (const line of [...adapter.warnings, ...outcome.remarks]) note(`${line}\n`);
  say(`after:  held-out ${scoreOf(after)}`);
  if (merged.parity.verdict === 'passed') say(merged.parity.sentence);
  else note(`${merged.parity.sentence}\n`);
  if (forecast) say(sideBySide(forecast, { peakBytes: trainedPeak, secondsPerStep: result.secondsPerStep }));
  for (const line of [...describeRounding(session), ...describeWritten(merged.written)]) say(line);
  say(`written to ${out}: ${[...ADAPTER_FILES, ...names].join(', ')}`);
  say(`next: ${nextCommand(out, session.dataset.kind, merged.parity)}`);
  if (values.json) print(`${JSON.stringify(result)}\n`);
  return exitCodeOf(merged.parity);
}

/** Merges and checks. What cannot be merged ends the run, with its curve and adapter written. */
async function mergeOrKeep(session: Session, run: RunOfCommand): Promise<Checked> {
  const { out, quantised } = run.values;
  try {
    return await session.mergeChecked(openMerged, quantised);
  } catch (error) {
    const { steps, evals } = session.history;
    const { kind, message, details } =
      error instanceof PapilioError ? error : new PapilioError('internal', String(error));
    const record = {
      ...{ ...settingsOf(session, run), status: 'failed', steps: session.position().step },
      ...{
        loss: { curve: steps.map((s) => s.loss) },
        evaluations: [run.before, ...evals],
        error: { kind, message },
      },
    };
    // A disk that is full is not the reason.
    await writeInto(out, 'metrics.csv', metricsCsv(steps, evals)).catch(() => {});
    await writeInto(out, 'run.json', `${JSON.stringify(record, null, 2)}\n`).catch(() => {});
    if (kind === 'internal') throw error;
    throw new PapilioError(kind, `${message} The adapter is kept in ${out}.`, details);
  }
}

/** The last evaluation if it is of the end and on the examples of the first one, else a new one. */
async function scoreAtEnd(session: Session, before: EvalMetric): Promise<EvalMetric> {
  const last = session.history.evals.at(-1);
  const { step } = session.position();
  return last?.step === step && last.examples === before.examples ? last : session.evaluate('adapted');
}

const factsOf = (session: Session, { data, start }: RunOfCommand, after: EvalMetric) => {
  const { plan, setup } = session;
  return {
    ...{ before: start, after, steps: session.history.steps, training: setup.training },
    method: methodFacts(
      setup.method,
      plan.groups.flatMap(({ layers }) => layers),
      setup.model.targets.layers,
      { ...plan.config },
    ),
    config: { ...plan.config },
    trainExamples: data.trainExamples,
    classes: data.labels.length > 0 ? data.labels.length : null,
  };
};

type Checked = MergedFile & { readonly parity: ParityReport };

function resultOf(
  session: Session,
  { values, request, before, forecast, on }: RunOfCommand,
  after: EvalMetric,
  { parity }: Checked,
  outcome: Outcome,
) {
  const { steps } = session.history;
  const curve = steps.map((s) => s.loss);
  const gaps = steps.slice(1).map((s, i) => s.seconds - steps[i]!.seconds);
  const { stats } = session.engine;
  return {
    ...{
      method: request.method,
      model: shown(values.model),
      data: shown(values.data),
      seed: request.training.seed,
    },
    /** `done`, or that the merged file failed its check or could not be checked. */
    status: parity.verdict === 'passed' ? 'done' : parity.verdict,
    endedWorse: outcome.isWorse,
    steps: session.position().total,
    loss: { first: curve[0] ?? null, last: curve.at(-1) ?? null, curve },
    eval: {
      metric: after.metric,
      before: before.value,
      after: after.value,
      loss: { before: before.loss, after: after.loss },
      examples: after.examples,
      ...(after.words === undefined ? {} : { words: after.words }),
      ...(after.others ? { others: { before: before.others, after: after.others } } : {}),
    },
    trainable: session.counts,
    secondsPerStep: gaps.length > 0 ? median(gaps) : (steps[0]?.seconds ?? 0),
    dispatchesPerStep: stats?.dispatchesPerStep ?? null,
    submitsPerStep: stats?.submitsPerStep ?? null,
    peakBytes: stats?.peakBytes ?? null,
    forecast,
    parity,
    adapter: { vendor: on.info.vendor, architecture: on.info.architecture },
    out: values.out,
  };
}

/** @returns the names of the files in the run's folder, besides the adapter's */
async function writeAll(
  session: Session,
  run: RunOfCommand,
  merged: Checked,
  result: ReturnType<typeof resultOf>,
  warnings: readonly string[],
  outcome: Outcome,
): Promise<string[]> {
  const { values, data } = run;
  const { out } = values;
  const { steps, evals } = session.history;
  const record = {
    ...result,
    ...settingsOf(session, run),
    dataset: data,
    evaluations: [run.before, ...evals],
    changedInitializers: merged.changedInitializers,
    written: merged.written,
    warnings: [...session.warnings, ...warnings],
    remarks: outcome.remarks,
  };
  const model = await writeMerged(join(out, 'model.onnx'), merged.onnx, merged.parity);
  for (const file of merged.sidecars) await writeInto(out, file.name, file.bytes);
  await writeInto(out, 'metrics.csv', metricsCsv(steps, evals, merged.parity));
  // What it speaks of is there before it.
  await writeInto(out, 'run.json', `${JSON.stringify(record, null, 2)}\n`);
  if (values.folder !== undefined && merged.parity.verdict === 'passed') {
    for (const file of hubFolder(merged.onnx, merged.sidecars))
      await writeInto(values.folder, file.name, file.bytes);
    await writeInto(values.folder, 'README.md', modelCard(cardOf(session, run, merged, outcome)));
  }
  if (values.python !== undefined) await writeProject(await sessionProject(session), values.python);
  return [basename(model), 'metrics.csv', 'run.json', ...merged.sidecars.map(({ name }) => name)];
}

/** What can be done with the run: a language model that computes what was trained writes; any run goes on in Python. */
export function nextCommand(
  out: string,
  kind: Dataset['kind'],
  { verdict }: Pick<ParityReport, 'verdict'>,
): string {
  const word = (path: string): string => (/^[\w./:@-]+$/.test(path) ? path : JSON.stringify(path));
  return verdict === 'passed' && (kind === 'text' || kind === 'instruction')
    ? `papilio generate --model ${word(join(out, 'model.onnx'))} --prompt "…"${kind === 'instruction' ? ' --chat' : ''}`
    : `papilio python --run ${word(out)} --out ${word(`${out.replace(/(?<!\/)\/+$/, '')}-python`)}`;
}

const cardOf = (session: Session, run: RunOfCommand, merged: Checked, { remarks }: Outcome): CardOf => {
  const { values, request, on, data, before } = run;
  const { steps, evals } = session.history;
  return {
    name: basename(values.folder ?? values.out),
    method: session.setup.method,
    config: { ...session.plan.config },
    training: session.setup.training,
    steps: session.position().step,
    loss: steps.at(-1)?.loss ?? null,
    scores: [before, evals.at(-1) ?? before],
    sources: request,
    open: {
      ...{ model: reportModel(session.opened), data, device: on.info },
      warningsInEnglish: session.warnings,
      counts: { trainable: session.counts },
    },
    ...{ merged, remarks: () => remarks },
  };
};

/** How far rounding while loading moved the weights from those of the file. */
function describeRounding({ model }: Session): string[] {
  const rounded = model.parameters.filter((p) => p.rounded);
  if (rounded.length === 0) return [];
  const file = new Map(model.at('file').parameters.map((p) => [p.name, p]));
  let worst = { name: '', error: 0 };
  for (const { name, load } of rounded) {
    const exact = file.get(name)?.load();
    if (!exact) continue;
    let [error, norm] = [0, 0];
    load().forEach((v, i) => {
      error += (v - exact[i]!) ** 2;
      norm += exact[i]! ** 2;
    });
    const relative = norm > 0 ? Math.sqrt(error / norm) : 0;
    if (relative > worst.error) worst = { name, error: relative };
  }
  return [
    `${rounded.length} weights were rounded to ${model.precision} while loading, and are so in the merged file; the worst is ${worst.name}: relative ${worst.error.toExponential(1)}`,
  ];
}
