/**
 * The vocabulary of the graph compiler: tensors, values, nodes, ops, kernels as data. This file knows no op and no GPU.
 *
 * Shapes are static (the importer fixes every dynamic dimension from the batch). ONNX int64 and bool become i32.
 * Weights are [out, in] everywhere inside the engine.
 */
import { fail } from '../lib/errors.ts';

export type DType = 'f32' | 'f16' | 'i32' | 'u32';

/** Bytes of one element. */
export const bytesOf: Readonly<Record<DType, number>> = { f32: 4, f16: 2, i32: 4, u32: 4 };

export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** A tensor on the CPU. References compute in float64 whatever the dtype says; i32 and u32 hold whole numbers. */
export interface Tensor extends TensorType {
  readonly data: Float64Array;
}

/** Data as it goes to the device: f32, f16 (as its 16-bit patterns), i32 or u32. */
export type DeviceData = Float32Array | Uint16Array | Int32Array | Uint32Array;

/** Memory of so many bytes at least, which the next call may hand out again. */
export type Room = (bytes: number) => ArrayBuffer;

/**
 * Where the first contents of a persistent value come from; called when its buffer is made. A caller that is done with the data before
 * it asks for more gives `room`, so that contents which must be rearranged need no memory of their own.
 */
export type TensorSource = (room?: Room) => DeviceData;

/**
 * What a value is to the programs of one family (training, evaluation, the short last batch):
 * `input`     written from the CPU before a run;
 * `constant`  read-only, belongs to one program (folded shape arithmetic, masks, tables);
 * `parameter` read-only, shared by name over the family (the frozen model);
 * `state`     shared by name and mutable (trained parameters, moments, accumulators);
 * `temporary` made by a node, written once.
 */
export type Role = 'input' | 'constant' | 'parameter' | 'state' | 'temporary';

export interface Value extends TensorType {
  readonly id: number;
  /** For inputs, parameters and states this is the key under which the family shares it. */
  readonly name: string;
  readonly role: Role;
  readonly producer: Node | null;
  readonly source?: TensorSource;
}

export interface Node<A = unknown> {
  readonly id: number;
  readonly op: Op<A>;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attrs: A;
  /** The PyTorch module this node belongs to (`encoder.layer.0.attention.attention.query`), where known. */
  readonly module?: string;
}

export interface Graph {
  /** In an order in which every producer precedes its consumers, and writers of state stand where they must run. */
  readonly nodes: readonly Node[];
  readonly inputs: readonly Value[];
  readonly outputs: Readonly<Record<string, Value>>;
}

// ---- ops ------------------------------------------------------------------------------------------------------------

/** What the device offers; kernels choose by it. No kernel needs an optional feature: f16 data travels as pairs in u32. */
export interface Caps {
  /** The adapter runs on the CPU: kernels that block registers instead of sharing workgroup memory are faster there. */
  readonly software: boolean;
  /** As WebGPU names it, in small letters; empty where it does not say. */
  readonly vendor: string;
  /** What was found to be fastest on the device: a kernel's variant by class of work. No choice changes the order of a sum. */
  readonly tuned?: Tuned;
  readonly maxWorkgroupStorageBytes: number;
  readonly maxInvocationsPerWorkgroup: number;
  readonly maxStorageBindingBytes: number;
  readonly maxStorageBuffersPerStage: number;
}

export type Tuned = Readonly<Record<string, string>>;

/** The limits that WebGPU guarantees: what a kernel may always assume. */
export const baseCaps: Caps = {
  software: false,
  vendor: '',
  maxWorkgroupStorageBytes: 16384,
  maxInvocationsPerWorkgroup: 256,
  maxStorageBindingBytes: 128 * 1024 * 1024,
  maxStorageBuffersPerStage: 8,
};

/** The node as a kernel sees it: types and attributes, no values. */
export interface KernelNode<A> {
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
  readonly attrs: A;
}

/** One storage binding: an input, an output or a scratch buffer of the node, or a 256-byte-aligned part of it. */
export interface Ref {
  readonly in?: number;
  readonly out?: number;
  readonly scratch?: number;
  readonly offsetBytes?: number;
  readonly sizeBytes?: number;
}

/** One field of a shader's `Params` struct. Whole numbers travel as u32 (`-1` as its two's complement), `{ f32 }` as f32. */
export type Param = number | { readonly f32: number };

/**
 * One dispatch as data. `@group(0) @binding(0)` is the uniform `Params`; `bindings[i]` is `@binding(i + 1)`.
 * Sizes that many nodes share a pipeline for go into `params`; tile sizes, block sizes and loop bounds that the compiler
 * should see go into `constants` (WGSL `override`); `conditions` are WESL's `@if` switches.
 */
export interface Dispatch {
  readonly shader: string;
  readonly entry: string;
  readonly conditions?: Readonly<Record<string, boolean>>;
  readonly constants?: Readonly<Record<string, number>>;
  readonly params: readonly Param[];
  readonly bindings: readonly Ref[];
  readonly workgroups: readonly [number, number, number];
}

export interface Kernel {
  /** Sizes in bytes of buffers that live only during this node. */
  readonly scratchBytes?: readonly number[];
  readonly dispatches: readonly Dispatch[];
  /** Says that the last dispatches only add up partial sums: the planner may leave that to one dispatch for many nodes. */
  readonly partials?: Partials;
}

/** The sums that the last dispatches of a kernel make, all of them plain. */
export interface Partials {
  readonly sums: readonly OwnSum[];
  /** How many dispatches make them; default 1. */
  readonly dispatches?: number;
  readonly finish: FinishSums;
}

/** Partial sums [parts, count] f32 in a scratch buffer; their sum in ascending order of parts is an output. */
export interface OwnSum {
  readonly scratch: number;
  readonly out: number;
  readonly parts: number;
  readonly count: number;
}

/** Partial sums among others in one buffer, and where their sum belongs in a packed one; in numbers. */
export interface PartialSum {
  readonly from: number;
  readonly parts: number;
  readonly count: number;
  readonly to: number;
}

/** One dispatch for many sums: it binds their table, the partial sums and the packed result. */
export type FinishSums = (sums: readonly PartialSum[]) => {
  readonly table: Uint32Array;
  readonly dispatch: Omit<Dispatch, 'bindings'>;
};

/**
 * How an op that moves no data shares storage. `view`: output i is `byteOffsets[i]` into input 0 (the planner copies where that is
 * not a multiple of 256). `pack`: input i is written straight to `byteOffsets[i]` of the output (the planner copies where it cannot be).
 */
export type Alias =
  | { readonly kind: 'view'; readonly byteOffsets: readonly number[] }
  | { readonly kind: 'pack'; readonly byteOffsets: readonly number[] };

/** What a gradient rule may do: emit further nodes. */
export interface Emitter {
  emit<A>(op: Op<A>, inputs: readonly Value[], attrs: A, module?: string): readonly Value[];
  constant(type: TensorType, data: DeviceData, name?: string): Value;
}

/**
 * The gradient of a node. `dOut[i]` is the gradient of output i, or null where nothing depends on it; `wants[i]` says whether the
 * gradient of input i is needed. Returns one gradient per input (null: none wanted, or not differentiable in it).
 */
export type GradientRule<A> = (
  g: Emitter,
  node: Node<A>,
  dOut: readonly (Value | null)[],
  wants: readonly boolean[],
) => readonly (Value | null)[];

/** `any` on purpose: a table of ops holds ops of many attribute types; each op is typed where it is defined and emitted. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type AnyOp = Op<any>;

export interface Op<A = unknown> {
  readonly name: string;
  /** Output types, or a throw of PapilioError('shape') that names the op, the operand and the shape. */
  readonly infer: (inputs: readonly TensorType[], attrs: A) => readonly TensorType[];
  /** Null: not differentiable (optimisers, projections); then it is tested against its reference alone. */
  readonly gradient: GradientRule<A> | null;
  /** Exactly one of `kernel` and `alias`. */
  readonly kernel?: (node: KernelNode<A>, caps: Caps) => Kernel;
  readonly alias?: (node: KernelNode<A>) => Alias;
  /** Indices of inputs (role `state`) that the kernel writes in place. */
  readonly mutates?: readonly number[];
  /** The same in ONNX's operators, for the engine that needs no GPU; ops that write in place have none. */
  readonly onnx?: OnnxForm<A>;
}

/** Writes a node of the op: names of its inputs in, names of its outputs back. */
export type OnnxForm<A> = (e: OnnxWriter, inputs: readonly string[], node: Node<A>) => readonly string[];

/** Writes ONNX nodes and constants, equal ones once, and gives their names. */
export interface OnnxWriter {
  op(opType: string, inputs: readonly string[], attributes?: OnnxAttributes): string;
  /** A float32 scalar, or zeros of a shape. */
  scalar(value: number): string;
  zeros(shape: readonly number[]): string;
  /** An int64 vector, as shapes and axes need them; [] as `dims` makes a scalar. */
  ints(values: readonly number[], dims?: readonly number[]): string;
  /** A constant of the graph itself. */
  tensor(dtype: 'float32' | 'int32', dims: readonly number[], data: ArrayLike<number>): string;
  /** A table of float32 numbers, or of whole ones to gather by, made once for all nodes that name it so. */
  table(name: string, dims: readonly number[], value: (i: number) => number): string;
  indices(name: string, dims: readonly number[], value: (i: number) => number): string;
  reshape(x: string, shape: readonly number[]): string;
  /** Flat pieces of so many numbers, one after the other. */
  joined(pieces: readonly { readonly name: string; readonly size: number }[]): string;
  /** A part of a flat vector; one of the pieces that it was joined from is taken as it is. */
  part(x: string, from: number, size: number): string;
  transpose(x: string, perm: readonly number[]): string;
  reduce(opType: 'ReduceSum' | 'ReduceMean' | 'ReduceMax', x: string, axes: readonly number[]): string;
}

/** A whole number is an int, another a float; where a float may be whole it says so. */
type OnnxAttributes = Readonly<
  Record<string, number | string | readonly number[] | { readonly kind: 'float'; readonly value: number }>
>;

// Makes an op and checks, once at load, that its description is whole.

export function defineOp<A>(op: Op<A>): Op<A> {
  if ((op.kernel === undefined) === (op.alias === undefined)) {
    fail('internal', `Op ${op.name} must have exactly one of kernel and alias.`);
  }
  return op;
}
