/**
 * A file is folded several times; what one folding computed is there for the next.
 * Seen to fail with: every folding computing anew, results taken over where attributes or contents differ, views of the file taken for other numbers, and
 * results kept that hang on the sizes.
 */
import { expect, it } from 'vitest';
import { evaluateOnce } from '../../src/models/import/fold.ts';
import type { Known } from '../../src/models/import/ir.ts';
import type { Inferred } from '../../src/models/import/operators/operator.ts';
import type { OnnxNode } from '../../src/onnx/types.ts';

/** A node of a file, of which only its being this one counts. */
const node = () => ({}) as OnnxNode;
const expand = (shape: readonly number[]): Inferred => ({
  ...{ op: 'Expand', inputs: [], attrs: { shape } },
  outputs: [{ dtype: 'float32', shape }],
});
const numbers = (data: number[]): Known => ({
  ...{ dtype: 'float32', shape: [data.length, 1] },
  data: Float32Array.from(data),
});
const SHAPE = [2, 20_000];

it('gives the same array where node, attributes and contents are the same', () => {
  const here = node();
  const [first] = evaluateOnce(here, expand(SHAPE), [numbers([1, -0])])!;
  expect(first!.data.length).toBe(40_000);
  expect([first!.data[0], first!.data[20_000]]).toEqual([1, -0]);
  expect(evaluateOnce(here, expand(SHAPE), [numbers([1, -0])])![0]!.data).toBe(first!.data);
});

it.each<[string, OnnxNode | null, readonly number[], number[]]>([
  ['another content', null, SHAPE, [1, 0]],
  ['another attribute', null, [2, 30_000], [1, -0]],
  ['another node', node(), SHAPE, [1, -0]],
])('computes again for %s', (_, other, shape, data) => {
  const here = node();
  const [first] = evaluateOnce(here, expand(SHAPE), [numbers([1, -0])])!;
  const [second] = evaluateOnce(other ?? here, expand(shape), [numbers(data)])!;
  expect(second!.data).not.toBe(first!.data);
  expect(second!.shape).toEqual(shape);
  expect(Object.is(second!.data.at(-1), data[1])).toBe(true);
});

it('knows the numbers of the file again, whichever view shows them', () => {
  const here = node();
  const { buffer } = Float32Array.from({ length: 30_000 }, (_, i) => i);
  const view = (): Known => ({ dtype: 'float32', shape: [30_000, 1], data: new Float32Array(buffer) });
  const [first] = evaluateOnce(here, expand([30_000, 2]), [view()])!;
  expect(evaluateOnce(here, expand([30_000, 2]), [view()])![0]!.data).toBe(first!.data);
});

it('keeps nothing of a node that hangs on the sizes, and nothing that is its operand', () => {
  const here = node();
  for (const width of [20_000, 30_000]) evaluateOnce(here, expand([2, width]), [numbers([1, 2])]);
  const [again] = evaluateOnce(here, expand([2, 30_000]), [numbers([1, 2])])!;
  expect(evaluateOnce(here, expand([2, 30_000]), [numbers([1, 2])])![0]!.data).not.toBe(again!.data);
  const own = numbers(Array.from({ length: 20_000 }, () => 1));
  const reshape: Inferred = {
    ...{ op: 'Reshape', inputs: [], attrs: { shape: [20_000] } },
    outputs: [{ dtype: 'float32', shape: [20_000] }],
  };
  expect(evaluateOnce(node(), reshape, [own])![0]!.data).toBe(own.data);
});
