/** The update of the packed parameters where no GPU runs: AdamW, SGD, and the nodes that a method emits after it, run by the interpreter. */
import { emitAfterStep, TRAINABLE } from '../adapters/inject.ts';
import type { AdapterPlan } from '../adapters/plan.ts';
import { createBuilder } from '../graph/builder.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Tensor } from '../graph/types.ts';
import { interpret } from '../ops/checks.ts';
import { names, STEP_SCALARS } from './stepGraph.ts';

interface AdamwBuffers {
  readonly params: Float32Array;
  readonly grads: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

/**
 * The rule of the op `adamw`, with clipping by the global norm, in place.
 * @param scalars as stepScalars (training/stepGraph.ts) lays them out
 * @returns the squared norm of the gradients; one that is not finite changes nothing
 */
export function applyAdamw({ params, grads, m, v }: AdamwBuffers, scalars: Float32Array): number {
  const { normSquared, factor } = clipped(grads, scalars);
  if (factor === null) return normSquared;
  const [rate, correction1, correction2, beta1, beta2, epsilon, decay] = scalars as unknown as [
    ...[number, number, number, number],
    ...[number, number, number],
  ];
  const keep = 1 - rate * decay;
  const stride = rate / correction1;
  const rootCorrection = 1 / Math.sqrt(correction2);
  for (let i = 0; i < params.length; i++) {
    const g = grads[i]! * factor;
    const mean = beta1 * m[i]! + (1 - beta1) * g;
    const square = beta2 * v[i]! + (1 - beta2) * g * g;
    m[i] = mean;
    v[i] = square;
    params[i] = params[i]! * keep - (stride * mean) / (Math.sqrt(square) * rootCorrection + epsilon);
  }
  return normSquared;
}

interface SgdBuffers extends Omit<AdamwBuffers, 'm' | 'v'> {
  readonly velocity: Float32Array;
}

/** The rule of the op `sgd`; otherwise as {@link applyAdamw}. */
export function applySgd({ params, grads, velocity }: SgdBuffers, scalars: Float32Array): number {
  const { normSquared, factor } = clipped(grads, scalars);
  if (factor === null) return normSquared;
  const [rate, decay, momentum] = [scalars[0]!, scalars[6]!, scalars[8]!];
  for (let i = 0; i < params.length; i++) {
    const moved = momentum * velocity[i]! + grads[i]! * factor + decay * params[i]!;
    velocity[i] = moved;
    params[i] = params[i]! - rate * moved;
  }
  return normSquared;
}

/** The squared norm of the gradients, and what they are multiplied by; null where it is not finite. */
function clipped(
  grads: Float32Array,
  scalars: Float32Array,
): { readonly normSquared: number; readonly factor: number | null } {
  let normSquared = 0;
  for (let i = 0; i < grads.length; i++) normSquared += grads[i]! * grads[i]!;
  const norm = Math.sqrt(normSquared);
  const maxNorm = scalars[7]!;
  if (!Number.isFinite(norm)) return { normSquared, factor: null };
  return { normSquared, factor: maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1 };
}

interface AfterUpdate {
  readonly params: Float32Array;
  readonly gradients: Float32Array;
  readonly normSquared: number;
  readonly scalars: Float32Array;
  readonly seed: number;
  readonly step: number;
}

interface AfterStepRunner {
  /** The method's own states by name; changed in place. */
  readonly states: ReadonlyMap<string, Float32Array>;
  /** Changes `params` and the states as the nodes say. */
  run(update: AfterUpdate): void;
}

/** @param initial first contents of the packed buffer */
export function createAfterStep(plan: AdapterPlan, initial: () => Float32Array): AfterStepRunner {
  const g = createBuilder();
  const flat = (size: number) => ({ dtype: 'f32' as const, shape: [size] });
  const { stepInputs, states } = emitAfterStep(g, plan, {
    packed: g.state(TRAINABLE, flat(plan.size), initial),
    gradients: g.input(names.gradients, flat(plan.size)),
    normSquared: g.input(names.normSquared, flat(1)),
    step: g.input(names.step, flat(STEP_SCALARS)),
  });
  const graph = g.finish({});
  const own = new Map<string, Float32Array>();
  for (const { op, inputs } of graph.nodes) {
    for (const input of op.mutates ?? []) {
      const { name, source } = inputs[input]!;
      if (states.includes(name) && !own.has(name)) own.set(name, Float32Array.from(source!()));
    }
  }
  return {
    states: own,
    run({ params, gradients, normSquared, scalars, seed, step }) {
      if (graph.nodes.length === 0) return;
      const feeds = new Map<string, Tensor>();
      const feed = (name: string, shape: readonly number[], data: ArrayLike<number>) =>
        feeds.set(name, { dtype: 'f32', shape, data: Float64Array.from(data) });
      feed(TRAINABLE, [plan.size], params);
      feed(names.gradients, [plan.size], gradients);
      feed(names.normSquared, [1], [normSquared]);
      feed(names.step, [STEP_SCALARS], scalars);
      for (const [name, data] of own) feed(name, [data.length], data);
      for (const { name, type, fill } of stepInputs) {
        const data = new Float32Array(sizeOf(type.shape));
        fill(data, seed, step);
        feed(name, type.shape, data);
      }
      const after = interpret(graph, feeds).states;
      for (const [name, data] of [...own, [TRAINABLE, params] as const]) {
        const changed = after.get(name);
        if (changed) data.set(changed.data);
      }
    },
  };
}
