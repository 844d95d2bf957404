/**
 * torch's CPU generator: mt19937 with the 2002 initialisation by a single 32-bit seed, and the two draws that PEFT's adapters
 * depend on (`torch.randperm` and float32 `uniform_`). FourierFT's frequency locations and VeRA's projections are never stored in
 * adapter files; they are a pure function of these numbers.
 *
 * Source: Matsumoto & Nishimura, "Mersenne Twister", 1998, and the reference constants of 2002.
 */

import { fail } from './errors.ts';
import { say } from './say.ts';

const N = 624;
const M = 397;

/** From this many elements on, torch 2.6 and older torch draw different permutations (64-bit draws, another shuffle). */
const RANDPERM_LIMIT = Math.floor(0xffffffff / 20);

export interface Mt19937 {
  /** The next 32 random bits as an unsigned integer. */
  draw32(): number;
  /** torch's float32 `uniform_`: `(draw mod 2^24) / 2^24 * (high - low) + low`, rounded to float32 like torch does. */
  uniform(low?: number, high?: number): number;
}

/**
 * A generator in the state of `torch.Generator().manual_seed(seed)`.
 *
 * @param seed any safe integer; like torch, only its low 32 bits count (two's complement for negative ones).
 */
export function mt19937(seed: number): Mt19937 {
  const state = new Uint32Array(N);
  state[0] = seed >>> 0;
  for (let j = 1; j < N; j++) {
    const previous = state[j - 1]!;
    state[j] = Math.imul(1812433253, previous ^ (previous >>> 30)) + j;
  }
  let next = N;

  function regenerate(): void {
    for (let j = 0; j < N; j++) {
      const mixed = (state[j]! & 0x80000000) | (state[(j + 1) % N]! & 0x7fffffff);
      state[j] = state[(j + M) % N]! ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
    }
    next = 0;
  }

  function draw32(): number {
    if (next === N) regenerate();
    let y = state[next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  function uniform(low = 0, high = 1): number {
    const unit = (draw32() & 0xffffff) / 0x1000000;
    return Math.fround(Math.fround(unit * Math.fround(high - low)) + Math.fround(low));
  }

  return { draw32, uniform };
}

/**
 * The first `count` entries of `torch.randperm(n, generator=torch.Generator().manual_seed(seed))`, in O(count) time and memory:
 * the forward shuffle moves only the entries it touches, so where few are wanted the displaced ones are kept in a map instead of the whole
 * range.
 *
 * @throws PapilioError 'limit' where torch versions disagree about the permutation (n of 214 748 364 and more).
 */
export function randpermFirst(seed: number, n: number, count: number): Uint32Array<ArrayBuffer> {
  if (n >= RANDPERM_LIMIT) {
    fail(
      'limit',
      say`A random permutation of ${n} entries differs between torch versions; choose a matrix with fewer than ${RANDPERM_LIMIT}.`,
      { n },
    );
  }
  const { draw32 } = mt19937(seed);
  if (count > n / 8) return shuffledRange(draw32, n).slice(0, count);
  const first = new Uint32Array(Math.min(count, n));
  const displaced = new Map<number, number>();
  for (let i = 0; i < first.length; i++) {
    const chosen = i + (draw32() % (n - i));
    const atI = displaced.get(i) ?? i;
    first[i] = displaced.get(chosen) ?? chosen;
    displaced.set(chosen, atI);
    displaced.delete(i);
  }
  return first;
}

/** The whole permutation of 0 … n-1. */
function shuffledRange(draw32: () => number, n: number): Uint32Array<ArrayBuffer> {
  const range = new Uint32Array(n);
  for (let i = 0; i < n; i++) range[i] = i;
  for (let i = 0; i < n - 1; i++) {
    const chosen = i + (draw32() % (n - i));
    const kept = range[i]!;
    range[i] = range[chosen]!;
    range[chosen] = kept;
  }
  return range;
}
