/** What merging writes: the new contents of stored tensors, who reads them, and what writing does to the numbers. */
import { bfloat16ToFloat32, float32ToBfloat16, float32ToHalf, halfToFloat32 } from '../lib/half.ts';
import { sizeOf } from '../lib/numbers.ts';
import type { TensorReading } from '../onnx/readers.ts';
import type { OnnxDType } from '../onnx/types.ts';
import type { ParamOrigin } from './import/modules.ts';

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

/** New contents of a parameter, or of parameters that are one; `data` in the file's layout. */
export interface Content {
  readonly names: string[];
  readonly origins: ParamOrigin[];
  readonly data: Float32Array;
  /** Nothing trained it: it was rounded while loading. */
  readonly rounded: boolean;
}

/** Readers of a tensor that find the same in it. */
export interface Group {
  readonly places: TensorReading[];
  readonly contents: readonly Content[];
}

export function written(
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

/** What a tensor holds for a group: the new contents, or the old ones with new parts. */
export function dataOf(contents: readonly Content[], old: () => Float32Array): Float32Array {
  const [first] = contents;
  if (!first!.origins[0]!.part) return first!.data;
  const out = Float32Array.from(old());
  for (const { data, origins } of contents) {
    const { part, tensor, quant } = origins[0]!;
    const dims = quant?.shape ?? tensor.dims;
    const inner = sizeOf(dims.slice(part!.axis + 1));
    const outer = sizeOf(dims.slice(0, part!.axis));
    const [run, step] = [part!.size * inner, dims[part!.axis]! * inner];
    for (let i = 0; i < outer; i++)
      out.set(data.subarray(i * run, (i + 1) * run), i * step + part!.from * inner);
  }
  return out;
}

/** How a float type of the file keeps a weight, and what it then stands for; null: the same. */
export function roundedTo(
  dtype: OnnxDType,
  data: Float32Array,
): readonly [how: 'exact' | 'f16' | 'bf16', kept: Float32Array | null] {
  if (dtype === 'float16') return ['f16', halfToFloat32(float32ToHalf(data))];
  if (dtype === 'bfloat16') return ['bf16', bfloat16ToFloat32(float32ToBfloat16(data))];
  return ['exact', null];
}
