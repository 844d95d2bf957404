/**
 * One run from a request: opens model and data, compiles, trains under control of play, pause, step and stop, evaluates, looks inside,
 * merges. The page's worker and the command line both hold one; it knows neither.
 */
import { TRAINABLE } from '../adapters/inject.ts';
import { type Adapter, writeAdapter } from '../adapters/peft.ts';
import { type AdapterPlan, countPlan, moduleTensors, savedParameters, sharedOf } from '../adapters/plan.ts';
import type { Dataset } from '../data/types.ts';
import type { Device } from '../gpu/device.ts';
import { createLock } from '../lib/lock.ts';
import type { LoadedModel } from '../models/load.ts';
import type { Merged, QuantisedMerge } from '../models/merge.ts';
import { encodeModel } from '../onnx/encode.ts';
import type { BatchPlan, FullBatch } from './batchPlan.ts';
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  hashOf,
  type RunIdentity,
  requireSameRun,
  requireStates,
  requireWithin,
} from './checkpoint.ts';
import { createEngine, type Engine, type MakeEngine, type Which } from './engine.ts';
import { evaluateHeld } from './evaluation.ts';
import { limitsOf, mustRecompute } from './forecast.ts';
import { inspectModule } from './inspect.ts';
import { createLoop, type LoopEvents } from './loop.ts';
import { mergedWeights, mergeModel, mergeReport, parityFiles } from './mergeReport.ts';
import type { OpenedData } from './openData.ts';
import type { OpenedModel, Surroundings } from './openModel.ts';
import { checkParity, type OpenFile, type ParityReport, type ParitySample } from './parity.ts';
import { paritySamples } from './paritySamples.ts';
import type { EvalMetric, Inspection, MergeReport, OfStep, RunRequest, StepMetric } from './protocol.ts';
import { type RunSetup, setUpRun } from './setup.ts';
import { toTorch } from './torchLayout.ts';

/** As {@link MergeReport}, where bytes are wanted at once. */
export type MergedFile = Omit<MergeReport, 'onnx'> & { readonly onnx: Uint8Array };

export interface SessionEvents extends LoopEvents {
  onBytes(done: number, total: number, what: string): void;
  onCompile(done: number, total: number): void;
}

/** For runs that nobody watches. */
export const silentEvents: SessionEvents = {
  onBytes: () => {},
  onCompile: () => {},
  onStep: () => {},
  onEval: () => {},
  onEnd: () => {},
};

export interface Session {
  readonly setup: RunSetup;
  readonly opened: OpenedModel;
  readonly model: LoadedModel;
  readonly dataset: Dataset;
  readonly data: OpenedData;
  readonly batches: BatchPlan;
  readonly plan: AdapterPlan;
  readonly engine: Engine;
  readonly warnings: readonly string[];
  readonly counts: { readonly stored: number; readonly free: number };
  /** The next update, and how many there are. */
  readonly position: () => { readonly step: number; readonly total: number };
  /** The curve so far; grows as the run does. */
  readonly history: { readonly steps: readonly StepMetric[]; readonly evals: EvalMetric[] };
  /** Runs until the end, an error, or {@link Session.pause}. Resolves when the last step has been heard of. */
  play(steps?: number): Promise<void>;
  pause(): Promise<void>;
  readonly isRunning: () => boolean;
  evaluate(which: Which): Promise<EvalMetric>;
  /** Logits of a batch, for comparisons and parity. */
  logits(which: Which, batch: FullBatch): Promise<Float32Array>;
  checkpoint(): Promise<Uint8Array>;
  /**
   * Runs a task on the weights of one step: nothing else is asked, and no update begins, before it has ended.
   * @param task is given the session as it is to be asked meanwhile, whose `logits` and `inspect` do not wait
   * @returns that step with what the task gave
   */
  atStep<T>(task: (held: Session) => Promise<T>): Promise<OfStep<T>>;
  inspect(module: string): Promise<Inspection>;
  adapter(): Promise<Adapter>;
  exportAdapter(): Promise<ReturnType<typeof writeAdapter>>;
  /**
   * The merged file as one array, with its sidecars; whether it computes what was trained, {@link Session.mergeChecked} says.
   * @throws PapilioError('non-finite') rather than write a weight that is not a number
   */
  merge(quantised?: QuantisedMerge): Promise<MergedFile>;
  /** The same, compared with the trainer on held-out examples in onnxruntime, which `open` opens. */
  mergeChecked(
    open: OpenFile<Uint8Array>,
    quantised?: QuantisedMerge,
  ): Promise<MergedFile & { readonly parity: ParityReport }>;
  /** The trainer's answers to the examples that merged files are compared on. */
  paritySamples(withBase: boolean): Promise<ParitySample[]>;
  /** The same before it is encoded: its weights are views of the file, but for those that changed. */
  mergeModel(quantised?: QuantisedMerge): Promise<Merged>;
  destroy(): void;
}

/** @param on the GPU, or what makes an engine that executes elsewhere */
export async function openSession(
  on: Device | MakeEngine,
  request: RunRequest,
  around: Surroundings,
  events: SessionEvents,
  options: { readonly checkpoint?: Uint8Array } = {},
): Promise<Session> {
  const asked = await setUpRun(request, around, events.onBytes);
  const isTight =
    typeof on !== 'function' &&
    request.budgetBytes !== undefined &&
    mustRecompute(asked, limitsOf(on, request.budgetBytes));
  const setup = isTight ? computedAgain(asked) : asked;
  const { opened, data, training, batches } = setup;
  const identity: RunIdentity = {
    settings: { method: request.method, config: { ...setup.config }, training },
    modelHash: await hashOf(opened.bytes),
    dataHash: await hashOf(data.bytes),
    adapterHash: setup.adapterHash,
  };
  const resumed = options.checkpoint ? await decodeCheckpoint(options.checkpoint) : null;
  if (resumed) {
    requireSameRun(resumed, identity);
    requireWithin(resumed, batches.totalSteps);
  }
  const engineRequest = { ...setup.engine, onCompile: events.onCompile };
  const engine = await (typeof on === 'function'
    ? on(engineRequest)
    : createEngine({ device: on, ...engineRequest }));
  if (resumed) putBack(engine, resumed);
  return sessionOver(setup, engine, identity, resumed, events);
}

/** What is asked of a run between two updates: under its lock, when nothing is in flight. */
type WhenSettled = <T>(task: () => Promise<T>) => Promise<T>;

function sessionOver(
  setup: RunSetup,
  engine: Engine,
  identity: RunIdentity,
  resumed: Checkpoint | null,
  events: SessionEvents,
): Session {
  const { opened, model, data, dataset, training, batches, plan, parameters, initial } = setup;
  const lock = createLock();
  const settled: WhenSettled = (task) =>
    lock(async () => {
      await engine.settle();
      return task();
    });
  const evaluate = (which: Which, step: number) =>
    evaluateHeld(engine, dataset, batches, which, { step, limit: training.evalExamples });
  const loop = createLoop({
    engine,
    batches,
    settings: training,
    lock,
    evaluate: (step) => evaluate('adapted', step),
    events,
    start: resumed ?? { step: 0, seconds: 0, steps: [], evals: [] },
  });
  const { history } = loop;
  const packed = () => engine.readState(TRAINABLE);
  const now: Pick<Session, 'logits' | 'inspect'> = {
    logits: async (which, batch) => (await engine.evaluate(which, batch, true)).logits!,
    inspect: async (module) =>
      inspectModule({ plan, parameters, initial, module, once: engine.once, packed: await packed() }),
  };
  const adapter = () => settled(async () => adapterOf(setup, engine, await packed()));
  const session: Session = {
    ...{ setup, opened, model, dataset, data, batches, plan, engine, history },
    warnings: [...setup.warnings, ...staysRandom(model, plan)],
    counts: countPlan(plan),
    position: () => ({ step: loop.position().step, total: batches.totalSteps }),
    play: loop.play,
    pause: loop.pause,
    isRunning: loop.isRunning,
    evaluate: (which) => lock(() => evaluate(which, loop.position().step)),
    logits: (which, batch) => lock(() => now.logits(which, batch)),
    inspect: (module) => lock(() => now.inspect(module)),
    // No update begins and none is in flight: every state belongs to the same update.
    checkpoint: () =>
      settled(async () => {
        const { step, seconds } = loop.position();
        const states = new Map<string, Float32Array>();
        for (const name of engine.states.keys()) states.set(name, await engine.readState(name));
        return encodeCheckpoint({ step, ...identity, ...history, seconds, states });
      }),
    atStep: (task) =>
      settled(async () => ({
        step: loop.position().step,
        value: await task({ ...session, ...now }),
      })),
    adapter,
    async exportAdapter() {
      return writeAdapter(toTorch(await adapter(), model.modules), chosenTargets(plan));
    },
    ...mergingOf(setup, engine, settled),
    destroy: () => engine.destroy(),
  };
  return session;
}

/** The trained numbers as an adapter's file has them. */
async function adapterOf(
  { method, plan, brought }: RunSetup,
  engine: Engine,
  packed: Float32Array,
): Promise<Adapter> {
  const trained = { config: plan.config, tensors: moduleTensors(plan, packed) };
  const layers = plan.groups.flatMap((g) => g.layers);
  const saved = await method.beforeSave?.({ ...trained, layers, state: engine.readState });
  return {
    method,
    ...(saved ?? trained),
    parameters: new Map([...brought, ...savedParameters(plan, packed)]),
    shared: sharedOf(plan),
  };
}

/** Merging, and what the merged file is held against. */
function mergingOf(
  setup: RunSetup,
  engine: Engine,
  settled: WhenSettled,
): Pick<Session, 'mergeModel' | 'merge' | 'mergeChecked' | 'paritySamples'> {
  const { opened, model, dataset, batches, plan, parameters } = setup;
  const merged = (quantised: QuantisedMerge = 'requantise'): Promise<Merged> =>
    settled(async () => {
      const packed = await engine.readState(TRAINABLE);
      return mergeModel(model, await mergedWeights(plan, parameters, engine.once, packed), quantised);
    });
  const mergeWhole = async (quantised?: QuantisedMerge): Promise<MergedFile> =>
    mergeReport(opened, model, await merged(quantised), encodeModel);
  const samples = (withBase: boolean) =>
    settled(() => paritySamples({ engine, dataset, batches, model }, withBase));
  return {
    mergeModel: merged,
    merge: mergeWhole,
    async mergeChecked(open, quantised = 'requantise') {
      const made = await mergeWhole(quantised);
      const files = parityFiles(model, made, quantised, encodeModel);
      return { ...made, parity: await checkParity(await samples(files.rounds), files, open) };
    },
    paritySamples: samples,
  };
}

/** All states or none: an engine that a checkpoint does not fit is given up. */
function putBack(engine: Engine, checkpoint: Checkpoint): void {
  try {
    requireStates(checkpoint, engine.states);
  } catch (error) {
    engine.destroy();
    throw error;
  }
  for (const [name, data] of checkpoint.states) engine.writeState(name, data);
}

/** The same run with its activations computed again. */
const computedAgain = (setup: RunSetup): RunSetup => ({
  ...setup,
  engine: { ...setup.engine, recompute: true },
  warnings: [
    ...setup.warnings,
    'To stay within the memory it may take, the run computes activations again in the backward pass: the same numbers, more time.',
  ],
});

/** A new head that nothing trains makes every answer a guess. */
function staysRandom({ fresh }: LoadedModel, plan: AdapterPlan): string[] {
  const trained = new Set([
    ...plan.saved.map(({ name }) => name.slice(0, name.lastIndexOf('.'))),
    ...plan.groups.flatMap((g) => g.layers.map((l) => l.name)),
  ]);
  const left = fresh.filter((module) => !trained.has(module));
  if (left.length === 0) return [];
  const words = left.length === 1 ? ['stays', 'it trains'] : ['stay', 'they train'];
  return [
    `${left.join(' and ')} ${words[0]} random: list ${left.map((name) => name.split('.').slice(-2).join('.')).join(' and ')} in modules_to_save so that ${words[1]}.`,
  ];
}

/** What "all-linear" and null became, for the file; lists and expressions are written as they were given. */
function chosenTargets(plan: AdapterPlan): readonly string[] | undefined {
  const given = plan.config.target_modules ?? null;
  const isGiven = Array.isArray(given) || (typeof given === 'string' && given.toLowerCase() !== 'all-linear');
  return isGiven || plan.groups.length === 0
    ? undefined
    : plan.groups.flatMap((g) => g.layers.map((l) => l.name));
}
