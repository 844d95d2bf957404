/** How the rules that lower ONNX nodes read a node: attributes with defaults, lists that moved between opsets, refusals. */
import type { OnnxDType, OnnxNode } from '../../onnx/types.ts';
import type { Attr, FoldedValue } from './folded.ts';

export interface Lowered {
  readonly op: string;
  readonly inputs: readonly (FoldedValue | null)[];
  readonly attrs: Readonly<Record<string, Attr>>;
  readonly outputs: readonly { readonly dtype: OnnxDType; readonly shape: readonly number[] }[];
}

/** Why a node cannot be imported. */
export interface Refusal {
  readonly refusal: string;
}

export interface Context {
  readonly node: OnnxNode;
  readonly inputs: readonly (FoldedValue | null)[];
  readonly opset: number;
}

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
export const input = (c: Context, i: number): FoldedValue => c.inputs[i] ?? refuse(`input ${i} is missing`);

/** A list that newer opsets give as input `i` and older ones as attribute `name`. */
export function list(c: Context, i: number, name: string): readonly number[] | null {
  const attribute = ints(c, name);
  if (attribute) return attribute;
  const v = c.inputs[i];
  if (!v) return null;
  if (!v.known) return refuse(`its ${name} depend on the data`);
  return [...v.known()];
}

export const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

export function one(
  op: string,
  inputs: readonly (FoldedValue | null)[],
  attrs: Readonly<Record<string, Attr>>,
  dtype: OnnxDType,
  shape: readonly number[],
): Lowered {
  return { op, inputs, attrs, outputs: [{ dtype, shape }] };
}

export const reshape = (x: FoldedValue, shape: readonly number[]): Lowered =>
  one('Reshape', [x], { shape }, x.dtype, shape);
