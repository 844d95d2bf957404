// The project's own generator: repeatable, forkable, restorable, and shaped as it says.
import { describe, expect, it } from 'vitest';
import { rng } from '../../src/lib/rng.ts';

describe('rng', () => {
  it('gives the recorded sequence, so that old runs stay repeatable', () => {
    const r = rng(1);
    const s = rng(1, 7);
    expect(Array.from({ length: 8 }, () => r.next())).toMatchInlineSnapshot(`
      [
        1765176595,
        485227696,
        1890895051,
        1467829137,
        432512810,
        712098753,
        1218220633,
        2872901840,
      ]
    `);
    expect([s.next(), s.next(), s.next()]).toMatchInlineSnapshot(`
      [
        3323769675,
        2176181884,
        3932169431,
      ]
    `);
  });

  it('separates seeds, streams and forks', () => {
    const first = (r: { next(): number }) => `${r.next()} ${r.next()}`;
    const seen = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      seen.add(first(rng(seed)));
      for (let stream = 0; stream < 20; stream++) seen.add(first(rng(seed, stream)));
    }
    expect(seen.size).toBe(200 * 21);
    expect(first(rng(2 ** 32 + 5))).not.toBe(first(rng(5)));
    expect(first(rng(3).fork(4))).toBe(first(rng(3, 4)));
    const drawn = rng(3);
    drawn.next();
    expect(first(drawn.fork(4))).toBe(first(rng(3, 4)));
  });

  it('restores bit for bit through JSON', () => {
    const r = rng(9);
    for (let i = 0; i < 10; i++) r.normal();
    const saved = JSON.parse(JSON.stringify(r.state())) as number[];
    const expected = [r.next(), r.normal(), r.int(10), r.fork(2).next()];
    const again = rng(0);
    again.restore(saved);
    expect([again.next(), again.normal(), again.int(10), again.fork(2).next()]).toEqual(expected);
    expect(() => again.restore([1, 2])).toThrow(RangeError);
  });

  it('is uniform and normal to within sampling error', () => {
    const r = rng(5);
    const n = 100_000;
    const buckets = new Array<number>(16).fill(0);
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < n; i++) {
      buckets[r.int(16)]! += 1;
      const z = r.normal();
      sum += z;
      squares += z * z;
    }
    const chi2 = buckets.reduce((total, b) => total + (b - n / 16) ** 2 / (n / 16), 0);
    expect(chi2).toBeLessThan(40); // 15 degrees of freedom, p < 0.001
    expect(Math.abs(sum / n)).toBeLessThan(0.015);
    expect(Math.abs(squares / n - 1)).toBeLessThan(0.02);
  });

  it('shuffles into a permutation', () => {
    const list = rng(1).shuffle(Uint32Array.from({ length: 50 }, (_, i) => i));
    expect([...list].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect([...list]).not.toEqual(Array.from({ length: 50 }, (_, i) => i));
  });
});
