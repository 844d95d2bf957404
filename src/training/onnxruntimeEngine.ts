/**
 * Training on onnxruntime, for machines without WebGPU or with a software adapter: forward pass, loss and gradients as ONNX, the update of
 * the packed parameters here. And the same runtime for graphs beside a run.
 */
import { STEP_SEED, TRAINABLE } from '../adapters/inject.ts';
import { createBuilder } from '../graph/builder.ts';
import { checkOf } from '../graph/interpret.ts';
import { sizeOf, zerosOf } from '../graph/shape.ts';
import type { DeviceData, Graph, Value } from '../graph/types.ts';
import { fail, PapilioError } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import { say } from '../lib/say.ts';
import { encodeModel } from '../onnx/encode.ts';
import { type OrtModelSession, type OrtRuntime, requireMemory } from '../onnxruntime/runtime.ts';
import { toOnnx } from '../onnxruntime/toOnnx.ts';
import { type ProjectRowsAttrs, projectRowsOp } from '../ops/projectRows.ts';
import type { BatchPlan, FullBatch } from './batchPlan.ts';
import {
  createCalls,
  type Engine,
  type EngineRequest,
  type ForwardGraph,
  type MakeEngine,
  type StepResult,
  type Which,
} from './engine.ts';
import type { OpenGraph, RunGraph } from './graphRuns.ts';
import { applyAdamw, applySgd, createAfterStep } from './onnxruntimeUpdate.ts';
import { learningRateAt } from './settings.ts';
import { evaluationGraph, lossAndGradients, names, optimizerStates, stepScalars } from './stepGraph.ts';

/** What onnxruntime throws, with the first line of what it says. */
async function typed<T>(doing: string, task: Promise<T>): Promise<T> {
  try {
    return await task;
  } catch (error) {
    if (error instanceof PapilioError) throw error;
    const [first = ''] = (error instanceof Error ? error.message : String(error)).trim().split('\n');
    const says = first.length > MOST_SAID ? `${first.slice(0, MOST_SAID)}…` : first;
    return /bad.?alloc|failed to allocate|out of memory|allocation failed/i.test(first)
      ? fail(
          'out-of-memory',
          say`onnxruntime has too little memory ${doing} (${says}); take a smaller batch or shorter texts.`,
        )
      : fail('unsupported-onnx', say`onnxruntime fails ${doing} (${says}); train on WebGPU.`);
  }
}

const MOST_SAID = 300;

/** Engines on the given onnxruntime. */
export const ortEngines =
  (ort: OrtRuntime): MakeEngine =>
  async (request) => {
    const { plan, settings, totalSteps, sequence: longest = settings.sequenceLength } = request;
    const trained = createTrained(request);
    const { states } = trained;
    const { runner, release } = createRunners(ort, states);
    const steppers = cached((sequence: number) => createStepper(request, runner, sequence), String);
    request.onCompile(0, 1);
    await steppers(longest);
    request.onCompile(1, 1);
    const evaluation = cached(
      async ({ which, logits, batch, sequence }: EvaluationSize) =>
        runner(
          evaluationGraph(
            request.build(batch, sequence),
            which === 'base' ? null : plan,
            request.initial,
            logits,
            true,
          ),
        ),
      ({ which, logits, batch, sequence }) => `${which} ${logits} ${batch} ${sequence}`,
    );
    const listeners: ((result: StepResult) => void)[] = [];
    const { guarded, requireOpen, close } = createCalls();
    return {
      train: guarded(async (step, batches) => {
        const valid = batches.reduce((n, b) => n + b.validLabels, 0);
        const gradients = new Float32Array(plan.size);
        let lossSum = 0;
        for (const [micro, batch] of batches.entries()) {
          const stepper = await steppers(batch.sequence ?? longest);
          const out = await stepper(step, micro, batch, valid);
          lossSum += out.loss![0]!;
          const part = out.gradients!;
          for (let i = 0; i < gradients.length; i++) gradients[i] = gradients[i]! + part[i]!;
        }
        const learningRate = learningRateAt(settings, step, totalSteps);
        const normSquared = trained.update(step, gradients, stepScalars(settings, step, learningRate));
        // A batch without a label that counts has no loss, and no gradient either.
        const loss = lossSum / Math.max(1, valid);
        for (const listener of listeners)
          listener({ step, loss, gradNorm: Math.sqrt(normSquared), learningRate });
      }),
      onResult(listener) {
        listeners.push(listener);
      },
      settle: async () => {},
      evaluate: guarded(async (which, batch, logits) => {
        const sequence = batch.sequence ?? longest;
        return scored(
          await evaluation({ which, logits, batch: settings.batchSize, sequence }),
          batch,
          logits,
        );
      }),
      logits: guarded(async (which, ids) => {
        const sequence = settings.sequenceLength;
        const run = await evaluation({ which, logits: true, batch: 1, sequence });
        return (await run(feedsOfText(ids, sequence))).logits!;
      }),
      once: guarded(async (graph) => runOnce(ort, states, graph)),
      keep: guarded(async (graph) => {
        const run = await runner(graph);
        return guarded(async () => run(new Map()));
      }),
      readState: guarded(async (name) => states.get(name)!.slice()),
      writeState(name, data) {
        requireOpen();
        states.get(name)!.set(data);
      },
      states: new Map([...states].map(([name, data]) => [name, data.length])),
      ...{ stats: null, tuning: null, heapBytes: () => ort.heapBytes() },
      async close() {
        await close();
        await release();
      },
    };
  };

const scored = async (run: Runner, batch: FullBatch, logits: boolean): ReturnType<Engine['evaluate']> => {
  const out = await run(feedsOf(batch));
  return { loss: out.loss![0]!, logits: logits ? out.logits! : null };
};

/** Opens a graph, runs it and frees it. */
async function runOnce(
  ort: OrtRuntime,
  states: ReadonlyMap<string, Float32Array>,
  graph: Graph,
  inputs: Readonly<Record<string, DeviceData>> = {},
): Promise<Record<string, Float32Array>> {
  const { runner, release } = createRunners(ort, states);
  try {
    return { ...(await (await runner(graph))(new Map(Object.entries(inputs)))) };
  } finally {
    await release();
  }
}

/** Single graphs beside a run. */
export const ortGraphs =
  (ort: OrtRuntime): RunGraph =>
  (graph, inputs) =>
    runOnce(ort, new Map(), graph, inputs);

/** Single graphs that stay open. */
export const ortOpen =
  (ort: OrtRuntime) =>
  async (graph: Graph): Promise<OpenGraph> => {
    const states = new Map<string, Float32Array>();
    const { runner, release } = createRunners(ort, states);
    for (const { name, role, source } of graph.nodes.flatMap(({ inputs }) => inputs))
      if (role === 'state' && !states.has(name)) states.set(name, Float32Array.from(source!()));
    const run = await runner(graph);
    const feeds = new Map<string, DeviceData>();
    return {
      async run(inputs = {}) {
        for (const [name, data] of Object.entries(inputs)) feeds.set(name, data);
        return { ...(await run(feeds)) };
      },
      readState: async (name) => states.get(name)!.slice(),
      writeState: (name, data) => states.get(name)!.set(data),
      close: release,
    };
  };

/** Forward passes alone, for as long as `task` takes. */
export async function withOrtForwardPasses<T>(
  ort: OrtRuntime,
  graphAt: ForwardGraph,
  { batchSize, sequence }: Pick<BatchPlan, 'batchSize' | 'sequence'>,
  task: (engine: Pick<Engine, 'evaluate'>) => Promise<T>,
): Promise<T> {
  const { runner, release } = createRunners(ort, new Map());
  const runnerAt = cached(
    (size: EvaluationSize) => runner(graphAt(size.which, size.logits, size.batch, size.sequence)),
    ({ which, logits, batch, sequence: length }) => `${which} ${logits} ${batch} ${length}`,
  );
  try {
    return await task({
      evaluate: async (which, batch, logits) =>
        scored(
          await runnerAt({ which, logits, batch: batchSize, sequence: batch.sequence ?? sequence }),
          batch,
          logits,
        ),
    });
  } finally {
    await release();
  }
}

/** Runs that are timed: so many at least, and on for so long, while WebAssembly is still compiled on the same cores; no more are begun after so long. */
const LEAST_RUNS = 6;
const LEAST_MS = 1000;
const PATIENCE_MS = 2000;

/** Seconds of each of some runs of a graph whose inputs are all zero, in order. */
export async function ortSeconds(ort: OrtRuntime, graph: Graph): Promise<number[]> {
  const { runner, release } = createRunners(ort, new Map());
  try {
    const run = await runner(graph);
    const feeds = new Map(graph.inputs.map((v) => [v.name, zerosOf(v)] as const));
    await run(feeds);
    const times: number[] = [];
    const begun = performance.now();
    for (;;) {
      const gone = performance.now() - begun;
      if (gone >= (times.length < LEAST_RUNS ? PATIENCE_MS : LEAST_MS)) return times;
      const from = performance.now();
      await run(feeds);
      times.push((performance.now() - from) / 1000);
    }
  } finally {
    await release();
  }
}

interface EvaluationSize {
  readonly which: Which;
  readonly logits: boolean;
  readonly batch: number;
  readonly sequence: number;
}

/** What `make` gives for an argument, made once; what fails is tried again. */
function cached<A, T>(make: (argument: A) => Promise<T>, keyOf: (argument: A) => string) {
  const made = new Map<string, Promise<T>>();
  return (argument: A): Promise<T> => {
    const key = keyOf(argument);
    const known = made.get(key) ?? make(argument);
    made.set(key, known);
    known.catch(() => made.delete(key));
    return known;
  };
}

/** The packed parameters with the optimiser's and the method's own states, all by name. */
function createTrained({ plan, settings, initial }: EngineRequest) {
  const params = initial();
  const moments = optimizerStates(settings).map((name) => [name, new Float32Array(plan.size)] as const);
  const [m, v] = moments.map(([, data]) => data) as [Float32Array, Float32Array];
  const afterStep = createAfterStep(plan, initial);
  return {
    states: new Map([[TRAINABLE, params], ...moments, ...afterStep.states]),
    /** @returns the squared norm of the gradients */
    update(step: number, gradients: Float32Array, scalars: Float32Array): number {
      const normSquared =
        settings.optimizer === 'adamw'
          ? applyAdamw({ params, grads: gradients, m, v }, scalars)
          : applySgd({ params, grads: gradients, velocity: m }, scalars);
      const seed = rng(settings.seed, step).next();
      afterStep.run({ params, gradients, normSquared, scalars, seed, step });
      return normSquared;
    },
  };
}

/** Runs a graph on inputs by name. */
type Runner = (feeds: ReadonlyMap<string, DeviceData>) => Promise<Readonly<Record<string, Float32Array>>>;

/** Opens graphs over the same states in onnxruntime. */
function createRunners(ort: OrtRuntime, states: ReadonlyMap<string, Float32Array>) {
  const sessions: OrtModelSession[] = [];
  const project = (attrs: ProjectRowsAttrs): void => {
    const params = states.get(TRAINABLE)!;
    const state = { dtype: 'f32' as const, shape: [params.length], data: Float64Array.from(params) };
    params.set(checkOf(projectRowsOp).reference([state], attrs)[0]!.data);
  };
  /** First contents of states that nobody else holds. */
  const own = new Map<string, DeviceData>();
  const stateOf = ({ name, source }: Value): DeviceData | undefined => {
    const known = states.get(name) ?? own.get(name);
    if (known || !source) return known;
    own.set(name, source());
    return own.get(name);
  };
  const dataOf = (value: Value, feeds: ReadonlyMap<string, DeviceData>): DeviceData =>
    (value.role === 'input' ? feeds.get(value.name) : stateOf(value)) ??
    fail('internal', `onnxruntime: the input ${value.name} was not given.`);
  return {
    async runner(graph: Graph): Promise<Runner> {
      requireMemory(graph, ort.memoryBytes);
      const { model, inputs, projections } = toOnnx(graph);
      const session = await typed(say`to open what trains this model`, ort.open(encodeModel(model)));
      sessions.push(session);
      return (feeds) => {
        projections.forEach(project);
        const tensors = new Map(
          [...inputs].map(([name, value]) => [name, { shape: value.shape, data: dataOf(value, feeds) }]),
        );
        return typed(say`to train this model`, session.run(tensors));
      };
    },
    async release(): Promise<void> {
      await Promise.all(sessions.map((session) => session.release()));
    },
  };
}

/** The forward and backward pass of one batch of a step, for batches of one length. */
async function createStepper(
  { build, plan, settings, initial }: EngineRequest,
  runner: (graph: Graph) => Promise<Runner>,
  sequence: number,
) {
  const g = createBuilder();
  const { loss, gradients, stepInputs } = lossAndGradients(
    g,
    build(settings.batchSize, sequence),
    plan,
    settings.gradientAccumulation,
    initial,
  );
  const run = await runner(g.finish({ loss, gradients }));
  return (step: number, micro: number, batch: FullBatch, valid: number) => {
    const seed = rng(settings.seed, step).fork(micro).next();
    const feeds = feedsOf(batch);
    feeds.set(names.lossScale, Float32Array.of(1 / Math.max(1, valid)));
    feeds.set(STEP_SEED, Int32Array.of(seed | 0, 0, 0, 0));
    for (const { name, type, fill } of stepInputs) {
      const data = new Float32Array(sizeOf(type.shape));
      fill(data, seed, step);
      feeds.set(name, data);
    }
    return run(feeds);
  };
}

function feedsOf(batch: FullBatch): Map<string, DeviceData> {
  const feeds = new Map<string, DeviceData>([[names.labels, batch.labels]]);
  for (const [name, tensor] of Object.entries(batch.inputs)) feeds.set(name, tensor.data);
  return feeds;
}

/** One text, padded, with no label that counts. */
function feedsOfText(ids: readonly number[], sequence: number): Map<string, DeviceData> {
  const padded = new Int32Array(sequence);
  padded.set(ids);
  return new Map([
    ['input_ids', padded],
    ['attention_mask', new Int32Array(sequence).fill(1)],
    [names.labels, new Int32Array(sequence).fill(-100)],
  ]);
}
