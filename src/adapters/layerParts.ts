/** A group's stacked tensors cut into those of its layers, for methods that work layer by layer. */
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { sizeOf } from '../lib/sizeOf.ts';
import { split } from '../ops/moves.ts';
import type { LayerGroup } from './graphTypes.ts';

/** Layer i's part of every stacked tensor of the group, by parameter name. */
export function layerParts<C>(
  g: Builder,
  { layers, params }: LayerGroup<C>,
): readonly Readonly<Record<string, Value>>[] {
  const parts = Object.entries(params).map(([name, stacked]) => {
    const shape = stacked.shape.slice(1);
    const size = sizeOf(shape);
    return [
      name,
      split(
        g,
        stacked,
        layers.map((_, i) => ({ offset: i * size, shape })),
      ),
    ] as const;
  });
  return layers.map((_, i) => Object.fromEntries(parts.map(([name, values]) => [name, values[i]!])));
}
