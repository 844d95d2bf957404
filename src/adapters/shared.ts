/** Frozen tensors that all layers of an adapter share (VeRA's projections): from its file where that has them, else made anew. */
import { fail } from '../lib/errors.ts';
import type { CommonConfig } from './fields.ts';
import type { AdapterMethod, AdapterTensor, Layer } from './types.ts';

/** A shared tensor with its numbers, which are made when first asked for. */
export interface SharedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly load: () => Float32Array;
}

/**
 * @param layers the modules that the method adapts: they decide the shapes
 * @param given an adapter file's shared tensors, which win
 * @throws PapilioError 'malformed-adapter' if one has another shape
 */
export function sharedTensors(
  method: AdapterMethod,
  config: CommonConfig,
  layers: readonly Layer[],
  given: ReadonlyMap<string, AdapterTensor> = new Map(),
): readonly SharedTensor[] {
  if (layers.length === 0) return [];
  return (method.shared?.(layers, config) ?? []).map(({ name, shape, make }) => {
    const own = given.get(name);
    if (own && own.shape.join() !== shape.join()) {
      fail(
        'malformed-adapter',
        `The adapter's ${name} has shape [${own.shape.join(', ')}], but the layers it is for need [${shape.join(', ')}]; the adapter was made for another model or another configuration.`,
        { name, given: own.shape, expected: shape },
      );
    }
    let made: Float32Array | undefined = own?.data;
    return {
      name,
      shape,
      load: () => {
        made ??= make();
        return made;
      },
    };
  });
}
