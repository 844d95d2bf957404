/**
 * The random numbers of everything that need not agree with torch: data, shuffles, initial weights, sampling.
 * xoshiro128** (Blackman and Vigna, 2018) keyed by a seed and a path of stream numbers, so that an example, an epoch
 * or a parameter owns its stream and no order of calls elsewhere can shift it. Not for secrets.
 */
export interface Rng {
  /** The next 32 bits, 0 … 2³²−1. */
  next(): number;
  /** Uniform in [0, 1), multiples of 2⁻³². */
  uniform(): number;
  /** Uniform in [low, high). */
  between(low: number, high: number): number;
  /** Standard normal (Box-Muller, one value a call, so that the state is only the generator's). */
  normal(): number;
  /** A whole number in 0 … n−1; n at most 2²¹ keeps the bias below 2⁻¹¹ of a value's share. */
  int(n: number): number;
  /** True with probability p. */
  chance(p: number): boolean;
  /** One element of a list that is not empty. */
  pick<T>(list: readonly T[]): T;
  /** Shuffles in place (Fisher-Yates) and returns the same list. */
  shuffle<T extends { length: number; [i: number]: number } | unknown[]>(list: T): T;
  /** A generator of its own for `stream`; depends on seed and path only, not on how many numbers were drawn. */
  fork(stream: number): Rng;
  /** Eight whole numbers from which {@link Rng.restore} continues bit for bit; plain JSON. */
  state(): number[];
  restore(state: readonly number[]): void;
}

function mix(h: number): number {
  let x = h | 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** Takes 64 bits of `value` into the key; each word sees all of them. */
function absorb(key: readonly number[], value: number): number[] {
  const low = value >>> 0;
  const high = Math.floor(value / 4294967296) >>> 0;
  let carry = mix(low ^ mix(high ^ 0x9e3779b9));
  return key.map((word, i) => {
    carry = mix((word ^ carry) + Math.imul(i + 1, 0x9e3779b9));
    return carry;
  });
}

function fromKey(key: readonly number[]): Rng {
  let [k0 = 0, k1 = 0, k2 = 0, k3 = 0] = key;
  // All zeros is the one state xoshiro never leaves.
  let a = (k0 | k1 | k2 | k3) === 0 ? 1 : k0 | 0;
  let b = k1 | 0;
  let c = k2 | 0;
  let d = k3 | 0;

  const next = (): number => {
    const m = Math.imul(b, 5);
    const result = Math.imul((m << 7) | (m >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };
  const uniform = (): number => next() * 2.3283064365386963e-10;
  const int = (n: number): number => Math.floor(uniform() * n);

  return {
    next,
    uniform,
    int,
    between: (low, high) => low + (high - low) * uniform(),
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    chance: (p) => uniform() < p,
    pick: <T>(list: readonly T[]): T => {
      if (list.length === 0) throw new RangeError('pick: the list is empty');
      return list[int(list.length)] as T;
    },
    shuffle: (list) => {
      const items = list as unknown[];
      for (let i = items.length - 1; i > 0; i--) {
        const j = int(i + 1);
        const kept = items[i];
        items[i] = items[j];
        items[j] = kept;
      }
      return list;
    },
    fork: (stream) => fromKey(absorb([k0, k1, k2, k3], stream)),
    state: () => [a >>> 0, b >>> 0, c >>> 0, d >>> 0, k0, k1, k2, k3],
    restore: (state) => {
      if (state.length !== 8 || state.some((x) => !Number.isInteger(x) || x < 0 || x > 0xffffffff)) {
        throw new RangeError('restore: a state is eight whole numbers of 32 bits');
      }
      [a, b, c, d, k0, k1, k2, k3] = state as [
        number,
        number,
        number,
        number,
        number,
        number,
        number,
        number,
      ];
      a |= 0;
      b |= 0;
      c |= 0;
      d |= 0;
    },
  };
}

/** A generator for `seed` (any integer up to 2⁵³) and, if given, one of its streams. */
export function rng(seed: number, stream?: number): Rng {
  const key = absorb([0x70617069, 0x6c696f21, 0x243f6a88, 0x85a308d3], seed);
  return fromKey(stream === undefined ? key : absorb(key, stream));
}

/** A stream number from a name (FNV-1a), so that what is drawn depends on seed and name alone. */
export function streamOf(name: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  return h >>> 0;
}
