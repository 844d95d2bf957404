/**
 * The tables of a folder of PEFT figures that need no GPU: matching, adjustment, permutations, factorisation, configuration classes. Every row is
 * one check; a row gives the reason it fails, or null.
 */
import { defaultConfig, validateConfig } from '../../../src/adapters/config.ts';
import type { CommonConfig } from '../../../src/adapters/fields.ts';
import { moduleMatcher } from '../../../src/adapters/matching.ts';
import { adjustToDivisor } from '../../../src/adapters/oft/config.ts';
import { readAdapter } from '../../../src/adapters/peft.ts';
import { lookupFrequencyPattern, lookupPattern } from '../../../src/adapters/perModule.ts';
import { METHODS, methodByPeftType } from '../../../src/adapters/registry.ts';
import { writeSafetensors } from '../../../src/adapters/safetensors.ts';
import { requireTargets, resolveTargets, trainableBiases } from '../../../src/adapters/targets.ts';
import type { AdapterMethod, Layer, LayerKind } from '../../../src/adapters/types.ts';
import { butterflyPermutation } from '../../../src/lib/butterfly.ts';
import { fail, PapilioError } from '../../../src/lib/errors.ts';
import { mt19937, randpermFirst } from '../../../src/lib/mt19937.ts';

/** One row: what it is called, and why it fails. */
export interface RowResult {
  readonly row: string;
  readonly reason: string | null;
}

type Table = (json: never) => Iterable<RowResult> | AsyncIterable<RowResult>;

const same = (given: unknown, expected: unknown): string | null => {
  const [a, b] = [JSON.stringify(given), JSON.stringify(expected)];
  return a === b ? null : `${clip(a)} instead of ${clip(b)}`;
};
const clip = (text: string | undefined) => String(text).slice(0, 200);

function methodOf(peftType: string): AdapterMethod {
  return methodByPeftType(peftType) ?? fail('unsupported-adapter', `${peftType} is not supported.`);
}

const layer = (name: string, inputs: number, out: number, kind: LayerKind = 'linear'): Layer => ({
  name,
  kind,
  in: inputs,
  out,
  hasBias: true,
});

function* adjustments(json: { rows: readonly [number, number, number][] }): Iterable<RowResult> {
  for (const [dimension, requested, effective] of json.rows)
    yield {
      row: `${dimension}, ${requested}`,
      reason: same(adjustToDivisor(dimension, requested), effective),
    };
}

interface PermutationEntry {
  readonly in_features: number;
  readonly boft_block_size: number;
  readonly boft_n_butterfly_factor: number;
  readonly factor_index: number;
  readonly perm: readonly number[];
}

function* permutations(json: { entries: readonly PermutationEntry[] }): Iterable<RowResult> {
  for (const entry of json.entries) {
    const { in_features: d, boft_block_size: b, boft_n_butterfly_factor: m, factor_index: i } = entry;
    const perm = m === 1 ? butterflyPermutation(d, b, 0) : butterflyPermutation(d, b, i);
    yield { row: `${d}, b ${b}, m ${m}, factor ${i}`, reason: same([...perm], entry.perm) };
  }
}

/** LoKr's factors as the shapes of its tensors show them: w1 (out_l, in_m), w2 (out_k, in_n), kept whole at this rank. */
function* factorizations(json: { rows: readonly [number, number, number, number][] }): Iterable<RowResult> {
  const lokr = methodOf('LOKR');
  for (const [dimension, factor, m, n] of json.rows) {
    const { config } = validateConfig(lokr, {
      target_modules: ['lin'],
      r: 1_000_000,
      decompose_factor: factor,
    });
    const specs = lokr.tensors(layer('lin', dimension, dimension), config);
    const columns = ['lokr_w1', 'lokr_w2'].map((name) => specs.find((s) => s.name === name)?.shape[1]);
    yield { row: `${dimension}, ${factor}`, reason: same(columns, [m, n]) };
  }
}

interface MatchingRow {
  readonly keys: string;
  readonly config: Record<string, unknown>;
  readonly matched: readonly string[];
  readonly excluded: readonly string[];
}

function* targetMatching(json: {
  key_sets: Record<string, readonly string[]>;
  rows: readonly MatchingRow[];
}): Iterable<RowResult> {
  for (const { keys, config, matched, excluded } of json.rows) {
    const match = moduleMatcher(validateConfig(METHODS.oft, config).config);
    const names = json.key_sets[keys]!;
    const found = [
      names.filter((name) => match(name) === 'target'),
      names.filter((name) => match(name) === 'excluded'),
    ];
    yield { row: `${keys} ${JSON.stringify(config)}`, reason: same(found, [matched, excluded]) };
  }
}

interface AllLinearRow {
  readonly model: string;
  readonly modules: Record<string, string>;
  readonly task_type: string | null;
  readonly resolved_target_modules: readonly string[];
}

const KINDS: Readonly<Record<string, LayerKind>> = {
  Linear: 'linear',
  Conv1D: 'conv1d',
  Embedding: 'embedding',
  Conv2d: 'conv2d',
};

function* allLinear(json: { rows: readonly AllLinearRow[] }): Iterable<RowResult> {
  for (const { model, modules, task_type, resolved_target_modules } of json.rows) {
    const { config } = validateConfig(METHODS.lora, { target_modules: 'all-linear', task_type });
    const layers = Object.entries(modules).flatMap(([name, type]) =>
      KINDS[type] ? [layer(name, 8, 8, KINDS[type])] : [],
    );
    const resolved = resolveTargets(METHODS.lora, config, {
      layers,
      pretrained: !model.startsWith('plain'),
      outputEmbedding: model.includes('output embeddings lm_head') ? 'lm_head' : null,
    });
    yield { row: model, reason: same([...resolved].sort(), [...resolved_target_modules].sort()) };
  }
}

interface PatternRow {
  readonly pattern_dict: Record<string, number>;
  readonly key: string;
  readonly lora_like_value_or_null: number | null;
  readonly fourierft_value_or_null: number | null;
}

function* patternMatching(json: { rows: readonly PatternRow[] }): Iterable<RowResult> {
  for (const row of json.rows) {
    const found = [
      lookupPattern(row.pattern_dict, row.key, Number.NaN),
      lookupFrequencyPattern(row.pattern_dict, row.key, Number.NaN),
    ];
    yield {
      row: `${JSON.stringify(row.pattern_dict)} on ${row.key}`,
      // JSON writes NaN as null.
      reason: same(found, [row.lora_like_value_or_null, row.fourierft_value_or_null]),
    };
  }
}

interface RandpermFigures {
  readonly entries: readonly {
    readonly seed: number;
    readonly numel: number;
    readonly first32: readonly number[];
    readonly last4: readonly number[];
    readonly full_sha256: string;
  }[];
  readonly draws_mod_2_31: Record<string, readonly number[]>;
  readonly small_full: readonly { seed: number; numel: number; perm: readonly number[] }[];
  readonly negative_seed: readonly { seed: number; numel: number; perm: readonly number[] }[];
}

async function* randperm(json: RandpermFigures): AsyncIterable<RowResult> {
  for (const { seed, numel, first32, last4, full_sha256 } of json.entries) {
    const whole = randpermFirst(seed, numel, numel);
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
    const hash = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    // Few entries go another way than all of them.
    const few = randpermFirst(seed, numel, 32);
    const found = [[...few], [...whole.slice(0, 32)], [...whole.slice(-4)], hash];
    yield { row: `seed ${seed}, ${numel}`, reason: same(found, [first32, first32, last4, full_sha256]) };
  }
  for (const [seed, draws] of Object.entries(json.draws_mod_2_31)) {
    const { draw32 } = mt19937(Number(seed));
    yield {
      row: `draws of ${seed}`,
      reason: same(
        draws.map(() => draw32() % 2 ** 31),
        draws,
      ),
    };
  }
  for (const { seed, numel, perm } of [...json.small_full, ...json.negative_seed])
    yield { row: `seed ${seed}, all ${numel}`, reason: same([...randpermFirst(seed, numel, numel)], perm) };
}

const PROMPTS = ['PROMPT_TUNING', 'PREFIX_TUNING', 'P_TUNING'];

/** Keys and defaults of PEFT's classes; methods that change no weights must be refused by name. */
function* configDefaults(json: { defaults: Record<string, Record<string, unknown>> }): Iterable<RowResult> {
  for (const [row, { peft_version: _, ...defaults }] of Object.entries(json.defaults)) {
    const type = String(defaults.peft_type);
    if (PROMPTS.includes(type)) {
      const refusal = refusalOf(defaults);
      yield { row, reason: refusal?.includes(type) ? null : `not refused by its name: ${refusal}` };
      continue;
    }
    const method = methodOf(type);
    // A class that cannot be made without a choice is in the table with that choice.
    const choice = Object.hasOwn(defaults, 'total_step') ? { total_step: defaults.total_step } : {};
    const own: CommonConfig = { ...defaultConfig(method), ...choice };
    yield {
      row,
      reason: same(sorted({ ...method.fixed, ...own, peft_type: method.peftType }), sorted(defaults)),
    };
  }
}

const sorted = (record: object) => Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));

/** The checks by the file they read. */
export const TABLES: Readonly<Record<string, Table>> = {
  'randperm.json': randperm,
  'target_matching.json': targetMatching,
  'all_linear.json': allLinear,
  'pattern_matching.json': patternMatching,
  'oft_adjust.json': adjustments,
  'boft_permutations.json': permutations,
  'lokr_factorization.json': factorizations,
  'config_behaviour.json': checkBehaviour,
  'config_defaults.json': configDefaults,
};

// What PEFT's configuration classes and injection accept, correct or refuse, row by row against Papilio's.

interface BehaviourRow {
  readonly method: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly in: number;
  readonly out: number;
  readonly layer: 'linear' | 'conv1d' | 'embedding';
  readonly cuda_ext_available: boolean;
  readonly stage: 'config' | 'inject' | 'ok';
  readonly error?: string;
  readonly message?: string;
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  readonly warnings?: readonly string[];
}

/** Errors of Python itself and of torch, which say nothing of the setting: there Papilio only has to refuse. */
const ACCIDENTS = ['ZeroDivisionError', 'RuntimeError', 'KeyError', 'IndexError', 'AttributeError'];

function* checkBehaviour(json: { readonly rows: readonly BehaviourRow[] }): Iterable<RowResult> {
  for (const row of json.rows)
    yield { row: `${row.method} ${JSON.stringify(row.config)} on ${row.layer}`, reason: check(row) };
}

function check(row: BehaviourRow): string | null {
  const method = methodByPeftType(row.method);
  if (!method) return 'not supported';
  const target: Layer = {
    name: 'lin',
    kind: row.layer,
    in: row.in,
    out: row.out,
    hasBias: row.layer !== 'embedding',
  };
  try {
    const { config } = validateConfig(method, { target_modules: ['lin'], ...asBuilt(row) });
    const selection = requireTargets(method, config, { layers: [target] });
    const beyond = method.peftRefuses?.(target, config) ?? null;
    if (beyond !== null) return refusalSaid(row, beyond);
    if (row.stage !== 'ok') return `accepted, though PEFT says: ${row.message}`;
    const found: Record<string, readonly number[]> = {};
    for (const { name, shape } of method.tensors(target, config))
      found[`base_model.model.lin.${name}`] = shape;
    for (const module of trainableBiases(config, selection.targets, target.hasBias ? ['lin'] : []))
      found[`base_model.model.${module}.base_layer.bias`] = [target.out];
    const shapes = JSON.stringify(Object.entries(found).sort());
    const expected = JSON.stringify(Object.entries(row.shapes ?? {}).sort());
    if (shapes !== expected) return `shapes ${shapes} instead of ${expected}`;
    const said = selection.warnings.join('\n');
    const unsaid = (row.warnings ?? []).find((warning) => !said.includes(warning.trim()));
    return unsaid === undefined ? null : `does not warn: ${unsaid}`;
  } catch (error) {
    if (!(error instanceof PapilioError)) throw error;
    if (row.stage === 'ok') return `refused: ${error.message}`;
    if (ACCIDENTS.includes(row.error ?? '')) return null;
    return error.message.includes(wording(row.message ?? ''))
      ? null
      : `"${error.message}" instead of "${row.message}"`;
  }
}

/** Papilio adapts the layer and says that PEFT does not: in these words? */
const refusalSaid = (row: BehaviourRow, said: string): string | null =>
  row.stage === 'ok'
    ? `says that PEFT refuses, which it does not: ${said}`
    : said.includes(wording(row.message ?? ''))
      ? null
      : `"${said}" instead of "${row.message}"`;

/** PEFT's reason; where it prints a Python set and no advice, Papilio lists and suggests. */
function wording(message: string): string {
  return message.startsWith('Target modules {') ? 'not found in the base model' : message.trim();
}

/** Without its CUDA extension PEFT builds one butterfly factor whatever is asked, and warns; the table holds what it built. */
function asBuilt({
  method,
  config,
  cuda_ext_available: extension,
}: BehaviourRow): Readonly<Record<string, unknown>> {
  const factors = 'boft_n_butterfly_factor';
  return method === 'BOFT' && !extension && factors in config ? { ...config, [factors]: 1 } : config;
}

// The sentence with which a configuration is refused as the file of an adapter.

/** Null if it is not refused. */
function refusalOf(config: Readonly<Record<string, unknown>>): string | null {
  try {
    readAdapter(JSON.stringify(config), writeSafetensors(new Map()));
    return null;
  } catch (error) {
    if (error instanceof PapilioError) return error.message;
    throw error;
  }
}
