/**
 * A training engine on onnxruntime's CPU provider, for machines whose WebGPU is software: forward pass, loss and gradients as ONNX, the update of
 * the packed parameters here.
 */
import { STEP_SEED, TRAINABLE } from '../adapters/inject.ts';
import { createBuilder } from '../graph/builder.ts';
import { checkOf } from '../graph/interpret.ts';
import { sizeOf } from '../graph/shape.ts';
import type { DeviceData, Graph, Value } from '../graph/types.ts';
import { fail, PapilioError } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import { encodeModel } from '../onnx/encode.ts';
import '../ops/checks.ts';
import { type ProjectRowsAttrs, projectRowsOp } from '../ops/projectRows.ts';
import type { FullBatch } from '../training/batchPlan.ts';
import type { Engine, EngineRequest, MakeEngine, StepResult, Which } from '../training/engine.ts';
import { learningRateAt } from '../training/settings.ts';
import {
  evaluationGraph,
  lossAndGradients,
  names,
  optimizerStates,
  stepScalars,
} from '../training/stepGraph.ts';
import { machineBytes, type OrtModelSession, type OrtRuntime, requireMemory } from './runtime.ts';
import { toOnnx } from './toOnnx.ts';
import { applyAdamw, createAfterStep } from './update.ts';

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
          `onnxruntime has too little memory ${doing} (${says}); take a smaller batch or shorter texts.`,
        )
      : fail('unsupported-onnx', `onnxruntime fails ${doing} (${says}); train with --executor webgpu.`);
  }
}

const MOST_SAID = 300;

/**
 * Engines on the given onnxruntime.
 * @param available bytes of memory that a graph may take
 */
export const ortEngines =
  (ort: OrtRuntime, available = machineBytes()): MakeEngine =>
  async (request) => {
    const { plan, settings, totalSteps, sequence: longest = settings.sequenceLength } = request;
    if (settings.optimizer !== 'adamw')
      return fail('bad-argument', `onnxruntime trains with adamw only, not with ${settings.optimizer}.`);
    const trained = createTrained(request);
    const { states } = trained;
    const { runner, release } = createRunners(ort, plan.size, states, available);
    const steppers = cached((sequence: number) => createStepper(request, runner, sequence), String);
    await steppers(longest);
    const evaluation = cached(
      async ({ which, logits, batch, sequence }: EvaluationSize) =>
        runner(
          evaluationGraph(
            request.build(batch, sequence),
            which === 'base' ? null : plan,
            request.initial,
            logits,
          ),
        ),
      ({ which, logits, batch, sequence }) => `${which} ${logits} ${batch} ${sequence}`,
    );
    const listeners: ((result: StepResult) => void)[] = [];
    const engine: Engine = {
      async train(step, batches) {
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
        const result = { step, loss: lossSum / valid, gradNorm: Math.sqrt(normSquared), learningRate };
        for (const listener of listeners) listener(result);
      },
      onResult(listener) {
        listeners.push(listener);
      },
      settle: async () => {},
      async evaluate(which, batch, logits) {
        const sequence = batch.sequence ?? longest;
        const run = await evaluation({ which, logits, batch: settings.batchSize, sequence });
        const out = await run(feedsOf(batch));
        return { loss: out.loss![0]!, logits: logits ? out.logits! : null };
      },
      async logits(which, ids) {
        const sequence = settings.sequenceLength;
        const padded = new Int32Array(sequence);
        padded.set(ids);
        const feeds = new Map<string, DeviceData>([
          ['input_ids', padded],
          ['attention_mask', new Int32Array(sequence).fill(1)],
          [names.labels, new Int32Array(sequence).fill(-100)],
        ]);
        const run = await evaluation({ which, logits: true, batch: 1, sequence });
        return (await run(feeds)).logits!;
      },
      once: async (graph) => (await runner(graph))(new Map()),
      readState: async (name) => states.get(name)!.slice(),
      writeState: (name, data) => states.get(name)!.set(data),
      states: new Map([...states].map(([name, data]) => [name, data.length])),
      stats: null,
      close: release,
    };
    return engine;
  };

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

/** The packed parameters with AdamW's moments and the method's own states, all by name. */
function createTrained({ plan, settings, initial }: EngineRequest) {
  const params = initial();
  const [m, v] = [new Float32Array(plan.size), new Float32Array(plan.size)];
  const [first, second] = optimizerStates(settings) as [string, string];
  const afterStep = createAfterStep(plan, initial);
  return {
    states: new Map([[TRAINABLE, params], [first, m], [second, v], ...afterStep.states]),
    /** @returns the squared norm of the gradients */
    update(step: number, gradients: Float32Array, scalars: Float32Array): number {
      const normSquared = applyAdamw({ params, grads: gradients, m, v }, scalars);
      const seed = rng(settings.seed, step).next();
      afterStep.run({ params, gradients, normSquared, scalars, seed, step });
      return normSquared;
    },
  };
}

/** Runs a graph on inputs by name. */
type Runner = (feeds: ReadonlyMap<string, DeviceData>) => Promise<Readonly<Record<string, Float32Array>>>;

/** Opens graphs over the same states in onnxruntime. */
function createRunners(
  ort: OrtRuntime,
  planSize: number,
  states: ReadonlyMap<string, Float32Array>,
  available: number,
) {
  const sessions: OrtModelSession[] = [];
  const params = states.get(TRAINABLE)!;
  const project = (attrs: ProjectRowsAttrs): void => {
    const state = { dtype: 'f32' as const, shape: [planSize], data: Float64Array.from(params) };
    params.set(checkOf(projectRowsOp).reference([state], attrs)[0]!.data);
  };
  const dataOf = (value: Value, feeds: ReadonlyMap<string, DeviceData>): DeviceData => {
    if (value.role === 'parameter') return value.source!();
    const data = value.role === 'input' ? feeds.get(value.name) : states.get(value.name);
    return data ?? fail('internal', `ortEngine: the input ${value.name} was not given.`);
  };
  return {
    async runner(graph: Graph): Promise<Runner> {
      requireMemory(graph, available);
      const { model, inputs, projections } = toOnnx(graph);
      const session = await typed('to open what trains this model', ort.open(encodeModel(model)));
      sessions.push(session);
      return (feeds) => {
        projections.forEach(project);
        const tensors = new Map(
          [...inputs].map(([name, value]) => [name, { shape: value.shape, data: dataOf(value, feeds) }]),
        );
        return typed('to train this model', session.run(tensors));
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
