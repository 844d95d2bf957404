/** LoKr on the graph: the Kronecker product is never written out for activations, which meet one factor after the other. */
import { sizeOf } from '../../graph/shape.ts';
import type { Value } from '../../graph/types.ts';
import { columnScale } from '../../ops/columnScale.ts';
import { binary, scale } from '../../ops/elementwise.ts';
import { linear } from '../../ops/linear.ts';
import { matmul } from '../../ops/matmul.ts';
import { transpose, view } from '../../ops/moves.ts';
import { additive, layerParts, updateMask } from '../graphParts.ts';
import { lycorisScale } from '../lycoris.ts';
import type { LayerAdapter, MethodGraph } from '../types.ts';
import type { LokrConfig } from './config.ts';
import { kroneckerShape } from './config.ts';

export const graph: MethodGraph<LokrConfig> = {
  neutral: { lokr_w1: 0, lokr_w1_a: 0 },

  open(scope, group) {
    const { g } = scope;
    const { config, layers } = group;
    const mask = updateMask(scope, group, config.rank_dropout_scale);
    return layerParts(g, group).map((params, i): LayerAdapter => {
      const layer = layers[i]!;
      const { rank, scaling } = lycorisScale(layer, config);
      const { outL, outK, inM, inN } = kroneckerShape(layer, rank, config);
      const factor = (name: string): Value =>
        params[name] ?? matmul(g, params[`${name}_a`]!, params[`${name}_b`]!, {});
      const w1 = scale(g, factor('lokr_w1'), { by: scaling });
      const w2 = view(g, factor('lokr_w2'), [outK, inN]);

      const update = (): Value =>
        view(g, binary(g, view(g, w1, [outL, 1, inM, 1]), view(g, w2, [1, outK, 1, inN]), { fn: 'mul' }), [
          layer.out,
          layer.in,
        ]);
      /** x (w1 ⊗ w2)ᵀ: as a matrix [inM, inN], every input meets w2 along its rows, then w1 along its columns. */
      const added = (x: Value): Value => {
        const rows = sizeOf(x.shape) / layer.in;
        const inner = view(g, linear(g, view(g, x, [rows * inM, inN]), w2, null), [rows, inM, outK]);
        const outer = linear(g, transpose(g, inner, { perm: [0, 2, 1] }), w1, null);
        const y = view(g, transpose(g, outer, { perm: [0, 2, 1] }), [...x.shape.slice(0, -1), layer.out]);
        return mask ? columnScale(g, y, view(g, mask, [layer.out], i * layer.out)) : y;
      };
      return {
        ...additive(g, update),
        apply: (x, { W, bias }) => binary(g, linear(g, x, W, bias), added(x), { fn: 'add' }),
      };
    });
  },
};
