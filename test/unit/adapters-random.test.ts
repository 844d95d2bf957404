/**
 * torch's generator against torch's own permutations and draws.
 * Seen to fail: shift 12 in place of 11 in the tempering; the wrong entry displaced in the sparse shuffle; 23 bits in uniform; columns
 * taken modulo the outputs.
 */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fourierLocations } from '../../src/adapters/fourierft/config.ts';
import { mt19937, randpermFirst } from '../../src/lib/mt19937.ts';
import { figures } from './adapters-fixtures.ts';

interface Permutations {
  entries: { seed: number; numel: number; first32: number[]; last4: number[]; full_sha256: string }[];
  draws_mod_2_31: Record<string, number[]>;
  small_full: { seed: number; numel: number; perm: number[] }[];
  negative_seed: { seed: number; numel: number; perm: number[] }[];
}

const reference = figures<Permutations>('randperm');

describe('mt19937', () => {
  it.each(Object.entries(reference.draws_mod_2_31))('draws as torch does for seed %s', (seed, draws) => {
    const { draw32 } = mt19937(Number(seed));
    expect(draws.map(() => draw32() % 2 ** 31)).toEqual(draws);
  });

  it('uses the low 32 bits of the seed only', () => {
    expect(mt19937(2 ** 32 + 17).draw32()).toBe(mt19937(17).draw32());
    expect(mt19937(-1).draw32()).toBe(mt19937(0xffffffff).draw32());
  });

  it('draws float32 uniforms from 24 bits', () => {
    const raw = mt19937(3);
    const { uniform } = mt19937(3);
    for (let k = 0; k < 50; k++) {
      const unit = (raw.draw32() % 2 ** 24) / 2 ** 24;
      expect(uniform(-0.5, 0.25)).toBe(Math.fround(Math.fround(unit * 0.75) - 0.5));
    }
  });
});

describe('randpermFirst', () => {
  it.each(reference.entries)('begins like torch: seed $seed, n $numel', ({ seed, numel, first32 }) => {
    expect([...randpermFirst(seed, numel, 32)]).toEqual(first32);
  });

  it.each(reference.entries.filter(({ numel }) => numel <= 600_000))(
    'is torch’s whole permutation: seed $seed, n $numel',
    ({ seed, numel, last4, full_sha256 }) => {
      const all = randpermFirst(seed, numel, numel);
      expect([...all.slice(-4)]).toEqual(last4);
      expect(createHash('sha256').update(new Uint8Array(all.buffer)).digest('hex')).toBe(full_sha256);
    },
  );

  it.each([...reference.small_full, ...reference.negative_seed])(
    'seed $seed, n $numel',
    ({ seed, numel, perm }) => {
      expect([...randpermFirst(seed, numel, numel)]).toEqual(perm);
    },
  );

  it('refuses sizes on which torch versions disagree', () => {
    expect(() => randpermFirst(0, 4096 * 128_000, 10)).toThrow(/torch versions/);
  });
});

describe('fourierLocations', () => {
  const rows = figures<{
    rows: {
      name: string;
      in: number;
      out: number;
      config: { random_loc_seed?: number };
      indices: { rows: number[]; cols: number[] } | null;
    }[];
  }>('layers').rows.filter((row) => row.indices !== null);

  it('has cases', () => expect(rows.length).toBeGreaterThan(4));

  it.each(rows)('places the coefficients of $name', ({ in: inputs, out, config, indices }) => {
    const { row, column } = fourierLocations(
      out,
      inputs,
      indices!.rows.length,
      config.random_loc_seed ?? 777,
    );
    expect([...row]).toEqual(indices!.rows);
    expect([...column]).toEqual(indices!.cols);
  });
});
