/** LoHa on the graph: both products of a whole group at once, multiplied entry by entry → ΔW → W + ΔW. */
import type { Value } from '../../graph/types.ts';
import { binary, scale } from '../../ops/elementwise.ts';
import { matmul } from '../../ops/matmul.ts';
import { view } from '../../ops/moves.ts';
import { additive, cutStack, updateMask } from '../graphParts.ts';
import { lycorisScale } from '../lycoris.ts';
import type { MethodGraph } from '../types.ts';
import type { LohaConfig } from './config.ts';

export const graph: MethodGraph<LohaConfig> = {
  neutral: { hada_w1_a: 0 },

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
    const delta = mask ? times(scaled, view(g, mask, [n, out, 1])) : scaled;
    return cutStack(g, delta, n, [out, inputs]).map((own) => additive(g, () => own));
  },
};
