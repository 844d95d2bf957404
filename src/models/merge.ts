/** Writes changed parameters back into the ONNX file: the layout the file had, its element type, and only the tensors that changed. */
import { fail } from '../lib/errors.ts';
import { freeName, replaceInitializers, rewireInput, tensorLike } from '../onnx/edit.ts';
import type { OnnxModel } from '../onnx/types.ts';
import type { ModuleInfo, ParamOrigin } from './import/modules.ts';

export interface Merged {
  readonly onnx: OnnxModel;
  /** Initialisers with new contents, and clones made for a layer that shared its weight with another. */
  readonly changed: readonly string[];
}

/** The engine's [out, in] back to the file's order. */
function fileLayout(data: Float32Array, origin: ParamOrigin): Float32Array {
  if (!origin.transposed) return data;
  const [rows, columns] = origin.shape as [number, number];
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c]!;
  return out;
}

/**
 * @param weights by the parameter's PyTorch name (`encoder.layer.0.attention.attention.query.weight`), in the engine's layout
 * @throws PapilioError('non-finite') for a weight that is no number: nothing is written then
 */
export function mergeWeights(
  onnx: OnnxModel,
  modules: readonly ModuleInfo[],
  weights: ReadonlyMap<string, Float32Array>,
): Merged {
  const origins = new Map<string, ParamOrigin>();
  const readers = new Map<string, number>();
  for (const module of modules) {
    for (const [param, origin] of Object.entries(module.parameters)) {
      origins.set(`${module.name}.${param}`, origin);
      readers.set(origin.initializer, (readers.get(origin.initializer) ?? 0) + 1);
    }
  }
  const inPlace = new Map<string, { data: Float32Array }>();
  const clones: { name: string; origin: ParamOrigin; data: Float32Array }[] = [];
  for (const [name, data] of weights) {
    const origin = origins.get(name) ?? fail('internal', `Parameter ${name} has no place in the file.`);
    const bad = data.findIndex((v) => !Number.isFinite(v));
    if (bad >= 0) {
      fail(
        'non-finite',
        `The merged weight ${name} would hold ${data[bad]} at position ${bad}, so nothing was written; go back to an earlier checkpoint or lower the learning rate.`,
        { name },
      );
    }
    const file = fileLayout(data, origin);
    if ((readers.get(origin.initializer) ?? 1) > 1) clones.push({ name, origin, data: file });
    else inPlace.set(origin.initializer, { data: file });
  }
  let result = replaceInitializers(onnx, inPlace);
  const changed = [...inPlace.keys()];
  for (const { name, origin, data } of clones) {
    if (origin.node < 0) {
      fail(
        'unsupported-onnx',
        `The weight of ${name} is shared inside a subgraph and cannot be changed for one layer alone; export the adapter instead.`,
      );
    }
    const clone = freeName(result, name);
    result = rewireInput(result, origin.node, origin.inputIndex, tensorLike(origin.tensor, clone, { data }));
    changed.push(clone);
  }
  return { onnx: result, changed };
}
