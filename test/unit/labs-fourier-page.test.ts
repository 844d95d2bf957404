/**
 * The numbers of the page of FourierFT against float64 worked out here from the definitions: how alike neighbours are, how many waves hold half of a change,
 * how high each is, what a layer costs. Seen to fail with: neighbours that do not go round, a wave counted at both of its places, half of the whole for
 * half of the cosines, a transform of ΔW along the longer side.
 */
import { describe, expect, it } from 'vitest';
import { costs } from '../../src/labs/costs.ts';
import { UPDATE_SIZE, UPDATE_TARGETS } from '../../src/labs/updatePieces.ts';
import { updateTarget } from '../../src/labs/updateTargets.ts';
import {
  changeOf,
  chosenOf,
  heightsOfAll,
  likeness,
  wavesOfHalf,
} from '../../src/page/labs/textbook/fourierft/change.ts';

const d = UPDATE_SIZE;
const SIDE = Array.from({ length: d }, (_, i) => i);
const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

describe.each(UPDATE_TARGETS)('the change %s', (target) => {
  const change = changeOf(target);
  const entry = (row: number, column: number): number => updateTarget(target, 1)[row * d + column]!;
  const rows = SIDE.map((row) => SIDE.map((column) => entry(row, column)));
  const energy = sum(rows.flat().map((value) => value * value));

  /** What the change has of the wave (u, v), and what the wave has of itself. */
  function along(u: number, v: number): { readonly of: number; readonly own: number } {
    let [of, own] = [0, 0];
    for (const p of SIDE)
      for (const q of SIDE) {
        const wave = Math.cos((2 * Math.PI * (p * u + q * v)) / d);
        of += rows[p]![q]! * wave;
        own += wave * wave;
      }
    return { of, own };
  }
  const waves = SIDE.flatMap((u) => SIDE.map((v) => ({ u, v, ...along(u, v) })));

  it('has neighbours as alike as the mean of their products says', () => {
    const products = SIDE.flatMap((p) =>
      SIDE.flatMap((q) => [rows[p]![q]! * rows[(p + 1) % d]![q]!, rows[p]![q]! * rows[p]![(q + 1) % d]!]),
    );
    expect(likeness(change)).toBeCloseTo(sum(products) / products.length / (energy / (d * d)), 10);
  });

  it('has each wave as high as its nearest multiple', () => {
    // The only h with nothing of the wave in the change less h times the wave.
    const heights = heightsOfAll(change);
    for (const { u, v, of, own } of waves) expect(heights[u * d + v]).toBeCloseTo(of / own, 9);
  });

  it('has half of its cosines in the fewest waves that hold it', () => {
    const isFirst = (u: number, v: number) => u * d + v <= ((d - u) % d) * d + ((d - v) % d);
    const held = waves
      .filter(({ u, v }) => isFirst(u, v))
      .map(({ of, own }) => of ** 2 / own)
      .sort((a, b) => b - a);
    const all = sum(held);
    let [count, reached] = [0, 0];
    while (reached < all / 2) reached += held[count++]!;
    const half = wavesOfHalf(change);
    expect(half.cosines).toBeCloseTo(all / energy, 10);
    expect(half.count).toBe(count);
    // The best so many hold what they hold.
    const chosen = chosenOf(change, 'best', count, 0);
    expect(chosen.share).toBeCloseTo(sum(held.slice(0, count)) / energy, 10);
  });
});

describe('what a layer costs with FourierFT', () => {
  const ofLayer = async (inputs: number, outputs: number, rows: number, n: number) => {
    const request = { inputs, outputs, rows, methods: [{ method: 'fourierft', fields: { n_frequency: n } }] };
    const [alone, own] = await costs(request as Parameters<typeof costs>[0]);
    expect(alone).toEqual({ forward: rows * inputs * outputs, step: 2 * rows * inputs * outputs });
    return { forward: own!.forward - alone!.forward, step: own!.step - alone!.step };
  };

  it.each([
    [64, 96, 1000, 50],
    [32, 48, 3, 7],
    [96, 32, 2000, 40],
  ])(
    'by ΔW, %i to %i of %i rows: a quarter of its numbers meet half of the shorter side’s waves, twice',
    async (inputs, outputs, rows, n) => {
      const all = inputs * outputs;
      const delta = (all / 4) * (Math.min(inputs, outputs) / 2) * 2;
      const { forward, step } = await ofLayer(inputs, outputs, rows, n);
      expect(forward).toBe(delta);
      // Back through a product of all rows, and the transform.
      expect(step).toBe(2 * delta + rows * all);
    },
  );

  it.each([
    [64, 96, 10, 50],
    [768, 768, 128, 1000],
  ])(
    'by the rows’ own transforms, %i to %i of %i rows: about those of a fast transform',
    async (inputs, outputs, rows, n) => {
      const fast = rows * (inputs * Math.log2(inputs) + outputs * Math.log2(outputs) + n);
      const { forward, step } = await ofLayer(inputs, outputs, rows, n);
      expect(forward / fast).toBeGreaterThan(1);
      expect(forward / fast).toBeLessThan(1.5);
      expect(step / fast).toBeGreaterThan(2);
      expect(step / fast).toBeLessThan(3.5);
    },
  );
});
