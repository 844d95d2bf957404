/** Rows of every kind of text data, as the scripts of a Python project read them. */
import { expect, it } from 'vitest';
import type { Dataset, RowSplit } from '../../src/data/types.ts';
import { datasetRows } from '../../src/python/rows.ts';
import { pythonTask } from '../../src/python/settings.ts';

const ids = [5, 6, 7, 8];
const split: RowSplit = { count: 1, ids: () => Int32Array.from(ids), origin: () => 'row 1' };
const common = { name: 'rows', padId: 0, vocabSize: 20 };
const both = <S extends RowSplit>(part: S) => ({ train: part, held: part });

const kinds: readonly (readonly [string, Dataset, Record<string, unknown>])[] = [
  [
    'text-classification',
    { ...common, kind: 'text-class', labels: ['no', 'yes'], ...both({ ...split, label: () => 1 }) },
    { input_ids: ids, label: 'yes' },
  ],
  [
    'regression',
    { ...common, kind: 'text-value', ...both({ ...split, value: () => 2.5 }) },
    { input_ids: ids, label: 2.5 },
  ],
  [
    'token-classification',
    {
      ...common,
      kind: 'token-class',
      labels: ['O', 'B'],
      ...both({ ...split, labels: () => Int32Array.from([-100, 1, 0, -100]) }),
    },
    { input_ids: ids, labels: [-100, 1, 0, -100] },
  ],
  [
    'causal-lm',
    {
      ...common,
      kind: 'instruction',
      prompt: () => [],
      stop: new Set<number>(),
      ...both({ ...split, learnt: () => Uint8Array.from([0, 0, 1, 1]) }),
    },
    // At the token itself: transformers' own convention, where the model's output is moved and not the labels.
    { input_ids: ids, labels: [-100, -100, 7, 8] },
  ],
];

it.each(kinds)('%s', (task, dataset, row) => {
  const { bytes, count } = datasetRows(dataset, 'train', { sequenceLength: 8 }, null);
  expect(count).toBe(1);
  expect(JSON.parse(new TextDecoder().decode(bytes))).toEqual(row);
  expect(pythonTask({ dataset })).toBe(task);
});

it('cuts what the run cut', () => {
  const { bytes } = datasetRows(kinds[0]![1], 'train', { sequenceLength: 3 }, (list) => `${list.length} ids`);
  expect(JSON.parse(new TextDecoder().decode(bytes))).toEqual({
    input_ids: [5, 6, 7],
    label: 'yes',
    text: '3 ids',
  });
});
