/**
 * The importer's own graph: ONNX nodes after shapes were fixed and everything constant was folded. Ops are ONNX's, in one canonical
 * spelling (shapes and axes as attributes, never as inputs), plus the fused ones that the fusions make of them. Mutable on purpose:
 * the stages rewrite it in place before anything is emitted into a `Graph`.
 */
import { sizeOf } from '../../graph/shape.ts';
import type { Reading } from '../../onnx/readers.ts';
import type { OnnxDType, OnnxNode, OnnxTensor } from '../../onnx/types.ts';
import { checkedSize, type Numbers } from './importBudget.ts';
import type { QuantSource } from './quantMatrix.ts';

/** A tensor known at import time; float32 contents were rounded to float32. */
export interface Known {
  readonly dtype: OnnxDType;
  readonly shape: readonly number[];
  readonly data: Numbers;
}

/** Some of a weight's output features, where the file keeps the matrices of several modules in one tensor: a run of one axis. */
export interface WeightPart {
  readonly axis: number;
  readonly from: number;
  readonly size: number;
}

/**
 * A float tensor of the file that may be trained: an initialiser, or the value of a Constant node, as one node reads it. Two nodes that
 * read one tensor have two weights, since what a file stores once may be several parameters.
 */
export interface Weight {
  /** Name in the file. */
  readonly name: string;
  readonly tensor: OnnxTensor;
  /** What the reader's graph calls it, where an exporter stored equal parameters once and gave them back their names. */
  readonly called?: string;
  /** Set where `tensor` holds codes. */
  readonly quant?: QuantSource;
  /** Where the file reads it; null for a buffer, which is one whoever reads it. */
  readonly reading: Reading | null;
  readonly part?: WeightPart;
  /** One number that the file names as a parameter; others are constants of a formula unless a layer reads them. */
  readonly isScalar?: boolean;
}

/** Some of a tensor's numbers: a run of one axis. */
export function cutPart<T extends Numbers | Uint16Array>(
  data: T,
  shape: readonly number[],
  { axis, from, size }: WeightPart,
): T {
  const inner = sizeOf(shape.slice(axis + 1));
  const step = shape[axis]! * inner;
  const run = size * inner;
  if (step === data.length) return data.subarray(from * inner, from * inner + run) as T;
  const out = data.slice(0, (data.length / step) * run) as T;
  for (let i = 0; i * step < data.length; i++)
    out.set(data.subarray(i * step + from * inner, i * step + from * inner + run), i * run);
  return out;
}

/** A part of a weight as a weight of its own. */
export function partOfWeight(v: IrValue, part: WeightPart): IrValue {
  return {
    ...v,
    shape: v.shape.with(part.axis, part.size),
    known: () => cutPart(v.known!(), v.shape, part),
    tensor: null,
    weight: { ...v.weight!, part },
  };
}

export interface IrValue {
  readonly name: string;
  readonly dtype: OnnxDType;
  readonly shape: readonly number[];
  /** Contents, where they depend on no input; read lazily because weights are large. */
  readonly known: (() => Numbers) | null;
  readonly weight: Weight | null;
  /** The file's tensor that this is, unchanged. */
  readonly tensor: OnnxTensor | null;
  /** True for graph inputs that stay inputs. */
  readonly input: boolean;
  producer: IrNode | null;
  /** Of codes that folding moved (the rows of a table at known positions): the node that moved them. It is in no graph. */
  readonly moved: IrNode | null;
}

export type Attr = number | string | boolean | readonly number[];
export type Attrs = Readonly<Record<string, Attr>>;

export interface IrNode {
  op: string;
  inputs: (IrValue | null)[];
  outputs: IrValue[];
  attrs: Attrs;
  /** The node of the file it came from; for a fused node the one that names it. */
  origin: OnnxNode | null;
}

export interface IrGraph {
  nodes: IrNode[];
  inputs: IrValue[];
  outputs: { name: string; value: IrValue }[];
}

/** Ops that move the elements of their first operand and change none. */
export const MOVES: ReadonlySet<string> = new Set(['Reshape', 'Transpose', 'Gather', 'Slice', 'Expand']);

/** Element types of quantised weights; int32, the type of quantised biases, is left out: shapes have it too. */
export const isCode = (dtype: OnnxDType): boolean => /^u?int[48]$/.test(dtype);

/** @throws PapilioError 'malformed-onnx' for a shape that is none */
export function makeValue(
  name: string,
  dtype: OnnxDType,
  shape: readonly number[],
  more: Partial<Pick<IrValue, 'known' | 'weight' | 'tensor' | 'input' | 'moved'>> = {},
): IrValue {
  checkedSize(shape);
  return {
    name,
    dtype,
    shape,
    known: null,
    weight: null,
    tensor: null,
    input: false,
    producer: null,
    moved: null,
    ...more,
  };
}

export function knownValue(name: string, k: Known): IrValue {
  return makeValue(name, k.dtype, k.shape, { known: () => k.data });
}

/** The tensor that a known value is. */
export const toKnown = (v: IrValue): Known => ({ dtype: v.dtype, shape: v.shape, data: v.known!() });

/** The tensors of operands, those that were left out aside. */
export const knownOf = (inputs: readonly (IrValue | null)[]): Known[] =>
  inputs.filter((v) => v !== null).map(toKnown);

export const scalar = (value: number, dtype: OnnxDType = 'float32'): IrValue =>
  knownValue(`scalar ${value}`, { dtype, shape: [], data: Float64Array.of(value) });

export function makeNode(
  op: string,
  inputs: (IrValue | null)[],
  attrs: Attrs,
  outputs: IrValue[],
  origin: OnnxNode | null,
): IrNode {
  const node: IrNode = { op, inputs, outputs, attrs, origin };
  for (const v of outputs) v.producer = node;
  return node;
}

/** The number a value is, if it is one known number (of any rank), else null. A weight of one number is none: it may change. */
export const scalarOf = (v: IrValue | null | undefined): number | null =>
  v?.weight ? null : storedScalar(v);

/** The same, where a number of the file stays what it is though it be named as weights are: the scale of codes. */
export function storedScalar(v: IrValue | null | undefined): number | null {
  if (!v?.known || v.shape.some((d) => d !== 1)) return null;
  return v.known()[0] ?? null;
}

export const numbers = (a: Attr | undefined): readonly number[] =>
  Array.isArray(a) ? (a as readonly number[]) : [];

/** The nodes that read each value. */
export function countUses(graph: IrGraph): Map<IrValue, IrNode[]> {
  const uses = new Map<IrValue, IrNode[]>();
  for (const node of graph.nodes) {
    for (const v of node.inputs) {
      if (!v) continue;
      const list = uses.get(v);
      if (list) list.push(node);
      else uses.set(v, [node]);
    }
  }
  return uses;
}

/** The two operands of a node, in their order and in the other. */
export const eitherWay = ({ inputs }: IrNode): readonly (readonly [IrValue, IrValue])[] => {
  const [a, b] = inputs as [IrValue, IrValue];
  return [
    [a, b],
    [b, a],
  ];
};

/** Drops nodes that reach no output, and sorts the rest so that producers come first. */
export function prune(graph: IrGraph): void {
  const order: IrNode[] = [];
  const done = new Set<IrNode>();
  // An explicit stack: deep models would overflow the call stack.
  const stack: { node: IrNode; next: number }[] = [];
  const visit = (v: IrValue | null): void => {
    if (v?.producer && !done.has(v.producer)) {
      done.add(v.producer);
      stack.push({ node: v.producer, next: 0 });
    }
  };
  for (const out of graph.outputs) {
    visit(out.value);
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      if (top.next < top.node.inputs.length) visit(top.node.inputs[top.next++]!);
      else {
        order.push(top.node);
        stack.pop();
      }
    }
  }
  graph.nodes = order;
}
