/** New values made of others: what expansions and fusions write nodes with. They join the graph at the next prune. */
import { sameShape } from '../../graph/shape.ts';
import { evaluate, toKnown } from './evaluateOps.ts';
import type { Attr, FoldedNode, FoldedValue } from './folded.ts';
import { knownValue, makeNode, makeValue, numbers } from './folded.ts';

type Attrs = Readonly<Record<string, Attr>>;

/** A new value computed by a new node; the node joins the graph at the next prune. */
export function derive(
  op: string,
  inputs: (FoldedValue | null)[],
  attrs: Attrs,
  shape: readonly number[],
  origin: FoldedNode['origin'] = null,
): FoldedValue {
  const typed = op === 'Where' ? inputs[1]! : inputs.find((v) => v !== null)!;
  const constant =
    inputs.every((v) => v === null || (v.known && !v.weight)) &&
    evaluate(op, inputs.filter((v) => v !== null).map(toKnown), attrs);
  if (constant) return knownValue(op, constant[0]!);
  const out = makeValue(`${typed.name}:${op}`, typed.dtype, shape);
  makeNode(op, inputs, attrs, [out], origin);
  return out;
}

export const reshapeOf = (v: FoldedValue, shape: readonly number[]): FoldedValue =>
  sameShape(v.shape, shape) ? v : derive('Reshape', [v], { shape }, shape);

export function transposeOf(v: FoldedValue, perm: readonly number[]): FoldedValue {
  if (perm.every((p, i) => p === i)) return v;
  const inner = v.producer?.op === 'Transpose' ? v.producer : null;
  if (inner) {
    const first = numbers(inner.attrs.perm);
    return transposeOf(
      inner.inputs[0]!,
      perm.map((p) => first[p]!),
    );
  }
  return derive(
    'Transpose',
    [v],
    { perm },
    perm.map((p) => v.shape[p]!),
  );
}

/** Turns `node` into another one with the same outputs. */
export function become(
  node: FoldedNode,
  op: string,
  inputs: (FoldedValue | null)[],
  attrs: Attrs = {},
): void {
  node.op = op;
  node.inputs = inputs;
  node.attrs = attrs;
}
