/** What merging gives: the file, what changed in it, and what goes with it; and the files that it is checked beside. */
import { adaptGraph } from '../adapters/adaptGraph.ts';
import { type AdapterPlan, type BaseParameter, savedParameters } from '../adapters/plan.ts';
import type { Graph } from '../graph/types.ts';
import type { LoadedModel } from '../models/load.ts';
import { type Merged, mergeWeights, type QuantisedMerge, type WrittenWeight } from '../models/merge.ts';
import { lastBitsMoved, roundsSomewhere } from '../models/rounding.ts';
import { encodeChunks } from '../onnx/encode.ts';
import type { OnnxModel, OnnxTensor } from '../onnx/types.ts';
import type { OpenedModel } from './openModel.ts';
import type { ParityFiles } from './parity.ts';
import type { MergeReport } from './protocol.ts';
import { sidecarsOf } from './sidecars.ts';

/** The file where the browser keeps it: weights go there from where they lie, and are never joined in memory. */
export const fileOf = (onnx: OnnxModel): Blob => new Blob(encodeChunks(onnx));

/**
 * @param model the one that was adapted, which `opened` is without the data's head
 * @param encode {@link fileOf} for the page, `encodeModel` where bytes are wanted at once
 */
export const mergeReport = <File>(
  opened: Pick<OpenedModel, 'model' | 'sidecars'>,
  model: LoadedModel,
  { onnx, changed, written }: Merged,
  encode: (onnx: OnnxModel) => File,
): Omit<MergeReport, 'onnx'> & { readonly onnx: File } => ({
  onnx: encode(onnx),
  changedInitializers: differing(model.onnx, { onnx, changed }),
  written,
  rounds: roundsSomewhere(model.onnx),
  activations: model.activationsQuantised,
  sidecars: sidecarsOf(opened),
});

/**
 * A merged file beside those that say what its precision allows.
 * @param model the one that was adapted, unchanged
 * @param encode as of {@link mergeReport}
 */
export function parityFiles<File>(
  model: LoadedModel,
  merged: { readonly onnx: File; readonly written: readonly WrittenWeight[] },
  quantised: QuantisedMerge,
  encode: (onnx: OnnxModel) => File,
): ParityFiles<File> {
  // Weights that were rounded while loading stand in it as the trainer used them.
  const base = (): OnnxModel => mergeModel(model, new Map(), quantised).onnx;
  return {
    merged: merged.onnx,
    base: async () => encode(base()),
    async moved(seed) {
      const moved = lastBitsMoved(base(), model.modules, merged.written, seed);
      return moved && encode(moved);
    },
    rounds: roundsSomewhere(model.onnx),
    activations: model.activationsQuantised,
  };
}

/** Of the tensors that merging wrote, those whose bytes are others than the file's, and new ones. */
export function differing(base: OnnxModel, { onnx, changed }: Pick<Merged, 'onnx' | 'changed'>): string[] {
  const of = (model: OnnxModel, name: string): OnnxTensor | undefined =>
    model.graph.initializers.get(name) ?? model.graph.constants.get(name);
  return changed.filter((name) => {
    const [before, after] = [of(base, name), of(onnx, name)];
    if (!before || !after || before.byteLength !== after.byteLength) return true;
    const [a, b] = [before.bytes(), after.bytes()];
    return a.some((byte, i) => byte !== b[i]);
  });
}

// Every parameter that a run or an adapter file changes, as it stands after merging.

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
