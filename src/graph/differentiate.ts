/**
 * Reverse-mode differentiation: emits the backward pass as further nodes of the same graph, so that it is planned, tested and
 * scheduled like any other part. Only the nodes between the wanted values and the loss are visited: below the lowest target
 * nothing is differentiated, and no gradient of a frozen weight is ever built.
 */
import { fail } from '../lib/errors.ts';
import type { Builder } from './builder.ts';
import type { Emitter, Node, Value } from './types.ts';

export interface DifferentiateOptions {
  /** Value to differentiate; any shape, with `seed` its gradient (same shape). */
  readonly of: Value;
  readonly seed: Value;
  /** Values whose gradients are wanted; they are treated as leaves. */
  readonly wrt: readonly Value[];
  /** Sums the gradients of a value with several consumers (all of one shape). */
  readonly sum: (g: Emitter, terms: readonly Value[]) => Value;
}

/** Emits the gradient of a node under the name of its module. */
const backwardOf = (g: Builder, { module }: Node): Emitter => ({
  constant: g.constant,
  emit: (op, inputs, attrs, own) =>
    g.emit(op, inputs, attrs, own ?? (module === undefined ? undefined : `${module}, backward`)),
});

/** Gradients of `wrt`; a value the loss does not depend on has none. */
export function differentiate(g: Builder, options: DifferentiateOptions): ReadonlyMap<Value, Value> {
  const { of, seed, wrt, sum } = options;
  const leaves = new Set(wrt);
  const forward = [...g.nodes];

  // A value needs a gradient if a wanted leaf is above it.
  const needs = new Set<Value>(wrt);
  for (const node of forward) {
    if (node.outputs.some((v) => leaves.has(v))) continue;
    if (node.inputs.some((v) => needs.has(v))) for (const v of node.outputs) needs.add(v);
  }

  const terms = new Map<Value, Value[]>([[of, [seed]]]);
  const total = (v: Value): Value | null => {
    const parts = terms.get(v);
    if (!parts) return null;
    if (parts.length > 1) terms.set(v, [sum(g, parts)]);
    return terms.get(v)![0]!;
  };

  for (let i = forward.length - 1; i >= 0; i--) {
    const node = forward[i] as Node;
    if (!node.outputs.some((v) => terms.has(v) && needs.has(v) && !leaves.has(v))) continue;
    const wants = node.inputs.map((v) => needs.has(v));
    if (!wants.includes(true)) continue;
    if (!node.op.gradient)
      fail('internal', `${node.op.name} is not differentiable but lies between a target and the loss.`);
    const dInputs = node.op.gradient(backwardOf(g, node), node, node.outputs.map(total), wants);
    node.inputs.forEach((v, k) => {
      const d = dInputs[k];
      if (!d || !needs.has(v)) return;
      const parts = terms.get(v);
      if (parts) parts.push(d);
      else terms.set(v, [d]);
    });
  }

  const gradients = new Map<Value, Value>();
  for (const v of wrt) {
    const d = total(v);
    if (d) gradients.set(v, d);
  }
  return gradients;
}
