/**
 * Several adapters combined into a new one, as PEFT's add_weighted_adapter does: LoRA on its factors A and B, FourierFT on its spectra, IA3 on its
 * factors. Methods whose numbers multiply each other or turn have no such sum and are refused.
 */
import { fail } from '../lib/errors.ts';
import { plainWords } from '../lib/json.ts';
import { rng } from '../lib/rng.ts';
import { say } from '../lib/say.ts';
import { validateConfig } from './config.ts';
import type { CommonConfig } from './fields.ts';
import type { FourierftConfig } from './fourierft/config.ts';
import { type LoraConfig, loraScale } from './lora/config.ts';
import { savedEntries } from './matching.ts';
import type { Adapter } from './peft.ts';
import type { AdapterTensor, Layer, ModuleTensors } from './types.ts';

export interface CombineOptions {
  /** One for each adapter; negative ones subtract. */
  readonly weights: readonly number[];
  readonly type: Combination;
  /** Share of the numbers kept by ties, dare_* and magnitude_prune. */
  readonly density?: number;
  readonly majoritySign?: TensorOptions['majoritySign'];
  readonly seed?: number;
}

export interface Combined {
  readonly adapter: Adapter;
  readonly warnings: readonly string[];
}

interface Settings extends Omit<TensorOptions, 'type'> {
  readonly weights: readonly number[];
  readonly type: Combination;
}

const refuse = (sentence: string): never => fail('illegal-config', sentence);

/**
 * @param adapters all of one method, in the order of the weights
 * @throws PapilioError 'illegal-config' with what does not go together, in PEFT's words where it refuses too.
 */
export function combineAdapters(adapters: readonly Adapter[], options: CombineOptions): Combined {
  const [first] = adapters;
  if (!first) return refuse(say`There is nothing to combine; give at least one adapter.`);
  const { settings, warnings } = settle(adapters, options);
  const { method } = first;
  const other = adapters.find((adapter) => adapter.method !== method);
  if (other)
    refuse(
      say`Cannot combine adapters with different peft types. Found ${method.peftType} and ${other.method.peftType}.`,
    );
  refuseExtras(adapters);
  const target_modules = targetsOf(adapters);
  const rule = RULES[method.peftType];
  if (!rule) {
    return refuse(
      say`${method.title} adapters cannot be combined: ${whyNot()[method.peftType] ?? say`their numbers are no sum`}. Merge them one after the other instead.`,
    );
  }
  const { tensors, config, warnings: more = [] } = rule(adapters, settings);
  const saving = adapters.find((adapter) => savedEntries(adapter.config).length > 0);
  const json = {
    ...first.config,
    ...config,
    target_modules,
    modules_to_save: saving ? saving.config.modules_to_save : null,
  };
  return {
    adapter: {
      method,
      config: validateConfig(method, json).config,
      tensors,
      parameters: saving?.parameters ?? new Map(),
    },
    warnings: [...warnings, ...more],
  };
}

function settle(adapters: readonly Adapter[], options: CombineOptions) {
  const { weights, density, majoritySign = 'total', seed = 0 } = options;
  if (weights.length !== adapters.length || !weights.every(Number.isFinite)) {
    refuse(
      say`${adapters.length} adapters need ${adapters.length} weights, each a number, but ${weights.length} are given.`,
    );
  }
  if (!COMBINATIONS.includes(options.type)) {
    refuse(say`Invalid combination_type: ${options.type}; choose one of ${COMBINATIONS.join(', ')}.`);
  }
  // PEFT takes the plain sum for a single adapter.
  const type = adapters.length === 1 ? 'linear' : options.type;
  const prunes = type !== 'linear' && type !== 'cat';
  if (prunes && density === undefined) {
    refuse(say`${type} needs a density, the share of the numbers it keeps, e.g. 0.5.`);
  }
  const kept = density ?? 1;
  if (Number.isNaN(kept) || kept < 0) refuse(say`Density should be >= 0, got ${kept}`);
  if (type.startsWith('dare') && kept === 0)
    refuse(say`${type} with density 0 keeps nothing and divides by zero; give a density above 0.`);
  if (majoritySign !== 'total' && majoritySign !== 'frequency') {
    refuse(say`Unimplemented mask method "${majoritySign}"; choose total or frequency.`);
  }
  const settings: Settings = { weights, type, density: kept, majoritySign, seed };
  const warnings =
    prunes && kept >= 1
      ? [say`The density ${kept} is greater than or equal to 1, no pruning will be performed.`]
      : [];
  return { settings, warnings };
}

/** Biases and saved modules belong to the base model, where two adapters cannot both have their way. */
function refuseExtras(adapters: readonly Adapter[]): void {
  const biased = adapters.find(({ config }) => (config.bias ?? 'none') !== 'none');
  if (biased) {
    refuse(
      say`${biased.method.title} supports only 1 adapter with bias. When using multiple adapters, set bias to 'none' for all adapters.`,
    );
  }
  const saving = adapters.filter(({ config }) => savedEntries(config).length > 0);
  if (saving.length > 1) {
    refuse(
      say`Cannot add weighted adapters if they target the same module with modules_to_save, but found ${saving.length} such instance(s).`,
    );
  }
  const [first, ...others] = adapters.map(({ config }) => config);
  for (const key of ['layers_to_transform', 'layers_pattern', 'exclude_modules', 'task_type'] as const) {
    if (others.some((config) => JSON.stringify(config[key] ?? null) !== JSON.stringify(first![key] ?? null)))
      refuse(say`The adapters differ in ${key}, so no one configuration fits the combined one.`);
  }
}

/** All targets of all adapters: a list, or one expression. */
function targetsOf(adapters: readonly Adapter[]): string[] | string {
  const given = adapters.map(({ config }) => config.target_modules ?? null);
  if (given.every((targets): targets is string => typeof targets === 'string')) {
    const different = [...new Set(given)];
    return different.length === 1 ? different[0]! : different.map((targets) => `(${targets})`).join('|');
  }
  if (given.every((targets): targets is string[] => Array.isArray(targets)))
    return [...new Set(given.flat())];
  return refuse(
    say`all adapter configs should follow the same target modules type. Combining adapters with \`target_modules\` type being a mix of list/set and string is not supported.`,
  );
}

interface Part {
  readonly tensors: ReadonlyMap<string, ModuleTensors>;
  readonly config: Readonly<Record<string, unknown>>;
  readonly warnings?: readonly string[];
}

type Rule = (adapters: readonly Adapter[], settings: Settings) => Part;

/** Module by module, from the adapters that have it; `weigh` gives an adapter's weight. */
function byModule(
  adapters: readonly Adapter[],
  settings: Settings,
  param: string,
  weigh: (adapter: Adapter, weight: number) => number,
): Map<string, ModuleTensors> {
  const { type } = settings;
  if (type === 'cat')
    return refuse(say`cat puts the ranks of LoRA adapters side by side; choose linear or ties here.`);
  const modules = [...new Set(adapters.flatMap(({ tensors }) => [...tensors.keys()]))];
  return new Map(
    modules.map((module, index) => {
      const having = adapters.flatMap((adapter, i) => {
        const tensor = adapter.tensors.get(module)?.get(param);
        return tensor ? [{ tensor, weight: weigh(adapter, settings.weights[i]!) }] : [];
      });
      const shape = having[0]?.tensor.shape ?? [];
      const odd = having.find(({ tensor }) => tensor.shape.join() !== shape.join());
      if (odd) {
        refuse(
          say`${module}.${param} has shape [${shape.join(', ')}] in one adapter and [${odd.tensor.shape.join(', ')}] in another; only equal shapes can be combined.`,
        );
      }
      const data = combineTensors(
        having.map(({ tensor }) => tensor.data),
        having.map(({ weight }) => weight),
        { ...settings, type },
        index,
      );
      const combined: AdapterTensor = { shape, data };
      return [module, new Map([[param, combined]])];
    }),
  );
}

/** The update is linear in the spectrum, as long as all have theirs at the same frequencies. */
const fourierft: Rule = (adapters, settings) => {
  const configs = adapters.map(({ config }) => config as FourierftConfig);
  const [first] = configs;
  for (const key of ['random_loc_seed', 'n_frequency', 'n_frequency_pattern'] as const) {
    if (configs.some((config) => JSON.stringify(config[key]) !== JSON.stringify(first![key]))) {
      refuse(
        say`The FourierFT adapters differ in ${key}, so their coefficients belong to different frequencies and cannot be added.`,
      );
    }
  }
  const relative = (adapter: Adapter, weight: number) =>
    (weight * (adapter.config as FourierftConfig).scaling) / first!.scaling;
  return { tensors: byModule(adapters, settings, 'fourierft_spectrum', relative), config: {} };
};

const ia3: Rule = (adapters, settings) => {
  if (settings.type !== 'linear') {
    refuse(
      say`IA3 adapters can only be combined with linear, as in PEFT: their factors multiply the layer, so a pruned one would silence it.`,
    );
  }
  const lists = adapters.map(
    ({ config }) => (config as CommonConfig & { feedforward_modules?: unknown }).feedforward_modules ?? [],
  );
  if (lists.some((list) => typeof list === 'string') && new Set(lists.map(plainWords)).size > 1) {
    refuse(
      say`all adapter configs should follow the same feedforward modules type. Combining adapters with \`feedforward_modules\` type being a mix of list/set and string is not supported.`,
    );
  }
  const [first] = lists;
  return {
    tensors: byModule(adapters, settings, 'ia3_l', (_, weight) => weight),
    config: { feedforward_modules: typeof first === 'string' ? first : [...new Set(lists.flat())] },
  };
};

const RULES: Readonly<Record<string, Rule>> = {
  LORA: combineLora,
  FOURIERFT: fourierft,
  IA3: ia3,
};

/** Why a method has no combination. */
const whyNot = (): Readonly<Record<string, string>> => ({
  OFT: say`a weighted sum of rotations is no rotation`,
  BOFT: say`a weighted sum of rotations is no rotation`,
  LOHA: say`an update is a product of products, and the sum of two has a higher rank than either`,
  LOKR: say`an update is a Kronecker product, and the sum of two is none`,
  ADALORA: say`PEFT does not support it, and each has its own masks`,
  VERA: say`its two vectors multiply each other, so their sums are not the sum of the updates`,
});

// LoRA adapters combined on their factors: each of A and B is weighted by the root of weight · scaling, so that their product carries the whole; or
// their ranks side by side ("cat"), which adds the updates exactly.
// Source: add_weighted_adapter of huggingface/peft.

/** One adapter's factors of a module: A [r, in], B [out, r]. */
interface Factors {
  readonly names: readonly [string, string];
  readonly A: AdapterTensor;
  readonly B: AdapterTensor;
  /** weight · scaling. */
  readonly weight: number;
}

const LINEAR = ['lora_A.weight', 'lora_B.weight'] as const;
const EMBEDDING = ['lora_embedding_A', 'lora_embedding_B'] as const;

function combineLora(adapters: readonly Adapter[], settings: Settings) {
  const configs = adapters.map(({ config }) => config as LoraConfig);
  if (configs.some((config) => config.use_dora)) {
    refuse(
      say`DoRA adapters cannot be combined: a learned row length belongs to its own update. Merge them one after the other instead.`,
    );
  }
  if (configs.some((config) => config.lora_bias)) {
    refuse(say`LoRA adapters with lora_bias cannot be combined; merge them one after the other instead.`);
  }
  if (settings.type !== 'cat' && new Set(configs.map(({ r }) => r)).size > 1) {
    refuse(
      say`All adapters must have the same r value when using combination_type linear, ties, dare_ties or dare_linear.`,
    );
  }
  const r = settings.type === 'cat' ? configs.reduce((sum, config) => sum + config.r, 0) : configs[0]!.r;
  const modules = [...new Set(adapters.flatMap(({ tensors }) => [...tensors.keys()]))];
  const tensors = new Map<string, ModuleTensors>();
  const ranks: Record<string, number> = {};
  modules.forEach((module, index) => {
    const factors = adapters.flatMap((adapter, i) => factorsOf(adapter, module, settings.weights[i]!));
    const [first] = factors;
    if (!first) return;
    const { A, B } =
      settings.type === 'cat' ? sideBySide(module, factors) : summed(module, factors, settings, index);
    const rank = A.shape[0]!;
    // Alpha equal to the rank makes the scaling 1, as in PEFT.
    if (rank !== r) ranks[`^${module.replaceAll('.', '\\.')}`] = rank;
    tensors.set(
      module,
      new Map([
        [first.names[0], A],
        [first.names[1], B],
      ]),
    );
  });
  return {
    tensors,
    config: { r, lora_alpha: r, use_rslora: false, rank_pattern: ranks, alpha_pattern: ranks },
    warnings: configs.some((config) => config.use_rslora)
      ? [
          say`use_rslora is off in the combined adapter: its scaling is in the weights already, and PEFT would apply it once more.`,
        ]
      : [],
  };
}

function factorsOf(adapter: Adapter, module: string, weight: number): Factors[] {
  const params = adapter.tensors.get(module);
  for (const names of [LINEAR, EMBEDDING]) {
    const [A, B] = names.map((name) => params?.get(name));
    if (!A || !B) continue;
    const layer: Layer = { name: module, kind: 'linear', in: A.shape[1]!, out: B.shape[0]!, hasBias: false };
    const { scaling } = loraScale(layer, adapter.config as LoraConfig);
    return [{ names, A, B, weight: weight * scaling }];
  }
  return [];
}

function checkSize(module: string, what: string, factors: readonly (readonly number[])[]): void {
  const [first] = factors;
  const odd = factors.find((shape) => shape.join() !== first!.join());
  if (odd) {
    refuse(
      say`${module} has ${what} [${first!.join(', ')}] in one adapter and [${odd.join(', ')}] in another; only adapters of one model, with equal ranks, can be combined so.`,
    );
  }
}

function summed(module: string, factors: readonly Factors[], settings: Settings, index: number) {
  checkSize(
    module,
    'A of',
    factors.map(({ A }) => A.shape),
  );
  checkSize(
    module,
    'B of',
    factors.map(({ B }) => B.shape),
  );
  const options = { ...settings, type: settings.type as TensorOptions['type'] };
  // The sign goes to A alone: on both it would cancel.
  const rootsB = factors.map(({ weight }) => Math.sqrt(Math.abs(weight)));
  const rootsA = factors.map(({ weight }, i) => (weight >= 0 ? rootsB[i]! : -rootsB[i]!));
  const combine = (of: 'A' | 'B', roots: readonly number[], stream: number): AdapterTensor => ({
    shape: factors[0]![of].shape,
    data: combineTensors(
      factors.map((f) => f[of].data),
      roots,
      options,
      stream,
    ),
  });
  return { A: combine('A', rootsA, 2 * index), B: combine('B', rootsB, 2 * index + 1) };
}

/** [w₁A₁; w₂A₂; …] and [B₁, B₂, …]. */
function sideBySide(module: string, factors: readonly Factors[]): { A: AdapterTensor; B: AdapterTensor } {
  checkSize(
    module,
    'inputs',
    factors.map(({ A }) => [A.shape[1]!]),
  );
  checkSize(
    module,
    'outputs',
    factors.map(({ B }) => [B.shape[0]!]),
  );
  const rank = factors.reduce((sum, { A }) => sum + A.shape[0]!, 0);
  const [inputs, outputs] = [factors[0]!.A.shape[1]!, factors[0]!.B.shape[0]!];
  const A = new Float32Array(rank * inputs);
  const B = new Float32Array(outputs * rank);
  let row = 0;
  for (const factor of factors) {
    const r = factor.A.shape[0]!;
    A.set(
      factor.A.data.map((value) => value * factor.weight),
      row * inputs,
    );
    for (let o = 0; o < outputs; o++) B.set(factor.B.data.subarray(o * r, (o + 1) * r), o * rank + row);
    row += r;
  }
  return { A: { shape: [rank, inputs], data: A }, B: { shape: [outputs, rank], data: B } };
}

// Ways to make one tensor out of several of the same shape: weighted sums, after pruning by magnitude or at random, with or without an election of
// signs. As PEFT's merge_utils does them, in double precision.
// Sources: Yadav et al., TIES-Merging, 2023 (arXiv:2306.01708); Yu et al., DARE, 2023 (arXiv:2311.03099).

export const COMBINATIONS = ['linear', 'cat', 'ties', 'dare_linear', 'dare_ties', 'magnitude_prune'] as const;

/** PEFT's combination_type. */
export type Combination = (typeof COMBINATIONS)[number];

export interface TensorOptions {
  readonly type: Exclude<Combination, 'cat'>;
  /** Share of the numbers that pruning keeps, 0 to 1; at 1 nothing is pruned. */
  readonly density: number;
  /** Which sign wins where the tensors disagree: that of their sum, or that of most of them. */
  readonly majoritySign: 'total' | 'frequency';
  /** Of DARE's random choice. */
  readonly seed: number;
}

/** The largest numbers by magnitude, floor(density · count) of them; of equal ones the first. */
export function keepLargest(values: Float32Array, density: number): Float32Array {
  const kept = new Float32Array(values.length);
  const order = Uint32Array.from(values.keys());
  order.sort((a, b) => Math.abs(values[b]!) - Math.abs(values[a]!) || a - b);
  for (const i of order.subarray(0, Math.floor(density * values.length))) kept[i] = values[i]!;
  return kept;
}

/** Each number with probability `density`, divided by it, so that the expectation stays. */
export function keepRandom(
  values: Float32Array,
  density: number,
  seed: number,
  stream: number,
): Float32Array {
  const random = rng(seed, stream);
  return values.map((value) => (random.chance(density) ? value / density : 0));
}

/**
 * For every place the sum of the weighted numbers whose sign wins the vote, divided by how many they are. Signs are elected before the weights count; a
 * vote of nothing, or a draw, is for plus; zeros never win.
 */
export function electSigns(
  tensors: readonly Float32Array[],
  weights: readonly number[],
  method: TensorOptions['majoritySign'],
): Float32Array {
  return (tensors[0] ?? new Float32Array(0)).map((_, i) => {
    let vote = 0;
    for (const tensor of tensors) vote += method === 'total' ? tensor[i]! : Math.sign(tensor[i]!);
    const sign = vote >= 0 ? 1 : -1;
    let sum = 0;
    let winners = 0;
    tensors.forEach((tensor, t) => {
      if (Math.sign(tensor[i]!) !== sign) return;
      sum += tensor[i]! * weights[t]!;
      winners++;
    });
    return sum / Math.max(winners, 1);
  });
}

function weightedSum(tensors: readonly Float32Array[], weights: readonly number[]): Float32Array {
  return (tensors[0] ?? new Float32Array(0)).map((_, i) =>
    tensors.reduce((sum, tensor, t) => sum + tensor[i]! * weights[t]!, 0),
  );
}

/** @param stream tells this tensor from the others of the adapter, for DARE */
export function combineTensors(
  tensors: readonly Float32Array[],
  weights: readonly number[],
  { type, density, majoritySign, seed }: TensorOptions,
  stream: number,
): Float32Array {
  const whole = density >= 1;
  const pruned = tensors.map((tensor, t) => {
    if (whole || type === 'linear') return tensor;
    return type === 'ties' || type === 'magnitude_prune'
      ? keepLargest(tensor, density)
      : keepRandom(tensor, density, seed, stream * tensors.length + t);
  });
  return type === 'ties' || type === 'dare_ties'
    ? electSigns(pruned, weights, majoritySign)
    : weightedSum(pruned, weights);
}
