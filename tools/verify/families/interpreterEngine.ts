/**
 * A training engine on the float64 interpreter: the graphs that the GPU runs, by every op's reference. Slow, exact, and there on every
 * machine; small models take milliseconds.
 */
import { STEP_SEED, type StepInput, TRAINABLE } from '../../../src/adapters/inject.ts';
import { sizeOf } from '../../../src/graph/shape.ts';
import type { DeviceData, Graph, Tensor, Value } from '../../../src/graph/types.ts';
import { fail } from '../../../src/lib/errors.ts';
import { rng } from '../../../src/lib/rng.ts';
import { type Interpretation, interpret } from '../../../src/ops/checks.ts';
import type { FullBatch } from '../../../src/training/batchPlan.ts';
import type { Engine, MakeEngine, StepResult } from '../../../src/training/engine.ts';
import { learningRateAt } from '../../../src/training/settings.ts';
import {
  type BaseGraph,
  evaluationGraph,
  names,
  type StepGraph,
  stepScalars,
  trainingGraph,
  updateGraph,
} from '../../../src/training/stepGraph.ts';

const tensor = (dtype: Tensor['dtype'], shape: readonly number[], data: ArrayLike<number>): Tensor => ({
  dtype,
  shape,
  data: Float64Array.from(data),
});

const vector = (data: ArrayLike<number>): Tensor => tensor('f32', [data.length], data);

/** What the graph's inputs of a batch hold. */
function feedsOf(batch: FullBatch): Map<string, Tensor> {
  const feeds = new Map<string, Tensor>();
  for (const [name, { dtype, shape, data }] of Object.entries(batch.inputs))
    feeds.set(name, tensor(dtype === 'float32' ? 'f32' : 'i32', shape, data));
  const { labels } = batch;
  return feeds.set(
    names.labels,
    tensor(labels instanceof Int32Array ? 'i32' : 'f32', [labels.length], labels),
  );
}

/** The shapes that the graph declares count: labels of tokens are a list in the batch and a matrix in the graph. */
function shaped(graph: Graph, feeds: Map<string, Tensor>): Map<string, Tensor> {
  for (const v of graph.inputs) {
    const given = feeds.get(v.name);
    if (given) feeds.set(v.name, { ...given, dtype: v.dtype, shape: v.shape });
  }
  return feeds;
}

function drawn({ type, fill }: StepInput, seed: number, step: number): Tensor {
  const data = new Float32Array(sizeOf(type.shape));
  fill(data, seed, step);
  return tensor(type.dtype, type.shape, data);
}

/** The graphs of a request, each made when first needed. */
function graphsOf({ build, plan, settings, initial }: Parameters<MakeEngine>[0]) {
  const bases = new Map<string, BaseGraph>();
  const baseAt = (batch: number, sequence: number): BaseGraph => {
    const key = `${batch} ${sequence}`;
    const base = bases.get(key) ?? build(batch, sequence);
    bases.set(key, base);
    return base;
  };
  const steppers = new Map<number, StepGraph>();
  const stepperAt = (sequence: number): StepGraph => {
    const made =
      steppers.get(sequence) ?? trainingGraph(baseAt(settings.batchSize, sequence), plan, settings, initial);
    steppers.set(sequence, made);
    return made;
  };
  const update = settings.gradientAccumulation > 1 ? updateGraph(plan, settings, initial) : null;
  return { baseAt, steppers, stepperAt, update };
}

export const interpreterEngines: MakeEngine = async (request) => {
  const { plan, settings, totalSteps, initial } = request;
  const { baseAt, steppers, stepperAt, update } = graphsOf(request);
  const { sequence: longest = settings.sequenceLength } = request;
  const states = new Map<string, Tensor>([[TRAINABLE, vector(initial())]]);

  const run = (graph: Graph, feeds: Map<string, Tensor>): Interpretation => {
    const result = interpret(graph, new Map([...shaped(graph, feeds), ...states]));
    for (const [name, state] of result.states) states.set(name, state);
    return result;
  };
  const output = (result: Interpretation, v: Value | undefined): Float32Array =>
    Float32Array.from(result.get(v ?? fail('internal', 'interpreterEngine: an output is missing.')).data);
  const listeners: ((result: StepResult) => void)[] = [];

  const engine: Engine = {
    async train(step, batches) {
      const learningRate = learningRateAt(settings, step, totalSteps);
      const scalars = vector(stepScalars(settings, step, learningRate));
      const valid = batches.reduce((n, b) => n + b.validLabels, 0);
      let lossSum = 0;
      let normSquared = 0;
      for (const [micro, batch] of batches.entries()) {
        const { graph, stepInputs } = stepperAt(batch.sequence ?? longest);
        const seed = rng(settings.seed, step).fork(micro).next();
        const feeds = feedsOf(batch);
        feeds.set(names.lossScale, vector([1 / Math.max(1, valid)]));
        feeds.set(names.step, scalars);
        feeds.set(names.keepGradients, vector([micro === 0 ? 0 : 1]));
        feeds.set(STEP_SEED, tensor('i32', [4], [seed | 0, 0, 0, 0]));
        for (const input of stepInputs) feeds.set(input.name, drawn(input, seed, step));
        const result = run(graph, feeds);
        lossSum += output(result, graph.outputs.loss)[0]!;
        if (!update) normSquared = output(result, graph.outputs.normSquared)[0]!;
      }
      if (update) {
        const feeds = new Map<string, Tensor>([[names.step, scalars]]);
        const seed = rng(settings.seed, step).next();
        for (const input of update.stepInputs) feeds.set(input.name, drawn(input, seed, step));
        normSquared = output(run(update.graph, feeds), update.graph.outputs.normSquared)[0]!;
      }
      const result = { step, loss: lossSum / valid, gradNorm: Math.sqrt(normSquared), learningRate };
      for (const listener of listeners) listener(result);
    },
    onResult(listener) {
      listeners.push(listener);
    },
    settle: async () => {},
    async evaluate(which, batch, logits) {
      const at = baseAt(settings.batchSize, batch.sequence ?? longest);
      const graph = evaluationGraph(at, which === 'base' ? null : plan, initial, logits);
      const result = run(graph, feedsOf(batch));
      return {
        loss: output(result, graph.outputs.loss)[0]!,
        logits: logits ? output(result, graph.outputs.logits) : null,
      };
    },
    logits: async () => fail('internal', 'interpreterEngine: nothing is generated here.'),
    async once(graph) {
      const result = run(graph, new Map());
      return Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, output(result, v)]));
    },
    keep: async (graph) => () => engine.once(graph),
    readState: async (name) => Float32Array.from(stateOf(states, steppers, name).data),
    writeState: (name, data: DeviceData) => states.set(name, vector(data)),
    get states() {
      const known = [TRAINABLE, ...(update ?? stepperAt(longest)).states];
      return new Map(known.map((name) => [name, stateOf(states, steppers, name).data.length]));
    },
    stats: null,
    tuning: null,
    close: async () => {},
  };
  return engine;
};

/** A state as it is now, or as it starts where no step has touched it. */
function stateOf(
  states: ReadonlyMap<string, Tensor>,
  steppers: ReadonlyMap<number, StepGraph>,
  name: string,
): Tensor {
  const known = states.get(name);
  if (known) return known;
  for (const { graph } of steppers.values()) {
    const value = graph.nodes.flatMap((n) => n.inputs).find((v) => v.role === 'state' && v.name === name);
    if (value?.source) return vector(value.source());
  }
  return fail('internal', `interpreterEngine: there is no state ${name}.`);
}
