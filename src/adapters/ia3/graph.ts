/** IA3 on the graph: one learned factor per input (feed-forward) or per output, the bias included. */
import type { Value } from '../../graph/types.ts';
import { columnScale } from '../../ops/columnScale.ts';
import { binary, expand } from '../../ops/elementwise.ts';
import { linear } from '../../ops/linear.ts';
import { view } from '../../ops/moves.ts';
import { unary } from '../../ops/unary.ts';
import { layerParts } from '../graphParts.ts';
import { patchOf } from '../rules.ts';
import type { LayerAdapter, MethodGraph, Weights } from '../types.ts';
import { type Ia3Config, isFeedForward } from './config.ts';

/** PEFT adds it to the factors before it divides by them. */
const TOLERANCE = 1e-8;

export const graph: MethodGraph<Ia3Config> = {
  neutral: { ia3_l: 1 },

  open({ g }, group) {
    const { config, layers } = group;
    return layerParts(g, group).map((params, i): LayerAdapter => {
      const layer = layers[i]!;
      const byInput = isFeedForward(layer, config);
      const { channels, area } = patchOf(layer);
      const spread = (l: Value): Value =>
        area > 1 ? view(g, expand(g, view(g, l, [channels, 1]), { shape: [channels, area] }), [layer.in]) : l;
      const flat = view(g, params.ia3_l!, [byInput ? channels : layer.out]);
      const vector = byInput ? spread(flat) : flat;
      const l = view(g, vector, byInput ? [1, layer.in] : [layer.out, 1]);
      const times =
        (factors: Value, bias: Value) =>
        (weights: Weights): Weights => ({
          W: binary(g, weights.W, factors, { fn: 'mul' }),
          bias:
            byInput || weights.bias === null ? weights.bias : binary(g, weights.bias, bias, { fn: 'mul' }),
        });
      return {
        adapt: times(l, vector),
        apply: (x, { W, bias }) =>
          byInput
            ? linear(g, columnScale(g, x, vector), W, bias)
            : columnScale(g, linear(g, x, W, bias), vector),
        undo(merged) {
          const tolerance = g.constant({ dtype: 'f32', shape: [1] }, Float32Array.of(TOLERANCE));
          const inverse = (v: Value) =>
            unary(g, binary(g, v, tolerance, { fn: 'add' }), { fn: 'reciprocal' });
          return times(inverse(l), inverse(vector))(merged);
        },
      };
    });
  },
};
