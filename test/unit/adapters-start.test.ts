/**
 * Where a run begins that a person starts: targets by PEFT's tables or all linear layers, the head that trains by itself, and fields that
 * suit the model's size. Seen to fail with: the head left out for pictures; modules_to_save of the person extended; FourierFT's
 * scaling left at PEFT's; OFT's block left at PEFT's.
 */
import { describe, expect, it } from 'vitest';
import { defaultConfig, validateConfig } from '../../src/adapters/config.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import {
  type Given,
  type StartModel,
  type StartTask,
  startConfig,
  startRate,
} from '../../src/adapters/start.ts';
import { requireTargets } from '../../src/adapters/targets.ts';
import type { Layer } from '../../src/adapters/types.ts';
import { layer } from './adapters-fixtures.ts';

const { oft, boft, fourierft, lora, ia3, head } = METHODS;

/** A tiny encoder with a head of its own name. */
function encoder(headName: string, modelType: string | null, width = 20): StartModel {
  const layers: Layer[] = ['query', 'key', 'value', 'dense'].map((name) =>
    layer(`net.layer.0.${name}`, width, width),
  );
  return {
    layers: [...layers, layer('net.layer.0.mlp', width, 4 * width), layer(headName, width, 3)],
    head: headName,
    modelType,
  };
}

const begin = (method: keyof typeof METHODS, given: Given, model: StartModel, task: StartTask) => {
  const started = startConfig(METHODS[method], given, model, task);
  const { config } = validateConfig(METHODS[method], started.config);
  return { ...started, config, selection: requireTargets(METHODS[method], config, model) };
};

describe('targets that nobody gave', () => {
  it('are PEFT’s for the family', () => {
    const { config, notes } = begin('lora', { r: 2 }, encoder('classifier', 'bert'), 'text-classification');
    expect(config).toMatchObject({ target_modules: ['query', 'value'], r: 2 });
    expect(notes[0]).toMatch(/query, value, PEFT's for model type "bert"/);
  });

  it('are else all linear layers but the head, told', () => {
    for (const [task, modules_to_save] of [
      ['image-classification', undefined],
      ['image-classification', []],
      ['text-classification', undefined],
    ] as const) {
      const given = modules_to_save === undefined ? {} : { modules_to_save };
      const { selection, notes } = begin('oft', given, encoder('head', 'novel'), task);
      expect(selection.targets).toHaveLength(5);
      expect(selection.targets).not.toContain('head');
      expect(notes[0]).toMatch(/all linear layers but the head.*"novel"/);
    }
  });

  it('keep what a family’s table names, though the model has no such module', () => {
    expect(() => begin('lora', {}, encoder('classifier', 'deberta-v2'), 'text-classification')).toThrow(
      /^Target modules \{'query_proj', 'value_proj'\} not found in the base model.*"query"/,
    );
  });

  it('of a configuration that is a file are filled in, and nothing else', () => {
    const file = { peft_type: 'FOURIERFT' };
    const { config } = begin(
      'fourierft',
      { ...file, n_frequency: 9 },
      encoder('c', 'x'),
      'image-classification',
    );
    expect(config).toMatchObject({ target_modules: 'all-linear', scaling: 150, init_weights: false });
    expect(config.modules_to_save).toBeNull();
  });
});

describe('the head of a classifier', () => {
  const saved = (given: Given, headName: string, task: StartTask, method: keyof typeof METHODS = 'boft') =>
    begin(method, { target_modules: ['query'], ...given }, encoder(headName, null), task);

  it.each([
    ['classifier', 'text-classification', { task_type: 'SEQ_CLS', modules_to_save: null }],
    ['score', 'regression', { task_type: 'SEQ_CLS', modules_to_save: null }],
    ['classifier.out_proj', 'token-classification', { task_type: 'TOKEN_CLS', modules_to_save: null }],
    [
      'classification_head',
      'text-classification',
      { task_type: 'SEQ_CLS', modules_to_save: ['classification_head'] },
    ],
    ['head.fc', 'image-classification', { task_type: null, modules_to_save: ['head.fc'] }],
  ] as const)('%s of %s trains whole', (name, task, fields) => {
    const { config, selection, notes } = saved({}, name, task);
    expect(config).toMatchObject(fields);
    expect(selection.saved).toEqual([name]);
    expect(notes.join()).toContain(`The head ${name} trains whole beside the adapter`);
  });

  it.each([
    [{ modules_to_save: [] }, []],
    [{ modules_to_save: ['dense'] }, ['net.layer.0.dense']],
    [{ task_type: null }, []],
    [{ task_type: 'FEATURE_EXTRACTION' }, []],
    [{ target_modules: ['query', 'classifier'] }, []],
  ] as const)('is as the person says: %j', (given, modules) => {
    const { selection, config } = saved(given, 'classifier', 'text-classification');
    expect(selection.saved).toEqual(modules);
    expect(config.task_type).toBe(('task_type' in given && given.task_type) || null);
  });

  it('named by the person gets the task all the same', () => {
    const { config } = saved({ modules_to_save: ['classifier'] }, 'classifier', 'text-classification');
    expect(config).toMatchObject({ task_type: 'SEQ_CLS', modules_to_save: ['classifier'] });
  });

  it('of a language model stays frozen, and the task is written', () => {
    const causal = saved({}, 'lm_head', 'causal-lm');
    expect(causal.config).toMatchObject({ task_type: 'CAUSAL_LM', modules_to_save: null });
    expect(causal.selection.saved).toEqual([]);
    expect(saved({}, 'lm_head', 'masked-lm').config.task_type).toBeNull();
  });

  it('is all that the method "head" has', () => {
    const { config } = startConfig(head, {}, encoder('lm_head', 'llama'), 'causal-lm');
    expect(validateConfig(head, config).config.modules_to_save).toEqual(['lm_head']);
    const task = startConfig(head, {}, encoder('score', 'x'), 'text-classification').config;
    expect(validateConfig(head, task).config).toMatchObject({ task_type: 'SEQ_CLS' });
  });
});

describe('fields by the model’s size', () => {
  const start = (method: unknown, model: StartModel, given: Given = {}) =>
    startConfig(method as typeof oft, given, model, 'image-classification').config;

  it('FourierFT begins without effect and changes a weight by the same share at every width', () => {
    const shares = [32, 64, 768].map((width) => {
      const model = encoder('classifier', null, width);
      const given = { target_modules: ['query'] };
      const { scaling, n_frequency, init_weights } = start(fourierft, model, given) as Record<string, number>;
      expect(init_weights).toBe(true);
      expect(n_frequency).toBe(Math.min(1000, width * width));
      // ΔW of coefficients of one step, over weights of size 1 / √d_in.
      return (scaling! * Math.sqrt(n_frequency! / 2)) / (width * width) / (1 / Math.sqrt(width));
    });
    for (const share of shares) expect(share / shares[2]!).toBeCloseTo(1, 1);
  });

  it('FourierFT takes no more frequencies than the smallest target has numbers, nor others than are given', () => {
    expect(start(fourierft, encoder('classifier', null, 12)).n_frequency).toBe(144);
    const given = start(fourierft, encoder('classifier', null, 64), { n_frequency: 10 });
    const left = start(fourierft, encoder('classifier', null, 64));
    expect((given.scaling as number) / (left.scaling as number)).toBeCloseTo(10, 0);
    expect(start(fourierft, encoder('classifier', null), { scaling: 3 }).scaling).toBe(3);
  });

  it.each([
    [64, 4],
    [20, 4],
    [18, 2],
    [27, 3],
    [35, 5],
    [37, 1],
  ])('BOFT’s blocks divide inputs of %i: %i', (width, block) => {
    const model = encoder('classifier', null, width);
    const { config } = validateConfig(boft, start(boft, model));
    expect(config).toMatchObject({ boft_block_size: block });
    expect(requireTargets(boft, config, model).targets).toHaveLength(5);
  });

  it.each([
    [64, 32],
    [20, 20],
    [48, 24],
    [37, 37],
    [33, 33],
    [160, 32],
  ])(
    'OFT’s block divides inputs of %i and four times as many, so that PEFT adjusts none: %i',
    (width, block) => {
      const model = encoder('classifier', null, width);
      const wide = { ...model, layers: [...model.layers, layer('net.layer.0.out', 4 * width, width)] };
      const { config } = validateConfig(oft, start(oft, wide));
      expect(config).toMatchObject({ oft_block_size: block });
      expect(requireTargets(oft, config, wide)).toMatchObject({ warnings: [] });
    },
  );

  it('OFT’s block is PEFT’s where no size divides all, and of a person’s choice its adjustment is told', () => {
    const layers = [layer('net.a', 35, 4), layer('net.b', 64, 4)];
    const model = { layers, head: null, modelType: null };
    expect(start(oft, model).oft_block_size).toBe(32);
    expect(start(oft, model, { oft_block_size: 0, r: 5 })).toMatchObject({ r: 5, oft_block_size: 0 });
    const given = start(oft, encoder('classifier', null, 48), { oft_block_size: 32 });
    const { config } = validateConfig(oft, given);
    expect(requireTargets(oft, config, encoder('classifier', null, 48)).warnings.join()).toMatch(
      /^Invalid `oft_block_size` \(32\)! Adjusted `oft_block_size` to \(24\)/,
    );
  });

  it('IA3 knows feed-forward layers where it adapts all of them', () => {
    expect(start(ia3, encoder('classifier', null)).feedforward_modules).toMatch(/fc2/);
  });

  it('leaves the other methods at PEFT’s defaults', () => {
    const { config } = startConfig(lora as never, {}, encoder('c', null), 'masked-lm');
    expect(Object.keys(config)).toEqual(['target_modules', 'exclude_modules']);
  });
});

describe('the rate', () => {
  const linear = (width: number) => [layer('a', width, 8), layer('b', width, 3 * width)];

  it('is the method’s own at a width of 64 and falls with the root of the width', () => {
    for (const method of Object.values(METHODS)) {
      const at = (width: number) => startRate(method, linear(width), linear(width));
      expect(at(64)).toBe(Math.min(1e-2, method.start.learningRate));
      expect(at(1024) / at(64)).toBeCloseTo(1 / 4, 1);
      expect(at(4)).toBeLessThanOrEqual(1e-2);
    }
  });

  it('goes by the layers that the method adapts, a method of whole weights by all', () => {
    const all = [...linear(256), layer('c', 16, 16)];
    const narrow = all.slice(2);
    expect(startRate(lora, narrow, all)).toBeGreaterThan(startRate(lora, all, all));
    expect(startRate(METHODS.full, narrow, all)).toBe(startRate(METHODS.full, all, all));
    expect(startRate(head, [], [])).toBe(head.start.learningRate);
  });
});

describe('a configuration of a million letters', () => {
  it.each([
    ['letters', { target_modules: ['a'.repeat(2 ** 20)] }],
    ['values', { target_modules: new Array(150_000).fill(0) }],
  ])('or of very many %s is refused before anything is made of it', (unit, long) => {
    const says = new RegExp(`^The LoRA configuration asks for [\\d,]+ ${unit} of a configuration`);
    expect(() => startConfig(METHODS.lora, long, { layers: [], head: null }, 'causal-lm')).toThrow(says);
    expect(() => validateConfig(METHODS.lora, long)).toThrow(says);
  });

  it('or of very many lists in each other is refused too', () => {
    let deep: unknown[] = [];
    for (let i = 0; i < 15_000; i++) deep = [deep];
    expect(() => validateConfig(METHODS.lora, { target_modules: deep })).toThrow(
      /is nested more than 20 deep/,
    );
  });

  it('of AdaLoRA has one for every triplet, as it is saved', () => {
    const pattern = Object.fromEntries(
      Array.from({ length: 168 }, (_, i) => [`model.layers.${i}.linear`, new Array(128).fill(true)]),
    );
    const saved = {
      ...defaultConfig(METHODS.adalora),
      target_modules: ['linear'],
      rank_pattern: pattern,
      total_step: 10,
    };
    expect(validateConfig(METHODS.adalora, saved).config).toMatchObject({ rank_pattern: pattern });
  });

  it('has its first unknown settings named and the rest counted', () => {
    const many = Object.fromEntries(Array.from({ length: 15_000 }, (_, i) => [`lora_alph${i}`, 1]));
    const before = performance.now();
    const { warnings } = validateConfig(METHODS.lora, { target_modules: ['q'], ...many });
    expect(warnings).toHaveLength(21);
    expect(warnings[0]).toMatch(/"lora_alph0"; it is ignored \(did you mean "lora_alpha"\?\)/);
    expect(warnings.at(-1)).toBe(
      'LoRA has no 14980 further settings of this configuration; they are ignored.',
    );
    expect(performance.now() - before).toBeLessThan(2000);
  });
});
