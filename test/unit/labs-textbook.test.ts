/**
 * The numbers of the textbook's pages, held against float64 worked out here from the definitions: products of butterfly factors, angles and energy of neurons,
 * what a layer costs with each method. Seen to fail with: factors in the other order, a rotation turned round, an energy over ordered pairs, a step without
 * its backward pass, a scaling by r.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { METHODS } from '../../src/adapters/registry.ts';
import { freeNumbers } from '../../src/labs/fitShapes.ts';
import { energyWithin, heightsOf, wavesOf } from '../../src/labs/frequencies.ts';
import { createLabs } from '../../src/labs/labs.ts';
import { distanceOf, identityOf, offOrthogonal, productOf, transposedOf } from '../../src/labs/matrices.ts';
import { FIT_STEPS, type LabApi } from '../../src/labs/protocol.ts';
import { UPDATE_SIZE } from '../../src/labs/updatePieces.ts';
import { updateTarget } from '../../src/labs/updateTargets.ts';
import { rng } from '../../src/lib/rng.ts';
import { leftOfRank, rankOfShare, shareOfRank } from '../../src/lib/singular.ts';
import { loadWebRuntime } from '../../src/onnxruntime/webRuntime.ts';
import { decodeLab } from '../../src/page/labs/link.ts';
import { BOFT_CONTROLS, LEVELS } from '../../src/page/labs/textbook/boft/settings.ts';
import { wiresOfPairs } from '../../src/page/labs/textbook/boft/TransmissionFigure.tsx';
import { loraOf } from '../../src/page/labs/textbook/lora/moved.tsx';
import { lengthsChanged, movedBy, NEURONS, turnedBy } from '../../src/page/labs/textbook/neurons.ts';
import { filledBy, nodesText, reachedFrom, wiresOf } from '../../src/page/labs/textbook/wires.ts';
import { ortBackend } from '../../src/training/backend.ts';
import { compareNeurons, energyOf, pairsOf } from '../../src/training/neurons.ts';

let labs: LabApi;
beforeAll(() => {
  labs = createLabs(async () => ortBackend(await loadWebRuntime()));
});

/** x of A x = y, by elimination with pivots; of every column of Y [d, d]. */
function solved(A: Float64Array, Y: Float64Array, d: number): Float64Array {
  const [a, x] = [Float64Array.from(A), Float64Array.from(Y)];
  for (let k = 0; k < d; k++) {
    let pivot = k;
    for (let i = k + 1; i < d; i++) if (Math.abs(a[i * d + k]!) > Math.abs(a[pivot * d + k]!)) pivot = i;
    for (const m of [a, x])
      for (let j = 0; j < d; j++) [m[k * d + j], m[pivot * d + j]] = [m[pivot * d + j]!, m[k * d + j]!];
    for (let i = 0; i < d; i++) {
      if (i === k) continue;
      const f = a[i * d + k]! / a[k * d + k]!;
      for (const m of [a, x]) for (let j = 0; j < d; j++) m[i * d + j]! -= f * m[k * d + j]!;
    }
  }
  for (let i = 0; i < d; i++) for (let j = 0; j < d; j++) x[i * d + j]! /= a[i * d + i]!;
  return x;
}

/**
 * One factor as a dense matrix, from the paper's figure 4: nodes whose numbers agree in all but the half-block digit k meet. The block of a factor k > 0 is made
 * of two half-blocks that stand 2^(k−1) blocks apart.
 */
function factorOf(d: number, b: number, k: number, skew: readonly number[]): Float64Array {
  const triangles = (b * (b - 1)) / 2;
  const members: number[][] = [];
  if (k === 0)
    for (let start = 0; start < d; start += b) members.push(Array.from({ length: b }, (_, i) => start + i));
  else {
    // Even half-blocks of a superblock in order, then the odd ones; cut into blocks.
    const half = b / 2;
    const wide = b * 2 ** k;
    for (let start = 0; start < d; start += wide) {
      const halves = Array.from({ length: wide / half }, (_, h) => h);
      const order = [...halves.filter((h) => h % 2 === 0), ...halves.filter((h) => h % 2 === 1)];
      const places = new Array<number>(wide);
      // Element at place p of the superblock comes from the half-block order[p / half].
      order.forEach((h, at) => {
        for (let e = 0; e < half; e++) places[at * half + e] = start + h * half + e;
      });
      // The block acts on consecutive places after element i went to place perm[i].
      const back = new Array<number>(wide);
      places.forEach((to, from) => {
        back[to - start] = start + from;
      });
      for (let at = 0; at < wide; at += b) members.push(back.slice(at, at + b));
    }
  }
  const out = new Float64Array(d * d);
  members.forEach((nodes, block) => {
    const q = new Float64Array(b * b);
    let next = block * triangles;
    for (let i = 0; i < b; i++)
      for (let j = i + 1; j < b; j++) {
        q[i * b + j] = skew[next]!;
        q[j * b + i] = -skew[next++]!;
      }
    const one = identityOf(b);
    // R (I + Q) = I − Q, and both sides transposed: (I + Qᵀ) Rᵀ = I − Qᵀ.
    const plus = one.map((v, i) => v - q[i]!);
    const minus = one.map((v, i) => v + q[i]!);
    const r = transposedOf(solved(plus, minus, b), b);
    nodes.forEach((row, i) => {
      nodes.forEach((column, j) => {
        out[row * d + column] = r[i * b + j]!;
      });
    });
  });
  return out;
}

describe.each([
  { d: 8, b: 8, m: 1 },
  { d: 16, b: 4, m: 1 },
  { d: 8, b: 2, m: 3 },
  { d: 16, b: 4, m: 3 },
])('a rotation of $d inputs by $m factors of blocks of $b', ({ d, b, m }) => {
  const random = rng(7, d + b + m);
  const skew = Array.from({ length: freeNumbers(d, { m, b }) }, () => Math.fround(random.normal()));
  const vectors = Array.from({ length: 3 * d }, () => Math.fround(random.normal()));

  it('is the product of its factors, the first one first', async () => {
    const { rotation, turned } = await labs.turn({ d, b, m, skew, vectors });
    const each = skew.length / m;
    let product: Float64Array = identityOf(d);
    for (let k = 0; k < m; k++)
      product = productOf(factorOf(d, b, k, skew.slice(k * each, (k + 1) * each)), product, d);
    expect(distanceOf(rotation.reference, product)).toBeLessThan(1e-12);
    expect(distanceOf(rotation.engine, product)).toBeLessThan(2e-6);
    expect(offOrthogonal(rotation.engine, d)).toBeLessThan(3e-6);
    const expected = Array.from({ length: 3 * d }, (_, at) => {
      const [row, i] = [Math.floor(at / d), at % d];
      let sum = 0;
      for (let j = 0; j < d; j++) sum += product[i * d + j]! * vectors[row * d + j]!;
      return sum;
    });
    expect(distanceOf(turned.reference, expected)).toBeLessThan(1e-12);
    expect(distanceOf(turned.engine, expected)).toBeLessThan(1e-5);
  });

  it('leaves every angle and the energy', async () => {
    const { turned } = await labs.turn({ d, b, m, skew, vectors });
    const [before, after] = [pairsOf(vectors, 3, d), pairsOf(turned.engine, 3, d)];
    expect(after.map(({ angle }) => angle)).toEqual(before.map(({ angle }) => expect.closeTo(angle, 5)));
    expect(energyOf(after)).toBeCloseTo(energyOf(before), 5);
  });
});

describe('a rotation that has learnt', () => {
  it('turns one vector into the other, and back to itself as its factors go', async () => {
    const [d, b, m] = [16, 4, 3];
    const unit = (stream: number) => {
      const random = rng(2, stream);
      const v = Array.from({ length: d }, () => random.normal());
      return v.map((value) => value / Math.hypot(...v));
    };
    const [from, to] = [unit(1), unit(2)];
    const skew = await labs.learn({ d, b, m, seed: 1, steps: 200, from, to });
    expect(skew.length).toBe(freeNumbers(d, { m, b }));
    const turned = async (strength: number) =>
      (await labs.turn({ d, b, m, skew: skew.map((q) => strength * q), vectors: from })).turned.reference;
    expect(distanceOf(await turned(1), to)).toBeLessThan(0.01);
    expect(distanceOf(await turned(0), from)).toBeLessThan(1e-6);
    const half = await turned(0.5);
    expect(distanceOf(half, from)).toBeGreaterThan(0.1);
    expect(Math.hypot(...half)).toBeCloseTo(1, 6);
  });
});

describe('a sum of waves', () => {
  const d = 8;
  const random = rng(3, 5);
  const matrix = Array.from({ length: d * d }, () => random.normal());
  const cosine = (at: number) => (place: number) =>
    Math.cos((2 * Math.PI * (Math.floor(place / d) * Math.floor(at / d) + (place % d) * (at % d))) / d);
  const everywhere = Array.from({ length: d * d }, (_, place) => place);

  it('is what the inverse transform makes of its coefficients', async () => {
    // The wave at 1 is the one at 7 once more; 36 is its own opposite.
    const places = [0, 1, 7, 10, 36];
    const coefficients = [0.5, -1.25, 0.75, 2, -0.5];
    const { engine, reference } = await labs.inverse({ d, places, coefficients });
    const expected = everywhere.map((place) =>
      places.reduce((sum, at, k) => sum + coefficients[k]! * cosine(at)(place), 0),
    );
    expect(distanceOf(reference, expected)).toBeLessThan(1e-12);
    expect(distanceOf(engine, expected)).toBeLessThan(1e-5);
  });

  it('comes nearest to a matrix at its heights', async () => {
    const places = [3, 9, 55, 36, 20];
    const waves = wavesOf(matrix, d);
    const coefficients = heightsOf(waves, d, places);
    const left = (heights: readonly number[]) =>
      everywhere.map(
        (place) => matrix[place]! - places.reduce((sum, at, k) => sum + heights[k]! * cosine(at)(place), 0),
      );
    // What is left has nothing of any of the waves.
    for (const at of places)
      expect(
        left(coefficients).reduce((sum, value, place) => sum + value * cosine(at)(place), 0),
      ).toBeCloseTo(0, 10);
    const [all, kept] = [matrix, left(coefficients)].map((of) => of.reduce((sum, v) => sum + v * v, 0));
    expect(energyWithin(waves, d, places)).toBeCloseTo(all! - kept!, 10);
  });
});

describe('LoRA', () => {
  it.each([
    { inputs: 2, outputs: 5, r: 1, alpha: 2 },
    { inputs: 7, outputs: 4, r: 3, alpha: 8 },
  ])('adds α/r B A of rank $r to $outputs × $inputs weights', async ({ inputs, outputs, r, alpha }) => {
    const random = rng(11, inputs);
    const some = (count: number) => Array.from({ length: count }, () => Math.fround(random.normal()));
    const [W, A, B] = [some(outputs * inputs), some(r * inputs), some(outputs * r)];
    const { update, weight } = await labs.lora({ inputs, outputs, r, alpha, W, A, B });
    const expected = W.map((_, at) => {
      const [row, column] = [Math.floor(at / inputs), at % inputs];
      let sum = 0;
      for (let k = 0; k < r; k++) sum += B[row * r + k]! * A[k * inputs + column]!;
      return (alpha / r) * sum;
    });
    const added = W.map((value, at) => value + expected[at]!);
    expect(distanceOf(update.reference, expected)).toBeLessThan(1e-12);
    expect(distanceOf(weight.reference, added)).toBeLessThan(1e-12);
    expect(distanceOf(update.engine, expected)).toBeLessThan(1e-5);
    expect(distanceOf(weight.engine, added)).toBeLessThan(1e-5);
  });

  it('knows the strongest direction of a change, and what all have of it', async () => {
    for (const target of ['smooth', 'lowrank', 'random'] as const) {
      const change = updateTarget(target, 1);
      const singular = await labs.singularOf(target, 1);
      // Power steps on ΔWᵀ ΔW.
      let v: number[] = Array.from({ length: UPDATE_SIZE }, (_, i) => 1 + Math.sin(i));
      let size = 0;
      const dot = (of: (k: number) => number) =>
        Array.from({ length: UPDATE_SIZE }, (_, k) => of(k)).reduce((a, b) => a + b, 0);
      for (let step = 0; step < 400; step++) {
        const u = v.map((_, i) => dot((k) => change[i * UPDATE_SIZE + k]! * v[k]!));
        const next = v.map((_, j) => dot((k) => change[k * UPDATE_SIZE + j]! * u[k]!));
        size = Math.sqrt(Math.hypot(...next));
        v = next.map((value) => value / Math.hypot(...next));
      }
      expect(singular[0]).toBeCloseTo(size, 4);
      expect(Math.hypot(...singular)).toBeCloseTo(Math.hypot(...change), 6);
      expect(shareOfRank(singular, UPDATE_SIZE)).toBeCloseTo(1, 12);
      expect(leftOfRank(singular, 1) ** 2 + shareOfRank(singular, 1)).toBeCloseTo(1, 12);
    }
    expect(rankOfShare(await labs.singularOf('lowrank', 1), 0.999)).toBe(2);
  });

  it('learns the nearest change of its rank, and no nearer', async () => {
    for (const rank of [1, 2, 3]) {
      const request = { target: 'smooth', seed: 1, rank, steps: FIT_STEPS } as const;
      const { A, B } = await labs.learnUpdate(request);
      const wanted = updateTarget('smooth', 1);
      const product = wanted.map((_, at) => {
        const [row, column] = [Math.floor(at / UPDATE_SIZE), at % UPDATE_SIZE];
        let sum = 0;
        for (let k = 0; k < rank; k++) sum += B[row * rank + k]! * A[k * UPDATE_SIZE + column]!;
        return sum;
      });
      const left = distanceOf(product, wanted) / Math.hypot(...wanted);
      const least = leftOfRank(await labs.singularOf('smooth', 1), rank);
      expect(left).toBeGreaterThan(least - 1e-6);
      expect(left).toBeLessThan(least + 2e-3);
    }
  });

  it('moves neurons along one direction at rank 1, and turns nothing together', async () => {
    const { weight } = await labs.lora(loraOf(1, 2));
    const moves = NEURONS.map((value, at) => weight.reference[at]! - Math.fround(value));
    // All of one direction: the cross products of moves are nothing.
    for (let i = 2; i < moves.length; i += 2)
      expect(moves[0]! * moves[i + 1]! - moves[1]! * moves[i]!).toBeCloseTo(0, 12);
    expect(lengthsChanged(NEURONS, weight.reference).share).toBeGreaterThan(0.1);
    const turned = turnedBy([0.6, -0.8, 0.8, 0.6]);
    expect(lengthsChanged(NEURONS, turned).share).toBeLessThan(1e-12);
    expect(movedBy(NEURONS, NEURONS)).toBe(0);
    const none = (await labs.lora(loraOf(2, 0))).weight.engine;
    expect(none).toEqual(NEURONS.map(Math.fround));
  });
});

describe('wires', () => {
  it('are those of the factors that the op turns by', async () => {
    const [d, b, m] = [16, 2, 3];
    const wires = wiresOf(d, b, m);
    const skew = Array.from({ length: freeNumbers(d, { m, b }) }, (_, i) => 0.3 + 0.01 * i);
    for (let k = 1; k <= m; k++) {
      const first = skew.map((q, i) => (i < (k * skew.length) / m ? q : 0));
      const { rotation } = await labs.turn({ d, b, m, skew: first, vectors: new Array<number>(d).fill(1) });
      expect(rotation.reference.map((value) => (value === 0 ? 0 : 1))).toEqual(filledBy(wires, k));
    }
    expect(nodesText(reachedFrom(wires, 4).at(-1)!)).toBe('1–8');
  });

  it('of figure 2 are dense with the fifth factor and not before, as the paper says', () => {
    const { values } = decodeLab('#page=boft', BOFT_CONTROLS);
    const wires = wiresOfPairs(Array.from({ length: LEVELS }, (_, i) => String(values[`pair${i + 1}`])));
    const dense = (k: number) => filledBy(wires, k).every((on) => on === 1);
    expect([1, 2, 3, 4, 5].map(dense)).toEqual([false, false, false, false, true]);
    // After four factors node 1 does not reach node 3: row 3, column 1.
    expect(filledBy(wires, 4)[2 * 4 + 0]).toBe(0);
    const edges = wires.factors.map((factor) => factor.filter(([from, to]) => from !== to).length);
    expect(edges.reduce((sum, count) => sum + count, 0)).toBe(10);
    const butterfly = wiresOf(4, 2, 2).factors.map(
      (factor) => factor.filter(([from, to]) => from !== to).length,
    );
    expect(butterfly).toEqual([4, 4]);
  });
});

describe('neurons', () => {
  const W = [1, 0, 0, 2, 1, 1, -3, 0];
  it('have the angles and the energy that follow from their directions', async () => {
    const pairs = pairsOf(W, 4, 2);
    const degrees = pairs.map(({ angle }) => (angle * 180) / Math.PI);
    const expected = [90, 45, 180, 45, 90, 135];
    expect(degrees).toEqual(expected.map((angle) => expect.closeTo(angle, 10)));
    // ‖u − v‖ = 2 sin(angle / 2).
    const energy = expected.reduce((sum, angle) => sum + 1 / (2 * Math.sin((angle * Math.PI) / 360)), 0);
    expect(energyOf(pairs)).toBeCloseTo(energy, 12);
    const compared = await compareNeurons(W, W, 4, 2, async () => {});
    expect(energyOf(pairs)).toBeCloseTo(compared.energy.before, 12);
  });
});

describe('what a layer costs', () => {
  const [inputs, outputs, rows] = [64, 96, 10];
  const alone = rows * inputs * outputs;
  const costs = (method: keyof typeof METHODS, fields: Readonly<Record<string, unknown>>) =>
    labs.costs({ inputs, outputs, rows, methods: [{ method, fields }] });

  it('alone: one product forwards, one more back to its input', async () => {
    expect((await costs('lora', { r: 4 }))[0]).toEqual({ forward: alone, step: 2 * alone });
  });

  it('with LoRA: two narrow products beside it, and twice their number backwards', async () => {
    const [, lora] = await costs('lora', { r: 4 });
    const narrow = rows * 4 * (inputs + outputs);
    expect(lora).toEqual({ forward: alone + narrow, step: 2 * alone + 3 * narrow });
  });

  it.each([
    ['oft', { oft_block_size: 8, r: 0, use_cayley_neumann: false }, 8, 1],
    ['boft', { boft_block_size: 4, boft_block_num: 0, boft_n_butterfly_factor: 3 }, 4, 3],
  ] as const)(
    'with %s: m factors of blocks, and the Cayley transform of each',
    async (method, fields, b, m) => {
      const [, cost] = await costs(method, fields);
      const turning = rows * inputs * b * m;
      const transform = m * (inputs / b) * b ** 3;
      expect(cost!.forward).toBeCloseTo(alone + turning + transform, 6);
      // Backwards the input is turned back and the blocks get their own.
      expect(cost!.step).toBeGreaterThanOrEqual(2 * alone + 2 * turning + 2 * transform);
      expect(cost!.step).toBeLessThanOrEqual(2 * alone + 4 * turning + 4 * transform);
    },
  );
});
