/** Sums of partials that one dispatch finishes have the bits of those that each kernel finishes itself, and the numbers of the reference. */
import { expect, test } from 'vitest';
import { compile } from '../../src/gpu/compile.ts';
import { createStore } from '../../src/gpu/store.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { Graph, Tensor } from '../../src/graph/types.ts';
import { type ButterflyGradAttrs, butterflyGradOp } from '../../src/ops/butterfly.ts';
import '../../src/ops/checks.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { pack } from '../../src/ops/moves.ts';
import { difference } from '../../src/training/checkTensors.ts';
import { testDevice } from './device.ts';

/** Rows of the operands; columns of each product's two. Counts that are no multiples of a workgroup's or of a binding's unit. */
const ROWS = 530;
const PRODUCTS = [
  [8, 96],
  [70, 3],
  [1, 64],
  [33, 128],
] as const;
/** Products that are split, and the rotations. */
const LATE = 5;
const shapeOf = (columns: number) => ({ dtype: 'f32', shape: [ROWS, columns] }) as const;

/** Three rotations of one activation by blocks: its blocks' gradients are products in batches. */
const ROTATION = { x: [ROWS, 32], blocks: [3, 1, 2, 16, 16], dY: [3, ROWS, 32] } as const;

function graphOf(shown: boolean): Graph {
  const g = createBuilder();
  const products = PRODUCTS.map(([m, n], i) =>
    matmul(g, g.input(`a${i}`, shapeOf(m)), g.input(`b${i}`, shapeOf(n)), { transA: true }),
  );
  const rotated = Object.entries(ROTATION).map(([name, shape]) => g.input(name, { dtype: 'f32', shape }));
  const [dBlocks] = g.emit<ButterflyGradAttrs>(butterflyGradOp, rotated, {
    wantX: false,
    shared: 'x',
    slope: 'none',
  });
  const sums = [...products, dBlocks!];
  let size = 0;
  const offsets = sums.map(({ shape }) => {
    const at = size;
    size = Math.ceil((size + sizeOf(shape)) / 64) * 64;
    return at;
  });
  const packed = pack(g, sums, { offsets, size });
  return g.finish({ packed, ...(shown ? Object.fromEntries(sums.map((v, i) => [`sum${i}`, v])) : {}) });
}

const shapes: readonly (readonly [string, readonly number[]])[] = [
  ...PRODUCTS.flatMap(([m, n], i) => [[`a${i}`, [ROWS, m]] as const, [`b${i}`, [ROWS, n]] as const]),
  ...Object.entries(ROTATION),
];
const inputs = shapes.map(([name, shape], i) => {
  const data = Float32Array.from({ length: sizeOf(shape) }, (_, j) => Math.sin(j * 0.7 + i));
  return { name, shape, data };
});

test('sums are the same whoever finishes them', async () => {
  const device = await testDevice();
  const results: number[][] = [];
  for (const shown of [false, true]) {
    const plan = schedule(graphOf(shown), device.caps);
    const finishing = plan.steps.filter((s) => s.kind === 'dispatch' && s.dispatch.entry === 'add_parts');
    expect(finishing.length).toBe(shown ? 0 : 1);
    const own = plan.steps.filter((s) => s.kind === 'dispatch' && s.dispatch.entry === 'sum_splits');
    expect(own.length).toBe(shown ? LATE : 0);
    const store = createStore(device);
    const program = await compile(device, store, plan);
    for (const { name, data } of inputs) program.write(name, data);
    program.run();
    results.push([...(await program.read('packed'))]);
    program.destroy();
    store.destroy();
  }
  expect(results[0]).toEqual(results[1]);
  const graph = graphOf(false);
  const tensors = new Map<string, Tensor>(
    inputs.map(({ name, shape, data }) => [name, { dtype: 'f32', shape, data: Float64Array.from(data) }]),
  );
  const expected = interpret(graph, tensors).get(graph.outputs.packed!).data;
  expect(difference(results[0]!, expected).error).toBeLessThan(2e-5);
});
