/** Solves a method's size setting for a number of parameters, so that methods can be compared at (nearly) equal ones. Integers only. */

import { say } from '../lib/say.ts';
import { defaultConfig, validateForRun } from './config.ts';
import type { CommonConfig } from './fields.ts';
import { type Selection, selectTargets, type TargetModel, trainableBiases } from './targets.ts';
import type { AdapterMethod, Layer, ParameterCount, SizeField } from './types.ts';

export interface Sized {
  /** The method's start on the given targets, at the size found. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The fields that were turned, as the layers have them: more than one value where the method fits them to layers of several sizes. */
  readonly used: Sizes;
  /** `adapter` is what the budget was held against; the rest trains beside it whatever the method. */
  readonly count: TrainableCount;
}

/** Values of size fields by name. */
export type Sizes = Readonly<Record<string, readonly number[]>>;

/** The method cannot take part; why. */
export interface Unsized {
  readonly reason: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** The setting at `value`, and the fields alongside in their old ratio to it, whole where they were whole. */
function turn(config: Fields, { field, alongside = [] }: SizeField, value: number): Fields {
  const before = Number(config[field]);
  const following = alongside.flatMap((name) => {
    const old = config[name];
    if (typeof old !== 'number' || !(before > 0)) return [];
    const next = (old * value) / before;
    return [[name, Number.isInteger(old) ? Math.max(1, Math.round(next)) : next] as const];
  });
  return { ...config, ...Object.fromEntries(following), [field]: value };
}

/** The whole number in [min, max] whose count is nearest to the budget, for a count that does not fall. */
function nearestIn(
  min: number,
  max: number,
  countAt: (value: number) => number | null,
  budget: number,
): number {
  let [low, high] = [min, max];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    // What is too large to be legal counts as above.
    const count = countAt(middle);
    if (count !== null && count <= budget) low = middle;
    else high = middle;
  }
  const distance = (value: number) => {
    const count = countAt(value);
    return count === null ? Number.POSITIVE_INFINITY : Math.abs(count - budget);
  };
  return distance(high) < distance(low) ? high : low;
}

const fieldsOf = (config: object, keys: readonly string[]): Fields =>
  Object.fromEntries(Object.entries(config).filter(([key]) => keys.includes(key)));

/** The turned fields as each of the layers has them. */
function usedOn<C extends CommonConfig>(
  method: AdapterMethod<C>,
  config: C,
  layers: readonly Layer[],
  turned: Readonly<Record<string, number>>,
): Sizes {
  const own = layers.map((layer) => ({ ...turned, ...method.sizeOn?.(layer, config) }));
  return Object.fromEntries(
    Object.keys(turned).map((field) => [
      field,
      [...new Set(own.map((sizes) => sizes[field]!))].sort((a, b) => a - b),
    ]),
  );
}

const named = (targets: readonly string[], { layers }: TargetModel): readonly Layer[] =>
  layers.filter(({ name }) => targets.includes(name));

/** The layers that the given targets name; none where they cannot be read, which the attempts say. */
function layersOf(method: AdapterMethod, known: Fields, model: TargetModel): readonly Layer[] {
  try {
    const { targets } = selectTargets(method, method.schema.parse(known), model);
    return named(targets, model);
  } catch {
    return [];
  }
}

/**
 * The size at which the method keeps nearest to `budget` numbers on the targets that `where` names; of two that are equally near, the
 * first in the order of the method's list.
 * @param where target_modules, modules_to_save and the like, laid over the method's start where the method has them
 */
export function sizeFor(
  method: AdapterMethod,
  where: Fields,
  model: TargetModel,
  budget: number,
  run: { readonly totalSteps: number },
): Sized | Unsized {
  const known = Object.fromEntries(
    Object.entries(where).filter(([key]) => Object.hasOwn(method.schema.shape, key)),
  );
  const layers = layersOf(method, known, model);
  /** What has no default to keep a ratio to is at the start that suits the rest. */
  const started = (config: Fields): Fields => ({ ...method.start.config(layers, config), ...config });
  let reason: string | null = null;
  const tried = new Map<string, Sized | null>();
  const attempt = (config: Fields, turned: Readonly<Record<string, number>>): Sized | null => {
    const key = JSON.stringify(turned);
    const before = tried.get(key);
    if (before !== undefined) return before;
    let sized: Sized | null = null;
    try {
      const parsed: CommonConfig = validateForRun(method, config, run.totalSteps).config;
      const selection = selectTargets(method, parsed, model);
      const bad = selection.illegal[0];
      if (bad) reason ??= `${bad.name}: ${bad.reason}`;
      else
        sized = {
          config,
          used: usedOn(method, parsed, named(selection.targets, model), turned),
          count: countTrainable(method, parsed, model.layers, selection),
        };
    } catch (error) {
      reason ??= error instanceof Error ? error.message : String(error);
    }
    tried.set(key, sized);
    return sized;
  };

  /** Every combination of the listed values; of a range, the value nearest to the budget. */
  function* candidates(
    config: Fields,
    turned: Readonly<Record<string, number>>,
    fields: readonly SizeField[],
  ): Generator<Sized | null> {
    const [field, ...rest] = fields;
    if (field === undefined) {
      yield attempt(started(config), turned);
      return;
    }
    const at = (value: number): [Fields, Readonly<Record<string, number>>] => [
      turn(config, field, value),
      { ...turned, [field.field]: value },
    ];
    const { values } = field;
    if ('min' in values) {
      const tryAt = (value: number) => {
        const [changed, sizes] = at(value);
        return attempt(started(changed), sizes);
      };
      const countAt = (value: number) => tryAt(value)?.count.adapter ?? null;
      yield tryAt(nearestIn(values.min, values.max, countAt, budget));
    } else for (const value of values) yield* candidates(...at(value), rest);
  }

  const distance = ({ count }: Sized) => Math.abs(count.adapter - budget);
  let best: Sized | null = null;
  const sizes = method.size ?? [];
  const ratios = sizes.flatMap(({ field, alongside = [] }) =>
    alongside.length > 0 ? [field, ...alongside] : [],
  );
  const begin = {
    ...fieldsOf(defaultConfig(method), ratios),
    ...fieldsOf(started(known), ratios),
    ...known,
  };
  for (const candidate of candidates(begin, {}, sizes))
    if (candidate !== null && (best === null || distance(candidate) < distance(best))) best = candidate;
  return best ?? { reason: reason ?? say`${method.title} has no size that fits.` };
}

// The live counters: how many parameters a configuration trains on a model, and how many of them are free. Integers only.

export interface TrainableCount extends ParameterCount {
  /** Parts of `stored`. */
  readonly adapter: number;
  readonly saved: number;
  readonly bias: number;
}

/**
 * @param norms modules other than layers that have a bias, e.g. layer norms, with the length of that bias.
 * @param wholes modules other than layers, with all their numbers
 * @param ties names of parameters that are one
 */
export function countTrainable(
  method: AdapterMethod,
  config: CommonConfig,
  layers: readonly Layer[],
  selection: Selection,
  norms: ReadonlyMap<string, number> = new Map(),
  wholes: ReadonlyMap<string, number> = new Map(),
  ties: readonly (readonly string[])[] = [],
): TrainableCount {
  const targets = new Set(selection.targets);
  const saved = new Set(selection.saved);
  const illegal = new Set(selection.illegal.map(({ name }) => name));
  let adapterStored = 0;
  let adapterFree = 0;
  let savedCount = 0;
  for (const layer of layers) {
    if (saved.has(layer.name)) savedCount += layer.in * layer.out + (layer.hasBias ? layer.out : 0);
    if (!targets.has(layer.name) || illegal.has(layer.name)) continue;
    const { stored, free } = method.count(layer, config);
    adapterStored += stored;
    adapterFree += free;
  }
  for (const name of selection.saved) savedCount += wholes.get(name) ?? 0;
  if (method.fileNames === 'any') {
    // Whole weights that are one train once.
    const size = new Map(layers.map((layer) => [`${layer.name}.weight`, layer.in * layer.out]));
    for (const tie of ties) {
      const trained = tie.filter((name) => targets.has(name.slice(0, name.lastIndexOf('.'))));
      for (const name of trained.slice(1)) {
        adapterStored -= size.get(name) ?? 0;
        adapterFree -= size.get(name) ?? 0;
      }
    }
  }
  const lengths = new Map([
    ...layers.filter(({ hasBias }) => hasBias).map(({ name, out }) => [name, out] as const),
    ...norms,
  ]);
  const bias = trainableBiases(config, selection.targets, [...lengths.keys()])
    .filter((name) => !saved.has(name))
    .reduce((sum, name) => sum + lengths.get(name)!, 0);
  return {
    adapter: adapterStored,
    saved: savedCount,
    bias,
    stored: adapterStored + savedCount + bias,
    free: adapterFree + savedCount + bias,
  };
}
