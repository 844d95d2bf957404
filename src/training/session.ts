/**
 * One run from a request: opens model and data, compiles, trains under control of play, pause, step and stop, evaluates, looks inside,
 * merges. The page's worker and the command line both hold one; it knows neither.
 */
import { TRAINABLE } from '../adapters/inject.ts';
import { type Adapter, writeAdapter } from '../adapters/peft.ts';
import { type AdapterPlan, countPlan, moduleTensors, savedParameters, sharedOf } from '../adapters/plan.ts';
import { errorReport, PapilioError } from '../lib/errors.ts';
import { createLock, type Lock } from '../lib/lock.ts';
import { clause, listOf, say } from '../lib/say.ts';
import type { LoadedModel } from '../models/load.ts';
import type { Merged, QuantisedMerge } from '../models/merge.ts';
import { encodeModel } from '../onnx/encode.ts';
import { adapterMeasures, type MeasuredAdapter } from './adapterMeasures.ts';
import type { RunsOn } from './backend.ts';
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
  sourceNameOf,
} from './checkpoint.ts';
import type { Engine, StepResult, Which } from './engine.ts';
import { evaluateHeld } from './evaluation.ts';
import { limitsOf, mustRecompute } from './forecast.ts';
import { inspectModule } from './inspect.ts';
import { mergedWeights, mergeModel, mergeReport, parityFiles } from './merging.ts';
import type { Host } from './openModel.ts';
import { checkParity, type OpenFile, type ParityReport, type ParitySample, paritySamples } from './parity.ts';
import type {
  EngineName,
  EvalMetric,
  Inspection,
  MergeReport,
  OfStep,
  RunRequest,
  StepMetric,
  TrainerEvent,
} from './protocol.ts';
import type { TrainingSettings } from './settings.ts';
import { type RunSetup, setUpRun, toTorch } from './setup.ts';

/** As {@link MergeReport}, where bytes are wanted at once. */
export type MergedFile = Omit<MergeReport, 'onnx'> & { readonly onnx: Uint8Array };

/** What a session says while it is opened and runs, in order. */
export type SessionEvent = Extract<TrainerEvent, { readonly type: 'progress' | 'step' | 'eval' }>;

export interface Session
  extends Pick<RunSetup, 'opened' | 'model' | 'dataset' | 'data' | 'batches' | 'plan' | 'warnings'> {
  readonly setup: RunSetup;
  readonly engine: Engine;
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
  atStep<T>(task: (session: Session) => Promise<T>): Promise<OfStep<T>>;
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
  /** Frees what it holds once what is under way has ended; what is asked of it from now on is refused with 'aborted'. */
  close(): Promise<void>;
}

export interface SessionOptions {
  readonly checkpoint?: Uint8Array;
  /** Every evaluation on the way also measures how far the adapter has taken the weights ({@link adapterMeasures}). */
  readonly measuresAdapter?: boolean;
}

/** @param on what computes; its limits where the run must stay within a budget */
export async function openSession(
  on: RunsOn,
  request: RunRequest,
  host: Host,
  emit: (event: SessionEvent) => void = () => {},
  options: SessionOptions = {},
): Promise<Session> {
  const asked = await setUpRun(request, host, (doneBytes, totalBytes, what) =>
    emit({ type: 'progress', progress: { clock: 'download', doneBytes, totalBytes, what } }),
  );
  const { info, caps, maxBufferBytes } = on;
  const isTight =
    info?.engine === 'webgpu' &&
    request.budgetBytes !== undefined &&
    mustRecompute(
      asked,
      limitsOf(
        { info, caps: caps!, maxBufferBytes: maxBufferBytes!, memoryBytes: null },
        request.budgetBytes,
      ),
    );
  const setup = isTight ? computedAgain(asked) : asked;
  const identity = await identityOf(request, setup);
  const resumed = options.checkpoint ? await checkpointOf(options.checkpoint, identity, setup) : null;
  const computes = info?.engine ?? 'webgpu';
  const of = computes === 'webgpu' ? 'pipelines' : 'graphs';
  const engineRequest = {
    ...setup.engine,
    onCompile: (done: number, total: number) =>
      emit({ type: 'progress', progress: { clock: 'compile', done, total, of } }),
    onTune: (done: number, total: number) =>
      emit({ type: 'progress', progress: { clock: 'compile', done, total, of: 'products' } }),
  };
  const engine = await on.engine(engineRequest);
  const before = resumed?.engine ?? 'webgpu';
  if (resumed) await putBack(engine, resumed);
  return sessionOver(
    resumed === null || before === computes
      ? setup
      : { ...setup, warnings: [...setup.warnings, goesOnElsewhere(before, computes)] },
    engine,
    { ...identity, engine: computes },
    resumed,
    emit,
    // What has to stay within little memory has none to spare for it.
    options.measuresAdapter === true && !isTight,
  );
}

async function identityOf(
  { method, model, data }: RunRequest,
  { opened, config, training, adapterHash, data: examples }: RunSetup,
): Promise<RunIdentity> {
  return {
    settings: { method, config: { ...config }, training },
    modelHash: await hashOf(opened.bytes),
    dataHash: await hashOf(examples.bytes),
    adapterHash,
    sources: { model: sourceNameOf(model), data: sourceNameOf(data) },
  };
}

/** @throws PapilioError('checkpoint') where it is no checkpoint, or one of another run */
async function checkpointOf(
  bytes: Uint8Array,
  identity: RunIdentity,
  { batches }: RunSetup,
): Promise<Checkpoint> {
  const checkpoint = await decodeCheckpoint(bytes);
  requireSameRun(checkpoint, identity);
  requireWithin(checkpoint, batches.totalSteps);
  return checkpoint;
}

/**
 * Opens what a run is made of, without anything that computes it, to say whether it can go on from a checkpoint.
 *
 * @throws PapilioError('checkpoint') where the checkpoint is of another run; as {@link openSession} where there is no such run
 */
export async function requireGoesOn(request: RunRequest, host: Host, checkpoint: Uint8Array): Promise<void> {
  const setup = await setUpRun(request, host);
  await checkpointOf(checkpoint, await identityOf(request, setup), setup);
}

const goesOnElsewhere = (before: EngineName, now: EngineName): string =>
  say`The run was trained by ${before} and goes on by ${now}: the curve goes on, not bit for bit, since the two round differently.`;

/** What is asked of a run between two updates: under its lock, when nothing is in flight. */
type WhenSettled = <T>(task: () => Promise<T>) => Promise<T>;

function sessionOver(
  setup: RunSetup,
  engine: Engine,
  identity: RunIdentity & Pick<Checkpoint, 'engine'>,
  resumed: Checkpoint | null,
  emit: (event: SessionEvent) => void,
  measuresAdapter: boolean,
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
  const measured = measuresAdapter ? measuring(setup, engine) : async () => null;
  const loop = new UpdateLoop({
    engine,
    batches,
    settings: training,
    lock,
    evaluate: async (step) => withMeasures(await evaluate('adapted', step), await measured()),
    emit,
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
    close: () => engine.close(),
  };
  return session;
}

/** What is measured of the adapter at every evaluation, made ready at the first; null where there is nothing to measure, or no memory for it. */
function measuring({ plan, parameters, initial }: RunSetup, engine: Engine) {
  let made: Promise<(() => Promise<MeasuredAdapter>) | null> | undefined;
  const make = async (): Promise<(() => Promise<MeasuredAdapter>) | null> => {
    const measures = adapterMeasures(plan, parameters, initial);
    if (measures === null) return null;
    const run = await engine.keep(measures.graph);
    return async () => measures.read(await run());
  };
  return async (): Promise<MeasuredAdapter | null> => {
    made ??= make();
    try {
      return (await (await made)?.()) ?? null;
    } catch (error) {
      if (!(error instanceof PapilioError) || !['out-of-memory', 'limit'].includes(error.kind)) throw error;
      made = Promise.resolve(null);
      return null;
    }
  };
}

const withMeasures = (metric: EvalMetric, measured: MeasuredAdapter | null): EvalMetric =>
  measured === null ? metric : { ...metric, others: { ...metric.others, ...measured } };

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
async function putBack(engine: Engine, checkpoint: Checkpoint): Promise<void> {
  try {
    requireStates(checkpoint, engine.states);
  } catch (error) {
    await engine.close();
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
    say`To stay within the memory it may take, the run computes activations again in the backward pass: the same numbers, more time.`,
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
  const short = listOf(left.map((name) => name.split('.').slice(-2).join('.')));
  return [
    left.length === 1
      ? say`${left[0]!} stays random: list ${short} in modules_to_save so that it trains.`
      : say`${listOf(left)} stay random: list ${short} in modules_to_save so that they train.`,
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

// Takes an engine through the updates of a run under control of play and pause, keeps the curve, and stops at numbers that are none.

interface LoopOptions {
  readonly engine: Engine;
  readonly batches: BatchPlan;
  readonly settings: TrainingSettings;
  /** Held while an update is submitted, so that others see all states at one and the same update. */
  readonly lock: Lock;
  readonly evaluate: (step: number) => Promise<EvalMetric>;
  readonly emit: (event: SessionEvent) => void;
  /** Where a resumed run goes on. */
  readonly start: {
    readonly step: number;
    readonly seconds: number;
    readonly steps: readonly StepMetric[];
    readonly evals: readonly EvalMetric[];
  };
}

/** What an update that was submitted holds: filled-up rows and padding are no examples and no tokens. */
interface Counts {
  readonly examples: number;
  readonly tokens: number;
}

const NOTHING: Counts = { examples: 0, tokens: 0 };

const countsOf = (batches: readonly FullBatch[]): Counts => ({
  examples: batches.reduce((n, b) => n + b.count, 0),
  tokens: batches.reduce((n, b) => n + b.tokens, 0),
});

const diverged = ({ step, loss, learningRate }: StepResult): PapilioError =>
  new PapilioError(
    'non-finite',
    Number.isFinite(loss)
      ? say`The gradient became infinite or not a number at step ${step + 1}, and that update was left out: the weights are those from before it; lower the learning rate (${Number(learningRate.toPrecision(2))} now) or clip at 1, and go on.`
      : say`The loss became infinite or not a number at step ${step + 1}, and that update was left out: the weights are those from before it; lower the learning rate (${Number(learningRate.toPrecision(2))} now) or clip at 1, and go on.`,
    { step },
  );

const broken = (error: unknown, step: number): PapilioError =>
  new PapilioError(
    'internal',
    say`${clause(errorReport(error).message)}, after step ${step}; go on from there, or start again from a checkpoint.`,
    { step },
  );

class UpdateLoop {
  readonly history: { readonly steps: StepMetric[]; readonly evals: EvalMetric[] };
  private readonly options: LoopOptions;
  private readonly inFlight = new Map<number, Counts>();
  private next: number;
  private seconds: number;
  private startedMs = 0;
  private running: Promise<void> | null = null;
  private stopping = false;
  private failure: PapilioError | null = null;

  constructor(options: LoopOptions) {
    this.options = options;
    const { step, seconds, steps, evals } = options.start;
    this.next = step;
    this.seconds = seconds;
    this.history = { steps: [...steps], evals: [...evals] };
    options.engine.onResult((result) => this.onResult(result));
  }

  /** Runs at most `count` updates. Resolves when the last has been heard of; rejects with what stopped it. */
  readonly play = (count = Number.POSITIVE_INFINITY): Promise<void> => {
    if (this.running) return this.running;
    this.stopping = false;
    this.running = this.runUntil(Math.min(this.options.batches.totalSteps, this.next + count));
    return this.running;
  };

  /** Resolves when the steps in flight have ended: two, or more where they take less than 15 ms each. */
  readonly pause = async (): Promise<void> => {
    this.stopping = true;
    await this.running?.catch(() => {});
  };

  readonly isRunning = (): boolean => this.running !== null;

  /** The next update, and seconds of training so far. */
  readonly position = () => ({ step: this.next, seconds: this.elapsed() });

  private elapsed(): number {
    return this.seconds + (this.running ? (performance.now() - this.startedMs) / 1000 : 0);
  }

  private onResult(result: StepResult): void {
    if (this.failure) return;
    const { step, loss, gradNorm, learningRate } = result;
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
      this.failure = diverged(result);
      return;
    }
    const { steps } = this.history;
    const before = steps.at(-1) ?? NOTHING;
    const own = this.inFlight.get(step) ?? NOTHING;
    this.inFlight.delete(step);
    const metric: StepMetric = {
      step: step + 1,
      loss,
      learningRate,
      gradNorm,
      examples: before.examples + own.examples,
      tokens: before.tokens + own.tokens,
      seconds: this.elapsed(),
    };
    steps.push(metric);
    const { engine, batches, emit } = this.options;
    const heapBytes = engine.heapBytes?.() ?? null;
    emit({
      ...{ type: 'step', metric, submits: engine.stats?.submitsPerStep ?? 0 },
      ...(heapBytes === null ? {} : { heapBytes }),
    });
    emit({ type: 'progress', progress: { clock: 'train', done: metric.step, total: batches.totalSteps } });
  }

  private async evaluate(): Promise<void> {
    const { engine, lock, evaluate, emit } = this.options;
    await engine.settle();
    if (this.failure) return;
    // Evaluations do not count as training time.
    this.seconds = this.elapsed();
    const metric = await lock(() => evaluate(this.next));
    this.history.evals.push(metric);
    emit({ type: 'eval', metric });
    this.startedMs = performance.now();
  }

  private async update(): Promise<void> {
    const { engine, batches, settings, lock } = this.options;
    const batch = batches.update(this.next);
    this.inFlight.set(this.next, countsOf(batch));
    await lock(async () => {
      await engine.train(this.next, batch);
      this.next++;
    });
    const isDue = settings.evalEvery > 0 && this.next % settings.evalEvery === 0;
    if (isDue || this.next === batches.totalSteps) await this.evaluate();
  }

  private async runUntil(until: number): Promise<void> {
    const { engine } = this.options;
    this.startedMs = performance.now();
    try {
      while (this.next < until && !this.stopping && !this.failure) await this.update();
      await engine.settle();
    } catch (error) {
      this.failure ??= error instanceof PapilioError ? error : broken(error, this.next);
    }
    this.seconds = this.elapsed();
    this.running = null;
    const error = this.failure;
    if (error) {
      this.failure = null;
      // An update that was left out did not happen: the run goes on from the last one that did.
      if (error.kind === 'non-finite') this.next = this.history.steps.at(-1)?.step ?? 0;
      throw error;
    }
  }
}
