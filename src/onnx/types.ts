/**
 * What other code sees of an ONNX file: plain views over the protobuf message, which stays inside so that fields nobody
 * edited, known or unknown, are written back with the same value. Views are read-only and share memory with the file's bytes.
 */
import {
  type AttributeProto,
  TensorProto_DataType as Code,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
} from 'onnx-buf';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';

/** The files that hold external tensor data, by the `location` the model names them with. */
export type ExternalFiles = ReadonlyMap<string, Uint8Array>;

/** A constant tensor. Lengths were checked against `dims` when the view was made. */
export interface OnnxTensor {
  readonly name: string;
  readonly dtype: OnnxDType;
  readonly dims: readonly number[];
  /** Number of elements, the product of `dims` (1 for a scalar). */
  readonly size: number;
  /** Bytes of the elements in ONNX's raw layout; 0 for strings. */
  readonly byteLength: number;
  /**
   * The elements in raw little-endian layout (4-bit types packed, low nibble first). A view into the file for raw and external data -
   * do not write to it - and a fresh copy for typed fields such as float_data. Not for strings: see `tensorToStrings`.
   */
  bytes(): Uint8Array<ArrayBuffer>;
  readonly proto: TensorProto;
}

/**
 * One attribute. Integers are numbers; an int64 beyond ±(2^53 - 1) is saturated there, because such values only occur as "to the end"
 * sentinels (the exact value stays in the protobuf message and survives encoding). Kinds nobody computes with - lists of tensors or
 * graphs, types, sparse tensors - are `other`, with the message as it is.
 */
export type AttributeValue =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: OnnxTensor }
  | { readonly kind: 'graph'; readonly value: OnnxGraph }
  | { readonly kind: 'other'; readonly value: AttributeProto };

export interface OnnxNode {
  /** Position in its graph's node list. */
  readonly index: number;
  /** May be empty: ONNX does not require names. */
  readonly name: string;
  readonly opType: string;
  /** '' is the default domain ('ai.onnx' is normalised to ''). */
  readonly domain: string;
  /** '' stands for an optional input that is left out. */
  readonly inputs: readonly string[];
  /** '' stands for an optional output that nobody wants. */
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, AttributeValue>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly proto: NodeProto;
}

/** A size, the name of a symbolic size ('batch'), or null when the file says nothing. */
export type Dim = number | string | null;

export interface ValueInfo {
  readonly name: string;
  /** null for anything but a dense tensor with a declared element type. */
  readonly dtype: OnnxDType | null;
  /** null when even the rank is unknown. */
  readonly dims: readonly Dim[] | null;
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  /** Inputs that must be fed: graph inputs that are also initialisers (always so before IR 4) are left out. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly valueInfo: ReadonlyMap<string, ValueInfo>;
  readonly initializers: ReadonlyMap<string, OnnxTensor>;
  /** Values of Constant nodes (value, value_float(s), value_int(s), value_string(s)) by output name. */
  readonly constants: ReadonlyMap<string, OnnxTensor>;
  readonly proto: GraphProto;
}

export interface OnnxModel {
  readonly proto: ModelProto;
  /** Version of the default domain. */
  readonly opset: number;
  /** Every imported domain with its version; the default domain is ''. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly irVersion: number;
  readonly graph: OnnxGraph;
  readonly producer: { readonly name: string; readonly version: string };
  readonly metadata: ReadonlyMap<string, string>;
  /** The external data files the model was decoded with. */
  readonly external: ExternalFiles;
}

// ONNX's element types: names, codes, widths, and the typed field of TensorProto that may hold them instead of raw_data.

/** The repeated fields of TensorProto that carry elements. */
export type TypedField = 'floatData' | 'int32Data' | 'int64Data' | 'doubleData' | 'uint64Data' | 'stringData';

interface DTypeInfo {
  readonly code: number;
  /** Bits per element in raw data; 0 for strings, which are never raw. */
  readonly bits: number;
  readonly field: TypedField;
}

const info = (code: number, bits: number, field: TypedField): DTypeInfo => ({ code, bits, field });

export const DTYPES = {
  float32: info(Code.FLOAT, 32, 'floatData'),
  float16: info(Code.FLOAT16, 16, 'int32Data'),
  bfloat16: info(Code.BFLOAT16, 16, 'int32Data'),
  double: info(Code.DOUBLE, 64, 'doubleData'),
  int64: info(Code.INT64, 64, 'int64Data'),
  int32: info(Code.INT32, 32, 'int32Data'),
  int16: info(Code.INT16, 16, 'int32Data'),
  int8: info(Code.INT8, 8, 'int32Data'),
  uint64: info(Code.UINT64, 64, 'uint64Data'),
  uint32: info(Code.UINT32, 32, 'uint64Data'),
  uint16: info(Code.UINT16, 16, 'int32Data'),
  uint8: info(Code.UINT8, 8, 'int32Data'),
  bool: info(Code.BOOL, 8, 'int32Data'),
  string: info(Code.STRING, 0, 'stringData'),
  complex64: info(Code.COMPLEX64, 64, 'floatData'),
  complex128: info(Code.COMPLEX128, 128, 'doubleData'),
  float8e4m3fn: info(Code.FLOAT8E4M3FN, 8, 'int32Data'),
  float8e4m3fnuz: info(Code.FLOAT8E4M3FNUZ, 8, 'int32Data'),
  float8e5m2: info(Code.FLOAT8E5M2, 8, 'int32Data'),
  float8e5m2fnuz: info(Code.FLOAT8E5M2FNUZ, 8, 'int32Data'),
  float8e8m0: info(Code.FLOAT8E8M0, 8, 'int32Data'),
  float4e2m1: info(Code.FLOAT4E2M1, 4, 'int32Data'),
  uint4: info(Code.UINT4, 4, 'int32Data'),
  int4: info(Code.INT4, 4, 'int32Data'),
  uint2: info(Code.UINT2, 2, 'int32Data'),
  int2: info(Code.INT2, 2, 'int32Data'),
} as const satisfies Record<string, DTypeInfo>;

export type OnnxDType = keyof typeof DTYPES;

const byCode = new Map(
  (Object.keys(DTYPES) as OnnxDType[]).map((name) => [DTYPES[name].code as number, name]),
);

/** The name of an ONNX element type code, or null for 0 and codes ONNX does not define. */
export function dtypeOfCode(code: number): OnnxDType | null {
  return byCode.get(code) ?? null;
}

/** Bytes that `size` elements take in raw data. */
export function rawByteLength(dtype: OnnxDType, size: number): number {
  return Math.ceil((size * DTYPES[dtype].bits) / 8);
}

/** Entries that `size` elements take in the typed field: two for a complex number, one per byte for 4- and 2-bit types. */
export function typedLength(dtype: OnnxDType, size: number): number {
  if (dtype === 'complex64' || dtype === 'complex128') return 2 * size;
  const { bits } = DTYPES[dtype];
  return bits > 0 && bits < 8 ? Math.ceil((size * bits) / 8) : size;
}

/** More elements than any file could hold; products below it are exact in a double, 128-bit elements included. */
const SIZE_LIMIT = 2 ** 46;

/**
 * Checks dimensions and multiplies them.
 * @param what names the tensor for the error, e.g. `initialiser "w"`
 * @throws PapilioError malformed-onnx for a negative, fractional or absurdly large dimension or product
 */
export function checkedDims(
  dims: readonly (bigint | number)[],
  what: string,
): { dims: number[]; size: number } {
  if (dims.length > 64)
    fail('malformed-onnx', say`The ${what} has ${dims.length} dimensions; the file is damaged.`);
  const out: number[] = [];
  let size = 1;
  let empty = false;
  for (const dim of dims) {
    const n = Number(dim);
    if (!(n >= 0 && n <= SIZE_LIMIT && Number.isInteger(n)))
      fail('malformed-onnx', say`The ${what} has a dimension of ${String(dim)}; the file is damaged.`);
    out.push(n);
    if (n === 0) empty = true;
    else size *= n;
    // An empty tensor may have large other dimensions, but none that would overflow.
    if (size > SIZE_LIMIT)
      fail(
        'malformed-onnx',
        say`The ${what} has dimensions [${dims.join(', ')}], more than any file can hold; the file is damaged.`,
      );
  }
  return { dims: out, size: empty ? 0 : size };
}

export const isFloat = (dtype: OnnxDType): boolean =>
  dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16' || dtype === 'double';
