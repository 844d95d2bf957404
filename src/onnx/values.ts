/** The elements of a tensor as numbers or strings, and numbers in ONNX's raw layout. */
import { fail } from '../lib/errors.ts';
import { bfloat16ToFloat32, float32ToBfloat16, float32ToHalf, halfToFloat32 } from '../lib/half.ts';
import type { OnnxDType } from './dtype.ts';
import type { OnnxTensor } from './types.ts';

/** The buffer behind `bytes` if it starts at a multiple of `width`, else a copy that does. */
function aligned(
  bytes: Uint8Array<ArrayBuffer>,
  width: number,
): { buffer: ArrayBuffer; offset: number; length: number } {
  const source = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  return { buffer: source.buffer, offset: source.byteOffset, length: bytes.length / width };
}

function unpackBits(bytes: Uint8Array, bits: 2 | 4, signed: boolean, size: number): Int8Array {
  const out = new Int8Array(size);
  const perByte = 8 / bits;
  for (let i = 0; i < size; i++) {
    const value = (bytes[Math.floor(i / perByte)]! >> ((i % perByte) * bits)) & ((1 << bits) - 1);
    out[i] = signed && value >= 1 << (bits - 1) ? value - (1 << bits) : value;
  }
  return out;
}

type Elements =
  | Float32Array
  | Float64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array;

/** Elements as a typed array of numbers or bigints; a view where the layout allows - do not write to it. */
export function tensorElements(tensor: OnnxTensor): Elements | BigInt64Array | BigUint64Array {
  const bytes = tensor.bytes();
  const at = (width: number) => aligned(bytes, width);
  switch (tensor.dtype) {
    case 'float32': {
      const a = at(4);
      return new Float32Array(a.buffer, a.offset, a.length);
    }
    case 'double': {
      const a = at(8);
      return new Float64Array(a.buffer, a.offset, a.length);
    }
    case 'float16':
    case 'bfloat16':
    case 'uint16': {
      const a = at(2);
      const words = new Uint16Array(a.buffer, a.offset, a.length);
      if (tensor.dtype === 'uint16') return words;
      return tensor.dtype === 'float16' ? halfToFloat32(words) : bfloat16ToFloat32(words);
    }
    case 'int16': {
      const a = at(2);
      return new Int16Array(a.buffer, a.offset, a.length);
    }
    case 'int32': {
      const a = at(4);
      return new Int32Array(a.buffer, a.offset, a.length);
    }
    case 'uint32': {
      const a = at(4);
      return new Uint32Array(a.buffer, a.offset, a.length);
    }
    case 'int64': {
      const a = at(8);
      return new BigInt64Array(a.buffer, a.offset, a.length);
    }
    case 'uint64': {
      const a = at(8);
      return new BigUint64Array(a.buffer, a.offset, a.length);
    }
    case 'int8':
      return new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    case 'uint8':
    case 'bool':
      return bytes;
    case 'int4':
    case 'uint4':
      return unpackBits(bytes, 4, tensor.dtype === 'int4', tensor.size);
    case 'int2':
    case 'uint2':
      return unpackBits(bytes, 2, tensor.dtype === 'int2', tensor.size);
    default:
      return fail(
        'unsupported-onnx',
        `Tensor "${tensor.name}" has element type ${tensor.dtype}, which Papilio cannot compute with.`,
      );
  }
}

/**
 * The elements as f32, row-major. For aligned float32 data this is a view of the file - do not write to it; else a fresh array.
 * Integers are converted, rounding beyond 2^24; bool gives 0 and 1.
 * @throws PapilioError unsupported-onnx for strings, complex and 8-bit float types
 */
export function tensorToF32(tensor: OnnxTensor): Float32Array<ArrayBuffer> {
  const source = tensorElements(tensor);
  if (source instanceof Float32Array) return source as Float32Array<ArrayBuffer>;
  return source instanceof BigInt64Array || source instanceof BigUint64Array
    ? Float32Array.from(source, Number)
    : Float32Array.from(source);
}

/** The binary16 patterns of a float16 tensor; a view of the file where it is aligned - do not write to it. */
export function halfBits(tensor: OnnxTensor): Uint16Array<ArrayBuffer> {
  if (tensor.dtype !== 'float16')
    fail('internal', `Tensor "${tensor.name}" is ${tensor.dtype}, not float16.`);
  const { buffer, offset, length } = aligned(tensor.bytes(), 2);
  return new Uint16Array(buffer, offset, length);
}

/**
 * The elements as numbers, row-major; for shapes, axes and other small tensors.
 * @param beyond what to do with a 64-bit integer beyond ±(2^53 - 1): refuse it, or saturate it there (right for the "to the end"
 * sentinels in Slice's ends)
 * @throws PapilioError unsupported-onnx for an integer beyond the range, and as {@link tensorToF32}
 */
export function tensorToNumbers(tensor: OnnxTensor, beyond: 'error' | 'saturate' = 'error'): number[] {
  const source = tensorElements(tensor);
  if (!(source instanceof BigInt64Array || source instanceof BigUint64Array)) return Array.from(source);
  return Array.from(source, (value) => {
    const n = safeInteger(value);
    if (beyond === 'error' && BigInt(n) !== value)
      fail(
        'unsupported-onnx',
        `Tensor "${tensor.name}" holds the integer ${value}, which is too large to compute with exactly.`,
      );
    return n;
  });
}

/** The number for an int64, saturated at ±(2^53 - 1). */
export function safeInteger(value: bigint): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(Number.MIN_SAFE_INTEGER, Number(value)));
}

/** The strings of a string tensor. */
export function tensorToStrings(tensor: OnnxTensor): string[] {
  if (tensor.dtype !== 'string')
    fail('bad-argument', `Tensor "${tensor.name}" holds ${tensor.dtype}, not strings.`);
  const utf8 = new TextDecoder();
  return tensor.proto.stringData.map((bytes) => utf8.decode(bytes));
}

/** Numbers in raw layout. Float types round to nearest even; integers are truncated to their width. */
export function numbersToRaw(dtype: OnnxDType, data: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const raw = (array: ArrayBufferView<ArrayBuffer>) =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  switch (dtype) {
    case 'float32':
      return raw(
        data instanceof Float32Array ? (data as Float32Array<ArrayBuffer>) : Float32Array.from(data),
      );
    case 'double':
      return raw(Float64Array.from(data));
    case 'float16':
      return raw(float32ToHalf(data));
    case 'bfloat16':
      return raw(float32ToBfloat16(data));
    case 'int64':
      return raw(BigInt64Array.from(Array.from(data, (value) => BigInt(value))));
    case 'uint64':
      return raw(BigUint64Array.from(Array.from(data, (value) => BigInt(value))));
    case 'int32':
      return raw(Int32Array.from(data));
    case 'uint32':
      return raw(Uint32Array.from(data));
    case 'int16':
    case 'uint16':
      return raw(Uint16Array.from(data));
    case 'int8':
    case 'uint8':
      return Uint8Array.from(data);
    case 'bool':
      return Uint8Array.from(data, (value) => (value === 0 ? 0 : 1));
    default:
      return fail('bad-argument', `Numbers cannot be written as ${dtype}.`);
  }
}
