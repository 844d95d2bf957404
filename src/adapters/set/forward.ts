/** The forward pass of a model with several adapters: every layer goes through the active ones, in PEFT's order. */
import type { Builder } from '../../graph/builder.ts';
import type { Graph, Value } from '../../graph/types.ts';
import { linear } from '../../ops/linear.ts';
import { graphHalf } from '../graphHalves.ts';
import type { LayerAdapter, Weights } from '../graphTypes.ts';
import { emitTrainables, type Trainables } from '../inject.ts';
import type { AdapterPlan } from '../plan.ts';

/** An adapter of the set with its numbers. */
export interface Member {
  readonly name: string;
  readonly plan: AdapterPlan;
  /** The plan's packed buffer. */
  readonly packed: Float32Array;
}

/**
 * Emits the members' tensors into `g`; what it returns goes to `inject`.
 *
 * @param members the active adapters, in order
 * @param owner whose copy of a base parameter is used; null leaves the base's own
 * @param base the frozen model
 */
export function emitActive(
  g: Builder,
  members: readonly Member[],
  owner: (parameter: string) => string | null,
  base?: Graph,
): Pick<Trainables, 'adapters' | 'saved'> {
  const parts = new Map<string, LayerAdapter[]>();
  const saved = new Map<string, Value>();
  for (const { name, plan, packed } of members) {
    const emitted = emitTrainables(g, plan, {
      training: false,
      initial: () => packed,
      as: `adapter.${name}`,
      ...(base && { base }),
    });
    const reversed = graphHalf(plan.method.id).forwardReversed === true;
    for (const [module, adapter] of emitted.adapters) {
      const before = parts.get(module) ?? [];
      parts.set(module, reversed ? [adapter, ...before] : [...before, adapter]);
    }
    for (const [parameter, value] of emitted.saved)
      if (owner(parameter) === name) saved.set(parameter, value);
  }
  return {
    adapters: new Map([...parts].map(([module, list]) => [module, inSequence(g, list)])),
    saved,
  };
}

/** Adapters one after the other on the weights; the last takes its cheaper route, if it has one. */
function inSequence(g: Builder, parts: readonly LayerAdapter[]): LayerAdapter {
  const last = parts.at(-1)!;
  if (parts.length === 1) return last;
  const all = (list: readonly LayerAdapter[], weights: Weights): Weights =>
    list.reduce((before, part) => part.adapt(before, weights.W), weights);
  return {
    adapt: (weights) => all(parts, weights),
    apply: (x, weights) => {
      const before = all(parts.slice(0, -1), weights);
      if (last.apply) return last.apply(x, before, weights.W);
      const { W, bias } = last.adapt(before, weights.W);
      return linear(g, x, W, bias);
    },
  };
}
