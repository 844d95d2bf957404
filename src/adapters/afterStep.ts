/** Emits what a method does after every update, where it does anything. */
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { graphHalf } from './graphHalves.ts';
import type { StepInput } from './inject.ts';
import type { AdapterPlan } from './plan.ts';

export interface AfterStep {
  readonly stepInputs: readonly StepInput[];
  /** Names of the states that the method keeps; a checkpoint holds them. */
  readonly states: readonly string[];
}

/** @param update the packed state and its gradients [plan.size], their squared norm [1], the step scalars [16] */
export function emitAfterStep(
  g: Builder,
  plan: AdapterPlan,
  update: {
    readonly packed: Value;
    readonly gradients: Value;
    readonly normSquared: Value;
    readonly step: Value;
  },
): AfterStep {
  const stepInputs: StepInput[] = [];
  const states: string[] = [];
  const groups = plan.groups.map(({ layers, tensors }) => ({
    layers,
    config: plan.config,
    places: Object.fromEntries(tensors.map((t) => [t.spec.name, t])),
  }));
  graphHalf(plan.method.id).afterStep?.(
    {
      g,
      ...update,
      stepInput(name, type, fill) {
        stepInputs.push({ name, type, fill });
        return g.input(name, type);
      },
      state(name, size, initial) {
        states.push(name);
        return g.state(name, { dtype: 'f32', shape: [size] }, () => new Float32Array(size).fill(initial));
      },
    },
    groups,
  );
  return { stepInputs, states };
}
