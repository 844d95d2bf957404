/**
 * A file is folded several times; what a look at it computed is there for the next.
 * Seen to fail with: every look computing anew, and results taken over where attributes or contents differ.
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
