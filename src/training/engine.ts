/**
 * The programs of one run on one device: train a step, evaluate, read logits. All share the frozen weights, the packed adapter and the
 * optimiser's state through one store. Knows nothing of pages, files or when to stop.
 */
import { STEP_SEED, type StepInput, TRAINABLE } from '../adapters/inject.ts';
import type { AdapterPlan } from '../adapters/plan.ts';
import { readJoined, type Siblings, siblingsOf } from '../adapters/siblings.ts';
import { compile } from '../gpu/compile.ts';
import type { Device } from '../gpu/device.ts';
import { createDepth, type Depth } from '../gpu/pacing.ts';
import type { Program, ProgramStats } from '../gpu/program.ts';
import type { Ring } from '../gpu/readback.ts';
import { createStore, type Store } from '../gpu/store.ts';
import type { Plan } from '../graph/plan.ts';
import { schedule } from '../graph/schedule.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Caps, Graph } from '../graph/types.ts';
import { PapilioError } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import { say } from '../lib/say.ts';
import { fuse } from '../ops/fuse.ts';
import type { BatchPlan, FullBatch } from './batchPlan.ts';
import { readOutputs } from './graphRuns.ts';
import { learningRateAt, type TrainingSettings } from './settings.ts';
import {
  type BaseGraph,
  evaluationGraph,
  names,
  recomputed,
  type StepGraph,
  stepScalars,
  trainingGraph,
  updateGraph,
} from './stepGraph.ts';
import type { Tuner } from './tuner.ts';
import { isTuned, type TuningReport } from './tuning.ts';

/** Which weights a forward pass uses. */
export type Which = 'base' | 'adapted';

export interface StepResult {
  readonly step: number;
  readonly loss: number;
  readonly gradNorm: number;
  readonly learningRate: number;
}

/** What a run asks of its engine, whatever executes it. */
export interface EngineRequest {
  /** Builds the frozen model at a batch size and, for text, a sequence length. */
  readonly build: (batch: number, sequence: number) => BaseGraph;
  readonly plan: AdapterPlan;
  readonly settings: TrainingSettings;
  readonly totalSteps: number;
  /** Tokens per example of the longest batches, for text (default: the settings'); shorter batches get programs of their own when they first come. */
  readonly sequence?: number;
  readonly initial: () => Float32Array;
  /** Computes activations again in the backward pass where that takes less memory: the same numbers, more time. */
  readonly recompute?: boolean | undefined;
  readonly onCompile: (done: number, total: number) => void;
  /** Whether kernels are tuned before the first step; unless given, on a GPU and on no software adapter. */
  readonly tune?: boolean | undefined;
  /** Hears of each class of products that is measured for it; what it throws ends the tuning. */
  readonly onTune?: (done: number, total: number) => void;
}

export interface EngineOptions extends EngineRequest {
  readonly device: Device;
  readonly tuner?: Tuner;
}

/** Makes an engine that needs no device of ours. */
export type MakeEngine = (request: EngineRequest) => Promise<Engine>;

export interface Engine {
  /** Submits update `step`; `onResult` hears of it once the numbers are back, in order. Waits while as many are in flight as may be. */
  train(step: number, batches: readonly FullBatch[]): Promise<void>;
  onResult(listener: (result: StepResult) => void): void;
  /** Waits until every submitted step is done and heard of. */
  settle(): Promise<void>;
  /** Loss sum of a batch; with `logits`, the whole output as well. */
  evaluate(
    which: Which,
    batch: FullBatch,
    logits: boolean,
  ): Promise<{ readonly loss: number; readonly logits: Float32Array | null }>;
  /** Logits [rows, vocabulary] of one sequence of any length up to the training length, for generation. */
  logits(which: Which, ids: readonly number[]): Promise<Float32Array>;
  /** Runs a graph once over the same weights and reads its outputs. */
  once(graph: Graph): Promise<Readonly<Record<string, Float32Array>>>;
  /** The same for a graph that is asked again and again: made ready once, run and read at each call. */
  keep(graph: Graph): Promise<() => Promise<Readonly<Record<string, Float32Array>>>>;
  readState(name: string): Promise<Float32Array>;
  writeState(name: string, data: Float32Array): void;
  /** What a checkpoint holds: how many numbers each state has, by its name. */
  readonly states: ReadonlyMap<string, number>;
  /** What a step costs on the GPU; null for an engine that executes elsewhere. */
  readonly stats: EngineStats | null;
  /** Of an engine that executes elsewhere: bytes of the memory that it computes in, as `heapBytes` of OrtRuntime has them. */
  heapBytes?(): number | null;
  /** What its kernels were tuned to; null where nothing was. */
  readonly tuning: TuningReport | null;
  /** Frees what it holds once what is under way has ended; from now on every call is refused with 'aborted'. */
  close(): Promise<void>;
}

export interface EngineStats {
  readonly training: ProgramStats;
  readonly dispatchesPerStep: number;
  /** Of the latest step; 0 before the first. */
  readonly submitsPerStep: number;
  /** Bytes of buffers held now, and at most so far. */
  readonly gpuBytes: number;
  readonly peakBytes: number;
}

/** Steps whose numbers may be on their way. */
export const RING_SLOTS = 8;
/** Runs in flight at most; fewer where an update is a run of its own among them, so that the numbers of both have room. */
const MOST_RUNS = { alone: 6, withUpdates: 4 } as const;

/** Plans graphs for a device; where kernels are to be tuned, for the products of the first, which is the training step. */
function createPlanning({
  device,
  tuner,
  tune,
  onTune,
}: Partial<EngineOptions> & Pick<EngineOptions, 'device'>) {
  let report: TuningReport | null = null;
  let caps: Promise<Caps> | undefined;
  const tuned = async (graph: Graph): Promise<Caps> => {
    if (!tuner || !isTuned(tune, device.caps)) return device.caps;
    const found = await tuner.tune(schedule(graph, device.caps), onTune);
    report = found.report;
    return { ...device.caps, tuned: found.tuned };
  };
  return {
    report: () => report,
    async planned(graph: Graph): Promise<Plan> {
      const fused = fuse(graph, device.caps);
      caps ??= tuned(fused);
      return schedule(fused, await caps);
    },
  };
}

/** Compiled graphs over one store of weights and states. */
function createPrograms(
  options: Partial<EngineOptions> & Pick<EngineOptions, 'device' | 'onCompile'>,
  store: Store,
  siblings: () => readonly Siblings[] = () => [],
) {
  const { device, onCompile } = options;
  const programs = new Set<Program>();
  const { planned, report } = createPlanning(options);
  let peakBytes = 0;
  const compiled = async (graph: Graph): Promise<Program> => {
    const program = await compile(device, store, await planned(graph), { onPipeline: onCompile });
    programs.add(program);
    peakBytes = Math.max(peakBytes, device.bytes());
    return program;
  };
  return {
    compiled,
    async once(graph: Graph) {
      const program = await compiled(readJoined(graph, siblings()));
      try {
        program.run();
        return await readOutputs(program, Object.keys(graph.outputs));
      } finally {
        programs.delete(program);
        program.destroy();
      }
    },
    async keep(graph: Graph) {
      const program = await compiled(readJoined(graph, siblings()));
      return async () => {
        program.run();
        return readOutputs(program, Object.keys(graph.outputs));
      };
    },
    peakBytes: () => peakBytes,
    tuning: report,
    destroy() {
      for (const program of programs) program.destroy();
    },
  };
}

/** The frozen model at each batch size and length that was asked for. */
function basesOf(build: EngineRequest['build']): EngineRequest['build'] {
  const bases = new Map<string, BaseGraph>();
  return (batch, sequence) => {
    const key = `${batch} ${sequence}`;
    const base = bases.get(key) ?? build(batch, sequence);
    bases.set(key, base);
    return base;
  };
}

function writeBatch(program: Program, batch: FullBatch): void {
  for (const [name, tensor] of Object.entries(batch.inputs)) program.write(name, tensor.data);
  program.write(names.labels, batch.labels);
}

/** Numbers that are drawn anew for each step. */
function writeDrawn(program: Program, inputs: readonly StepInput[], seed: number, number: number): void {
  for (const { name, type, fill } of inputs) {
    const data = new Float32Array(sizeOf(type.shape));
    fill(data, seed, number);
    program.write(name, data);
  }
}

/** The graph of a forward pass at one size; `logits`: as a whole beside the loss. */
export type ForwardGraph = (which: Which, logits: boolean, batch: number, sequence: number) => Graph;

/** Programs of forward passes, compiled when first asked for. */
function forwardPrograms(graphAt: ForwardGraph, compiled: (graph: Graph) => Promise<Program>) {
  const programs = new Map<string, Promise<Program>>();
  return (...size: Parameters<ForwardGraph>): Promise<Program> => {
    const key = size.join(' ');
    let program = programs.get(key);
    if (!program) {
      program = compiled(graphAt(...size));
      programs.set(key, program);
      program.catch(() => programs.delete(key));
    }
    return program;
  };
}

async function evaluated(
  program: Program,
  batch: FullBatch,
  logits: boolean,
): ReturnType<Engine['evaluate']> {
  writeBatch(program, batch);
  program.run();
  const loss = (await program.read(names.loss))[0]!;
  return { loss, logits: logits ? ((await program.read(names.logits)) as Float32Array) : null };
}

function createEvaluations(
  { plan, settings, initial, sequence = settings.sequenceLength }: EngineOptions,
  baseAt: EngineRequest['build'],
  compiled: (graph: Graph) => Promise<Program>,
): Pick<Engine, 'evaluate' | 'logits'> {
  const programAt = forwardPrograms(
    (which, logits, batch, length) =>
      evaluationGraph(baseAt(batch, length), which === 'base' ? null : plan, initial, logits),
    compiled,
  );
  return {
    evaluate: async (which, batch, logits) =>
      evaluated(
        await programAt(which, logits, settings.batchSize, batch.sequence ?? sequence),
        batch,
        logits,
      ),
    async logits(which, ids) {
      const length = settings.sequenceLength;
      const program = await programAt(which, true, 1, length);
      const padded = new Int32Array(length);
      padded.set(ids);
      program.write('input_ids', padded);
      program.write('attention_mask', new Int32Array(length).fill(1));
      program.write(names.labels, new Int32Array(length).fill(-100));
      program.run();
      return (await program.read(names.logits)) as Float32Array;
    },
  };
}

/** Forward passes alone, for as long as `task` takes: nothing trains, and what they held is free afterwards. */
export async function withForwardPasses<T>(
  device: Device,
  graphAt: ForwardGraph,
  { batchSize, sequence }: Pick<BatchPlan, 'batchSize' | 'sequence'>,
  task: (engine: Pick<Engine, 'evaluate'>) => Promise<T>,
): Promise<T> {
  const store = createStore(device);
  const programs = createPrograms({ device, onCompile: () => {} }, store);
  const programAt = forwardPrograms(graphAt, programs.compiled);
  try {
    return await task({
      evaluate: async (which, batch, logits) =>
        evaluated(await programAt(which, logits, batchSize, batch.sequence ?? sequence), batch, logits),
    });
  } finally {
    programs.destroy();
    store.destroy();
  }
}

/** Calls that are refused once closing has begun. */
export function createCalls() {
  const underWay = new Set<Promise<unknown>>();
  let isClosed = false;
  const requireOpen = (): void => {
    if (isClosed) throw new PapilioError('aborted', say`The run was left.`, { left: true });
  };
  return {
    requireOpen,
    guarded:
      <A extends readonly unknown[], T>(call: (...args: A) => Promise<T>) =>
      async (...args: A): Promise<T> => {
        requireOpen();
        const asked = call(...args);
        underWay.add(asked);
        try {
          return await asked;
        } finally {
          underWay.delete(asked);
        }
      },
    /** Resolves when no call is under way any more. */
    async close(): Promise<void> {
      isClosed = true;
      await Promise.allSettled(underWay);
    },
  };
}

export async function createEngine(options: EngineOptions): Promise<Engine> {
  const store = createStore(options.device);
  const baseAt = basesOf(options.build);
  const { settings, sequence = settings.sequenceLength } = options;
  const programs = createPrograms(options, store, () =>
    siblingsOf(baseAt(settings.batchSize, sequence).graph),
  );
  const updates = new Updates(options, baseAt, programs.compiled);
  const free = (): void => {
    programs.destroy();
    store.destroy();
  };
  try {
    await updates.prepare();
  } catch (error) {
    free();
    throw error;
  }
  const { train, onResult, settle } = updates;
  const { evaluate, logits } = createEvaluations(options, baseAt, programs.compiled);
  const { guarded, requireOpen, close } = createCalls();
  return {
    ...{ onResult, settle },
    train: guarded(train),
    evaluate: guarded(evaluate),
    logits: guarded(logits),
    once: guarded(programs.once),
    keep: guarded(async (graph) => guarded(await programs.keep(graph))),
    readState: guarded(async (name) => (await store.read(name, 'state')) as Float32Array),
    writeState(name, data) {
      requireOpen();
      store.write(name, data, 'state');
    },
    states: new Map(
      [TRAINABLE, ...updates.states].map((name) => [name, sizeOf(store.values.get(`state:${name}`)!.shape)]),
    ),
    get stats() {
      return statsOf(updates, options, programs.peakBytes());
    },
    tuning: programs.tuning(),
    async close() {
      await close();
      // A lost device has nothing in flight.
      await settle().catch(() => {});
      free();
    },
  };
}

function statsOf(updates: Updates, { settings, device }: EngineOptions, peakBytes: number): EngineStats {
  const { training, update } = updates.stats();
  const k = settings.gradientAccumulation;
  return {
    training,
    submitsPerStep: training.submits * k + (update?.submits ?? 0),
    dispatchesPerStep: training.dispatches * k + (update?.dispatches ?? 0),
    gpuBytes: device.bytes(),
    peakBytes,
  };
}

/** A submitted update whose numbers are on their way. */
interface StepInFlight {
  readonly step: number;
  readonly learningRate: number;
  readonly valid: number;
  /** Runs whose numbers have not come. */
  missing: number;
  lossSum: number;
  normSquared: number;
}

/** A training step at one sequence length, or the update by gradients that were added up. */
interface StepProgram {
  readonly program: Program;
  readonly ring: Ring<StepInFlight>;
  readonly stepInputs: readonly StepInput[];
  readonly states: readonly string[];
}

/**
 * The updates of a run: submitted in order, as many in flight as fill about 30 ms, two to six. There is one program for each sequence length, made when first needed, and
 * one for the update where gradients of several batches are added up before it. What an update reports is put together from the rings of these
 * and handed on in the order of submission.
 */
class Updates {
  private readonly options: EngineOptions;
  private readonly baseAt: EngineRequest['build'];
  private readonly compiled: (graph: Graph) => Promise<Program>;
  private readonly sequence: number;
  private readonly steps = new Map<number, Promise<StepProgram>>();
  /** Null where each step updates. */
  private update: StepProgram | null = null;
  /** The step that ran last. */
  private latest: StepProgram | null = null;
  private readonly inFlight: StepInFlight[] = [];
  /** Runs whose numbers have not come yet. */
  private collecting = 0;
  private readonly listeners: ((result: StepResult) => void)[] = [];
  private readonly depth: Depth;

  constructor(
    options: EngineOptions,
    baseAt: EngineRequest['build'],
    compiled: (graph: Graph) => Promise<Program>,
  ) {
    this.options = options;
    this.baseAt = baseAt;
    this.compiled = compiled;
    this.sequence = options.sequence ?? options.settings.sequenceLength;
    const accumulates = options.settings.gradientAccumulation > 1;
    this.depth = createDepth(accumulates ? MOST_RUNS.withUpdates : MOST_RUNS.alone);
  }

  /** Compiles what every update needs. */
  async prepare(): Promise<void> {
    const { plan, settings, initial } = this.options;
    this.latest = await this.stepAt(this.sequence);
    if (settings.gradientAccumulation > 1)
      this.update = await this.stepProgram(updateGraph(plan, settings, initial));
  }

  get states(): readonly string[] {
    return (this.update ?? this.latest)!.states;
  }

  stats(): { readonly training: ProgramStats; readonly update: ProgramStats | undefined } {
    return { training: this.latest!.program.stats, update: this.update?.program.stats };
  }

  readonly onResult = (listener: (result: StepResult) => void): void => {
    this.listeners.push(listener);
  };

  readonly train = async (step: number, batches: readonly FullBatch[]): Promise<void> => {
    const { settings, totalSteps } = this.options;
    const valid = batches.reduce((n, b) => n + b.validLabels, 0);
    const learningRate = learningRateAt(settings, step, totalSteps);
    const scalars = stepScalars(settings, step, learningRate);
    const lossScale = Float32Array.of(1 / Math.max(1, valid));
    const missing = batches.length + (this.update ? 1 : 0);
    const tag: StepInFlight = { step, learningRate, valid, missing, lossSum: 0, normSquared: 0 };
    this.inFlight.push(tag);
    for (const [micro, batch] of batches.entries()) {
      const seed = rng(settings.seed, step).fork(micro).next();
      await this.run(await this.stepAt(batch.sequence ?? this.sequence), tag, seed, (program) => {
        writeBatch(program, batch);
        program.write(names.lossScale, lossScale);
        program.write(names.step, scalars);
        program.write(names.keepGradients, Float32Array.of(micro === 0 ? 0 : 1));
        program.write(STEP_SEED, Int32Array.of(seed | 0, 0, 0, 0));
      });
    }
    if (!this.update) return;
    const seed = rng(settings.seed, step).next();
    await this.run(this.update, tag, seed, (program) => program.write(names.step, scalars));
  };

  readonly settle = async (): Promise<void> => {
    await this.latest!.program.idle(0);
    await this.update?.program.idle(0);
    await this.drain();
    this.depth.interrupted();
  };

  /** Runs a program once it may. Steps of two lengths do not overlap, so that no more are in flight than may be. */
  private async run(
    step: StepProgram,
    tag: StepInFlight,
    seed: number,
    write: (program: Program) => void,
  ): Promise<void> {
    const { program, ring, stepInputs } = step;
    const last = this.latest!.program;
    if (step !== this.update && program !== last) {
      await last.idle(0);
      this.depth.interrupted();
    }
    await program.idle(this.depth.runs - 1);
    if (this.collecting >= RING_SLOTS - 1) await this.drain();
    if (step !== this.update) this.latest = step;
    write(program);
    writeDrawn(program, stepInputs, seed, tag.step);
    this.collecting++;
    program.run({ ring, tag });
  }

  /** Resolves when every number collected so far has been delivered. */
  private async drain(): Promise<void> {
    for (const step of this.steps.values()) await (await step).ring.drain();
    await this.update?.ring.drain();
  }

  private stepAt(sequence: number): Promise<StepProgram> {
    const known = this.steps.get(sequence);
    if (known) return known;
    const step = this.makeStep(sequence);
    this.steps.set(sequence, step);
    step.catch(() => this.steps.delete(sequence));
    return step;
  }

  private async makeStep(sequence: number): Promise<StepProgram> {
    const { device, plan, settings, initial, recompute } = this.options;
    const step = trainingGraph(this.baseAt(settings.batchSize, sequence), plan, settings, initial);
    return this.stepProgram(recompute ? recomputed(step, device.caps) : step);
  }

  private async stepProgram({ graph, stepInputs, states }: StepGraph): Promise<StepProgram> {
    const program = await this.compiled(graph);
    const outputs = [names.loss, names.normSquared].filter((name) => graph.outputs[name] !== undefined);
    const ring = await program.ring<StepInFlight>(outputs, RING_SLOTS);
    ring.onValue(({ tag, data }) => {
      this.depth.arrived(performance.now());
      tag.lossSum += data[names.loss]?.[0] ?? 0;
      tag.normSquared = data[names.normSquared]?.[0] ?? tag.normSquared;
      this.arrived(tag);
    });
    return { program, ring, stepInputs, states };
  }

  private arrived(tag: StepInFlight): void {
    this.collecting--;
    tag.missing--;
    while (this.inFlight[0]?.missing === 0) {
      const { step, lossSum, valid, normSquared, learningRate } = this.inFlight.shift()!;
      // A batch without a label that counts has no loss, and no gradient either.
      const loss = lossSum / Math.max(1, valid);
      for (const listener of this.listeners)
        listener({ step, loss, gradNorm: Math.sqrt(normSquared), learningRate });
    }
  }
}
