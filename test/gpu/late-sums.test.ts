/** Sums of partials that one dispatch finishes have the bits of those that each kernel finishes itself, and the numbers of the reference. */
import { expect, test } from 'vitest';
import { compile } from '../../src/gpu/compile.ts';
import { createStore } from '../../src/gpu/store.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { schedule } from '../../src/graph/schedule.ts';
import type { Graph } from '../../src/graph/types.ts';
import '../../src/ops/checks.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { pack } from '../../src/ops/moves.ts';
import { difference } from '../../tools/verify/deviceCheck.ts';
import { testDevice } from './device.ts';

/** Rows of the operands; columns of each product's two. Counts that are no multiples of a workgroup's or of a binding's unit. */
const ROWS = 530;
const PRODUCTS = [
  [8, 96],
  [70, 3],
  [1, 64],
  [33, 128],
] as const;
const shapeOf = (columns: number) => ({ dtype: 'f32', shape: [ROWS, columns] }) as const;

function graphOf(shown: boolean): Graph {
  const g = createBuilder();
  const sums = PRODUCTS.map(([m, n], i) =>
    matmul(g, g.input(`a${i}`, shapeOf(m)), g.input(`b${i}`, shapeOf(n)), { transA: true }),
  );
  let size = 0;
  const offsets = PRODUCTS.map(([m, n]) => {
    const at = size;
    size = Math.ceil((size + m * n) / 64) * 64;
    return at;
  });
  const packed = pack(g, sums, { offsets, size });
  return g.finish({ packed, ...(shown ? Object.fromEntries(sums.map((v, i) => [`sum${i}`, v])) : {}) });
}

const inputs = PRODUCTS.flatMap(([m, n], i) =>
  ([`a${i}`, `b${i}`] as const).map((name, k) => {
    const columns = k === 0 ? m : n;
    const data = Float32Array.from({ length: ROWS * columns }, (_, j) => Math.sin(j * 0.7 + i + k));
    return { name, columns, data };
  }),
);

test('sums are the same whoever finishes them', async () => {
  const device = await testDevice();
  const results: number[][] = [];
  for (const shown of [false, true]) {
    const plan = schedule(graphOf(shown), device.caps);
    const finishing = plan.steps.filter((s) => s.kind === 'dispatch' && s.dispatch.entry === 'add_parts');
    expect(finishing.length).toBe(shown ? 0 : 1);
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
  const tensors = new Map(
    inputs.map(({ name, columns, data }) => [name, { ...shapeOf(columns), data: Float64Array.from(data) }]),
  );
  const expected = interpret(graph, tensors).get(graph.outputs.packed!).data;
  expect(difference(results[0]!, expected).error).toBeLessThan(2e-5);
});
