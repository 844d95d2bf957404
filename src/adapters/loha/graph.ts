/** LoHa on the graph: both products of a whole group at once, multiplied entry by entry → ΔW → W + ΔW. */
import type { Value } from '../../graph/types.ts';
import { binary, scale } from '../../ops/elementwise.ts';
import { matmul } from '../../ops/matmul.ts';
import { split, view } from '../../ops/moves.ts';
import type { GraphHalf, LayerAdapter } from '../graphTypes.ts';
import { lycorisScale } from '../lycoris.ts';
import { updateMask } from '../updateMask.ts';
import type { LohaConfig } from './index.ts';

export const graph: GraphHalf<LohaConfig> = {
  open(scope, group) {
    const { g } = scope;
    const { layers, config, params } = group;
    const n = layers.length;
    const { in: inputs, out } = layers[0]!;
    const scalings = layers.map((layer) => lycorisScale(layer, config).scaling);
    const product = binary(
      g,
      matmul(g, params.hada_w1_a!, params.hada_w1_b!, {}),
      matmul(g, params.hada_w2_a!, params.hada_w2_b!, {}),
      { fn: 'mul' },
    );
    const times = (x: Value, factor: Value) => binary(g, x, factor, { fn: 'mul' });
    // Layers of one group differ at most in alpha.
    const scaled = scalings.every((s) => s === scalings[0])
      ? scale(g, product, { by: scalings[0]! })
      : times(product, g.constant({ dtype: 'f32', shape: [n, 1, 1] }, Float32Array.from(scalings)));
    const mask = updateMask(scope, group, true);
    const deltas = split(
      g,
      mask ? times(scaled, view(g, mask, [n, out, 1])) : scaled,
      layers.map((_, i) => ({ offset: i * out * inputs, shape: [out, inputs] })),
    );
    return deltas.map(
      (delta): LayerAdapter => ({
        adapt: ({ W, bias }) => ({ W: binary(g, W, delta, { fn: 'add' }), bias }),
        update: () => delta,
      }),
    );
  },
};
