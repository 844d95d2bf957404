/**
 * Several adapters combined into a new one, as PEFT's add_weighted_adapter does: LoRA on its factors A and B, FourierFT on its spectra, IA3 on its
 * factors. Methods whose numbers multiply each other or turn have no such sum and are refused.
 */
import { fail } from '../lib/errors.ts';
import { plainWords } from '../lib/json.ts';
import { combineLora } from './combineLora.ts';
import { COMBINATIONS, type Combination, combineTensors, type TensorOptions } from './combineTensors.ts';
import { validateConfig } from './config.ts';
import type { CommonConfig } from './fields.ts';
import type { FourierftConfig } from './fourierft/index.ts';
import { savedEntries } from './matching.ts';
import type { Adapter } from './peft.ts';
import type { AdapterTensor, ModuleTensors } from './types.ts';

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

type Settings = CombineOptions & Pick<TensorOptions, 'density' | 'majoritySign' | 'seed'>;

const refuse = (sentence: string): never => fail('illegal-config', sentence);

/**
 * @param adapters all of one method, in the order of the weights
 * @throws PapilioError 'illegal-config' with what does not go together, in PEFT's words where it refuses too.
 */
export function combineAdapters(adapters: readonly Adapter[], options: CombineOptions): Combined {
  const [first] = adapters;
  if (!first) return refuse('There is nothing to combine; give at least one adapter.');
  const { settings, warnings } = settle(adapters, options);
  const { method } = first;
  const other = adapters.find((adapter) => adapter.method !== method);
  if (other)
    refuse(
      `Cannot combine adapters with different peft types. Found ${method.peftType} and ${other.method.peftType}.`,
    );
  refuseExtras(adapters);
  const target_modules = targetsOf(adapters);
  const rule = RULES[method.peftType];
  if (!rule) {
    return refuse(
      `${method.title} adapters cannot be combined: ${WHY[method.peftType] ?? 'their numbers are no sum'}. Merge them one after the other instead.`,
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
      `${adapters.length} adapters need ${adapters.length} weights, each a number, but ${weights.length} are given.`,
    );
  }
  if (!COMBINATIONS.includes(options.type)) {
    refuse(`Invalid combination_type: ${options.type}; choose one of ${COMBINATIONS.join(', ')}.`);
  }
  // PEFT takes the plain sum for a single adapter.
  const type = adapters.length === 1 ? 'linear' : options.type;
  const prunes = type !== 'linear' && type !== 'cat';
  if (prunes && density === undefined) {
    refuse(`${type} needs a density, the share of the numbers it keeps, e.g. 0.5.`);
  }
  const kept = density ?? 1;
  if (Number.isNaN(kept) || kept < 0) refuse(`Density should be >= 0, got ${kept}`);
  if (type.startsWith('dare') && kept === 0)
    refuse(`${type} with density 0 keeps nothing and divides by zero; give a density above 0.`);
  if (majoritySign !== 'total' && majoritySign !== 'frequency') {
    refuse(`Unimplemented mask method "${majoritySign}"; choose total or frequency.`);
  }
  const settings: Settings = { ...options, weights, type, density: kept, majoritySign, seed };
  const warnings =
    prunes && kept >= 1
      ? [`The density ${kept} is greater than or equal to 1, no pruning will be performed.`]
      : [];
  return { settings, warnings };
}

/** Biases and saved modules belong to the base model, where two adapters cannot both have their way. */
function refuseExtras(adapters: readonly Adapter[]): void {
  const biased = adapters.find(({ config }) => (config.bias ?? 'none') !== 'none');
  if (biased) {
    refuse(
      `${biased.method.title} supports only 1 adapter with bias. When using multiple adapters, set bias to 'none' for all adapters.`,
    );
  }
  const saving = adapters.filter(({ config }) => savedEntries(config).length > 0);
  if (saving.length > 1) {
    refuse(
      `Cannot add weighted adapters if they target the same module with modules_to_save, but found ${saving.length} such instance(s).`,
    );
  }
  const [first, ...others] = adapters.map(({ config }) => config);
  for (const key of ['layers_to_transform', 'layers_pattern', 'exclude_modules', 'task_type'] as const) {
    if (others.some((config) => JSON.stringify(config[key] ?? null) !== JSON.stringify(first![key] ?? null)))
      refuse(`The adapters differ in ${key}, so no one configuration fits the combined one.`);
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
    'all adapter configs should follow the same target modules type. Combining adapters with `target_modules` type being a mix of list/set and string is not supported.',
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
    return refuse('cat puts the ranks of LoRA adapters side by side; choose linear or ties here.');
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
          `${module}.${param} has shape [${shape.join(', ')}] in one adapter and [${odd.tensor.shape.join(', ')}] in another; only equal shapes can be combined.`,
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
        `The FourierFT adapters differ in ${key}, so their coefficients belong to different frequencies and cannot be added.`,
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
      `IA3 adapters can only be combined with linear, as in PEFT: their factors multiply the layer, so a pruned one would silence it.`,
    );
  }
  const lists = adapters.map(
    ({ config }) => (config as CommonConfig & { feedforward_modules?: unknown }).feedforward_modules ?? [],
  );
  if (lists.some((list) => typeof list === 'string') && new Set(lists.map(plainWords)).size > 1) {
    refuse(
      'all adapter configs should follow the same feedforward modules type. Combining adapters with `feedforward_modules` type being a mix of list/set and string is not supported.',
    );
  }
  const [first] = lists;
  return {
    tensors: byModule(adapters, settings, 'ia3_l', (_, weight) => weight),
    config: { feedforward_modules: typeof first === 'string' ? first : [...new Set(lists.flat())] },
  };
};

const RULES: Readonly<Record<string, Rule>> = {
  LORA: (adapters, settings) => combineLora(adapters, settings),
  FOURIERFT: fourierft,
  IA3: ia3,
};

/** Why a method has no combination. */
const WHY: Readonly<Record<string, string>> = {
  OFT: 'a weighted sum of rotations is no rotation',
  BOFT: 'a weighted sum of rotations is no rotation',
  LOHA: 'an update is a product of products, and the sum of two has a higher rank than either',
  LOKR: 'an update is a Kronecker product, and the sum of two is none',
  ADALORA: 'PEFT does not support it, and each has its own masks',
  VERA: 'its two vectors multiply each other, so their sums are not the sum of the updates',
};
