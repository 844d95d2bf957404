/**
 * The graph by which the butterfly lab fits targets: for every shape (m, b) and every target one product of m butterfly factors of Cayley rotations, with
 * the ops that BOFT trains with, its squared distance to the target, and the gradient of all of them in one packed buffer.
 */

import type { Builder } from '../graph/builder.ts';
import { createBuilder } from '../graph/builder.ts';
import { differentiate } from '../graph/differentiate.ts';
import type { Graph, Value } from '../graph/types.ts';
import { rng } from '../lib/rng.ts';
import { butterfly } from '../ops/butterfly.ts';
import { cayley } from '../ops/cayley.ts';
import { addN, binary, reduce } from '../ops/elementwise.ts';
import { pack, view } from '../ops/moves.ts';
import { adamw } from '../ops/optimizers.ts';
import { sumSquares } from '../ops/sumSquares.ts';
import { type FitShape, freeNumbers, trianglesOf } from './fitShapes.ts';

/** Names of inputs, states and outputs. */
export const fitNames = {
  params: 'rotations',
  m: 'adamw.m',
  v: 'adamw.v',
  step: 'step',
  gradients: 'gradients',
  /** Squared distances of one shape, [targets]. */
  errors: (shape: number) => `errors.${shape}`,
  /** The fitted matrices of one shape, [targets, d, d]. */
  products: (shape: number) => `products.${shape}`,
} as const;

export interface FitTask {
  readonly d: number;
  readonly shapes: readonly FitShape[];
  /** Matrices [targets, d, d], row by row. */
  readonly targets: Float32Array;
  readonly seed: number;
}

/** Bindings of a packed buffer begin at multiples of so many numbers. */
const ALIGNED = 64;

interface Layout {
  readonly count: number;
  readonly offsets: readonly number[];
  readonly size: number;
}

/** Where the numbers of each shape lie in the packed buffer. */
function layoutOf({ d, shapes, targets }: FitTask): Layout {
  const count = targets.length / (d * d);
  const offsets: number[] = [];
  let size = 0;
  for (const shape of shapes) {
    offsets.push(size);
    size += Math.ceil((count * freeNumbers(d, shape)) / ALIGNED) * ALIGNED;
  }
  return { count, offsets, size };
}

/** Small random rotations, so that no two factors begin alike; the same for the same seed. */
export function firstRotations(task: FitTask): Float32Array {
  const { offsets, size, count } = layoutOf(task);
  const out = new Float32Array(size);
  task.shapes.forEach((shape, i) => {
    const random = rng(task.seed, 2).fork(i);
    for (let k = 0; k < count * freeNumbers(task.d, shape); k++) out[offsets[i]! + k] = 0.3 * random.normal();
  });
  return out;
}

/** The matrix of each target, [count, d, d], from packed skew numbers. */
function emitProducts(
  g: Builder,
  { d, b, m }: FitShape & { readonly d: number },
  q: Value,
  count: number,
): Value {
  const number = d / b;
  const rotations = cayley(g, view(g, q, [count * m * number, trianglesOf(b)]), {
    b,
    kind: 'exact',
    terms: 0,
  });
  const identity = g.constant(
    { dtype: 'f32', shape: [d, d] },
    Float32Array.from({ length: d * d }, (_, i) => (i % (d + 1) === 0 ? 1 : 0)),
    'identity',
  );
  return butterfly(g, identity, view(g, rotations, [count, m, number, b, b]), { stack: 'share' });
}

/** @param updates whether AdamW is in the graph; else whoever runs it applies the gradients */
export function fitGraph(task: FitTask, updates: boolean): Graph {
  const { d, shapes, targets } = task;
  const { count, offsets, size } = layoutOf(task);
  const g = createBuilder();
  const flat = { dtype: 'f32', shape: [size] } as const;
  const params = g.state(fitNames.params, flat, () => firstRotations(task));
  const wanted = g.constant({ dtype: 'f32', shape: [count, d, d] }, targets, 'targets');
  const leaves = shapes.map((shape, i) => view(g, params, [count * freeNumbers(d, shape)], offsets[i]!));
  const products = shapes.map((shape, i) => emitProducts(g, { ...shape, d }, leaves[i]!, count));
  const errors = products.map((product) => {
    const difference = binary(g, product, wanted, { fn: 'sub' });
    return reduce(g, binary(g, difference, difference, { fn: 'mul' }), { fn: 'sum', axes: [1, 2] });
  });
  const total = reduce(g, addN(g, errors), { fn: 'sum', axes: [0], keepdims: true });
  const seed = g.constant({ dtype: 'f32', shape: [1] }, Float32Array.of(1), 'one');
  const found = differentiate(g, { of: total, seed, wrt: leaves, sum: addN });
  const gradients = pack(
    g,
    leaves.map((leaf) => found.get(leaf)!),
    { offsets, size },
  );
  const outputs: Record<string, Value> = {};
  shapes.forEach((_, i) => {
    outputs[fitNames.errors(i)] = errors[i]!;
    outputs[fitNames.products(i)] = products[i]!;
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
