/**
 * What the rest of the house sees of an ONNX file: plain views over the protobuf message, which stays inside so that fields nobody
 * edited, known or unknown, are written back with the same value. Views are read-only and share memory with the file's bytes.
 */
import type { AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto } from 'onnx-buf';
import type { OnnxDType } from './dtype.ts';

export type { OnnxDType } from './dtype.ts';

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
