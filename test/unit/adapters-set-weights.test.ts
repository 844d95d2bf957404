/**
 * Several adapters on one model, the numbers: DoRA between others against plain loops, merging and taking out again for every method.
 * Seen to fail: rows measured on the changed weight in the forward pass; DoRA's lengths forgotten; the transposed inverse; no pivots; BOFT's rotation undone the
 * wrong way round; adapters taken out in the order they went in; the safe merge's check the other way round.
 */
import { describe, expect, it } from 'vitest';
import { addAdapter, merge, startSet, unmerge } from '../../src/adapters/adapterSet.ts';
import { validateConfig } from '../../src/adapters/config.ts';
import { inject } from '../../src/adapters/inject.ts';
import { type BaseParameter, initialValues, planAdapter } from '../../src/adapters/plan.ts';
import { METHODS, type MethodId } from '../../src/adapters/registry.ts';
import { doSteps, emitActive, inverseOf, type Member, startWeights } from '../../src/adapters/setWeights.ts';
import type { Layer } from '../../src/adapters/types.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { rng } from '../../src/lib/rng.ts';
import { linear } from '../../src/ops/linear.ts';
import { interpreted } from './adapters-interpreted.ts';
import { withGraph } from './adapters-layers.ts';

const layer: Layer = { name: 'lin', kind: 'linear', in: 8, out: 6, hasBias: true };
const random = rng(4);
const drawn = (size: number) => Float32Array.from({ length: size }, () => random.normal() * 0.4);
const W = drawn(48);
const bias = drawn(6);
const x = drawn(16);
const parameters = new Map<string, BaseParameter>([
  ['lin.weight', { name: 'lin.weight', shape: [6, 8], load: () => W }],
  ['lin.bias', { name: 'lin.bias', shape: [6], load: () => bias }],
]);

function member(name: string, id: MethodId, config: object): Member {
  const method = METHODS[id];
  const valid = validateConfig(method, { target_modules: ['lin'], ...config }).config;
  const plan = planAdapter(withGraph(method), valid, [layer], []);
  const packed = initialValues(plan, 0, parameters);
  return { name, plan, packed: packed.map((value) => value + random.normal() * 0.3) };
}

/** Parameter of a member, by name. */
const part = ({ plan, packed }: Member, name: string): Float32Array => {
  const tensor = plan.groups[0]!.tensors.find(({ spec }) => spec.name === name)!;
  return packed.subarray(tensor.offset, tensor.offset + tensor.shape.reduce((a, b) => a * b, 1));
};

async function forward(members: readonly Member[]): Promise<Float32Array> {
  const b = createBuilder();
  const input = b.input('x', { dtype: 'f32', shape: [2, 8] });
  const [w, c] = [...parameters.values()].map((p) =>
    b.parameter(p.name, { dtype: 'f32', shape: p.shape }, p.load),
  );
  const plain = linear(b, input, w!, c!, { module: 'lin' });
  const base = b.finish({ y: plain });
  const g = createBuilder();
  const y = inject(
    base,
    g,
    emitActive(g, members, () => null, base),
  )(plain);
  return (await interpreted(g.finish({ y }), { x })).y!;
}

describe('DoRA after another adapter', () => {
  const plain = member('a', 'lora', { r: 2 });
  const dora = member('b', 'lora', { r: 3, use_dora: true });
  const delta = (m: Member, r: number, scaling: number) =>
    Float64Array.from(W, (_, i) => {
      const [o, k] = [Math.floor(i / 8), i % 8];
      let sum = 0;
      for (let j = 0; j < r; j++)
        sum += part(m, 'lora_B.weight')[o * r + j]! * part(m, 'lora_A.weight')[j * 8 + k]!;
      return sum * scaling;
    });
  const [d1, d2] = [delta(plain, 2, 4), delta(dora, 3, 8 / 3)];
  const mag = part(dora, 'lora_magnitude_vector');
  const rowNorm = (V: ArrayLike<number>, o: number) =>
    Math.hypot(...Array.from({ length: 8 }, (_, k) => V[o * 8 + k]!));
  const output = (V: (i: number) => number) =>
    Array.from({ length: 12 }, (_, i) => {
      const [row, o] = [Math.floor(i / 6), i % 6];
      let sum = bias[o]!;
      for (let k = 0; k < 8; k++) sum += x[row * 8 + k]! * V(o * 8 + k);
      return sum;
    });

  it('measures rows of the untouched weight in the forward pass', async () => {
    const own = W.map((w, i) => w + d2[i]!);
    const expected = output((i) => {
      const o = Math.floor(i / 8);
      return (mag[o]! / rowNorm(own, o)) * (W[i]! + d1[i]! + d2[i]!);
    });
    const y = await forward([plain, dora]);
    y.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 5);
    });
  });

  it('counts what came before it in, and not what comes after', async () => {
    const after = { ...plain, name: 'c' };
    const own = W.map((w, i) => w + d2[i]!);
    const expected = output((i) => {
      const o = Math.floor(i / 8);
      return (mag[o]! / rowNorm(own, o)) * (W[i]! + d1[i]! + d2[i]!) + d1[i]!;
    });
    (await forward([plain, dora, after])).forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 5);
    });
  });

  it('measures the weights as they stand when merged, and remembers that to take it out', async () => {
    const members = new Map([
      ['a', plain],
      ['b', dora],
    ]);
    const { method, config } = plain.plan;
    const set = startSet('a', { method, config, parameters: new Map() }).set;
    const both = addAdapter(set, 'b', { ...dora.plan, parameters: new Map() }).set;
    const merging = merge(both, { names: ['a', 'b'] });
    const start = startWeights(parameters);
    const merged = await doSteps(start, merging.steps, members, interpreted);
    const own = W.map((w, i) => w + d1[i]! + d2[i]!);
    merged.parameters
      .get('lin.weight')!
      .load()
      .forEach((value, i) => {
        const o = Math.floor(i / 8);
        expect(value).toBeCloseTo((mag[o]! / rowNorm(own, o)) * own[i]!, 5);
      });
    const back = await doSteps(merged, unmerge(merging.set).steps, members, interpreted);
    back.parameters
      .get('lin.weight')!
      .load()
      .forEach((value, i) => {
        expect(value).toBeCloseTo(W[i]!, 5);
      });
    expect([...back.touched]).toEqual(['lin.weight']);
  });
});

describe('merging and taking out again', () => {
  it.each<[MethodId, object, string]>([
    ['oft', { oft_block_size: 4 }, 'a series is no rotation: only its inverse undoes it'],
    ['oft', { oft_block_size: 4, use_cayley_neumann: false }, ''],
    ['boft', { boft_block_size: 2, boft_n_butterfly_factor: 2 }, ''],
    ['fourierft', { n_frequency: 10 }, ''],
    ['lora', { r: 2, lora_bias: true }, ''],
    ['ia3', { feedforward_modules: [] }, ''],
    ['ia3', { feedforward_modules: ['lin'] }, ''],
    ['loha', { r: 2 }, ''],
    ['lokr', { r: 2 }, ''],
    ['vera', { r: 4 }, ''],
  ])('%s %o', async (id, config) => {
    const m = member('a', id, config);
    const members = new Map([['a', m]]);
    const start = startWeights(parameters);
    const merged = await doSteps(start, [{ kind: 'merge', name: 'a', safe: true }], members, interpreted);
    const weight = merged.parameters.get('lin.weight')!.load();
    const moved = Math.max(...weight.map((value, i) => Math.abs(value - W[i]!)));
    expect(moved).toBeGreaterThan(0.01);
    const y = await forward([m]);
    const c = merged.parameters.get('lin.bias')!.load();
    y.forEach((value, i) => {
      const [row, o] = [Math.floor(i / 6), i % 6];
      let sum = c[o]!;
      for (let k = 0; k < 8; k++) sum += x[row * 8 + k]! * weight[o * 8 + k]!;
      expect(value).toBeCloseTo(sum, 4);
    });
    const back = await doSteps(merged, [{ kind: 'unmerge', name: 'a' }], members, interpreted);
    for (const [name, p] of parameters) {
      back.parameters
        .get(name)!
        .load()
        .forEach((value, i) => {
          expect(Math.abs(value - p.load()[i]!), name).toBeLessThan(2e-5);
        });
    }
  });

  it('a safe merge refuses weights that are no numbers', async () => {
    const m = member('a', 'lora', { r: 2 });
    m.packed[0] = Number.NaN;
    const step = { kind: 'merge', name: 'a' } as const;
    const members = new Map([['a', m]]);
    const start = startWeights(parameters);
    await expect(doSteps(start, [{ ...step, safe: true }], members, interpreted)).rejects.toThrow(
      'NaNs detected in the merged weights. The adapter a seems to be broken',
    );
    const merged = await doSteps(start, [{ ...step, safe: false }], members, interpreted);
    expect(merged.parameters.get('lin.weight')!.load().some(Number.isNaN)).toBe(true);
    expect(start.parameters.get('lin.weight')!.load().some(Number.isNaN)).toBe(false);
  });

  it('inverts with row pivots, or says that there is no inverse', () => {
    const matrix = [0, 2, 1, 1, 0, 0, 3, 0, 1];
    const inverse = inverseOf(matrix, 3);
    for (let r = 0; r < 3; r++) {
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = 0; k < 3; k++) sum += matrix[r * 3 + k]! * inverse[k * 3 + c]!;
        expect(sum).toBeCloseTo(r === c ? 1 : 0, 12);
      }
    }
    expect(() => inverseOf([1, 2, 2, 4], 2)).toThrow(expect.objectContaining({ kind: 'non-finite' }));
  });
});
