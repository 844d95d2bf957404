/**
 * Methods against PEFT: defaults, tensor shapes of every reference layer, block adjustment, permutations, pattern dictionaries,
 * refusals; counts against the shapes; composed patterns against dense boolean products.
 * Seen to fail: ties of the adjustment taken upwards; a row's group taken from its place in the block; factors multiplied in the other
 * order; `$` dropped from rank_pattern; boft_s left out of the count; skew blocks counted whole as free; a default changed; defaults
 * shared between configurations; the common rules before the method's own; the sentence for an odd block size.
 */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defaultConfig, validateConfig } from '../../src/adapters/config.ts';
import { fieldMeta } from '../../src/adapters/fields.ts';
import { adjustToDivisor, triangleIndex, triangleSize } from '../../src/adapters/oft/config.ts';
import { lookupFrequencyPattern, lookupPattern } from '../../src/adapters/perModule.ts';
import { METHODS, methodById, methodByPeftType } from '../../src/adapters/registry.ts';
import { requireTargets } from '../../src/adapters/targets.ts';
import type { AdapterMethod, LayerKind } from '../../src/adapters/types.ts';
import { butterflyPermutation } from '../../src/lib/butterfly.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { figures, layer } from './adapters-fixtures.ts';

const { boft } = METHODS;

interface Case {
  name: string;
  method: string;
  config: Record<string, unknown>;
  layer: { type: LayerKind; module: string };
  in: number;
  out: number;
  effective: Record<string, number>;
  shapes: Record<string, number[]>;
}
const cases = figures<{ rows: Case[] }>('layers').rows;

describe('schemas', () => {
  it.each(
    Object.entries(
      figures<{ defaults: Record<string, Record<string, unknown>> }>('config_defaults').defaults,
    ),
  )('%s has PEFT’s fields and defaults', (peftType, defaults) => {
    const method = methodByPeftType(peftType)!;
    const { peft_type, peft_version, ...expected } = defaults;
    expect(peft_type).toBe(method.peftType);
    expect(peft_version).toBeTypeOf('string');
    // AdaLoRA has no default that PEFT accepts: the figures were made with 100 steps.
    const given = peft_type === 'ADALORA' ? { total_step: 100 } : {};
    expect({ ...method.fixed, ...defaultConfig(method), ...given }).toEqual(expected);
  });

  it.each(Object.values(METHODS))('$id describes every field for forms', (method) => {
    for (const [name, schema] of Object.entries(method.schema.shape)) {
      expect(fieldMeta(schema)?.description, name).toMatch(/\.$/);
    }
    expect(z.toJSONSchema(method.schema)).toHaveProperty('properties');
  });

  it('names the methods there are', () => {
    expect(() => methodById('constructor')).toThrow(/choose one of oft, boft/);
    expect(methodById('boft')).toBe(METHODS.boft);
  });
});

describe('layers', () => {
  it.each(cases)(
    '$name',
    ({ method: peftType, config, layer: { type, module }, in: inputs, out, shapes }) => {
      const method = methodByPeftType(peftType)!;
      const valid = validateConfig(method, { ...config, target_modules: [module] }).config;
      const target = layer(module, inputs, out, type);
      expect(method.check(target, valid)).toBeNull();
      const specs = method.tensors(target, valid);
      expect(
        Object.fromEntries(specs.map(({ name, shape }) => [`base_model.model.${module}.${name}`, shape])),
      ).toEqual(shapes);
      const numbers = Object.values(shapes).reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
      expect(method.count(target, valid).stored).toBe(numbers);
    },
  );

  it('counts the free parameters of BOFT as published', () => {
    const { config } = validateConfig(boft, {
      boft_block_size: 8,
      boft_n_butterfly_factor: 2,
      target_modules: ['q'],
    });
    const { stored, free } = boft.count(layer('q', 768, 768), config);
    expect(stored).toBe(2 * 96 * 64 + 768);
    expect(free).toBe(2 * 96 * 28 + 768);
  });
});

describe('integers', () => {
  it.each(figures<{ rows: [number, number, number][] }>('oft_adjust').rows)(
    'adjusts %i, %i to %i',
    (d, requested, effective) => {
      expect(adjustToDivisor(d, requested)).toBe(effective);
    },
  );

  it('orders the triangle by rows', () => {
    const places: number[] = [];
    for (let row = 0; row < 5; row++)
      for (let column = row + 1; column < 5; column++) places.push(triangleIndex(5, row, column));
    expect(places).toEqual(Array.from({ length: triangleSize(5) }, (_, k) => k));
  });

  it.each(
    figures<{
      entries: { in_features: number; boft_block_size: number; factor_index: number; perm: number[] }[];
    }>('boft_permutations').entries,
  )(
    'permutes $in_features in blocks of $boft_block_size, factor $factor_index',
    ({ in_features, boft_block_size, factor_index, perm }) => {
      expect([...butterflyPermutation(in_features, boft_block_size, factor_index)]).toEqual(perm);
    },
  );

  it.each(
    figures<{
      rows: {
        pattern_dict: Record<string, number>;
        key: string;
        lora_like_value_or_null: number | null;
        fourierft_value_or_null: number | null;
      }[];
    }>('pattern_matching').rows,
  )(
    'looks $key up in $pattern_dict',
    ({ pattern_dict, key, lora_like_value_or_null, fourierft_value_or_null }) => {
      expect(lookupPattern(pattern_dict, key, -1)).toBe(lora_like_value_or_null ?? -1);
      expect(lookupFrequencyPattern(pattern_dict, key, -1)).toBe(fourierft_value_or_null ?? -1);
    },
  );

  const inOrder = {
    rank: (patterns: Record<string, number>, name: string) => lookupPattern(patterns, name, 1),
    frequency: (patterns: Record<string, number>, name: string) => lookupFrequencyPattern(patterns, name, 1),
  };
  it.each(Object.entries(inOrder))(
    '%s: keys that are whole numbers count where their place is no matter',
    (_, lookup) => {
      expect(lookup({ '0': 5, 'mlp.1': 7 }, 'h.mlp.0')).toBe(5);
      expect(lookup({ '0': 5, 'mlp.1': 7 }, 'h.mlp.1')).toBe(7);
      expect(lookup({ '0': 5, '10': 7 }, 'h.mlp.10')).toBe(7);
      // Both say the same, whichever comes first.
      expect(lookup({ 'mlp.0': 5, '0': 5, '.*0': 7 }, 'h.mlp.0')).toBe(5);
    },
  );

  it.each(Object.entries(inOrder))(
    '%s: keys whose order was lost and matters are refused by name',
    (_, lookup) => {
      // PEFT takes 7; an object here has "0" first.
      const patterns = JSON.parse('{ "mlp.0": 7, "0": 5 }') as Record<string, number>;
      expect(lookup(patterns, 'head.0')).toBe(5);
      expect(() => lookup(patterns, 'h.mlp.0')).toThrow(
        expect.objectContaining({
          kind: 'illegal-config',
          message: expect.stringMatching(/"0" and "mlp\.0" both fit h\.mlp\.0.*; write "\(0\)" for "0"\.$/),
        }),
      );
      expect(lookup({ 'mlp.0': 7, '(0)': 5 }, 'h.mlp.0')).toBe(7);
      expect(lookup({ '(0)': 5, 'mlp.0': 7 }, 'h.mlp.0')).toBe(5);
    },
  );

  it('finds a top-level module in n_frequency_pattern by its exact name', () => {
    expect(lookupFrequencyPattern({ fc2: 5 }, 'fc2', 1)).toBe(5);
    expect(lookupFrequencyPattern({ 'fc.': 5 }, 'fc2', 1)).toBe(1);
  });
});

interface Behaviour {
  method: string;
  config: Record<string, unknown>;
  in: number;
  out: number;
  layer: LayerKind;
  cuda_ext_available: boolean;
  stage: string;
  message?: string;
  shapes?: Record<string, number[]>;
  warnings?: string[];
}

/** Without its CUDA extension PEFT quietly builds one factor, whatever was asked; Papilio builds what was asked. */
const usesFactors = (row: Behaviour) => row.config.boft_n_butterfly_factor !== undefined;
const behaviour = figures<{ rows: Behaviour[] }>('config_behaviour').rows.filter(
  (row) => row.cuda_ext_available || !usesFactors(row),
);

const attemptedConfig = (method: AdapterMethod, row: Behaviour) => method.schema.parse({ ...row.config });

describe('refusals and corrections', () => {
  it('covers every method that PEFT knows', () => {
    const known = Object.values(METHODS).filter((m) => !m.peftType.startsWith('PAPILIO_'));
    expect(new Set(behaviour.map(({ method }) => method))).toEqual(new Set(known.map((m) => m.peftType)));
  });

  it.each(behaviour)('$method $config on $layer $in -> $out: $stage', (row) => {
    const method = methodByPeftType(row.method)!;
    const target = layer('lin', row.in, row.out, row.layer);
    const attempt = () => {
      const { config } = validateConfig(method, { target_modules: ['lin'], ...row.config });
      return { config, selection: requireTargets(method, config, { layers: [target] }) };
    };
    const beyond = method.peftRefuses?.(target, attemptedConfig(method, row)) ?? null;
    if (beyond !== null) {
      // Adapted all the same, with PEFT's refusal as a remark.
      expect(row.stage).toBe('inject');
      expect(beyond).toBe(row.message);
      expect(attempt().selection.warnings.join()).toContain(`PEFT cannot load this adapter`);
      expect(attempt().selection.warnings.join()).toContain(row.message);
      return;
    }
    if (row.stage !== 'ok') {
      let error: unknown;
      try {
        attempt();
      } catch (caught) {
        error = caught;
      }
      expect(error).toBeInstanceOf(PapilioError);
      // PEFT prints a Python set where Papilio prints a list.
      const reason = row.message!.startsWith('Target modules') ? 'Target modules' : row.message!.trim();
      expect((error as PapilioError).message).toContain(reason);
      return;
    }
    const { config, selection } = attempt();
    const shapes = Object.fromEntries(
      method.tensors(target, config).map(({ name, shape }) => [`base_model.model.lin.${name}`, shape]),
    );
    expect(row.shapes).toMatchObject(shapes);
    for (const warning of row.warnings!) expect(selection.warnings.join('\n')).toContain(warning);
    expect(selection.warnings).toHaveLength(row.warnings!.length);
  });
});

describe('validateConfig', () => {
  const { lora, oft } = METHODS;

  it('names wrong types by their field', () => {
    expect(() => validateConfig(oft, { oft_block_size: 'big' })).toThrow(
      /oft_block_size: it must be a number/,
    );
    expect(() => validateConfig(oft, { target_modules: 3 })).toThrow(/target_modules/);
    expect(() => validateConfig(oft, [])).toThrow(/must be a JSON object/);
    expect(() => validateConfig(oft, { peft_type: 'LORA' })).toThrow(/is for "LORA", not for OFT/);
  });

  it('warns of unknown keys and suggests', () => {
    expect(validateConfig(oft, { oft_blok_size: 4 }).warnings).toEqual([
      'OFT has no setting "oft_blok_size"; it is ignored (did you mean "oft_block_size"?).',
    ]);
  });

  it('refuses PEFT features that Papilio lacks', () => {
    expect(() => validateConfig(lora, { use_qalora: true })).toThrow(
      expect.objectContaining({ kind: 'unsupported-adapter' }),
    );
    expect(() => validateConfig(lora, { init_lora_weights: 'pissa' })).toThrow(/out of the base weights/);
  });

  it('does not share default objects between configurations', () => {
    const first = defaultConfig(lora) as unknown as { rank_pattern: Record<string, number> };
    first.rank_pattern.q = 3;
    expect(defaultConfig(lora)).toHaveProperty('rank_pattern', {});
  });
});
