/**
 * Target matching against PEFT's own tables, counters, and the sentences for configurations that match nothing.
 * Seen to fail: suffix without its dot; full names sent through the layer filter; expressions matched anywhere instead of in full;
 * SEQ_CLS heads kept by "all-linear"; `]` first in a class left as JavaScript reads it; brackets paired with our own; suggestions sorted
 * by name; saved modules matched by equality; biases of saved modules counted twice.
 */
import { describe, expect, it } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import { fullMatcher } from '../../src/adapters/expressions.ts';
import { countByEntry, moduleMatcher, savedEntries } from '../../src/adapters/matching.ts';
import { lookupFrequencyPattern, lookupPattern } from '../../src/adapters/perModule.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import { countTrainable } from '../../src/adapters/size.ts';
import {
  requireTargets,
  resolveTargets,
  selectTargets,
  trainableBiases,
} from '../../src/adapters/targets.ts';
import type { AdapterMethod, LayerKind } from '../../src/adapters/types.ts';
import { editDistance } from '../../src/lib/names.ts';
import { figures, layer } from './adapters-fixtures.ts';

const { oft, boft, lora, head, full, fourierft } = METHODS;
const matching = figures<{
  key_sets: Record<string, string[]>;
  rows: { keys: string; config: Record<string, unknown>; matched: string[]; excluded: string[] }[];
}>('target_matching');

const bert = matching.key_sets.bert!.map((name) =>
  layer(name, 32, 32, name.includes('embeddings') ? 'embedding' : 'linear'),
);

describe('matching', () => {
  it.each(matching.rows)('$config in $keys', ({ keys, config, matched, excluded }) => {
    const match = moduleMatcher(validateConfig(oft, config).config);
    const names = matching.key_sets[keys]!;
    expect(names.filter((name) => match(name) === 'target')).toEqual(matched);
    expect(names.filter((name) => match(name) === 'excluded')).toEqual(excluded);
  });

  it.each(
    figures<{
      rows: {
        model: string;
        modules: Record<string, string>;
        task_type: string | null;
        resolved_target_modules: string[];
      }[];
    }>('all_linear').rows,
  )('all-linear on $model', ({ model, modules, task_type, resolved_target_modules }) => {
    const kinds: Record<string, LayerKind> = {
      Linear: 'linear',
      Conv1D: 'conv1d',
      Embedding: 'embedding',
      Conv2d: 'conv2d',
    };
    const layers = Object.entries(modules).flatMap(([name, type]) =>
      kinds[type] ? [layer(name, 8, 8, kinds[type])] : [],
    );
    const { config } = validateConfig(lora, { target_modules: 'All-Linear', task_type });
    const resolved = resolveTargets(lora, config, {
      layers,
      pretrained: !model.startsWith('plain'),
      outputEmbedding: model.includes('output embeddings lm_head') ? 'lm_head' : null,
    });
    expect([...resolved].sort()).toEqual(resolved_target_modules);
  });

  it('takes PEFT’s default targets for a known model type, or asks', () => {
    const { config } = validateConfig(oft, {});
    expect(requireTargets(oft, config, { layers: bert, modelType: 'bert' }).targets).toHaveLength(6);
    const of = (method: AdapterMethod, modelType: string) =>
      resolveTargets(method, config, { layers: [], modelType });
    expect(of(fourierft, 'gpt2')).toEqual(['mlp.c_proj']);
    expect(of(lora, 'gpt2')).toEqual(['c_attn']);
    expect(of(boft, 'gemma3_text')).toEqual(['q_proj', 'v_proj']);
    expect(of(lora, 'deberta-v2')).toEqual(['query_proj', 'value_proj']);
    expect(of(oft, 'deberta')).toEqual(['in_proj']);
    expect(of(METHODS.vera, 'phi')).toEqual(['q_proj', 'v_proj']);
    expect(of(METHODS.adalora, 'roberta')).toEqual(['query', 'key', 'value', 'dense']);
    // AdaLoRA's and IA3's own tables leave these out.
    expect(of(METHODS.adalora, 'mistral')).toEqual([]);
    expect(of(METHODS.ia3, 'electra')).toEqual([]);
    expect(of(METHODS.ia3, 'deberta-v2')).toEqual(['key_proj', 'value_proj', 'output.dense']);
    // A family of the table whose names this model does not have.
    const { config: named } = validateConfig(oft, { target_modules: of(oft, 'deberta-v2') });
    expect(() => requireTargets(oft, named, { layers: bert, modelType: 'deberta-v2' })).toThrow(
      /^Target modules \{'query_proj', 'value_proj'\} not found in the base model/,
    );
    expect(() => requireTargets(oft, config, { layers: bert, modelType: 'constructor' })).toThrow(
      /no default for model type "constructor"/,
    );
  });

  it('saves modules whose name merely ends with an entry, and never adapts them', () => {
    const { config } = validateConfig(oft, {
      target_modules: ['dense', 'classifier'],
      modules_to_save: ['ooler.dense'],
      task_type: 'SEQ_CLS',
    });
    const selection = selectTargets(oft, config, { layers: bert });
    expect(savedEntries(config)).toEqual(['ooler.dense', 'classifier', 'score']);
    expect(selection.saved).toEqual(['bert.pooler.dense', 'classifier']);
    expect(selection.targets).not.toContain('bert.pooler.dense');
    expect(selection.targets).toHaveLength(9);
  });
});

describe('counts and reasons', () => {
  it('says nothing of saved entries that come with the task, as PEFT writes them into a file', () => {
    const warnings = (task_type: string | null) => {
      const { config } = validateConfig(oft, {
        target_modules: ['dense'],
        modules_to_save: ['classifier', 'score'],
        task_type,
      });
      return selectTargets(oft, config, { layers: bert }).warnings.filter((w) => /modules_to_save/.test(w));
    };
    expect(warnings('SEQ_CLS')).toEqual([]);
    expect(warnings('CAUSAL_LM').join()).toMatch(/no module's name ends with "score"/);
  });

  it('counts what each entry matches and names those without a match', () => {
    const { config } = validateConfig(oft, {
      target_modules: ['query', 'valu', 'output.dense'],
      exclude_modules: ['nothing'],
      oft_block_size: 8,
    });
    const selection = selectTargets(oft, config, { layers: bert });
    expect(selection.entries).toEqual([
      { entry: 'query', count: 3 },
      { entry: 'valu', count: 0 },
      { entry: 'output.dense', count: 6 },
    ]);
    expect(selection.unmatched).toEqual(['valu']);
    expect(selection.warnings[0]).toBe('target_modules: "valu" matches no module. Did you mean "value"?');
    expect(selection.warnings[1]).toMatch(/exclude_modules is given, but/);
  });

  it('adds up adapters, biases and saved modules', () => {
    const { config } = validateConfig(boft, {
      boft_block_size: 4,
      boft_n_butterfly_factor: 2,
      target_modules: ['query'],
      bias: 'boft_only',
      modules_to_save: ['classifier'],
    });
    const selection = requireTargets(boft, config, { layers: bert });
    const norms = new Map([['bert.norm', 32]]);
    const adapter = 3 * (2 * 8 * 16 + 32);
    expect(countTrainable(boft, config, bert, selection, norms)).toEqual({
      adapter,
      saved: 32 * 33,
      bias: 96,
      stored: adapter + 32 * 33 + 96,
      free: 3 * (2 * 8 * 6 + 32) + 32 * 33 + 96,
    });
    const all = countTrainable(boft, { ...config, bias: 'all' }, bert, selection, norms);
    expect(all.bias).toBe((bert.length - 1) * 32 + 32);
    expect(trainableBiases({ ...config, bias: 'none' }, selection.targets, ['classifier'])).toEqual([]);
  });

  it('refuses a target the method cannot adapt, by name', () => {
    const { config } = validateConfig(boft, { target_modules: ['word_embeddings', 'query'] });
    expect(() => requireTargets(boft, config, { layers: bert })).toThrow(
      /BOFT cannot adapt bert\.embeddings\.word_embeddings: Target module Embedding\(32, 32\) is not supported/,
    );
  });

  it('trains everything with full, only saved modules with head', () => {
    const none = validateConfig(full, {}).config;
    expect(requireTargets(full, none, { layers: bert }).targets).toHaveLength(bert.length);
    const saved = validateConfig(head, { modules_to_save: ['classifier'] }).config;
    expect(requireTargets(head, saved, { layers: bert })).toMatchObject({
      targets: [],
      saved: ['classifier'],
    });
    expect(() => validateConfig(head, {})).toThrow(/none are listed/);
  });
});

describe('nothing matched', () => {
  const attempt = (config: Record<string, unknown>) => () => {
    requireTargets(lora, validateConfig(lora, config).config, { layers: bert });
  };

  it.each([
    [
      { target_modules: ['qurey'] },
      /Target modules \{'qurey'\} not found in the base model.*Did you mean "query"/,
    ],
    [{ target_modules: ['nope'] }, /Modules of this model end in "query", "key", "value", "dense"/],
    [{ target_modules: 'query' }, /write \["query"\] as a list/],
    [{ target_modules: '.*\\.(quary|kee)' }, /must match the whole module name/],
    [{ target_modules: [] }, /target_modules is empty/],
    [{ target_modules: ['query'], layers_to_transform: [7] }, /in the layers of layers_to_transform/],
    [
      { target_modules: ['bert.encoder.layer.0.attention.self.quer'] },
      /Did you mean "bert.encoder.layer.0.attention.self.query"/,
    ],
    [{ target_modules: ['query'], exclude_modules: '.*' }, /All modules were excluded/],
  ])('%j', (config, sentence) => {
    expect(attempt(config)).toThrow(
      expect.objectContaining({ kind: 'no-target', message: expect.stringMatching(sentence) }),
    );
  });

  it('measures edits', () => {
    expect(editDistance('kitten', 'sitting')).toBe(3);
    expect(editDistance('', 'abc')).toBe(3);
  });
});

describe('Python expressions', () => {
  it.each([
    ['(?P<side>q|k)_(?P=side)', 'q_q', true],
    ['(?P<side>q|k)_(?P=side)', 'q_k', false],
    ['(?i)QUERY', 'query', true],
    ['[]x]', ']', true],
    ['[^]x]', 'a', true],
    ['a{,2}b', 'aab', true],
    ['a{,2}b', 'aaab', false],
    ['\\Aab\\Z', 'ab', true],
    ['q|k', 'qk', false],
    ['(?#comment)q', 'q', true],
    ['(?:q|k)(?!x).*', 'kx', false],
    ['(?x) q | k # either', 'k', true],
    ['(?>q|qk)v', 'qkv', false],
  ])('%s on %s: %s', (pattern, text, matches) => {
    expect(fullMatcher(pattern, 'target_modules')(text)).toBe(matches);
  });

  it.each(['(', 'a)(b', '*a', '[a', 'a\\', '\\h', '(?<n>a)'])('refuses %s', (pattern) => {
    expect(() => fullMatcher(pattern, 'target_modules')).toThrow(
      expect.objectContaining({ kind: 'illegal-config' }),
    );
  });
});

describe('expressions from links and files', () => {
  const names = Array.from(
    { length: 48 },
    (_, k) => `model.layers.${k}.block_sparse_moe.experts.7.up_proj_of_it`,
  );
  const isBounded = (config: Record<string, unknown>) => {
    const started = performance.now();
    try {
      const { config: full } = validateConfig(oft, config);
      const match = moduleMatcher(full);
      for (const name of names) match(name);
      countByEntry(['up_proj_of_it'], full, names);
    } catch (error) {
      expect(error).toMatchObject({ kind: expect.stringMatching(/too-large|illegal-config/) });
      expect(String(error)).toMatch(/target_modules|exclude_modules|modules_to_save|layers_pattern/);
    }
    expect(performance.now() - started).toBeLessThan(3000);
  };
  const hostile = [
    '(?:[a-z]+_?)+#',
    '(?:(?:.|e)*\\.?)*#',
    '(\\w*)*\\1\\1#',
    '(?:(?:\\w{1,9}){1,9}.?){1,9}#',
    '(?=((?:\\w|_)+\\.?)*#)',
  ];
  it.each(hostile)('%s is bounded in every field', (pattern) => {
    isBounded({ target_modules: pattern });
    isBounded({ target_modules: '.*', exclude_modules: pattern });
    isBounded({ target_modules: '.*', modules_to_save: [pattern] });
    isBounded({ target_modules: ['up_proj_of_it'], layers_to_transform: 3, layers_pattern: [pattern] });
    for (const lookup of [lookupPattern, lookupFrequencyPattern]) {
      const patterns = { [pattern]: 3 };
      const started = performance.now();
      try {
        for (const name of names) expect(lookup(patterns, name, 5)).toBe(5);
      } catch (error) {
        expect(error).toMatchObject({ kind: 'too-large' });
      }
      expect(performance.now() - started).toBeLessThan(3000);
    }
  });

  it('counts thousands of expressions together', () => {
    const layers = Array.from({ length: 120 }, (_, k) => `encoder.layer.${k}.attention.self.query`);
    const patterns = Object.fromEntries(Array.from({ length: 4000 }, (_, k) => [`.*.*.*!${k}`, 2]));
    const started = performance.now();
    expect(() => layers.map((name) => lookupPattern(patterns, name, 5))).toThrow(/takes more than/);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it('says which field and which expression takes too many steps', () => {
    const match = fullMatcher('(\\w*)*\\1\\1#', 'exclude_modules');
    expect(() => match('a_b'.repeat(30))).toThrow(
      expect.objectContaining({
        kind: 'too-large',
        message: expect.stringMatching(
          /exclude_modules: "\(\\\\w\*\)\*\\\\1\\\\1#" takes more than 1,000,000 steps/,
        ),
      }),
    );
  });

  it('counts the steps of all names together', () => {
    const match = fullMatcher('(?:\\w{1,20}\\.?){1,20}#', 'target_modules');
    expect(() => {
      for (let k = 0; k < 3000; k++) match(`model.layers.${k}.block_sparse_moe.experts.7.up_proj`);
    }).toThrow(
      expect.objectContaining({ kind: 'too-large', message: expect.stringMatching(/names of this model/) }),
    );
  });

  it('matches a large model’s names by an ordinary expression', () => {
    const match = fullMatcher(
      '.*\\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)',
      'target_modules',
    );
    for (let k = 0; k < 20_000; k++)
      expect(match(`model.layers.${k % 61}.mlp.experts.${k % 256}.down_proj`)).toBe(true);
  });
});
