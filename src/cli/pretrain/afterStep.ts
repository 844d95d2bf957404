/** What a method does after every update, where no GPU runs: the nodes it emits, executed by the interpreter on the packed parameters. */
import { emitAfterStep } from '../../adapters/afterStep.ts';
import { TRAINABLE } from '../../adapters/inject.ts';
import type { AdapterPlan } from '../../adapters/plan.ts';
import { createBuilder } from '../../graph/builder.ts';
import { sizeOf } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/types.ts';
import { interpret } from '../../ops/checks.ts';
import { names } from '../../training/stepGraph.ts';
import { STEP_SCALARS } from '../../training/stepScalars.ts';

export interface AfterUpdate {
  readonly params: Float32Array;
  readonly gradients: Float32Array;
  readonly normSquared: number;
  readonly scalars: Float32Array;
  readonly seed: number;
  readonly step: number;
}

export interface AfterStepRunner {
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
