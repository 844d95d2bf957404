/**
 * The programs of one run on one device: train a step, evaluate, read logits. All share the frozen weights, the packed adapter and the
 * optimiser's state through one store. Knows nothing of pages, files or when to stop.
 */
import { STEP_SEED, type StepInput, TRAINABLE } from '../adapters/inject.ts';
import type { AdapterPlan } from '../adapters/plan.ts';
import { compile } from '../gpu/compile.ts';
import type { Device } from '../gpu/device.ts';
import type { Program, ProgramStats } from '../gpu/program.ts';
import type { Ring } from '../gpu/readback.ts';
import { createStore, type Store } from '../gpu/store.ts';
import { schedule } from '../graph/schedule.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Graph } from '../graph/types.ts';
import { rng } from '../lib/rng.ts';
import { fuse } from '../ops/fuse.ts';
import type { FullBatch } from './batchPlan.ts';
import { recomputed } from './recomputed.ts';
import { readOutputs } from './runGraph.ts';
import { learningRateAt, type TrainingSettings } from './settings.ts';
import {
  type BaseGraph,
  evaluationGraph,
  names,
  type StepGraph,
  trainingGraph,
  updateGraph,
} from './stepGraph.ts';
import { stepScalars } from './stepScalars.ts';

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
}

export interface EngineOptions extends EngineRequest {
  readonly device: Device;
}

/** Makes an engine that needs no device of ours. */
export type MakeEngine = (request: EngineRequest) => Promise<Engine>;

export interface Engine {
  /** Submits update `step`; `onResult` hears of it once the numbers are back, in order. Waits while two steps are in flight. */
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
  readState(name: string): Promise<Float32Array>;
  writeState(name: string, data: Float32Array): void;
  /** What a checkpoint holds: how many numbers each state has, by its name. */
  readonly states: ReadonlyMap<string, number>;
  /** What a step costs on the GPU; null for an engine that executes elsewhere. */
  readonly stats: EngineStats | null;
  destroy(): void;
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

/** Compiled graphs over one store of weights and states. */
function createPrograms({ device, onCompile }: Pick<EngineOptions, 'device' | 'onCompile'>, store: Store) {
  const programs = new Set<Program>();
  let peakBytes = 0;
  const compiled = async (graph: Graph): Promise<Program> => {
    const program = await compile(device, store, schedule(fuse(graph), device.caps), {
      onPipeline: onCompile,
    });
    programs.add(program);
    peakBytes = Math.max(peakBytes, device.bytes());
    return program;
  };
  return {
    compiled,
    async once(graph: Graph) {
      const program = await compiled(graph);
      try {
        program.run();
        return await readOutputs(program, graph);
      } finally {
        programs.delete(program);
        program.destroy();
      }
    },
    peakBytes: () => peakBytes,
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

/** Forward passes, compiled when first asked for. */
function createEvaluations(
  { plan, settings, initial, sequence = settings.sequenceLength }: EngineOptions,
  baseAt: EngineRequest['build'],
  compiled: (graph: Graph) => Promise<Program>,
): Pick<Engine, 'evaluate' | 'logits'> {
  const programs = new Map<string, Promise<Program>>();
  const programAt = (which: Which, logits: boolean, batch: number, length: number) => {
    const key = `${which} ${logits} ${batch} ${length}`;
    let program = programs.get(key);
    if (!program) {
      const base = baseAt(batch, length);
      program = compiled(evaluationGraph(base, which === 'base' ? null : plan, initial, logits));
      programs.set(key, program);
      program.catch(() => programs.delete(key));
    }
    return program;
  };
  return {
    async evaluate(which, batch, logits) {
      const program = await programAt(which, logits, settings.batchSize, batch.sequence ?? sequence);
      writeBatch(program, batch);
      program.run();
      const loss = (await program.read(names.loss))[0]!;
      return { loss, logits: logits ? ((await program.read(names.logits)) as Float32Array) : null };
    },
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

/** The optimiser's own program, where gradients of several batches are added up before it; null where each step updates. */
async function createUpdate(
  { plan, settings, initial }: EngineOptions,
  compiled: (graph: Graph) => Promise<Program>,
  onValue: (update: StepInFlight) => void,
): Promise<Stepper | null> {
  if (settings.gradientAccumulation <= 1) return null;
  const { graph, stepInputs, states } = updateGraph(plan, settings, initial);
  const program = await compiled(graph);
  const ring = await program.ring<StepInFlight>([names.normSquared], RING_SLOTS);
  ring.onValue(({ tag, data }) => {
    tag.normSquared = data[names.normSquared]![0]!;
    onValue(tag);
  });
  return { program, ring, stepInputs, states };
}

export async function createEngine(options: EngineOptions): Promise<Engine> {
  const store = createStore(options.device);
  const programs = createPrograms(options, store);
  const baseAt = basesOf(options.build);
  const updates = await createUpdates(options, baseAt, programs.compiled);
  return {
    train: updates.train,
    onResult: updates.onResult,
    settle: updates.settle,
    ...createEvaluations(options, baseAt, programs.compiled),
    once: programs.once,
    readState: async (name) => (await store.read(name, 'state')) as Float32Array,
    writeState: (name, data) => store.write(name, data, 'state'),
    states: new Map(
      [TRAINABLE, ...updates.states].map((name) => [name, sizeOf(store.values.get(`state:${name}`)!.shape)]),
    ),
    get stats() {
      return statsOf(updates.stats(), options, programs.peakBytes());
    },
    destroy() {
      programs.destroy();
      store.destroy();
    },
  };
}

interface UpdateStats {
  readonly training: ProgramStats;
  readonly update: ProgramStats | undefined;
}

function stepGraphOf(
  { device, plan, settings, initial, recompute }: EngineOptions,
  base: BaseGraph,
): StepGraph {
  const step = trainingGraph(base, plan, settings, initial);
  return recompute ? recomputed(step, device.caps) : step;
}

/** The updates of a run: submitted in order, at most two in flight. */
async function createUpdates(
  options: EngineOptions,
  baseAt: EngineRequest['build'],
  compiled: (graph: Graph) => Promise<Program>,
): Promise<
  Pick<Engine, 'train' | 'onResult' | 'settle'> & {
    readonly states: readonly string[];
    readonly stats: () => UpdateStats;
  }
> {
  const { settings, sequence = settings.sequenceLength } = options;
  /** Runs whose numbers have not come yet. */
  let collecting = 0;
  const results = createStepResults();
  const arrived = (update: StepInFlight): void => {
    collecting--;
    results.arrived(update);
  };
  const steppers = createSteppers({
    graph: (length) => stepGraphOf(options, baseAt(settings.batchSize, length)),
    compiled,
    slots: RING_SLOTS,
    onValue: arrived,
  });
  /** The stepper of the latest run. */
  let latest = await steppers.at(sequence);
  const update = await createUpdate(options, compiled, arrived);

  const drain = async (): Promise<void> => {
    await steppers.drain();
    await update?.ring.drain();
  };

  /** Runs a program once it may. Steps of two lengths do not overlap, so that at most two are in flight. */
  const run = async (
    stepper: Stepper,
    tag: StepInFlight,
    seed: number,
    write: (program: Program) => void,
  ) => {
    const { program, ring, stepInputs } = stepper;
    if (stepper !== update && program !== latest.program) await latest.program.idle(0);
    await program.idle(1);
    if (collecting >= RING_SLOTS - 1) await drain();
    if (stepper !== update) latest = stepper;
    write(program);
    writeDrawn(program, stepInputs, seed, tag.step);
    collecting++;
    program.run({ ring, tag });
  };

  return {
    async train(step, batches) {
      const valid = batches.reduce((n, b) => n + b.validLabels, 0);
      const learningRate = learningRateAt(settings, step, options.totalSteps);
      const scalars = stepScalars(settings, step, learningRate);
      const lossScale = Float32Array.of(1 / Math.max(1, valid));
      const tag = results.expect({ step, learningRate, valid }, batches.length + (update ? 1 : 0));
      for (const [micro, batch] of batches.entries()) {
        const seed = rng(settings.seed, step).fork(micro).next();
        await run(await steppers.at(batch.sequence ?? sequence), tag, seed, (program) => {
          writeBatch(program, batch);
          program.write(names.lossScale, lossScale);
          program.write(names.step, scalars);
          program.write(names.keepGradients, Float32Array.of(micro === 0 ? 0 : 1));
          program.write(STEP_SEED, Int32Array.of(seed | 0, 0, 0, 0));
        });
      }
      if (!update) return;
      const seed = rng(settings.seed, step).next();
      await run(update, tag, seed, (program) => program.write(names.step, scalars));
    },
    onResult: results.listen,
    async settle() {
      await latest.program.idle(0);
      await update?.program.idle(0);
      await drain();
    },
    states: (update ?? latest).states,
    stats: () => ({ training: latest.program.stats, update: update?.program.stats }),
  };
}

const statsOf = (
  { training, update }: UpdateStats,
  { settings, device }: EngineOptions,
  peakBytes: number,
): EngineStats => {
  const k = settings.gradientAccumulation;
  return {
    training,
    submitsPerStep: training.submits * k + (update?.submits ?? 0),
    dispatchesPerStep: training.dispatches * k + (update?.dispatches ?? 0),
    gpuBytes: device.bytes(),
    peakBytes,
  };
};

// The training steps of a run, one program for each sequence length, made when first needed; and what they report, put together from the rings
// of several programs and handed on in the order of submission.

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

interface StepResults {
  /** Notes an update of `runs` runs, before the first is submitted. */
  expect(update: Pick<StepInFlight, 'step' | 'learningRate' | 'valid'>, runs: number): StepInFlight;
  /** One run of an update has come. */
  arrived(update: StepInFlight): void;
  listen(listener: (result: StepResult) => void): void;
}

function createStepResults(): StepResults {
  const listeners: ((result: StepResult) => void)[] = [];
  const pending: StepInFlight[] = [];
  return {
    expect(update, runs) {
      const entry: StepInFlight = { ...update, missing: runs, lossSum: 0, normSquared: 0 };
      pending.push(entry);
      return entry;
    },
    arrived(update) {
      update.missing--;
      while (pending[0]?.missing === 0) {
        const { step, lossSum, valid, normSquared, learningRate } = pending.shift()!;
        // A batch without a label that counts has no loss, and no gradient either.
        const loss = lossSum / Math.max(1, valid);
        for (const listener of listeners)
          listener({ step, loss, gradNorm: Math.sqrt(normSquared), learningRate });
      }
    },
    listen: (listener) => listeners.push(listener),
  };
}

/** A training step at one sequence length. */
interface Stepper {
  readonly program: Program;
  readonly ring: Ring<StepInFlight>;
  readonly stepInputs: readonly StepInput[];
  readonly states: readonly string[];
}

interface Steppers {
  at(sequence: number): Promise<Stepper>;
  /** Resolves when every number collected so far has been delivered. */
  drain(): Promise<void>;
}

/** @param onValue is given each run's loss and, without accumulation, of its gradient's squared norm */
function createSteppers(options: {
  readonly graph: (sequence: number) => StepGraph;
  readonly compiled: (graph: StepGraph['graph']) => Promise<Program>;
  readonly slots: number;
  readonly onValue: (update: StepInFlight) => void;
}): Steppers {
  const made = new Map<number, Promise<Stepper>>();
  const create = async (sequence: number): Promise<Stepper> => {
    const { graph, stepInputs, states } = options.graph(sequence);
    const program = await options.compiled(graph);
    const outputs = [names.loss, names.normSquared].filter((name) => graph.outputs[name] !== undefined);
    const ring = await program.ring<StepInFlight>(outputs, options.slots);
    ring.onValue(({ tag, data }) => {
      tag.lossSum += data[names.loss]![0]!;
      const normSquared = data[names.normSquared];
      if (normSquared) tag.normSquared = normSquared[0]!;
      options.onValue(tag);
    });
    return { program, ring, stepInputs, states };
  };
  return {
    at(sequence) {
      const known = made.get(sequence);
      if (known) return known;
      const stepper = create(sequence);
      made.set(sequence, stepper);
      stepper.catch(() => made.delete(sequence));
      return stepper;
    },
    async drain() {
      for (const stepper of made.values()) await (await stepper).ring.drain();
    },
  };
}
