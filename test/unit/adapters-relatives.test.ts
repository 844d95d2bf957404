/**
 * What VeRA, LoHa, LoKr and IA3 have that no other method has: shared matrices and their files, how a dimension is split, dropped rows,
 * feed-forward modules and PEFT's defaults for them, a merge that is undone by division.
 * Seen to fail: B drawn before A; a split whose smaller number is always first; kept rows not divided by their share; entries matched at
 * dots only; the file's matrices passed over for the seed's; a bias that is not scaled back.
 */
import { describe, expect, it } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import { fitAdapter } from '../../src/adapters/fit.ts';
import { drawMask } from '../../src/adapters/graphParts.ts';
import { isFeedForward } from '../../src/adapters/ia3/config.ts';
import { emitTrainables } from '../../src/adapters/inject.ts';
import { factorise } from '../../src/adapters/lokr/config.ts';
import { type Adapter, readAdapter, writeAdapter } from '../../src/adapters/peft.ts';
import { initialValues, moduleTensors, planAdapter, sharedOf } from '../../src/adapters/plan.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import { readSafetensors } from '../../src/adapters/safetensors.ts';
import { selectTargets } from '../../src/adapters/targets.ts';
import { drawProjections } from '../../src/adapters/vera/config.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { interpret } from '../../src/ops/checks.ts';
import { figures, layer } from './adapters-fixtures.ts';
import { distance, legalLayers, parameters, randomState, tensor, withGraph } from './adapters-layers.ts';

describe('VeRA', () => {
  interface Stored {
    readonly shape: readonly number[];
    readonly data: readonly number[];
  }
  const stored = figures<{ adapter: Record<string, Stored> }>('cases/vera_r6').adapter;
  const model = { layers: [layer('fc1', 12, 16), layer('fc2', 16, 6)] };

  function made(settings: Record<string, unknown> = {}): Adapter {
    const method = METHODS.vera;
    const { config } = validateConfig(method, { target_modules: ['fc1', 'fc2'], r: 3, ...settings });
    const plan = planAdapter(withGraph(method), config, model.layers, []);
    const packed = initialValues(plan, 1, new Map());
    return {
      method,
      config,
      tensors: moduleTensors(plan, packed),
      parameters: new Map(),
      shared: sharedOf(plan),
    };
  }
  const reread = (adapter: Adapter) => {
    const files = writeAdapter(adapter);
    return readAdapter(files['adapter_config.json'], files['adapter_model.safetensors']);
  };

  it('draws the matrices that PEFT draws', () => {
    const { A, B } = drawProjections({ r: 6, in: 16, out: 12 }, 0);
    // Figures have as many digits as float32 tells apart, torch rounds twice.
    expect(distance(A, stored['base_model.vera_A']!.data)).toBeLessThan(2e-7);
    expect(distance(B, stored['base_model.vera_B']!.data)).toBeLessThan(2e-7);
    expect(drawProjections({ r: 6, in: 16, out: 12 }, 1).A[0]).not.toBe(A[0]);
  });

  it('makes them as large as the largest layer and stores them beside the layers’ vectors', () => {
    const adapter = made();
    const names = readSafetensors(writeAdapter(adapter)['adapter_model.safetensors']).tensors;
    expect(names.get('base_model.vera_A')!.shape).toEqual([3, 16]);
    expect(names.get('base_model.vera_B')!.shape).toEqual([16, 3]);
    expect([...names.keys()].filter((name) => name.startsWith('base_model.model.')).sort()).toEqual([
      'base_model.model.fc1.vera_lambda_b',
      'base_model.model.fc1.vera_lambda_d',
      'base_model.model.fc2.vera_lambda_b',
      'base_model.model.fc2.vera_lambda_d',
    ]);
    const read = reread(adapter);
    expect(read.warnings).toEqual([]);
    expect(fitAdapter(read, model).warnings).toEqual([]);
    expect(read.shared).toEqual(adapter.shared);
  });

  it('takes the file’s matrices, whatever the seed', () => {
    const other = made({ projection_prng_key: 9 });
    const read = reread({ ...made(), shared: other.shared! });
    const plan = planAdapter(withGraph(read.method), read.config, model.layers, [], read.shared);
    expect(sharedOf(plan)).toEqual(other.shared);
    expect(sharedOf(plan)).not.toEqual(made().shared);
  });

  it('leaves them out on request, and draws them again', () => {
    const adapter = made({ save_projection: false });
    const files = writeAdapter(adapter);
    expect(files.warnings[0]).toMatch(/Specified to not save vera_A/);
    expect([...readSafetensors(files['adapter_model.safetensors']).tensors.keys()]).toHaveLength(4);
    const read = reread(adapter);
    expect(read.warnings).toEqual([expect.stringMatching(/drawn again from projection_prng_key/)]);
    expect(sharedOf(planAdapter(withGraph(read.method), read.config, model.layers, [], read.shared))).toEqual(
      adapter.shared,
    );
  });

  it('refuses files that promise them and have none, or others', () => {
    expect(() => reread({ ...made(), shared: new Map() })).toThrow(/however they were not present/);
    const read = reread(made());
    expect(() => fitAdapter(read, { layers: [layer('fc1', 12, 16), layer('fc2', 18, 6)] })).toThrow(
      /vera_A has shape \[3, 16\], but the layers it is for need \[3, 18\]/,
    );
  });
});

describe('LoKr', () => {
  it.each(figures<{ rows: [number, number, number, number][] }>('lokr_factorization').rows)(
    'splits %i near %i into %i and %i',
    (dimension, factor, m, n) => {
      expect(factorise(dimension, factor)).toEqual([m, n]);
    },
  );
});

describe('rank and module dropout', () => {
  const drops = { layers: 3, rows: 400, rank: 0.25, module: 0, scale: true };
  const drawn = (change: Partial<typeof drops>, seed = 4) => {
    const settings = { ...drops, ...change };
    const mask = new Float32Array(settings.layers * settings.rows);
    drawMask(settings, 2)(mask, seed, 0);
    return mask;
  };
  const mean = (values: Float32Array) => values.reduce((a, b) => a + b, 0) / values.length;
  const zeros = (values: Float32Array) => values.filter((v) => v === 0).length / values.length;

  it('leaves out rows at their rate and keeps the mean where it is scaled', () => {
    expect(zeros(drawn({}))).toBeCloseTo(0.25, 1);
    expect(mean(drawn({}))).toBeCloseTo(1, 5);
    expect(mean(drawn({ scale: false }))).toBeCloseTo(0.75, 1);
    expect(new Set(drawn({ scale: false }))).toEqual(new Set([0, 1]));
  });

  it('leaves out whole layers at their rate', () => {
    const mask = drawn({ layers: 300, rows: 5, rank: 0, module: 0.4 });
    for (let i = 0; i < 300; i++) expect(new Set(mask.subarray(5 * i, 5 * i + 5)).size).toBe(1);
    expect(zeros(mask)).toBeCloseTo(0.4, 1);
  });

  it('follows the seed, and survives losing every row', () => {
    expect(drawn({})).toEqual(drawn({}));
    expect(drawn({})).not.toEqual(drawn({}, 5));
    expect(new Set(drawn({ rank: 1 }))).toEqual(new Set([0]));
  });

  it.each(['loha', 'lokr'] as const)('%s asks for them in training only', (id) => {
    const method = METHODS[id];
    const settings = { r: 2, rank_dropout: 0.5, init_weights: false };
    const { config } = validateConfig(method, { target_modules: ['a'], ...settings });
    const plan = planAdapter(withGraph(method), config, legalLayers(method, settings), []);
    const emitted = (training: boolean) =>
      emitTrainables(createBuilder(), plan, { training, initial: () => new Float32Array(plan.size) });
    expect(emitted(true).stepInputs.map((s) => s.type.shape)).toEqual(
      plan.groups.map(({ layers }) => [layers.length, layers[0]!.out]),
    );
    expect(emitted(false).stepInputs).toEqual([]);
  });
});

describe('IA3', () => {
  const method = METHODS.ia3;
  const configOf = (feedforward_modules: unknown) =>
    validateConfig(method, { target_modules: 'all-linear', feedforward_modules }).config as Parameters<
      typeof isFeedForward
    >[1];

  it('takes feed-forward modules by the end of their names, dot or not', () => {
    const at = (name: string, entries: unknown) => isFeedForward(layer(name, 4, 6), configOf(entries));
    expect(at('h.0.block', ['k'])).toBe(true);
    expect(at('h.0.block.v', ['k'])).toBe(false);
    expect(at('h.0.fc2', 'fc2')).toBe(false);
    expect(at('h.0.fc2', '.*fc2')).toBe(true);
  });

  it('fills in PEFT’s modules by the type of the model, and says when there are none', () => {
    const { config } = validateConfig(method, {});
    const layers = ['key', 'value', 'query', 'output.dense'].map((name) => layer(`h.0.${name}`, 4, 6));
    expect(selectTargets(method, config, { layers, modelType: 'bert' })).toMatchObject({
      targets: ['h.0.key', 'h.0.value', 'h.0.output.dense'],
      illegal: [],
    });
    const chosen = validateConfig(method, { target_modules: ['key'] }).config;
    expect(selectTargets(method, chosen, { layers, modelType: 'vit' }).illegal).toEqual([
      { name: 'h.0.key', reason: 'Please specify `feedforward_modules` in `peft_config`' },
    ]);
  });

  it.each([[], ['up', 'key']])('undoes its merge by division, feed-forward %j', (...feedforward) => {
    const { config } = validateConfig(method, {
      target_modules: ['key', 'up', 'query', 'value'],
      feedforward_modules: feedforward,
    });
    const layers = legalLayers(method, { feedforward_modules: [] }).filter((l) => /key|up/.test(l.name));
    const plan = planAdapter(withGraph(method), config, layers, []);
    const g = createBuilder();
    const { adapters, packed } = emitTrainables(g, plan, {
      training: false,
      initial: () => new Float32Array(plan.size),
    });
    for (const { name } of layers) {
      const given = ['weight', 'bias'].map((part) => {
        const p = parameters.get(`${name}.${part}`)!;
        return g.parameter(p.name, { dtype: 'f32', shape: p.shape }, p.load);
      });
      const adapter = adapters.get(name)!;
      const merged = adapter.adapt({ W: given[0]!, bias: given[1]! });
      const back = adapter.undo!(merged);
      const state = tensor([plan.size], randomState(plan, 3));
      const run = interpret(
        g.finish({ W: back.W, bias: back.bias!, merged: merged.W }),
        new Map([[packed.name, state]]),
      );
      const base = (part: string) => parameters.get(`${name}.${part}`)!.load();
      expect(distance(run.get(back.W).data, base('weight'))).toBeLessThan(1e-6);
      expect(distance(run.get(back.bias!).data, base('bias'))).toBeLessThan(1e-6);
      expect(distance(run.get(merged.W).data, base('weight'))).toBeGreaterThan(1e-2);
    }
  });
});
