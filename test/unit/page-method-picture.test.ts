/** The small pictures of the methods. Seen to fail: a factor that is left out, cells of other rows, factors in the order of their numbers. */
import { expect, test } from 'vitest';
import { METHODS } from '../../src/adapters/registry.ts';
import type { MethodId } from '../../src/methods.ts';
import { methodPicture, type Panel, placed } from '../../src/page/features/setup/methodPicture.ts';

const panels = (id: MethodId): Panel[] =>
  methodPicture(id).parts.filter((part): part is Panel => typeof part !== 'string');
const filled = ({ cells }: Panel): number => cells.reduce((sum, { length }) => sum + length, 0);
const text = (id: MethodId): string =>
  methodPicture(id)
    .parts.map((part) => (typeof part === 'string' ? part : part.label))
    .join(' ');

test.each(Object.keys(METHODS) as MethodId[])(
  '%s has one, within its own bounds, and fits a narrow column',
  (id) => {
    const { label } = methodPicture(id);
    expect(label).not.toBe('');
    for (const { rows, columns, cells } of panels(id)) {
      expect(cells.length).toBeGreaterThan(0);
      for (const { row, column, length } of cells) {
        expect(row).toBeLessThan(rows);
        expect(column + length).toBeLessThanOrEqual(columns);
      }
    }
    expect(placed(methodPicture(id)).width).toBeLessThanOrEqual(84);
  },
);

test('a rotation stands behind the weight, its first factor farthest from it', () => {
  expect(text('boft')).toBe('W · B_2 B_1 B_0');
  expect(text('oft')).toBe('W · R');
  // Blocks of 4 in every row; BOFT's second factor joins inputs that are apart.
  expect(panels('oft').map(filled)).toEqual([256, 64]);
  expect(panels('boft').map(filled)).toEqual([256, 64, 64, 64]);
  const [, , second, first] = panels('boft');
  expect(first!.cells.every(({ length }) => length === 4)).toBe(true);
  expect(second!.cells.some(({ length }) => length < 4)).toBe(true);
});

test('what is added stands behind a plus, and what is frozen is marked', () => {
  expect(text('lora')).toBe('W + B A');
  expect(panels('lora').map(({ rows, columns }) => `${rows} × ${columns}`)).toEqual([
    '16 × 16',
    '16 × 2',
    '2 × 16',
  ]);
  expect(panels('vera').map(({ isFrozen }) => isFrozen)).toEqual([true, false, true, false, true]);
  expect(filled(panels('fourierft')[1]!)).toBe(14);
  expect(text('loha')).toBe('W + A_1 B_1 ⊙ A_2 B_2');
  expect(text('lokr')).toBe('W + w_1 ⊗ w_2');
  expect(panels('full').map(({ isFrozen }) => isFrozen)).toEqual([false]);
  expect(panels('head').map(({ isFrozen }) => isFrozen)).toEqual([true]);
});
