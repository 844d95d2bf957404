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
import { createStore } from '../gpu/store.ts';
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

export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { device, build, plan, settings, initial } = options;
  const { sequence = settings.sequenceLength } = options;
  const store = createStore(device);
  const accumulate = settings.gradientAccumulation > 1;
  const programs: Program[] = [];
  let peakBytes = 0;

  const compiled = async (graph: Graph): Promise<Program> => {
    const program = await compile(device, store, schedule(fuse(graph), device.caps), {
      onPipeline: options.onCompile,
    });
    programs.push(program);
    peakBytes = Math.max(peakBytes, device.bytes());
    return program;
  };

  const bases = new Map<string, BaseGraph>();
  const baseAt = (batch: number, sequence: number): BaseGraph => {
    const key = `${batch} ${sequence}`;
    const base = bases.get(key) ?? build(batch, sequence);
    bases.set(key, base);
    return base;
  };

  let collecting = 0;
  const reports = createReports();
  const arrived = (update: Pending): void => {
    collecting--;
    reports.arrived(update);
  };
  const steppers = createSteppers({
    graph: (length) => {
      const step = trainingGraph(baseAt(settings.batchSize, length), plan, settings, initial);
      return options.recompute ? recomputed(step, device.caps) : step;
    },
    compiled,
    slots: RING_SLOTS,
    onValue: arrived,
  });
  /** The stepper of the latest run. */
  let latest = await steppers.at(sequence);

  const applying = accumulate ? updateGraph(plan, settings, initial) : null;
  const update = applying ? await compiled(applying.graph) : null;
  const updateRing: Ring<Pending> | null = update ? await update.ring([names.normSquared], RING_SLOTS) : null;
  updateRing?.onValue(({ tag, data }) => {
    tag.normSquared = data[names.normSquared]![0]!;
    arrived(tag);
  });

  const writeDrawn = (program: Program, inputs: readonly StepInput[], seed: number, number: number): void => {
    for (const { name, type, fill } of inputs) {
      const data = new Float32Array(sizeOf(type.shape));
      fill(data, seed, number);
      program.write(name, data);
    }
  };

  const writeBatch = (program: Program, batch: FullBatch): void => {
    for (const [name, tensor] of Object.entries(batch.inputs)) program.write(name, tensor.data);
    program.write(names.labels, batch.labels);
  };

  const drain = async (): Promise<void> => {
    await steppers.drain();
    await updateRing?.drain();
  };

  /** Waits until `program` may run. Steps of two lengths do not overlap, so that at most two are in flight. */
  const room = async (program: Program): Promise<void> => {
    if (program !== update && program !== latest.program) await latest.program.idle(0);
    await program.idle(1);
    if (collecting >= RING_SLOTS - 1) await drain();
  };

  const evaluations = new Map<string, Promise<Program>>();
  const evaluation = (which: Which, logits: boolean, batch: number, sequence: number) => {
    const key = `${which} ${logits} ${batch} ${sequence}`;
    let program = evaluations.get(key);
    if (!program) {
      const at = baseAt(batch, sequence);
      program = compiled(evaluationGraph(at, which === 'base' ? null : plan, initial, logits));
      evaluations.set(key, program);
      program.catch(() => evaluations.delete(key));
    }
    return program;
  };

  return {
    async train(number, batches) {
      const valid = batches.reduce((n, b) => n + b.validLabels, 0);
      const learningRate = learningRateAt(settings, number, options.totalSteps);
      const scalars = stepScalars(settings, number, learningRate);
      const lossScale = Float32Array.of(1 / Math.max(1, valid));
      const runs = batches.length + (update ? 1 : 0);
      const tag = reports.expect({ step: number, learningRate, valid }, runs);
      for (const [micro, batch] of batches.entries()) {
        const stepper = await steppers.at(batch.sequence ?? sequence);
        const { program: step, ring } = stepper;
        await room(step);
        latest = stepper;
        const seed = rng(settings.seed, number).fork(micro).next();
        writeBatch(step, batch);
        step.write(names.lossScale, lossScale);
        step.write(names.step, scalars);
        step.write(names.keepGradients, Float32Array.of(micro === 0 ? 0 : 1));
        step.write(STEP_SEED, Int32Array.of(seed | 0, 0, 0, 0));
        writeDrawn(step, stepper.stepInputs, seed, number);
        collecting++;
        step.run({ ring, tag });
      }
      if (update && applying && updateRing) {
        await room(update);
        update.write(names.step, scalars);
        writeDrawn(update, applying.stepInputs, rng(settings.seed, number).next(), number);
        collecting++;
        update.run({ ring: updateRing, tag });
      }
    },
    onResult: reports.listen,
    async settle() {
      await latest.program.idle(0);
      await update?.idle(0);
      await drain();
    },
    async evaluate(which, batch, logits) {
      const length = batch.sequence ?? sequence;
      const program = await evaluation(which, logits, settings.batchSize, length);
      writeBatch(program, batch);
      program.run();
      const loss = (await program.read(names.loss))[0]!;
      return { loss, logits: logits ? ((await program.read(names.logits)) as Float32Array) : null };
    },
    async logits(which, ids) {
      const length = settings.sequenceLength;
      const program = await evaluation(which, true, 1, length);
      const padded = new Int32Array(length);
      padded.set(ids);
      program.write('input_ids', padded);
      program.write('attention_mask', new Int32Array(length).fill(1));
      program.write(names.labels, new Int32Array(length).fill(-100));
      program.run();
      return (await program.read(names.logits)) as Float32Array;
    },
    async once(graph) {
      const program = await compiled(graph);
      try {
        program.run();
        return await readOutputs(program, graph);
      } finally {
        programs.splice(programs.indexOf(program), 1);
        program.destroy();
      }
    },
    async readState(name) {
      return (await store.read(name, 'state')) as Float32Array;
    },
    writeState: (name, data) => store.write(name, data, 'state'),
    states: new Map(
      [TRAINABLE, ...(applying ?? latest).states].map((name) => [
        name,
        sizeOf(store.values.get(`state:${name}`)!.shape),
      ]),
    ),
    get stats() {
      const s = latest.program.stats;
      const u = update?.stats;
      const k = settings.gradientAccumulation;
      return {
        training: s,
        submitsPerStep: s.submits * k + (u?.submits ?? 0),
        dispatchesPerStep: s.dispatches * k + (u?.dispatches ?? 0),
        gpuBytes: device.bytes(),
        peakBytes,
      };
    },
    destroy() {
      for (const program of programs) program.destroy();
      store.destroy();
    },
  };
}

// The training steps of a run, one program for each sequence length, made when first needed; and what they report, put together from the rings
// of several programs and handed on in the order of submission.

/** A submitted update whose numbers are on their way. */
export interface Pending {
  readonly step: number;
  readonly learningRate: number;
  readonly valid: number;
  /** Runs that have not been heard of. */
  missing: number;
  lossSum: number;
  normSquared: number;
}

export interface Reports {
  /** Notes an update of `runs` runs, before the first is submitted. */
  expect(update: Pick<Pending, 'step' | 'learningRate' | 'valid'>, runs: number): Pending;
  /** One run of an update has been heard of. */
  arrived(update: Pending): void;
  listen(listener: (result: StepResult) => void): void;
}

export function createReports(): Reports {
  const listeners: ((result: StepResult) => void)[] = [];
  const pending: Pending[] = [];
  return {
    expect(update, runs) {
      const entry: Pending = { ...update, missing: runs, lossSum: 0, normSquared: 0 };
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
export interface Stepper {
  readonly program: Program;
  readonly ring: Ring<Pending>;
  readonly stepInputs: readonly StepInput[];
  readonly states: readonly string[];
}

export interface Steppers {
  at(sequence: number): Promise<Stepper>;
  /** Resolves when every number collected so far has been delivered. */
  drain(): Promise<void>;
}

/** @param onValue hears of each run's loss and, without accumulation, of its gradient's squared norm */
function createSteppers(options: {
  readonly graph: (sequence: number) => StepGraph;
  readonly compiled: (graph: StepGraph['graph']) => Promise<Program>;
  readonly slots: number;
  readonly onValue: (update: Pending) => void;
}): Steppers {
  const made = new Map<number, Promise<Stepper>>();
  const create = async (sequence: number): Promise<Stepper> => {
    const { graph, stepInputs, states } = options.graph(sequence);
    const program = await options.compiled(graph);
    const outputs = [names.loss, names.normSquared].filter((name) => graph.outputs[name] !== undefined);
    const ring = await program.ring<Pending>(outputs, options.slots);
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
