// The pictures of a method's factors: how sparse each is, and their product by brute force.
import { describe, expect, it } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import {
  composedPattern,
  drawnRows,
  factorNonZeros,
  factorRows,
  factorSize,
} from '../../src/adapters/sparsity.ts';
import { layer } from './adapters-fixtures.ts';
import { casesOf } from './adapters-layers.ts';

const { boft } = METHODS;

describe('patterns', () => {
  function dense(rows: readonly Uint32Array[], columns: number): boolean[][] {
    return rows.map((list) => Array.from({ length: columns }, (_, column) => list.includes(column)));
  }
  function product(a: boolean[][], b: boolean[][]): boolean[][] {
    return a.map((row) => b[0]!.map((_, column) => row.some((on, k) => on && b[k]![column]!)));
  }

  it.each([
    [16, 2, 4],
    [24, 4, 2],
    [32, 4, 3],
    [48, 8, 2],
  ])('composes the factors of %i inputs, blocks of %i, %i factors', (d, block, m) => {
    const { config } = validateConfig(boft, {
      boft_block_size: block,
      boft_n_butterfly_factor: m,
      target_modules: ['q'],
    });
    const pattern = boft.pattern(layer('q', d, 8), config);
    expect(pattern.factors).toHaveLength(m);
    for (let k = 1; k <= m; k++) {
      const factors = pattern.factors
        .slice(0, k)
        .reverse()
        .map((factor) => dense(factorRows(factor), d));
      const composed = composedPattern(pattern, k);
      expect(dense(composed.rows, d)).toEqual(factors.reduce(product));
      // Every further factor doubles the reach: that is what a butterfly is.
      expect(composed.rows.every((row) => row.length === block * 2 ** (k - 1))).toBe(true);
      expect(composed.fill).toBeCloseTo((block * 2 ** (k - 1)) / d, 12);
    }
  });

  it('works out no more of a wide product than can be drawn', () => {
    const d = 16_384;
    const { config } = validateConfig(boft, {
      boft_block_size: 4,
      boft_n_butterfly_factor: 12,
      target_modules: ['q'],
    });
    const pattern = boft.pattern(layer('q', d, 8), config);
    const { every, picked } = drawnRows(d);
    const composed = composedPattern(pattern, 12, picked);
    expect(picked.length * d).toBeLessThanOrEqual(2 ** 22);
    expect(every * (picked.length - 1)).toBeLessThan(d);
    expect(composed.rows).toHaveLength(picked.length);
    expect(composed.rows.every((row) => row.length === 4 * 2 ** 11)).toBe(true);
    expect(composed.fill).toBeCloseTo(0.5, 12);
    expect(drawnRows(300)).toEqual({ every: 1, picked: Array.from({ length: 300 }, (_, k) => k) });
  });

  it('multiplies a rotation’s last factor first', () => {
    const factor = (group: number[]) => ({
      kind: 'blocks' as const,
      label: '',
      size: 4,
      block: 2,
      group: Uint32Array.from(group),
      shared: false,
    });
    const pattern = { role: 'rotation' as const, factors: [factor([0, 0, 1, 1]), factor([0, 1, 1, 0])] };
    const chain = {
      ...pattern,
      factors: [
        {
          kind: 'points' as const,
          label: '',
          rows: 4,
          columns: 4,
          row: Uint32Array.of(0),
          column: Uint32Array.of(0),
        },
        pattern.factors[1]!,
      ],
    };
    // Row 3 reaches column 0 through the group {0, 3} of the last factor, and only column 0 survives the first.
    expect(composedPattern(chain).rows.map((row) => [...row])).toEqual([[0], [], [], [0]]);
    expect(composedPattern(pattern).fill).toBe(1);
  });

  const tried = Object.values(METHODS).flatMap((method) =>
    casesOf(method.id).map(({ config }) => [method.id, JSON.stringify(config), method, config] as const),
  );

  it.each(tried)('of %s with %s fits the layer', (_id, _name, method, settings) => {
    const { config } = validateConfig(method, { modules_to_save: ['q'], target_modules: ['q'], ...settings });
    const pattern = method.pattern(layer('q', 24, 12), config);
    for (const factor of pattern.factors) {
      const rows = factorRows(factor);
      const [height, width] = factorSize(factor);
      expect(rows).toHaveLength(height);
      expect(rows.reduce((sum, row) => sum + row.length, 0)).toBe(factorNonZeros(factor));
      expect(Math.max(...rows.map((row) => row.at(-1) ?? 0))).toBeLessThan(width);
    }
    if (pattern.role === 'update') expect(composedPattern(pattern).rows).toHaveLength(12);
  });
});
