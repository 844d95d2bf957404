/**
 * In which form each weight lies on the device, and the nodes that widen it. Matrices that only layers and table look-ups read may be
 * f16 or packed codes; everything else (norms, biases, position tables that are added) is f32, where rounding hurts and little is saved.
 */
import type { Builder } from '../../graph/builder.ts';
import { sizeOf } from '../../graph/shape.ts';
import type { Room, TensorSource, Value } from '../../graph/types.ts';
import { float32ToHalf } from '../../lib/half.ts';
import { halfBits, tensorToF32 } from '../../onnx/values.ts';
import { cast } from '../../ops/cast.ts';
import { dequantize, type QuantFormat, quantLayout } from '../../ops/quantised.ts';
import { cutPart, type FoldedGraph, type FoldedValue } from './folded.ts';
import { dequantised, loadFormat, packed, packedFormat, partOfCodes, quantiseMatrix } from './quant.ts';

/** What a model is loaded as: as the file has it, or rounded to less. Quantised weights stay as they are. */
export type Precision = 'file' | 'f16' | 'q4';

/** Below this many numbers rounding saves nothing worth having. */
const LEAST_SIZE = 1024;
const LEAST_COLUMNS = 32;

interface Readers {
  /** Only layers and look-ups read it. */
  matrix: boolean;
  /** Only layers of one product read it, no look-up and no convolution. */
  product: boolean;
}

const keyOf = (v: FoldedValue): string => v.weight!.name;

export interface WeightStore {
  /** The weight as f32 [out, in] in the engine's layout, widened from its stored form. */
  emit(g: Builder, v: FoldedValue, transposed: boolean, name: string, shape: readonly number[]): Value;
}

/** Decides by who reads what in `graph`, which is the same at all sizes. */
export function weightStore(graph: FoldedGraph, precision: Precision): WeightStore {
  const readers = new Map<string, Readers>();
  // Parameters that the file stores once have one source: what nobody trains of them lies in memory once.
  const sources = new Map<string, TensorSource>();
  for (const node of graph.nodes) {
    node.inputs.forEach((v, i) => {
      if (!v?.weight) return;
      const layer = node.op === 'Linear' && i === 1;
      const look = node.op === 'Gather' && i === 0 && node.attrs.axis === 0 && v.shape.length === 2;
      const known = readers.get(keyOf(v)) ?? { matrix: true, product: true };
      readers.set(keyOf(v), {
        matrix: known.matrix && (layer || look),
        product: known.product && layer && node.attrs.kind !== 'conv2d',
      });
    });
  }

  return {
    emit(g, v, transposed, name, shape) {
      const { tensor, part } = v.weight!;
      const whole = v.weight!.quant;
      const quant = whole && part ? partOfCodes(whole, part) : whole;
      const once = (form: string, make: TensorSource): TensorSource => {
        const key = `${keyOf(v)}|${form}|${transposed}|${part?.axis}:${part?.from}`;
        const known = sources.get(key) ?? make;
        sources.set(key, known);
        return known;
      };
      const read = readers.get(keyOf(v)) ?? { matrix: false, product: false };
      const isMatrix = read.matrix && shape.length === 2;
      const [rows, columns] = shape as [number, number];
      const inCodes = (format: QuantFormat, words: TensorSource): Value => {
        const type = { dtype: 'u32', shape: [rows, quantLayout(format).stride] } as const;
        return dequantize(g, g.parameter(name, type, once('codes', words)), format);
      };
      const inHalves = (source: TensorSource): Value =>
        cast(g, g.parameter(name, { dtype: 'f16', shape }, once('f16', source)), { to: 'f32' });
      const inFloats = (source: TensorSource): Value =>
        g.parameter(name, { dtype: 'f32', shape }, once('f32', source));

      if (whole && !quant) {
        const all = (): Float32Array => dequantised(whole, new Float32Array(sizeOf(whole.shape)));
        return inFloats(() => {
          const data = cutPart(all(), whole.shape, part!);
          return transposed ? transpose(data, v.shape, new Float32Array(data.length)) : data;
        });
      }
      if (quant) {
        const format = isMatrix ? packedFormat(quant, transposed) : null;
        if (format) return inCodes(format, () => packed(quant, format, transposed));
        return inFloats(() => {
          const data = dequantised(quant, new Float32Array(sizeOf(shape)));
          return transposed ? transpose(data, v.shape, new Float32Array(data.length)) : data;
        });
      }
      const floats = (room?: Room): Float32Array => {
        const data = part ? cutPart(tensorToF32(tensor), tensor.dims, part) : tensorToF32(tensor);
        return transposed
          ? transpose(data, v.shape, new Float32Array(placeFor(data, room), 0, data.length))
          : data;
      };
      const large = rows * columns >= LEAST_SIZE;
      if (isMatrix && large && precision === 'q4' && read.product && columns >= LEAST_COLUMNS)
        return inCodes(loadFormat(columns), () => quantiseMatrix(floats(), rows, columns));
      if (isMatrix && tensor.dtype === 'float16') {
        return inHalves((room) => {
          const bits = part ? cutPart(halfBits(tensor), tensor.dims, part) : halfBits(tensor);
          return transposed
            ? transpose(bits, v.shape, new Uint16Array(placeFor(bits, room), 0, bits.length))
            : bits;
        });
      }
      if (isMatrix && large && precision !== 'file') return inHalves(() => float32ToHalf(floats()));
      return inFloats(floats);
    },
  };
}

const placeFor = ({ byteLength }: ArrayBufferView, room: Room | undefined): ArrayBuffer =>
  room ? room(byteLength) : new ArrayBuffer(byteLength);

/** Row-major [rows, columns] → [columns, rows]. */
function transpose<T extends Float32Array | Uint16Array>(data: T, shape: readonly number[], out: T): T {
  const [rows, columns] = shape as [number, number];
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c]!;
  return out;
}
