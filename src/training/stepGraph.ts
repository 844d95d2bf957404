/**
 * The graphs of a run over one family of weights, adapters and states: a training step, its parts when gradients are accumulated,
 * and evaluation with or without the adapter.
 */

import { emitAfterStep, emitTrainables, inject, type StepInput, TRAINABLE } from '../adapters/inject.ts';
import type { AdapterPlan } from '../adapters/plan.ts';
import { type Siblings, siblingsOf } from '../adapters/siblings.ts';
import { type Builder, createBuilder } from '../graph/builder.ts';
import { differentiate } from '../graph/differentiate.ts';
import { recompute } from '../graph/recompute.ts';
import { schedule } from '../graph/schedule.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Caps, Graph, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { crossEntropy } from '../ops/crossEntropy.ts';
import { addN, axpy, binary, reduce } from '../ops/elementwise.ts';
import { storedParameter } from '../ops/fuse/stored.ts';
import { fuse } from '../ops/fuse.ts';
import { linearCrossEntropy } from '../ops/linearCrossEntropy.ts';
import { pack, slice, view } from '../ops/moves.ts';
import { adamw, sgd } from '../ops/optimizers.ts';
import { sumSquares } from '../ops/sumSquares.ts';
import type { TrainingSettings } from './settings.ts';

/** Names of the inputs, states and outputs that the loop reads and writes. */
export const names = {
  labels: 'labels',
  lossScale: 'lossScale',
  step: 'step',
  keepGradients: 'keepGradients',
  gradients: 'gradients',
  loss: 'loss',
  normSquared: 'normSquared',
  logits: 'logits',
} as const;

/** A frozen model at fixed sizes, as the importer builds it. */
export interface BaseGraph {
  readonly graph: Graph;
  /** The output that the task is scored on: [B, classes] or [B, S, vocabulary]. */
  readonly logits: Value;
  /** How it is scored; cross-entropy unless said otherwise. */
  readonly loss?: LossKind;
}

export interface StepGraph {
  readonly graph: Graph;
  readonly stepInputs: readonly StepInput[];
  /** States that a checkpoint must hold besides the packed parameters: the optimiser's and the method's own. */
  readonly states: readonly string[];
}

const zeros = (size: number) => () => new Float32Array(size);

interface Update {
  /** Squared norm of the gradients [1]. */
  readonly normSquared: Value;
  readonly stepInputs: readonly StepInput[];
  readonly states: readonly string[];
}

/** Emits the update of the packed parameters by packed gradients, and what the method does after it. */
function emitUpdate(
  g: Builder,
  plan: AdapterPlan,
  params: Value,
  grads: Value,
  settings: TrainingSettings,
): Update {
  const size = sizeOf(params.shape);
  const moment = (name: string) => g.state(name, { dtype: 'f32', shape: [size] }, zeros(size));
  const step = g.input(names.step, { dtype: 'f32', shape: [STEP_SCALARS] });
  const given = { params, grads, step, squares: sumSquares(g, grads) };
  const normSquared =
    settings.optimizer === 'adamw'
      ? adamw(g, { ...given, m: moment('adamw.m'), v: moment('adamw.v') })
      : sgd(g, { ...given, velocity: moment('sgd.velocity') });
  const after = emitAfterStep(g, plan, { packed: params, gradients: grads, normSquared, step });
  return { ...after, normSquared, states: [...optimizerStates(settings), ...after.states] };
}

/** Names of the optimiser's states. */
export const optimizerStates = (settings: TrainingSettings): readonly string[] =>
  settings.optimizer === 'adamw' ? ['adamw.m', 'adamw.v'] : ['sgd.velocity'];

export interface LossAndGradients {
  /** Sum over the labels that count [1]. */
  readonly loss: Value;
  /** The packed trainable state and its gradient times the input `lossScale`, both [plan.size]. */
  readonly params: Value;
  readonly gradients: Value;
  readonly stepInputs: readonly StepInput[];
}

/**
 * Emits forward, loss and gradients of one batch, the same whoever applies the update. A method's own term of the loss counts once per
 * update, beside the mean loss: each of `parts` batches that an update adds up brings its share.
 * @param siblings layers that are computed as one
 */
export function lossAndGradients(
  g: Builder,
  base: BaseGraph,
  plan: AdapterPlan,
  parts: number,
  initial: () => Float32Array,
  siblings: readonly Siblings[] = [],
): LossAndGradients {
  const trainables = emitTrainables(g, plan, { training: true, initial, base: base.graph, siblings });
  const value = inject(base.graph, g, trainables, siblings);
  const logits = value(base.logits);
  const labels = g.input(names.labels, labelsType(logits, base.loss));
  const loss = emitLossSum(g, logits, labels, { kind: base.loss, withGradient: true });
  const lossScale = g.input(names.lossScale, { dtype: 'f32', shape: [1] });
  const { leaves, offsets, penalty } = trainables;
  const terms = [differentiate(g, { of: loss, seed: lossScale, wrt: leaves, sum: addN })];
  if (penalty) {
    const share = g.constant({ dtype: 'f32', shape: [1] }, Float32Array.of(1 / parts), 'share');
    terms.push(differentiate(g, { of: penalty, seed: share, wrt: leaves, sum: addN }));
  }
  const gradients = leaves.map((leaf) => {
    const own = terms.flatMap((term) => term.get(leaf) ?? []);
    if (own.length > 1) return addN(g, own);
    return own[0] ?? g.constant(leaf, new Float32Array(sizeOf(leaf.shape)), 'noGradient');
  });
  const packed = pack(g, gradients, { offsets, size: plan.size });
  return { loss, params: trainables.packed, gradients: packed, stepInputs: trainables.stepInputs };
}

/**
 * Forward, loss and gradients of one batch. Without accumulation the update follows in the same graph; with it, the gradients are
 * added to the state `gradients` (input `keepGradients` = 0 starts afresh) and {@link updateGraph} applies them.
 */
export function trainingGraph(
  base: BaseGraph,
  plan: AdapterPlan,
  settings: TrainingSettings,
  initial: () => Float32Array,
): StepGraph {
  const g = createBuilder();
  const micro = settings.gradientAccumulation;
  const siblings = siblingsOf(base.graph);
  const { loss, params, gradients, stepInputs } = lossAndGradients(g, base, plan, micro, initial, siblings);
  if (micro === 1) {
    const update = emitUpdate(g, plan, params, gradients, settings);
    return {
      graph: g.finish({ loss, normSquared: update.normSquared }),
      stepInputs: [...stepInputs, ...update.stepInputs],
      states: update.states,
    };
  }
  const sum = g.state(names.gradients, { dtype: 'f32', shape: [plan.size] }, zeros(plan.size));
  axpy(g, sum, gradients, g.input(names.keepGradients, { dtype: 'f32', shape: [1] }));
  return { graph: g.finish({ loss }), stepInputs, states: [] };
}

/** The update by accumulated gradients. */
export function updateGraph(
  plan: AdapterPlan,
  settings: TrainingSettings,
  initial: () => Float32Array,
): StepGraph {
  const g = createBuilder();
  const type = { dtype: 'f32', shape: [plan.size] } as const;
  const params = g.state(TRAINABLE, type, initial);
  const grads = g.state(names.gradients, type, zeros(plan.size));
  const { normSquared, stepInputs, states } = emitUpdate(g, plan, params, grads, settings);
  return { graph: g.finish({ normSquared }), stepInputs, states };
}

/**
 * Loss sum of one batch and, if asked for, its logits, which otherwise need not exist as a whole. `plan` null evaluates the base
 * model. Layers that read one value are computed as one, as in {@link trainingGraph}, unless `apart`.
 */
export function evaluationGraph(
  base: BaseGraph,
  plan: AdapterPlan | null,
  initial: () => Float32Array,
  withLogits: boolean,
  apart = false,
): Graph {
  const siblings = apart ? [] : siblingsOf(base.graph);
  const emit = (g: Builder) =>
    plan ? emitTrainables(g, plan, { training: false, initial, base: base.graph, siblings }) : noTrainables;
  return scoringGraph(base, emit, withLogits, siblings);
}

/** As {@link evaluationGraph}, of a model with what `emit` puts into it. */
export function scoringGraph(
  base: BaseGraph,
  emit: (g: Builder) => Parameters<typeof inject>[2],
  withLogits: boolean,
  siblings: readonly Siblings[] = [],
): Graph {
  const g = createBuilder();
  const logits = inject(base.graph, g, emit(g), siblings)(base.logits);
  const labels = g.input(names.labels, labelsType(logits, base.loss));
  const loss = emitLossSum(g, logits, labels, { kind: base.loss, withGradient: false });
  return g.finish(withLogits ? { loss, logits } : { loss });
}

const noTrainables = { adapters: new Map(), saved: new Map() };

// The loss of a task, emitted onto an adapted graph and summed over what counts: cross-entropy of labels, or squared error of numbers.

export type LossKind = 'cross-entropy' | 'squared-error';

/** The input that a loss compares logits [..., C] with: i32 [...], or for numbers f32 [2, B], values above weights (0 = no example). */
export function labelsType(logits: Value, kind: LossKind = 'cross-entropy'): TensorType {
  return kind === 'cross-entropy'
    ? { dtype: 'i32', shape: logits.shape.slice(0, -1) }
    : { dtype: 'f32', shape: [2, logits.shape[0]!] };
}

/** Above this many logits a frozen output layer is fused into the loss, chunk by chunk, and its logits are never whole. */
const WHOLE_LOGITS = 1 << 22;

/** The frozen, bias-free layer whose product `logits` is, seen through reshapes. */
function frozenHead(logits: Value): { readonly x: Value; readonly W: Value } | null {
  let value = logits;
  while (value.producer?.op.name === 'view') value = value.producer.inputs[0]!;
  const node = value.producer;
  if (node?.op.name !== 'linear' || node.inputs.length !== 2) return null;
  const [x, W] = node.inputs;
  return storedParameter(W!) ? { x: x!, W: W! } : null;
}

/**
 * Sum over valid labels of −log softmax(logits)[label], or over examples of (output − value)².
 * @param logits [..., classes]; [B, 1] for the squared error
 * @param labels as {@link labelsType} has it; −100 is ignored
 * @param options.withGradient false where nothing will be differentiated, which saves the fused loss half its work
 * @returns [1]
 */
export function emitLossSum(
  g: Builder,
  logits: Value,
  labels: Value,
  options: { readonly kind?: LossKind | undefined; readonly withGradient: boolean } = { withGradient: true },
): Value {
  if (options.kind === 'squared-error') return squaredErrorSum(g, logits, labels);
  const classes = logits.shape.at(-1)!;
  const rows = sizeOf(logits.shape) / classes;
  const flatLabels = view(g, labels, [rows]);
  const head = sizeOf(logits.shape) > WHOLE_LOGITS ? frozenHead(logits) : null;
  if (head) {
    const x = view(g, head.x, [rows, head.x.shape.at(-1)!]);
    return linearCrossEntropy(g, x, head.W, flatLabels, options).loss;
  }
  return crossEntropy(g, view(g, logits, [rows, classes]), flatLabels).loss;
}

function squaredErrorSum(g: Builder, logits: Value, labels: Value): Value {
  const batch = logits.shape[0]!;
  if (sizeOf(logits.shape) !== batch)
    fail('shape', say`The squared error needs one output per example, not [${logits.shape}].`);
  const row = (k: number): Value =>
    view(g, slice(g, labels, { starts: [k, 0], ends: [k + 1, batch], steps: [1, 1] }), [batch]);
  const error = binary(g, view(g, logits, [batch]), row(0), { fn: 'sub' });
  const counted = binary(g, binary(g, error, error, { fn: 'mul' }), row(1), { fn: 'mul' });
  return view(g, reduce(g, counted, { fn: 'sum', axes: [0] }), [1]);
}

// The numbers that change from step to step, as the f32 [16] input `step` that the optimiser ops read.

export const STEP_SCALARS = 16;

/**
 * @param update 0-based number of the update; bias corrections use update + 1 as torch does
 * @returns [lr, 1−β₁ᵗ, 1−β₂ᵗ, β₁, β₂, ε, weight decay, clip norm (0 = off), momentum, 0 …]
 */
export function stepScalars(settings: TrainingSettings, update: number, learningRate: number): Float32Array {
  const t = update + 1;
  const { beta1, beta2 } = settings;
  const scalars = new Float32Array(STEP_SCALARS);
  scalars.set([
    learningRate,
    1 - beta1 ** t,
    1 - beta2 ** t,
    beta1,
    beta2,
    settings.epsilon,
    settings.weightDecay,
    settings.maxGradNorm,
    settings.momentum,
  ]);
  return scalars;
}

// A training step whose activations are computed again where that takes less memory: the best of a few ways to cut the forward pass.

const SEGMENTS = [3, 6, 12, 24];

/** The step itself, if no cut takes less. */
export function recomputed(step: StepGraph, caps: Caps): StepGraph {
  const loss = step.graph.outputs[names.loss]!;
  const bytesOf = (graph: Graph): number => schedule(fuse(graph, caps), caps).temporaryBytes;
  let best = { graph: step.graph, bytes: bytesOf(step.graph) };
  for (const segments of SEGMENTS) {
    const graph = recompute(step.graph, loss, segments);
    const bytes = bytesOf(graph);
    if (bytes < best.bytes) best = { graph, bytes };
  }
  return { ...step, graph: best.graph };
}
