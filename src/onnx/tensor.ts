/** Tensors: the checked view over a TensorProto, and new tensors from numbers, bytes or strings. */
import { create } from '@bufbuild/protobuf';
import type { TensorProto } from 'onnx-buf';
import { TensorProtoSchema } from 'onnx-buf';
import { fail } from '../lib/errors.ts';
import { checkedDims, DTYPES, dtypeOfCode, type OnnxDType, rawByteLength, typedLength } from './dtype.ts';
import { externalBytes, isExternal } from './external.ts';
import type { ExternalFiles, OnnxTensor } from './types.ts';
import { numbersToRaw } from './values.ts';

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
      `The ${what} has element type ${proto.dataType}, which ONNX does not define; the file is damaged.`,
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
          `The ${what} has ${rawData.length} bytes where its shape [${dims.join(', ')}] of ${dtype} takes ${byteLength}; the file is damaged.`,
        );
      return { ...common, bytes: () => rawData };
    }
  }
  const present = proto[DTYPES[dtype].field].length;
  const wanted = typedLength(dtype, size);
  if (present !== wanted)
    fail(
      'malformed-onnx',
      `The ${what} has ${present} values where its shape [${dims.join(', ')}] of ${dtype} takes ${wanted}; the file is damaged.`,
    );
  if (dtype === 'string')
    return {
      ...common,
      bytes: () => fail('bad-argument', `The ${what} holds strings, which have no raw bytes.`),
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
      `Tensor "${name}" of shape [${dims.join(', ')}] takes ${size} values but was given ${data.length}.`,
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
