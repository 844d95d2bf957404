/**
 * What an ONNX operator is to the import, in one object: how a node of the file is read (`infer`), computed on the CPU where its operands
 * are known (`fold`), and written in ops of the engine (`emit`). The files beside this one hold the operators, `index.ts` the table of them.
 */
import type { Builder } from '../../../graph/builder.ts';
import { sameShape, sizeOf } from '../../../graph/shape.ts';
import type { DType, Value } from '../../../graph/types.ts';
import { fail } from '../../../lib/errors.ts';
import { say } from '../../../lib/say.ts';
import { isFloat, type OnnxDType, type OnnxNode } from '../../../onnx/types.ts';
import { ascending, here, spend } from '../importBudget.ts';
import {
  type Attrs,
  countUses,
  eitherWay,
  type IrGraph,
  type IrNode,
  type IrValue,
  type Known,
  knownOf,
  knownValue,
  MOVES,
  makeNode,
  makeValue,
  numbers,
} from '../ir.ts';

/** A node in the canonical spelling: shapes, axes and permutations whole, non-negative attributes, optional forms filled in. */
export interface Inferred {
  readonly op: string;
  readonly inputs: readonly (IrValue | null)[];
  readonly attrs: Attrs;
  readonly outputs: readonly { readonly dtype: OnnxDType; readonly shape: readonly number[] }[];
}

/** What a node gives whose operator is several canonical ones; null: nothing there. */
export type Results = readonly (IrValue | null)[];

/** A node of the file with what it reads. */
export interface Context {
  readonly node: OnnxNode;
  readonly inputs: readonly (IrValue | null)[];
  readonly opset: number;
}

/** Operands and attributes of a node, as values of the engine's graph. */
export interface Emission {
  readonly g: Builder;
  readonly node: IrNode;
  readonly attrs: Attrs;
  readonly shape: readonly number[];
  readonly module: string | undefined;
  /** Operand i; fails where it was left out. */
  x(i: number): Value;
  optional(i: number): Value | null;
}

export interface Operator {
  /**
   * Reads a node of any opset (11 to 23). Absent: the importer alone makes nodes of this operator.
   * @throws Refused for a form that cannot be imported, PapilioError 'shape' for operands that do not go together
   */
  readonly infer?: (c: Context) => Inferred | Results;
  /** Of an operator that works element by element: its function of numbers. */
  readonly value?: (...x: number[]) => number;
  /**
   * The results on known operands. `shape` is what `infer` or a composite operator said of the first; where the work goes by the operands, their own
   * shapes count, since a composite may say too little. Absent: never computed here.
   */
  readonly fold?: (x: readonly Known[], attrs: Attrs, shape: readonly number[]) => Known | readonly Known[];
  /** Absent: it has no kernel. */
  readonly emit?: (e: Emission) => Value | readonly Value[];
  /** Whether `emit` takes this very node; unless given, it takes all. */
  readonly emits?: (node: IrNode) => boolean;
}

export type Operators = Readonly<Record<string, Operator>>;

const table = new Map<string, Operator>();

/** Puts operators into the table, by name; those of other domains with it before them: "com.microsoft.Attention". */
export function register(operators: Operators): void {
  for (const [name, operator] of Object.entries(operators)) {
    if (table.has(name)) fail('internal', `The ONNX operator ${name} stands in two places.`);
    table.set(name, operator);
  }
}

export const operatorOf = (name: string): Operator | undefined => table.get(name);

/** The operator that a node of the file calls, if the importer reads such nodes. */
export const operatorOfNode = (domain: string, opType: string): Operator | undefined => {
  const found = table.get(domain === '' ? opType : `${domain}.${opType}`);
  return found?.infer && found;
};

/** What computing a node costs however small it is. */
const STEPS_OF_A_NODE = 64;

/** Operators that look at no more of their operands than they give. */
const READS_PART: ReadonlySet<string> = new Set([...MOVES, ...['Split', 'GatherND', 'GatherElements']]);

/** The results of a canonical node on known operands, or null where its operator is not computed here. */
export function evaluate(
  op: string,
  x: readonly Known[],
  attrs: Attrs,
  shape: readonly number[],
): readonly Known[] | null {
  spend(STEPS_OF_A_NODE + (READS_PART.has(op) ? 0 : x.reduce((n, { data }) => n + data.length, 0)));
  const results = table.get(op)?.fold?.(x, attrs, shape) ?? null;
  return results === null || Array.isArray(results) ? results : [results as Known];
}

// Reading a node: attributes with defaults, lists that moved between opsets, refusals.

/** Why a node cannot be imported. */
export class Refused extends Error {}

export const refuse = (reason: string): never => {
  throw new Refused(reason);
};

export const int = (c: Context, name: string, otherwise: number): number => {
  const a = c.node.attributes.get(name);
  return a?.kind === 'int' ? a.value : otherwise;
};
export const float = (c: Context, name: string, otherwise: number): number => {
  const a = c.node.attributes.get(name);
  return a?.kind === 'float' || a?.kind === 'int' ? a.value : otherwise;
};
export const text = (c: Context, name: string, otherwise: string): string => {
  const a = c.node.attributes.get(name);
  return a?.kind === 'string' ? a.value : otherwise;
};
export const ints = (c: Context, name: string): readonly number[] | null => {
  const a = c.node.attributes.get(name);
  return a?.kind === 'ints' ? a.value : null;
};
export const input = (c: Context, i: number): IrValue => c.inputs[i] ?? refuse(say`input ${i} is missing`);

/** A list that newer opsets have as input `i` and older ones as attribute `name`. */
export function list(c: Context, i: number, name: string): readonly number[] | null {
  const attribute = ints(c, name);
  const v = c.inputs[i];
  if (!attribute && !v) return null;
  if (!attribute && !v!.known) return refuse(say`its ${name} depend on the data`);
  const count = attribute?.length ?? sizeOf(v!.shape);
  if (count > MOST_LISTED)
    fail('malformed-onnx', say`${here()} has ${count} numbers as its ${name}; the file is damaged.`);
  return attribute ?? [...v!.known!()];
}

/** Far more axes, or parts of a split, than any model has. */
const MOST_LISTED = 4096;

/**
 * An axis counted from the front.
 * @param least 'end' where the place behind the last axis is one too
 * @throws PapilioError 'malformed-onnx' for an axis that the tensor does not have
 */
export function axisOf(axis: number, rank: number, least: 'axis' | 'end' = 'axis'): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!(Number.isInteger(at) && at >= 0 && (at < rank || (at === rank && least === 'end'))))
    fail(
      'malformed-onnx',
      say`${here()} names axis ${axis} of a tensor that has ${rank}; the file is damaged.`,
    );
  return at;
}

export function one(
  op: string,
  inputs: readonly (IrValue | null)[],
  attrs: Attrs,
  dtype: OnnxDType,
  shape: readonly number[],
): Inferred {
  return { op, inputs, attrs, outputs: [{ dtype, shape }] };
}

/** A node of the type and shape of its first operand. */
export const alike = (op: string, inputs: readonly (IrValue | null)[], attrs: Attrs = {}): Inferred =>
  one(op, inputs, attrs, inputs[0]!.dtype, inputs[0]!.shape);

export const reshape = (x: IrValue, shape: readonly number[]): Inferred =>
  one('Reshape', [x], { shape }, x.dtype, shape);

// New values made of others: what composite operators and fusions write nodes with.

/** A new value computed by a new node, or at once where its operands are known; the node joins the graph at the next prune. */
export function derive(
  op: string,
  inputs: (IrValue | null)[],
  attrs: Attrs,
  shape: readonly number[],
  origin: IrNode['origin'] = null,
): IrValue {
  const typed = op === 'Where' ? inputs[1]! : inputs.find((v) => v !== null)!;
  const isConstant = inputs.every((v) => v === null || (v.known && !v.weight));
  const constant = isConstant && evaluate(op, knownOf(inputs), attrs, shape);
  if (constant) return knownValue(op, constant[0]!);
  const out = makeValue(`${typed.name}:${op}`, typed.dtype, shape);
  makeNode(op, inputs, attrs, [out], origin);
  return out;
}

/** Makes `node` another one with the same outputs. */
export function become(node: IrNode, op: string, inputs: (IrValue | null)[], attrs: Attrs = {}): void {
  node.op = op;
  node.inputs = inputs;
  node.attrs = attrs;
}

/**
 * Takes what computes an operand of a node into the node, where nothing else reads that operand.
 * @param join the inputs of what then stands for both: of the node, of what is `before`, of the operand between them and of the other one
 * @param origin whether the node is then the file's node that was before
 */
export function absorb(
  graph: IrGraph,
  ops: readonly string[],
  join: (node: IrNode, before: IrNode, y: IrValue, other: IrValue) => IrNode['inputs'] | null,
  origin: 'before' | 'stays' = 'before',
): void {
  const uses = countUses(graph);
  const outputs = new Set(graph.outputs.map(({ value }) => value));
  for (const node of graph.nodes) {
    if (!ops.includes(node.op)) continue;
    for (const [y, other] of eitherWay(node)) {
      const before = y?.producer;
      if (!before || uses.get(y)?.length !== 1 || outputs.has(y)) continue;
      const inputs = join(node, before, y, other);
      if (!inputs) continue;
      become(node, before.op, inputs, before.attrs);
      if (origin === 'before') node.origin = before.origin;
      break;
    }
  }
}

export const reshapeOf = (v: IrValue, shape: readonly number[]): IrValue =>
  sameShape(v.shape, shape) ? v : derive('Reshape', [v], { shape }, shape);

export function transposeOf(v: IrValue, perm: readonly number[]): IrValue {
  if (perm.every((p, i) => p === i)) return v;
  const inner = v.producer?.op === 'Transpose' ? v.producer : null;
  const first = numbers(inner?.attrs.perm);
  if (inner)
    return transposeOf(
      inner.inputs[0]!,
      perm.map((p) => first[p]!),
    );
  const shape = perm.map((p) => v.shape[p]!);
  return derive('Transpose', [v], { perm }, shape);
}

/** `size` places of an axis from `from` on. */
export function sliceOf(
  v: IrValue,
  axis: number,
  from: number,
  size: number,
  origin: IrNode['origin'] = null,
): IrValue {
  const shape = v.shape.with(axis, size);
  const starts = v.shape.map((_, i) => (i === axis ? from : 0));
  return derive('Slice', [v], { starts, steps: v.shape.map(() => 1), shape }, shape, origin);
}

/** 0, 1, … as one row. */
export const positions = (dtype: OnnxDType, length: number): IrValue =>
  knownValue('positions', { dtype, shape: [1, length], data: ascending(dtype, length) });

// Writing a node in ops of the engine.

export const dtypeOf = (v: IrValue): DType => (isFloat(v.dtype) ? 'f32' : 'i32');

/** A constant of one number, of the type of `like`. */
export const numberLike = ({ dtype }: Pick<Value, 'dtype'>, g: Builder, value: number): Value =>
  dtype === 'f32'
    ? g.constant({ dtype, shape: [1] }, Float32Array.of(value), 'number')
    : g.constant({ dtype: 'i32', shape: [1] }, Int32Array.of(value), 'number');
