// The pictures of a method's factors: how sparse each is, and which rows stand in which block. Products: page-butterfly.test.ts.
import { describe, expect, it } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import { blockMembers, factorNonZeros, factorSize } from '../../src/adapters/sparsity.ts';
import type { Factor } from '../../src/adapters/types.ts';
import { layer } from './adapters-fixtures.ts';
import { casesOf } from './adapters-layers.ts';

/** Whether entry (row, column) can be non-zero. */
function isIn(factor: Factor, row: number, column: number): boolean {
  if (factor.kind === 'dense') return true;
  if (factor.kind === 'blocks') return factor.group[row] === factor.group[column];
  return factor.row.some((r, k) => r === row && factor.column[k] === column);
}

describe('patterns', () => {
  const tried = Object.values(METHODS).flatMap((method) =>
    casesOf(method.id).map(({ config }) => [method.id, JSON.stringify(config), method, config] as const),
  );

  it.each(tried)('of %s with %s fits the layer', (_id, _name, method, settings) => {
    const { config } = validateConfig(method, { modules_to_save: ['q'], target_modules: ['q'], ...settings });
    const pattern = method.pattern(layer('q', 24, 12), config);
    for (const factor of pattern.factors) {
      const [rows, columns] = factorSize(factor);
      let count = 0;
      for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) count += Number(isIn(factor, r, c));
      expect(count).toBe(factorNonZeros(factor));
      if (factor.kind !== 'blocks') continue;
      const members = blockMembers(factor);
      expect([...members].sort((a, b) => a - b)).toEqual(Array.from({ length: rows }, (_, i) => i));
      members.forEach((row, at) => {
        expect(factor.group[row]).toBe(Math.floor(at / factor.block));
      });
    }
    if (pattern.role === 'update') expect(factorSize(pattern.factors[0]!)[0]).toBe(12);
  });
});
