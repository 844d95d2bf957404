/** The adapted weights of every planned module as one graph: what merging writes, by the same `adapt` that training runs. */
import { createBuilder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { emitTrainables } from './inject.ts';
import { type AdapterPlan, type BaseParameter, emitBase } from './plan.ts';

/**
 * Outputs named like the parameters they replace (`encoder.layer.0.attention.attention.query.weight`), shapes as in the engine.
 * Saved parameters are not computed and not among them.
 * @param modules only these modules; default all
 */
export function adaptGraph(
  plan: AdapterPlan,
  parameters: ReadonlyMap<string, BaseParameter>,
  initial: () => Float32Array,
  modules: readonly string[] = plan.groups.flatMap((g) => g.layers.map((l) => l.name)),
): Graph {
  const g = createBuilder();
  const { adapters, saved } = emitTrainables(g, plan, { training: false, initial });
  const outputs: Record<string, Value> = {};
  const parameter = (name: string): Value | null => {
    const base = parameters.get(name);
    return saved.get(name) ?? (base ? emitBase(g, base) : null);
  };
  for (const module of modules) {
    const W = parameter(`${module}.weight`) ?? fail('internal', `The weight of ${module} is missing.`);
    const bias = parameter(`${module}.bias`);
    const adapted = adapters.get(module)!.adapt({ W, bias });
    if (adapted.W !== W) outputs[`${module}.weight`] = adapted.W;
    if (adapted.bias && adapted.bias !== bias) {
      if (!bias) {
        fail(
          'unsupported-adapter',
          `The adapter adds a bias to ${module}, whose layer has none to merge it into; export the adapter instead.`,
        );
      }
      outputs[`${module}.bias`] = adapted.bias;
    }
  }
  return g.finish(outputs);
}
