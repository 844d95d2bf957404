/** All cuts of a matrix product give the same bits: what a device or a tuner chooses among them changes no result. */
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/gpu/compile.ts';
import { createStore } from '../../src/gpu/store.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { baseCaps } from '../../src/graph/types.ts';
import { rng } from '../../src/lib/rng.ts';
import { factorGradsOp } from '../../src/ops/factorGrads.ts';
import type { ProductVariant } from '../../src/ops/gemm.ts';
import { chooseSplits, gemmVariants, takesSplits } from '../../src/ops/gemmVariants.ts';
import { productOp } from '../../src/ops/product.ts';
import { type SkinnyForm, skinnyForms } from '../../src/ops/skinny.ts';
import { testDevice } from './device.ts';

/** m, n, k, and the rank of a second pair: whole tiles; odd sizes whose sum ends within a step; few tiles and a long sum, which is split, and added up within a workgroup where there are two or three splits. */
const CASES = [
  ['NT', [128, 128, 64, 0]],
  ['NT', [131, 70, 37, 0]],
  ['NN', [131, 70, 37, 0]],
  ['TN', [33, 50, 1047, 0]],
  ['NT', [131, 68, 64, 8]],
  ['NN', [70, 131, 37, 5]],
  ['NT', [66, 66, 1047, 24]],
  ['NT', [66, 40, 600, 0]],
  ['NN', [40, 66, 531, 5]],
  ['NT', [33, 70, 777, 24]],
] as const;

/** Of those the splits that a workgroup of 64 threads takes together on a GPU; elsewhere another dispatch adds them up. */
const FOLDED = [
  [66, 40, 600, 2],
  [40, 66, 531, 2],
  [33, 70, 777, 3],
] as const;

async function bitsOf(variant: ProductVariant, sizes: readonly number[], transA: boolean, transB: boolean) {
  const [m, n, k, rank = 0] = sizes as [number, number, number, number | undefined];
  const device = await testDevice();
  const store = createStore(device);
  const g = createBuilder();
  const a = g.input('a', { dtype: 'f32', shape: transA ? [k, m] : [m, k] });
  const b = g.input('b', { dtype: 'f32', shape: transB ? [n, k] : [k, n] });
  const second =
    rank > 0
      ? [
          g.input('a2', { dtype: 'f32', shape: [m, rank] }),
          g.input('b2', { dtype: 'f32', shape: transB ? [n, rank] : [rank, n] }),
        ]
      : [];
  const [y] = g.emit(productOp, [a, b, ...second], {
    ...{ transA, transB, variant, alpha: 1, activation: 'none', slope: 'none', extras: [] },
    ...{ keepPre: false, keepRaw: false, second: rank > 0 },
  });
  const program = await compile(device, store, schedule(g.finish({ y: y! }), device.caps));
  const random = rng(0x5eed, k);
  for (const [name, size] of [
    ['a', m * k],
    ['b', n * k],
    ...(rank > 0
      ? ([
          ['a2', m * rank],
          ['b2', n * rank],
        ] as const)
      : []),
  ] as const)
    program.write(
      name,
      Float32Array.from({ length: size }, () => random.between(-1, 1)),
    );
  program.run();
  const result = (await program.read('y')) as Float32Array;
  program.destroy();
  store.destroy();
  return new Uint32Array(result.buffer, result.byteOffset, result.length);
}

/** m, n, k with few columns or rows: one part and several, ends within a vector and within a range, more than eight of the few. */
const SKINNY = [
  ['NT', [67, 8, 136]],
  ['NT', [1030, 5, 131]],
  ['NN', [70, 24, 300]],
  ['TN', [136, 8, 1050]],
  ['TN', [5, 131, 333]],
  ['TN', [32, 30, 270]],
] as const;

async function expectEqual(
  names: readonly ProductVariant[],
  layout: 'NT' | 'NN' | 'TN',
  sizes: readonly number[],
) {
  const bits = (name: ProductVariant) => bitsOf(name, sizes, layout === 'TN', layout === 'NT');
  const [name, ...others] = names;
  const first = await bits(name!);
  expect(new Set(first).size).toBeGreaterThan(first.length / 2);
  for (const other of others) {
    const found = await bits(other);
    expect([other, found.findIndex((x, i) => x !== first[i])]).toEqual([other, -1]);
  }
}

/** Bits of both gradients of an update's factors. */
async function factorBits(
  variant: SkinnyForm,
  [terms, out, inner, r]: readonly [number, number, number, number],
) {
  const device = await testDevice();
  const store = createStore(device);
  const g = createBuilder();
  const inputs = [out, r, r, inner].map((columns, i) =>
    g.input(`in${i}`, { dtype: 'f32', shape: [terms, columns] }),
  );
  const [dB, dA] = g.emit(factorGradsOp, inputs, { alpha: [1, 2], variant });
  const program = await compile(device, store, schedule(g.finish({ dB: dB!, dA: dA! }), device.caps));
  const random = rng(0x5eed, terms);
  for (const { name, shape } of inputs)
    program.write(
      name,
      Float32Array.from({ length: terms * shape[1]! }, () => random.between(-1, 1)),
    );
  program.run();
  const results = [(await program.read('dB')) as Float32Array, (await program.read('dA')) as Float32Array];
  program.destroy();
  store.destroy();
  return results.flatMap((found) => [...new Uint32Array(found.buffer, found.byteOffset, found.length)]);
}

describe('variants of a product give the same bits', () => {
  for (const [layout, sizes] of CASES) {
    it(`${layout} ${sizes.join(' x ')}`, async () => {
      await expectEqual(Object.keys(gemmVariants) as ProductVariant[], layout, sizes);
    });
  }
  it.each(FOLDED)('%i x %i x %i in %i splits', (m, n, k, splits) => {
    expect(chooseSplits({ m, n, k, batches: 1 })).toBe(splits);
    expect(takesSplits(gemmVariants.tiled32x32, splits, baseCaps)).toBe(true);
    expect(takesSplits(gemmVariants.direct4, splits, baseCaps)).toBe(false);
  });
  for (const [layout, sizes] of SKINNY) {
    it(`${layout} ${sizes.join(' x ')}, few columns or rows`, async () => {
      await expectEqual(skinnyForms, layout, sizes);
    });
  }
  it('both gradients of an update in one dispatch, and one by one', async () => {
    const sizes = [1030, 40, 130, 8] as const;
    const [first, other] = [await factorBits('lanes', sizes), await factorBits('registers', sizes)];
    expect(new Set(first).size).toBeGreaterThan(first.length / 2);
    expect(other.findIndex((x, i) => x !== first[i])).toBe(-1);
  });
});
