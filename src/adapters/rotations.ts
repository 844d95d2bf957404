/**
 * The rotations of a group's layers, cut out of one stack. Neighbouring layers that read one activation (query, key and value; gate and
 * up) keep theirs together, so that it is turned for all of them in one dispatch, forwards and backwards.
 */
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { sizeOf } from '../lib/sizeOf.ts';
import { type ButterflyAttrs, butterfly } from '../ops/butterfly.ts';
import { split, view } from '../ops/moves.ts';
import type { AdapterScope } from './graphTypes.ts';
import type { Layer } from './types.ts';

export interface LayerRotation {
  /** The layer's input turned, with blocks dropped where the mask says so. */
  input(x: Value): Value;
  /** Any x [..., d] turned, nothing dropped. `mask` [m, num] leaves out blocks. */
  turn(x: Value, transpose: boolean, mask?: Value): Value;
}

interface Run {
  readonly first: number;
  readonly count: number;
}

/** Layers next to each other that read one value. */
function runsOf(layers: readonly Layer[], reads: AdapterScope['reads']): Run[] {
  const runs: Run[] = [];
  layers.forEach(({ name }, i) => {
    const last = runs.at(-1);
    const source = reads.get(name);
    if (last && source && source === reads.get(layers[i - 1]!.name))
      runs[runs.length - 1] = { ...last, count: last.count + 1 };
    else runs.push({ first: i, count: 1 });
  });
  return runs;
}

/**
 * @param R all blocks of the group, flat; a layer has `shape` = [m, num | 1, b, b] of them
 * @param mask f32 [layers, m, num], or null: what dropout keeps
 */
export function rotationsOf(
  g: Builder,
  reads: AdapterScope['reads'],
  layers: readonly Layer[],
  R: Value,
  shape: readonly number[],
  mask: Value | null = null,
): readonly LayerRotation[] {
  const runs = runsOf(layers, reads);
  const cut = (stack: Value, each: readonly number[]) =>
    split(
      g,
      stack,
      runs.map(({ first, count }) => ({
        offset: first * sizeOf(each),
        shape: count > 1 ? [count, ...each] : each,
      })),
    );
  const blocks = cut(R, shape);
  const masks = mask && cut(mask, mask.shape.slice(1));

  return runs.flatMap(({ count }, r): LayerRotation[] => {
    const stack: ButterflyAttrs['stack'] = count > 1 ? 'share' : 'own';
    const turned = new Map<Value, readonly Value[]>();
    const inputs = (x: Value): readonly Value[] => {
      let values = turned.get(x);
      if (!values) {
        const y = butterfly(g, x, blocks[r]!, { stack }, masks?.[r]);
        const parts = Array.from({ length: count }, (_, k) => ({
          offset: k * sizeOf(x.shape),
          shape: x.shape,
        }));
        values = count > 1 ? split(g, y, parts) : [y];
        turned.set(x, values);
      }
      return values;
    };
    return Array.from({ length: count }, (_, k) => ({
      input: (x) => inputs(x)[k]!,
      turn: (x, transpose, only) =>
        butterfly(g, x, view(g, blocks[r]!, shape, k * sizeOf(shape)), { transpose }, only),
    }));
  });
}
