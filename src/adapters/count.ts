/** The live counters: how many parameters a configuration trains on a model, and how many of them are free. Integers only. */
import type { CommonConfig } from './fields.ts';
import { type Selection, trainableBiases } from './targets.ts';
import type { AdapterMethod, Layer, ParameterCount } from './types.ts';

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
