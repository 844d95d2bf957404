/**
 * The graph by which the labs fit: several things side by side, each with trainable numbers, what is made of them and a loss, the gradient of all losses
 * in one packed buffer, and AdamW.
 */

import type { Builder } from '../graph/builder.ts';
import { createBuilder } from '../graph/builder.ts';
import { differentiate } from '../graph/differentiate.ts';
import type { Graph, Value } from '../graph/types.ts';
import { addN, binary, reduce } from '../ops/elementwise.ts';
import { pack, view } from '../ops/moves.ts';
import { adamw } from '../ops/optimizers.ts';
import { sumSquares } from '../ops/sumSquares.ts';
import { unary } from '../ops/unary.ts';

/** Names of inputs, states and outputs. */
export const fitNames = {
  params: 'params',
  m: 'adamw.m',
  v: 'adamw.v',
  step: 'step',
  gradients: 'gradients',
  losses: (part: number) => `losses.${part}`,
  shown: (part: number) => `shown.${part}`,
} as const;

/** One of the things that are fitted side by side; none knows of the others. */
export interface FitPart {
  /** Its trainable numbers as they begin. */
  readonly first: Float32Array;
  /** @param numbers the trainable numbers, flat */
  emit(g: Builder, numbers: Value): FitValues;
}

export interface FitValues {
  /** What descends, [n]: each by itself where there are several. */
  readonly losses: Value;
  /** What a look gives of it. */
  readonly shown: Value;
}

/** Bindings of a packed buffer begin at multiples of so many numbers. */
const ALIGNED = 64;

/** Where the numbers of each part lie in the packed buffer. */
function layoutOf(parts: readonly FitPart[]): { readonly offsets: readonly number[]; readonly size: number } {
  const offsets: number[] = [];
  let size = 0;
  for (const { first } of parts) {
    offsets.push(size);
    size += Math.ceil(first.length / ALIGNED) * ALIGNED;
  }
  return { offsets, size };
}

/** The trainable numbers of all parts, packed. */
export function firstNumbers(parts: readonly FitPart[]): Float32Array {
  const { offsets, size } = layoutOf(parts);
  const out = new Float32Array(size);
  for (const [i, { first }] of parts.entries()) out.set(first, offsets[i]!);
  return out;
}

/** @param updates whether AdamW is in the graph; else whoever runs it applies the gradients */
export function fitGraph(parts: readonly FitPart[], updates: boolean): Graph {
  const { offsets, size } = layoutOf(parts);
  const g = createBuilder();
  const flat = { dtype: 'f32', shape: [size] } as const;
  const params = g.state(fitNames.params, flat, () => firstNumbers(parts));
  const leaves = parts.map(({ first }, i) => view(g, params, [first.length], offsets[i]!));
  const values = parts.map((part, i) => part.emit(g, leaves[i]!));
  const sums = values.map(({ losses }) => reduce(g, losses, { fn: 'sum', axes: [0], keepdims: true }));
  const seed = g.constant({ dtype: 'f32', shape: [1] }, Float32Array.of(1), 'one');
  const found = differentiate(g, { of: addN(g, sums), seed, wrt: leaves, sum: addN });
  const gradients = pack(
    g,
    leaves.map((leaf) => found.get(leaf)!),
    { offsets, size },
  );
  const outputs: Record<string, Value> = {};
  values.forEach(({ losses, shown }, i) => {
    outputs[fitNames.losses(i)] = losses;
    outputs[fitNames.shown(i)] = shown;
  });
  if (!updates) return g.finish({ ...outputs, [fitNames.gradients]: gradients });
  const moment = (name: string) => g.state(name, flat, () => new Float32Array(size));
  adamw(g, {
    ...{ params, grads: gradients, m: moment(fitNames.m), v: moment(fitNames.v) },
    step: g.input(fitNames.step, { dtype: 'f32', shape: [16] }),
    squares: sumSquares(g, gradients),
  });
  return g.finish(outputs);
}

/** ‖M − target‖² of each of the matrices [n, rows, columns], as [n]. */
export function squaredDistances(g: Builder, matrices: Value, target: Value): Value {
  const difference = binary(g, matrices, target, { fn: 'sub' });
  return reduce(g, unary(g, difference, { fn: 'square' }), { fn: 'sum', axes: [1, 2] });
}
