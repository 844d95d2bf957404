/** How the rules that lower ONNX nodes read a node: attributes with defaults, lists that moved between opsets, refusals. */
import { sizeOf } from '../../graph/shape.ts';
import { fail } from '../../lib/errors.ts';
import type { OnnxDType, OnnxNode } from '../../onnx/types.ts';
import type { Attr, FoldedValue } from './folded.ts';
import { here } from './room.ts';

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
  const v = c.inputs[i];
  if (!attribute && !v) return null;
  if (!attribute && !v!.known) return refuse(`its ${name} depend on the data`);
  const count = attribute?.length ?? sizeOf(v!.shape);
  if (count > MOST_LISTED)
    fail('malformed-onnx', `${here()} has ${count} numbers as its ${name}; the file is damaged.`);
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
    fail('malformed-onnx', `${here()} names axis ${axis} of a tensor that has ${rank}; the file is damaged.`);
  return at;
}

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
