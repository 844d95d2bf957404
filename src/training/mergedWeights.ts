/** Every parameter that a run or an adapter file changes, as it stands after merging. */
import { adaptGraph } from '../adapters/adaptGraph.ts';
import { type AdapterPlan, type BaseParameter, savedParameters } from '../adapters/plan.ts';
import type { Graph } from '../graph/types.ts';
import type { LoadedModel } from '../models/load.ts';
import { type Merged, mergeWeights, type QuantisedMerge } from '../models/merge.ts';

/**
 * One layer at a time, so that only one adapted weight is on the device.
 * @param once runs a graph and reads its outputs
 * @param packed the trained numbers; parameters that were trained whole are views of it, which {@link mergeModel} rearranges
 * @returns by PyTorch name, in the engine's layout
 */
export async function mergedWeights(
  plan: AdapterPlan,
  parameters: ReadonlyMap<string, BaseParameter>,
  once: (graph: Graph) => Promise<Readonly<Record<string, Float32Array>>>,
  packed: Float32Array,
): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for (const { layers } of plan.groups) {
    for (const { name: module } of layers) {
      const outputs = await once(adaptGraph(plan, parameters, () => packed, [module]));
      for (const [name, data] of Object.entries(outputs)) weights.set(name, data);
    }
  }
  for (const [name, { data }] of savedParameters(plan, packed)) {
    if (!weights.has(name)) weights.set(name, data);
  }
  return weights;
}

/** The model's file with everything that training changed, and what writing did to each weight. */
export function mergeModel(
  model: LoadedModel,
  weights: Map<string, Float32Array>,
  quantised: QuantisedMerge,
): Merged {
  const rounded = new Map(
    model.parameters.filter((p) => p.rounded && !weights.has(p.name)).map((p) => [p.name, p.load()]),
  );
  return mergeWeights(model.onnx, model.modules, weights, { quantised, rounded });
}
