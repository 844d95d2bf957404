/** A step's kernels in their order. Seen to fail with: bars that begin where they end, a layer told apart from itself, the backward pass taken for the forward one. */
import { expect, test } from 'vitest';
import {
  barAt,
  barsOf,
  lengthOf,
  OUTSIDE,
  stretchesOf,
  timelineTable,
  totalsOf,
} from '../../src/page/features/training/timeline.ts';
import { tableCsv } from '../../src/page/parts/numberFiles.ts';

const part = (label: string, microseconds: number) => ({
  label,
  microseconds,
  kernel: 'matmul main',
  workgroups: [2, 3, 1] as const,
});

const bars = barsOf([
  part('linear #0 (encoder.layer.0.attention.query)', 10),
  part('softmax #1 (encoder.layer.0.attention)', 5),
  part('linear #2 (encoder.layer.1.mlp.fc1)', 20),
  part('linear #3 (classifier)', 1),
  part('crossEntropy #4', 2),
  part('linear #9 (encoder.layer.1.mlp.fc1, backward)', 30),
  part('adamw #12', 4),
]);

test('bars stand one after the other, each with its op, its module and its layer', () => {
  expect(bars.map(({ from }) => from)).toEqual([0, 10, 15, 35, 36, 38, 68]);
  expect(lengthOf(bars)).toBe(72);
  expect(bars[0]).toMatchObject({ op: 'linear', module: 'encoder.layer.0.attention.query' });
  expect(bars.map(({ layer }) => layer)).toEqual([
    'encoder.layer.0',
    'encoder.layer.0',
    'encoder.layer.1',
    'classifier',
    OUTSIDE(),
    'encoder.layer.1, backward',
    OUTSIDE(),
  ]);
});

test('what is pointed at is the bar that runs there', () => {
  expect([0, 9.9, 10, 14, 15, 71, 100].map((at) => barAt(bars, at))).toEqual([0, 0, 1, 1, 2, 6, 6]);
});

test('neighbours of a layer are one stretch; sums count every bar, the dearest first', () => {
  expect(stretchesOf(bars).map(({ name, from, microseconds }) => [name, from, microseconds])).toEqual([
    ['encoder.layer.0', 0, 15],
    ['encoder.layer.1', 15, 20],
    ['classifier', 35, 1],
    [OUTSIDE(), 36, 2],
    ['encoder.layer.1, backward', 38, 30],
    [OUTSIDE(), 68, 4],
  ]);
  expect(totalsOf(bars, 'op')).toEqual([
    { name: 'linear', count: 4, microseconds: 61 },
    { name: 'softmax', count: 1, microseconds: 5 },
    { name: 'adamw', count: 1, microseconds: 4 },
    { name: 'crossEntropy', count: 1, microseconds: 2 },
  ]);
  expect(totalsOf(bars, 'layer')[0]).toEqual({
    name: 'encoder.layer.1, backward',
    count: 1,
    microseconds: 30,
  });
  expect(totalsOf(bars, 'layer').reduce((sum, { microseconds }) => sum + microseconds, 0)).toBe(72);
});

test('the file has a line for every kernel', () => {
  const lines = tableCsv(timelineTable(bars)).trim().split('\n');
  expect(lines).toHaveLength(8);
  expect(lines[6]).toBe('6,linear,"encoder.layer.1.mlp.fc1, backward",matmul main,2 × 3 × 1,30,38');
});
