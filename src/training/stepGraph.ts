/**
 * The graphs of a run over one family of weights, adapters and states: a training step, its parts when gradients are accumulated,
 * and evaluation with or without the adapter.
 */
import { emitAfterStep } from '../adapters/afterStep.ts';
import { emitTrainables, inject, type StepInput, TRAINABLE } from '../adapters/inject.ts';
import type { AdapterPlan } from '../adapters/plan.ts';
import { type Builder, createBuilder } from '../graph/builder.ts';
import { differentiate } from '../graph/differentiate.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Graph, Value } from '../graph/types.ts';
import { addN, axpy } from '../ops/elementwise.ts';
import { pack } from '../ops/moves.ts';
import { adamw, sgd } from '../ops/optimizers.ts';
import { sumSquares } from '../ops/sumSquares.ts';
import { emitLossSum, type LossKind, labelsType } from './loss.ts';
import type { TrainingSettings } from './settings.ts';
import { STEP_SCALARS } from './stepScalars.ts';

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
  const normSquared = sumSquares(g, grads);
  if (settings.optimizer === 'adamw') {
    adamw(g, { params, grads, m: moment('adamw.m'), v: moment('adamw.v'), step, normSquared });
  } else {
    sgd(g, { params, grads, velocity: moment('sgd.velocity'), step, normSquared });
  }
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
 */
export function lossAndGradients(
  g: Builder,
  base: BaseGraph,
  plan: AdapterPlan,
  parts: number,
  initial: () => Float32Array,
): LossAndGradients {
  const trainables = emitTrainables(g, plan, { training: true, initial, base: base.graph });
  const value = inject(base.graph, g, trainables);
  const logits = value(base.logits);
  const labels = g.input(names.labels, labelsType(logits, base.loss));
  const loss = emitLossSum(g, logits, labels, { kind: base.loss, withGradient: true });
  const lossScale = g.input(names.lossScale, { dtype: 'f32', shape: [1] });
  const { leaves, penalty } = trainables;
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
  const packed = pack(g, gradients, { offsets: plan.entries.map((e) => e.offset), size: plan.size });
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
  const { loss, params, gradients, stepInputs } = lossAndGradients(g, base, plan, micro, initial);
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
 * model.
 */
export function evaluationGraph(
  base: BaseGraph,
  plan: AdapterPlan | null,
  initial: () => Float32Array,
  withLogits: boolean,
): Graph {
  const g = createBuilder();
  const value = plan
    ? inject(base.graph, g, emitTrainables(g, plan, { training: false, initial, base: base.graph }))
    : inject(base.graph, g, noTrainables);
  const logits = value(base.logits);
  const labels = g.input(names.labels, labelsType(logits, base.loss));
  const loss = emitLossSum(g, logits, labels, { kind: base.loss, withGradient: false });
  return g.finish(withLogits ? { loss, logits } : { loss });
}

const noTrainables = { adapters: new Map(), saved: new Map() };
