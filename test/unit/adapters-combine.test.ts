/**
 * Combining adapters: every way against plain loops over small numbers, written out here from what PEFT does, and what does not go together.
 * Seen to fail: signs elected after the weights; floor of the density rounded up; a draw elected for minus; weight instead of its root on A and B;
 * the sign of a negative weight on both; use_rslora kept.
 */
import { describe, expect, it } from 'vitest';
import {
  type CombineOptions,
  combineAdapters,
  combineTensors,
  electSigns,
  keepLargest,
  keepRandom,
} from '../../src/adapters/combine.ts';
import { validateConfig } from '../../src/adapters/config.ts';
import { type Adapter, readAdapter, writeAdapter } from '../../src/adapters/peft.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import type { AdapterTensor } from '../../src/adapters/types.ts';
import { rng } from '../../src/lib/rng.ts';

const f = (...values: number[]) => Float32Array.from(values);
const tensor = (shape: number[], seed: number): AdapterTensor => {
  const random = rng(seed);
  const size = shape.reduce((a, b) => a * b, 1);
  return { shape, data: Float32Array.from({ length: size }, () => random.normal()) };
};

describe('one tensor', () => {
  it('keeps the largest by magnitude, floor(density · count) of them', () => {
    expect([...keepLargest(f(1, -5, 0, 3, -2), 0.5)]).toEqual([0, -5, 0, 3, 0]);
    expect([...keepLargest(f(2, -2, 2), 0.4)]).toEqual([2, 0, 0]);
  });

  it('keeps numbers at random, scaled up, the same for the same seed', () => {
    const ones = new Float32Array(20_000).fill(1);
    const kept = keepRandom(ones, 0.25, 7, 0);
    expect(new Set(kept)).toEqual(new Set([0, 4]));
    expect(kept.filter((v) => v > 0).length / kept.length).toBeCloseTo(0.25, 1);
    expect(keepRandom(ones, 0.25, 7, 0)).toEqual(kept);
    expect(keepRandom(ones, 0.25, 8, 0)).not.toEqual(kept);
    expect(keepRandom(ones, 0.25, 7, 1)).not.toEqual(kept);
  });

  it('elects signs before the weights count', () => {
    const tensors = [f(3, 1, -1, 0, 2), f(-1, -1, -2, 0, -2), f(-1, 1, 1, 5, 0)];
    const weights = [1, 10, 100];
    // Sums 1, 1, -2, 5, 0 elect +, +, -, +, +; of those that agree the mean of the weighted.
    expect([...electSigns(tensors, weights, 'total')]).toEqual([3, (1 + 100) / 2, (-1 - 20) / 2, 500, 2]);
    // One against two elects -; two against one +, -; only one votes; a draw is for +.
    expect([...electSigns(tensors, weights, 'frequency')]).toEqual([(-10 - 100) / 2, 50.5, -10.5, 500, 2]);
  });

  it.each(['ties', 'magnitude_prune'] as const)('%s by hand', (type) => {
    const tensors = [f(4, -1, 2, 0.5), f(-3, 2, 1, -0.25)];
    // Half of each kept: [4, 0, 2, 0] and [-3, 2, 0, 0].
    const expected = type === 'ties' ? [0.5 * 4, 0.25 * 2, 0.5 * 2, 0] : [2 - 0.75, 0.5, 1, 0];
    const options = { type, density: 0.5, majoritySign: 'total', seed: 0 } as const;
    expect([...combineTensors(tensors, [0.5, 0.25], options, 0)]).toEqual(expected);
  });

  it.each(['dare_linear', 'dare_ties'] as const)('%s is its sum over what chance kept', (type) => {
    const tensors = [tensor([50], 1).data, tensor([50], 2).data];
    const options = { type, density: 0.5, majoritySign: 'total', seed: 3 } as const;
    const kept = tensors.map((values, t) => keepRandom(values, 0.5, 3, 4 * 2 + t));
    const expected = Array.from({ length: 50 }, (_, i) => {
      const [a, b] = [kept[0]![i]!, kept[1]![i]!];
      if (type === 'dare_linear') return 2 * a + 3 * b;
      const sign = a + b >= 0 ? 1 : -1;
      const agreeing = [2 * a, 3 * b].filter((v) => Math.sign(v) === sign);
      return agreeing.reduce((x, y) => x + y, 0) / Math.max(1, agreeing.length);
    });
    const found = combineTensors(tensors, [2, 3], options, 4);
    found.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 5);
    });
  });
});

const MODULES = { 'a.q': [4, 6], 'a.v': [5, 6] } as const;

function lora(seed: number, config: Record<string, unknown> = {}, modules = Object.keys(MODULES)): Adapter {
  const method = METHODS.lora;
  const valid = validateConfig(method, { target_modules: ['q', 'v'], r: 2, lora_alpha: 6, ...config }).config;
  const r = (valid as unknown as { r: number }).r;
  const tensors = modules.map((module, i) => {
    const [out, inputs] = MODULES[module as keyof typeof MODULES];
    const params = new Map([
      ['lora_A.weight', tensor([r, inputs], seed + i)],
      ['lora_B.weight', tensor([out, r], seed + 10 + i)],
    ]);
    return [module, params] as const;
  });
  return { method, config: valid, tensors: new Map(tensors), parameters: new Map() };
}

const matrix = (adapter: Adapter, module: string, param: string) => adapter.tensors.get(module)!.get(param)!;

/** scaling · B A, by loops. */
function update(adapter: Adapter, module: string, scaling: number): number[] {
  const A = matrix(adapter, module, 'lora_A.weight');
  const B = matrix(adapter, module, 'lora_B.weight');
  const [[r, inputs], [out]] = [A.shape as [number, number], B.shape as [number, number]];
  const delta: number[] = [];
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < inputs; i++) {
      let sum = 0;
      for (let k = 0; k < r; k++) sum += B.data[o * r + k]! * A.data[k * inputs + i]!;
      delta.push(sum * scaling);
    }
  }
  return delta;
}

const close = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  expect(a.length).toBe(b.length);
  for (let i = 0; i < b.length; i++) expect(a[i]!).toBeCloseTo(b[i]!, 4);
};

describe('LoRA', () => {
  it('linear weighs A and B by the roots of weight · scaling, the sign on A alone', () => {
    const pair = [lora(1), lora(2, { lora_alpha: 4 })];
    const { adapter } = combineAdapters(pair, { weights: [0.7, -0.3], type: 'linear' });
    expect(adapter.config).toMatchObject({ r: 2, lora_alpha: 2, rank_pattern: {}, alpha_pattern: {} });
    const [a, b] = [Math.sqrt(0.7 * 3), Math.sqrt(0.3 * 2)];
    for (const [param, second] of [
      ['lora_A.weight', -b],
      ['lora_B.weight', b],
    ] as const) {
      const [x, y] = pair.map((p) => matrix(p, 'a.v', param).data) as [Float32Array, Float32Array];
      close(
        matrix(adapter, 'a.v', param).data,
        x.map((v, i) => a * v + second * y[i]!),
      );
    }
  });

  it('one adapter alone keeps its update, whatever the type', () => {
    const one = lora(1, { use_rslora: true });
    const { adapter, warnings } = combineAdapters([one], { weights: [1], type: 'ties' });
    close(update(adapter, 'a.q', 1), update(one, 'a.q', 6 / Math.sqrt(2)));
    expect(adapter.config).toHaveProperty('use_rslora', false);
    expect(warnings).toEqual([expect.stringMatching(/use_rslora is off/)]);
  });

  it('cat adds the updates exactly, ranks side by side, also where a module is missing', () => {
    const pair = [lora(1), lora(2, { r: 3, lora_alpha: 1 }, ['a.q'])];
    const { adapter } = combineAdapters(pair, { weights: [0.5, 2], type: 'cat' });
    expect(adapter.config).toMatchObject({ r: 5, lora_alpha: 5 });
    const second = update(pair[1]!, 'a.q', 2 / 3);
    close(
      update(adapter, 'a.q', 1),
      update(pair[0]!, 'a.q', 1.5).map((v, i) => v + second[i]!),
    );
    close(update(adapter, 'a.v', 1), update(pair[0]!, 'a.v', 1.5));
    // The smaller rank is in the configuration, and the files can be read again.
    expect(adapter.config).toMatchObject({ rank_pattern: { '^a\\.v': 2 }, alpha_pattern: { '^a\\.v': 2 } });
    const files = writeAdapter(adapter);
    const again = readAdapter(files['adapter_config.json'], files['adapter_model.safetensors']);
    expect(again.warnings).toEqual([]);
    const layer = { name: 'a.v', kind: 'linear', in: 6, out: 5, hasBias: false } as const;
    expect(again.method.tensors(layer, again.config).map(({ shape }) => shape)).toEqual([
      [2, 6],
      [5, 2],
    ]);
  });

  it.each(['ties', 'dare_ties', 'dare_linear', 'magnitude_prune'] as const)(
    '%s works on A and on B',
    (type) => {
      const pair = [lora(1), lora(2)];
      const options = {
        weights: [0.7, 0.3],
        type,
        density: 0.5,
        majoritySign: 'frequency',
        seed: 5,
      } as const;
      const { adapter } = combineAdapters(pair, options);
      const roots = [0.7, 0.3].map((w) => Math.sqrt(w * 3));
      ['lora_A.weight', 'lora_B.weight'].forEach((param, k) => {
        const tensors = pair.map((p) => matrix(p, 'a.v', param).data);
        close(matrix(adapter, 'a.v', param).data, combineTensors(tensors, roots, options, 2 + k));
      });
      expect(combineAdapters(pair, { ...options, density: 1 }).warnings[0]).toMatch(
        /no pruning will be performed/,
      );
    },
  );

  it('unites targets: lists as one, expressions with |', () => {
    const options = { weights: [1, 1], type: 'linear' } as const;
    const targets = (...given: unknown[]) =>
      combineAdapters(
        given.map((target_modules, i) => lora(i, { target_modules })),
        options,
      ).adapter.config.target_modules;
    expect(targets(['q'], ['v', 'q'])).toEqual(['q', 'v']);
    expect(targets('.*q', '.*v')).toBe('(.*q)|(.*v)');
    expect(targets('.*q', '.*q')).toBe('.*q');
    expect(() => targets('.*q', ['v'])).toThrow(/should follow the same target modules type/);
  });

  const both: CombineOptions = { weights: [1, 1], type: 'linear' };
  it.each<[string, Adapter[], CombineOptions, RegExp]>([
    ['nothing', [], { weights: [], type: 'linear' }, /nothing to combine/],
    ['too few weights', [lora(1), lora(2)], { ...both, weights: [1] }, /2 adapters need 2 weights/],
    [
      'an unknown type',
      [lora(1), lora(2)],
      { ...both, type: 'svd' as 'cat' },
      /Invalid combination_type: svd/,
    ],
    ['no density', [lora(1), lora(2)], { ...both, type: 'ties' }, /ties needs a density/],
    [
      'a negative density',
      [lora(1), lora(2)],
      { ...both, type: 'ties', density: -1 },
      /Density should be >= 0, got -1/,
    ],
    ['DARE of nothing', [lora(1), lora(2)], { ...both, type: 'dare_ties', density: 0 }, /divides by zero/],
    ['other ranks', [lora(1), lora(2, { r: 4 })], both, /All adapters must have the same r value/],
    ['DoRA', [lora(1), lora(2, { use_dora: true })], both, /DoRA adapters cannot be combined/],
    ['lora_bias', [lora(1, { lora_bias: true }), lora(2)], both, /lora_bias cannot be combined/],
    ['biases', [lora(1, { bias: 'lora_only' }), lora(2)], both, /supports only 1 adapter with bias/],
    [
      'two heads',
      [lora(1, { modules_to_save: ['head'] }), lora(2, { modules_to_save: ['head'] })],
      both,
      /target the same module with modules_to_save, but found 2/,
    ],
    ['other layers', [lora(1, { layers_to_transform: [0] }), lora(2)], both, /differ in layers_to_transform/],
  ])('refuses %s', (_, adapters, options, sentence) => {
    expect(() => combineAdapters(adapters, options)).toThrow(
      expect.objectContaining({ kind: 'illegal-config', message: expect.stringMatching(sentence) }),
    );
  });

  it('keeps the one head there is', () => {
    const head = new Map([['head.weight', tensor([2, 3], 9)]]);
    const pair = [lora(1), { ...lora(2, { modules_to_save: ['head'] }), parameters: head }];
    const { adapter } = combineAdapters(pair, both);
    expect(adapter.parameters).toBe(head);
    expect(adapter.config.modules_to_save).toEqual(['head']);
  });
});

describe('other methods', () => {
  const one = (
    id: 'fourierft' | 'ia3' | 'oft' | 'vera' | 'loha',
    config: object,
    params: object,
  ): Adapter => ({
    method: METHODS[id],
    config: validateConfig(METHODS[id], { target_modules: ['q'], ...config }).config,
    tensors: new Map([['q', new Map(Object.entries(params))]]),
    parameters: new Map(),
  });
  const fourier = (seed: number, config: object = {}) =>
    one('fourierft', { n_frequency: 8, scaling: 100, ...config }, { fourierft_spectrum: tensor([8], seed) });

  it('FourierFT adds spectra, the scalings counted in', () => {
    const pair = [fourier(1), fourier(2, { scaling: 50 })];
    const { adapter } = combineAdapters(pair, { weights: [0.5, 2], type: 'linear' });
    const [a, b] = pair.map((p) => matrix(p, 'q', 'fourierft_spectrum').data) as [Float32Array, Float32Array];
    close(
      matrix(adapter, 'q', 'fourierft_spectrum').data,
      a.map((v, i) => 0.5 * v + 2 * 0.5 * b[i]!),
    );
    expect(adapter.config).toHaveProperty('scaling', 100);
    const ties = combineAdapters(pair, { weights: [1, 1], type: 'ties', density: 0.5 }).adapter;
    close(
      matrix(ties, 'q', 'fourierft_spectrum').data,
      combineTensors([a, b], [1, 0.5], { type: 'ties', density: 0.5, majoritySign: 'total', seed: 0 }, 0),
    );
  });

  it('IA3 adds factors, linear only', () => {
    const factors = (seed: number, list: unknown) =>
      one('ia3', { target_modules: ['q', 'k'], feedforward_modules: list }, { ia3_l: tensor([4, 1], seed) });
    const pair = [factors(1, []), factors(2, ['k'])];
    const { adapter } = combineAdapters(pair, { weights: [0.25, 0.75], type: 'linear' });
    const [a, b] = pair.map((p) => matrix(p, 'q', 'ia3_l').data) as [Float32Array, Float32Array];
    close(
      matrix(adapter, 'q', 'ia3_l').data,
      a.map((v, i) => 0.25 * v + 0.75 * b[i]!),
    );
    expect(adapter.config).toHaveProperty('feedforward_modules', ['k']);
    expect(() => combineAdapters(pair, { weights: [1, 1], type: 'ties', density: 0.5 })).toThrow(
      /only be combined with linear/,
    );
  });

  it('refuses what is no sum, with the reason', () => {
    const pair =
      (adapter: Adapter, other = adapter) =>
      () =>
        combineAdapters([adapter, other], { weights: [1, 1], type: 'linear' });
    expect(pair(one('oft', { oft_block_size: 4 }, {}))).toThrow(/sum of rotations is no rotation/);
    expect(pair(one('vera', { r: 2 }, {}))).toThrow(/multiply each other/);
    expect(pair(one('loha', { r: 2 }, {}))).toThrow(/product of products/);
    expect(pair(fourier(1), fourier(2, { random_loc_seed: 1 }))).toThrow(/differ in random_loc_seed/);
    expect(pair(fourier(1), lora(1))).toThrow(/different peft types. Found FOURIERFT and LORA/);
    const cat = { weights: [1, 1], type: 'cat' } as const;
    expect(() => combineAdapters([fourier(1), fourier(2)], cat)).toThrow(/cat puts the ranks of LoRA/);
  });
});
