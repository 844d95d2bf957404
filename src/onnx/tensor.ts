/** Tensors: the checked view over a TensorProto, and new tensors from numbers, bytes or strings. */
import { create } from '@bufbuild/protobuf';
import { type TensorProto, TensorProto_DataLocation, TensorProtoSchema } from 'onnx-buf';
import { fail } from '../lib/errors.ts';
import { bfloat16ToFloat32, float32ToBfloat16, float32ToHalf, halfToFloat32 } from '../lib/half.ts';
import { say } from '../lib/say.ts';
import {
  checkedDims,
  DTYPES,
  dtypeOfCode,
  type ExternalFiles,
  type OnnxDType,
  type OnnxTensor,
  rawByteLength,
  typedLength,
} from './types.ts';

const NO_FILES: ExternalFiles = new Map();

/** Elements of a typed field in raw layout; a copy. */
function typedToRaw(proto: TensorProto, dtype: OnnxDType): Uint8Array<ArrayBuffer> {
  const { field, bits } = DTYPES[dtype];
  const raw = (array: { readonly buffer: ArrayBuffer }) => new Uint8Array(array.buffer);
  switch (field) {
    case 'floatData':
      return raw(Float32Array.from(proto.floatData));
    case 'doubleData':
      return raw(Float64Array.from(proto.doubleData));
    case 'int64Data':
      return raw(BigInt64Array.from(proto.int64Data));
    case 'uint64Data':
      return bits === 64
        ? raw(BigUint64Array.from(proto.uint64Data))
        : raw(Uint32Array.from(proto.uint64Data, (value) => Number(BigInt.asUintN(32, value))));
    default:
      if (bits === 32) return raw(Int32Array.from(proto.int32Data));
      return bits === 16 ? raw(Uint16Array.from(proto.int32Data)) : Uint8Array.from(proto.int32Data);
  }
}

/**
 * A view of a TensorProto, after checking that its data is all there.
 * @param what names the tensor for errors, e.g. `initialiser "w"`
 * @throws PapilioError malformed-onnx for an unknown type, bad dims, or data that does not match them
 */
export function viewTensor(proto: TensorProto, what: string, external: ExternalFiles = NO_FILES): OnnxTensor {
  const dtype = dtypeOfCode(proto.dataType);
  if (!dtype)
    fail(
      'malformed-onnx',
      say`The ${what} has element type ${proto.dataType}, which ONNX does not define; the file is damaged.`,
    );
  const { dims, size } = checkedDims(proto.dims, what);
  const byteLength = rawByteLength(dtype, size);
  const { name } = proto;
  const common = { name, dtype, dims, size, byteLength, proto };
  if (dtype !== 'string') {
    if (isExternal(proto)) {
      const view = externalBytes(proto, external, byteLength, what);
      return { ...common, bytes: () => view };
    }
    const { rawData } = proto;
    if (Object.hasOwn(proto, 'rawData') && (rawData.length > 0 || size === 0)) {
      if (rawData.length !== byteLength)
        fail(
          'malformed-onnx',
          say`The ${what} has ${rawData.length} bytes where its shape [${dims.join(', ')}] of ${dtype} takes ${byteLength}; the file is damaged.`,
        );
      return { ...common, bytes: () => rawData };
    }
  }
  const present = proto[DTYPES[dtype].field].length;
  const wanted = typedLength(dtype, size);
  if (present !== wanted)
    fail(
      'malformed-onnx',
      say`The ${what} has ${present} values where its shape [${dims.join(', ')}] of ${dtype} takes ${wanted}; the file is damaged.`,
    );
  if (dtype === 'string')
    return {
      ...common,
      bytes: () => fail('bad-argument', say`The ${what} holds strings, which have no raw bytes.`),
    };
  return { ...common, bytes: () => typedToRaw(proto, dtype) };
}

/**
 * A new tensor with raw data. A Float32Array given for float32 is kept, not copied.
 * @throws PapilioError shape if `data` does not fill `dims`
 */
export function makeTensor(
  name: string,
  dtype: OnnxDType,
  dims: readonly number[],
  data: ArrayLike<number>,
): OnnxTensor {
  const { size } = checkedDims(dims, `tensor "${name}"`);
  if (data.length !== size)
    fail(
      'shape',
      say`Tensor "${name}" of shape [${dims.join(', ')}] takes ${size} values but was given ${data.length}.`,
    );
  return rawTensor(name, dtype, dims, numbersToRaw(dtype, data));
}

/** A new tensor from bytes already in raw layout; the bytes are kept, not copied. */
export function rawTensor(
  name: string,
  dtype: OnnxDType,
  dims: readonly number[],
  bytes: Uint8Array<ArrayBuffer>,
): OnnxTensor {
  const proto = create(TensorProtoSchema, {
    name,
    dataType: DTYPES[dtype].code,
    dims: dims.map(BigInt),
    rawData: bytes,
  });
  return viewTensor(proto, `tensor "${name}"`);
}

/** A new float32 tensor, row-major. */
export const f32Tensor = (name: string, dims: readonly number[], data: ArrayLike<number>): OnnxTensor =>
  makeTensor(name, 'float32', dims, data);

/** A new int64 tensor; a vector of the values unless `dims` says otherwise ([] for a scalar). */
export const int64Tensor = (
  name: string,
  values: readonly number[],
  dims: readonly number[] = [values.length],
): OnnxTensor => makeTensor(name, 'int64', dims, values);

/** A new string tensor; a vector unless `dims` says otherwise. */
export function stringTensor(
  name: string,
  values: readonly string[],
  dims: readonly number[] = [values.length],
): OnnxTensor {
  const utf8 = new TextEncoder();
  const stringData = values.map((value) => utf8.encode(value));
  return viewTensor(
    create(TensorProtoSchema, { name, dataType: DTYPES.string.code, dims: dims.map(BigInt), stringData }),
    `tensor "${name}"`,
  );
}

// The elements of a tensor as numbers or strings, and numbers in ONNX's raw layout.

interface ArrayKind<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, offset: number, length: number): T;
}

/** The bytes as an array of this kind: a view where they start at a multiple of its width, else a copy. */
function viewAs<T>(Kind: ArrayKind<T>, bytes: Uint8Array<ArrayBuffer>): T {
  const width = Kind.BYTES_PER_ELEMENT;
  const source = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  return new Kind(source.buffer, source.byteOffset, bytes.length / width);
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
  switch (tensor.dtype) {
    case 'float32':
      return viewAs(Float32Array, bytes);
    case 'double':
      return viewAs(Float64Array, bytes);
    case 'float16':
      return halfToFloat32(viewAs(Uint16Array, bytes));
    case 'bfloat16':
      return bfloat16ToFloat32(viewAs(Uint16Array, bytes));
    case 'uint16':
      return viewAs(Uint16Array, bytes);
    case 'int16':
      return viewAs(Int16Array, bytes);
    case 'int32':
      return viewAs(Int32Array, bytes);
    case 'uint32':
      return viewAs(Uint32Array, bytes);
    case 'int64':
      return viewAs(BigInt64Array, bytes);
    case 'uint64':
      return viewAs(BigUint64Array, bytes);
    case 'int8':
      return viewAs(Int8Array, bytes);
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
        say`Tensor "${tensor.name}" has element type ${tensor.dtype}, which Papilio cannot compute with.`,
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
  return viewAs(Uint16Array<ArrayBuffer>, tensor.bytes());
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
        say`Tensor "${tensor.name}" holds the integer ${String(value)}, which is too large to compute with exactly.`,
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
    fail('bad-argument', say`Tensor "${tensor.name}" holds ${tensor.dtype}, not strings.`);
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
      return fail('bad-argument', say`Numbers cannot be written as ${dtype}.`);
  }
}

// External tensor data: which file, where in it, and the checks that keep a model from naming anything outside its own folder.

export function isExternal(proto: TensorProto): boolean {
  return proto.dataLocation === TensorProto_DataLocation.EXTERNAL;
}

/**
 * The data file of an external tensor, as a path relative to the model without a leading './'.
 * @throws PapilioError malformed-onnx for a missing, absolute or climbing location
 */
export function externalLocation(proto: TensorProto, what: string): string {
  const raw = proto.externalData.find((entry) => entry.key === 'location')?.value ?? '';
  const parts = raw.split(/[/\\]/);
  const path = parts.filter((part) => part !== '.' && part !== '').join('/');
  if (path === '' || raw.includes('\0'))
    fail('malformed-onnx', say`The ${what} is stored outside the model, but the file does not say where.`);
  if (parts[0] === '' || /^[A-Za-z][A-Za-z0-9+.-]*:/.test(raw) || parts.includes('..'))
    fail(
      'malformed-onnx',
      say`The ${what} names "${raw}" for its data; only files beside the model may be used.`,
      { location: raw },
    );
  return path;
}

function byteCount(proto: TensorProto, key: string, what: string): number | undefined {
  const text = proto.externalData.find((entry) => entry.key === key)?.value;
  if (text === undefined) return undefined;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value))
    fail('malformed-onnx', say`The ${what} has the ${key} "${text}", which is no count of bytes.`);
  return value;
}

/**
 * A view of the external bytes of a tensor.
 * @param byteLength what dims and dtype ask for
 * @throws PapilioError malformed-onnx if the file is missing, or offset and length do not fit it and the dims
 */
function externalBytes(
  proto: TensorProto,
  files: ExternalFiles,
  byteLength: number,
  what: string,
): Uint8Array<ArrayBuffer> {
  const location = externalLocation(proto, what);
  const offset = byteCount(proto, 'offset', what) ?? 0;
  const length = byteCount(proto, 'length', what) ?? byteLength;
  const file = files.get(location) ?? files.get(`./${location}`);
  if (!file)
    fail(
      'malformed-onnx',
      say`The ${what} is stored in "${location}", which is missing; open that file together with the model.`,
      {
        location,
      },
    );
  if (length !== byteLength)
    fail(
      'malformed-onnx',
      say`The ${what} needs ${byteLength} bytes but announces ${length} in "${location}".`,
      { location },
    );
  if (offset + length > file.length)
    fail(
      'malformed-onnx',
      say`The ${what} lies at bytes ${offset} to ${offset + length} of "${location}", which has only ${file.length}; the file is cut short.`,
      { location },
    );
  return file.subarray(offset, offset + length) as Uint8Array<ArrayBuffer>;
}
