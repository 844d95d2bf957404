/**
 * Writes changed parameters back into the ONNX file: the layout the file had, its element type, and only the tensors that changed.
 * Quantised weights are rounded to codes again or become float, as the user chose; what rounding did to each weight is reported.
 */
import { fail } from '../lib/errors.ts';
import { bfloat16ToFloat32, float32ToBfloat16, float32ToHalf, halfToFloat32 } from '../lib/half.ts';
import { freeName, replaceInitializers, replaceRaw, rewireInput, tensorLike } from '../onnx/edit.ts';
import type { OnnxDType, OnnxModel } from '../onnx/types.ts';
import type { ModuleInfo, ParamOrigin } from './import/modules.ts';
import type { QuantSource } from './import/quant.ts';
import { requantise } from './import/quantWrite.ts';
import { asInFile, ownScales, toFloat, withBiasScale, withFileScales } from './mergeFloat.ts';

/** What becomes of a changed weight that the file keeps in codes. */
export type QuantisedMerge = 'requantise' | 'float';

/** What writing a weight did to its numbers. */
export interface WrittenWeight {
  /** PyTorch name of the parameter. */
  readonly name: string;
  /** `exact` in float32 and float64, `f16` and `bf16` rounded, `requantised` to the file's codes, `float` in place of codes. */
  readonly how: 'exact' | 'f16' | 'bf16' | 'requantised' | 'float';
  /** max|written − merged|, and the Frobenius norm of the difference over that of the weight. */
  readonly maxError: number;
  readonly relativeError: number;
}

export interface Merged {
  readonly onnx: OnnxModel;
  /** Initialisers with new contents, new ones, and clones made for a layer that shared its weight with another. */
  readonly changed: readonly string[];
  readonly written: readonly WrittenWeight[];
}

/** The engine's [out, in] back to the file's order, in the same memory: a copy of one weight at a time is all that it takes. */
function createLayouts(): (data: Float32Array, origin: ParamOrigin) => Float32Array {
  let copy = new Float32Array(0);
  return (data, origin) => {
    if (!origin.transposed) return data;
    const [rows, columns] = origin.shape as [number, number];
    if (copy.length < data.length) copy = new Float32Array(data.length);
    copy.set(data);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) data[c * rows + r] = copy[r * columns + c]!;
    return data;
  };
}

function written(
  name: string,
  how: WrittenWeight['how'],
  data: Float32Array,
  kept: Float32Array | null,
): WrittenWeight {
  if (!kept) return { name, how, maxError: 0, relativeError: 0 };
  let largest = 0;
  let error = 0;
  let norm = 0;
  data.forEach((v, i) => {
    const d = kept[i]! - v;
    largest = Math.max(largest, Math.abs(d));
    error += d * d;
    norm += v * v;
  });
  return { name, how, maxError: largest, relativeError: norm > 0 ? Math.sqrt(error / norm) : 0 };
}

/**
 * Both maps of weights are emptied on the way and their arrays, rearranged, given to the model: no weight is held twice.
 * @param weights that changed, by the parameter's PyTorch name (`encoder.layer.0.attention.attention.query.weight`), in the engine's layout
 * @throws PapilioError('non-finite') for a weight that is no number: nothing is written then
 */
export function mergeWeights(
  onnx: OnnxModel,
  modules: readonly ModuleInfo[],
  weights: Map<string, Float32Array>,
  options: {
    readonly quantised?: QuantisedMerge;
    /** Frozen weights that were rounded while loading, written as they were used; readers that share one get it together. */
    readonly rounded?: Map<string, Float32Array>;
  } = {},
): Merged {
  const fileLayout = createLayouts();
  const origins = new Map<string, ParamOrigin>();
  const readers = new Map<string, number>();
  for (const module of modules) {
    for (const [param, origin] of Object.entries(module.parameters)) {
      origins.set(`${module.name}.${param}`, origin);
      if (!origins.has(origin.value)) origins.set(origin.value, origin);
      readers.set(origin.initializer, (readers.get(origin.initializer) ?? 0) + 1);
    }
  }
  const inPlace = new Map<string, { data: Float32Array; given: boolean }>();
  const clones: { name: string; origin: ParamOrigin; data: Float32Array }[] = [];
  const codes: { name: string; source: QuantSource; data: Float32Array }[] = [];
  const report: WrittenWeight[] = [];
  const originOf = (name: string): ParamOrigin =>
    origins.get(name) ?? fail('internal', `Parameter ${name} has no place in the file.`);
  for (const [name, data] of options.rounded ?? []) {
    const origin = originOf(name);
    options.rounded!.delete(name);
    inPlace.set(origin.initializer, { data: fileLayout(data, origin), given: true });
  }
  for (const [name, data] of weights) {
    const origin = originOf(name);
    requireFinite(name, data);
    weights.delete(name);
    const file = fileLayout(data, origin);
    const shared = (readers.get(origin.initializer) ?? 1) > 1;
    if (origin.quant) {
      if (shared) {
        fail(
          'unsupported-onnx',
          `The quantised weight of ${name} is shared with another layer and cannot be changed for one alone; export the adapter instead.`,
          { name },
        );
      }
      codes.push({ name, source: origin.quant, data: file });
      continue;
    }
    report.push(written(name, ...roundedTo(origin.tensor.dtype, file)));
    if (shared) clones.push({ name, origin, data: file });
    else inPlace.set(origin.initializer, { data: file, given: true });
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
    result = rewireInput(
      result,
      origin.node,
      origin.inputIndex,
      tensorLike(origin.tensor, clone, { data, given: true }),
    );
    changed.push(clone);
  }
  for (const { name, source, data } of codes) {
    if (options.quantised === 'float') {
      const made = toFloat(result, source, data, name);
      result = made.onnx;
      changed.push(made.added);
      const [, ...rounded] = roundedTo(source.scales?.dtype ?? 'float32', data);
      report.push(written(name, 'float', ...rounded));
      continue;
    }
    const own = ownScales(result, withFileScales(result, asInFile(result, source)));
    const { tensors, values } = requantise(own.source, data);
    result = withBiasScale(replaceRaw(own.onnx, tensors), source);
    changed.push(...tensors.keys());
    report.push(written(name, 'requantised', data, values));
  }
  return { onnx: result, changed, written: report };
}

/** How a float type of the file keeps a weight, the weight, and what it then stands for; null: the same. */
function roundedTo(
  dtype: OnnxDType,
  data: Float32Array,
): [how: 'exact' | 'f16' | 'bf16', data: Float32Array, kept: Float32Array | null] {
  if (dtype === 'float16') return ['f16', data, halfToFloat32(float32ToHalf(data))];
  if (dtype === 'bfloat16') return ['bf16', data, bfloat16ToFloat32(float32ToBfloat16(data))];
  return ['exact', data, null];
}

function requireFinite(name: string, data: Float32Array): void {
  const bad = data.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0) {
    fail(
      'non-finite',
      `The merged weight ${name} would hold ${data[bad]} at position ${bad}, so nothing was written; go back to an earlier checkpoint or lower the learning rate.`,
      { name },
    );
  }
}
