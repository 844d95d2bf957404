/** LoRA on the graph: a low-rank path beside the frozen layer; DoRA learns the rows' lengths as well. */
import type { Builder } from '../../graph/builder.ts';
import type { Value } from '../../graph/types.ts';
import { sizeOf } from '../../lib/numbers.ts';
import { binary, reduce, scale } from '../../ops/elementwise.ts';
import { linear } from '../../ops/linear.ts';
import { matmul } from '../../ops/matmul.ts';
import { detach, transpose, view } from '../../ops/moves.ts';
import { stackedMatmul } from '../../ops/stackedMatmul.ts';
import { unary } from '../../ops/unary.ts';
import { dropInputs, runParts } from '../graphParts.ts';
import type { AdapterScope, LayerAdapter, MethodGraph, Weights } from '../types.ts';
import { type LoraConfig, loraScale } from './config.ts';

/** Euclidean lengths [out, 1] of the rows of V; they count as constants in the gradient. */
function rowLengths(g: Builder, V: Value): Value {
  const squared = reduce(g, unary(g, V, { fn: 'square' }), { fn: 'sum', axes: [1], keepdims: true });
  return detach(g, unary(g, squared, { fn: 'sqrt' }));
}

/** V scaled by how much longer each row shall be than `lengths`. */
function withMagnitude(g: Builder, V: Value, magnitude: Value, lengths: Value): Value {
  return binary(g, V, binary(g, view(g, magnitude, lengths.shape), lengths, { fn: 'div' }), { fn: 'mul' });
}

/** Dropout gives each layer an input of its own, and what DoRA and biases add is by layer. */
const goTogether = ({ training }: AdapterScope, config: LoraConfig): boolean =>
  !(training && config.lora_dropout > 0) && !config.use_dora && !config.lora_bias;

export const graph: MethodGraph<LoraConfig> = {
  neutral: {
    'lora_B.weight': 0,
    'lora_B.bias': 0,
    lora_embedding_B: 0,
    lora_magnitude_vector: 'row-norms',
  },

  open(scope, group) {
    const { g } = scope;
    const { config, layers } = group;
    return runParts(scope, group, goTogether(scope, config)).map(({ own: params, all }, i): LayerAdapter => {
      const layer = layers[i]!;
      const { rank, scaling } = loraScale(layer, config);
      const isEmbedding = layer.kind === 'embedding';
      // A convolution's have its kernel's axes as well.
      const A = view(g, params[isEmbedding ? 'lora_embedding_A' : 'lora_A.weight']!, [rank, layer.in]);
      const B = view(g, params[isEmbedding ? 'lora_embedding_B' : 'lora_B.weight']!, [layer.out, rank]);
      const addedBias = params['lora_B.bias'];
      const magnitude = params.lora_magnitude_vector;

      const update = (): Value => {
        const delta = scale(g, matmul(g, B, A, {}), { by: scaling });
        return isEmbedding ? transpose(g, delta, { perm: [1, 0] }) : delta;
      };
      const adaptBias = (bias: Value | null): Value | null => {
        if (!addedBias) return bias;
        const added = scale(g, addedBias, { by: scaling });
        return bias ? binary(g, bias, added, { fn: 'add' }) : added;
      };
      const updated = (W: Value): Value => binary(g, W, update(), { fn: 'add' });
      const adapt = ({ W, bias }: Weights, untouched?: Value): Weights => {
        const V = updated(W);
        if (!magnitude) return { W: V, bias: adaptBias(bias) };
        const lengths = rowLengths(g, untouched ? updated(untouched) : V);
        return { W: withMagnitude(g, V, magnitude, lengths), bias: adaptBias(bias) };
      };
      if (isEmbedding) return { adapt, update };
      const undo = ({ W, bias }: Weights, kept?: Value | null): Weights => {
        const V =
          magnitude && kept
            ? binary(g, W, binary(g, kept, view(g, magnitude, kept.shape), { fn: 'div' }), { fn: 'mul' })
            : W;
        const added = addedBias && scale(g, addedBias, { by: scaling });
        return {
          W: binary(g, V, update(), { fn: 'sub' }),
          bias: bias && added ? binary(g, bias, added, { fn: 'sub' }) : bias,
        };
      };

      const apply = (x: Value, weights: Weights, untouched?: Value): Value => {
        const dropped = dropInputs(scope, x, config.lora_dropout, i);
        if (magnitude) {
          const { W, bias } = adapt(weights, untouched);
          return linear(g, dropped, W, bias);
        }
        const low = scale(g, linear(g, dropped, A, null), { by: scaling });
        const added = linear(g, low, B, addedBias ? scale(g, addedBias, { by: scaling }) : null);
        return binary(g, linear(g, x, weights.W, weights.bias), added, { fn: 'add' });
      };
      const applyAll = (x: Value, { W, bias }: Weights): Value | null => {
        if (!all) return null;
        const [A, B] = [all['lora_A.weight']!, all['lora_B.weight']!];
        const count = A.shape[0]!;
        const low = scale(g, linear(g, x, view(g, A, [count * rank, layer.in]), null), { by: scaling });
        const rows = sizeOf(x.shape) / layer.in;
        const added = stackedMatmul(
          g,
          view(g, low, [rows, count * rank]),
          view(g, B, [count, layer.out, rank]),
          { count, transA: false, transB: true, a: 'beside', b: 'apart', c: 'beside' },
        );
        const y = linear(g, x, W, bias);
        return binary(g, y, view(g, added, y.shape), { fn: 'add' });
      };
      return {
        adapt,
        apply,
        applyAll,
        update,
        undo,
        ...(magnitude && { keep: ({ W }: Weights) => rowLengths(g, updated(W)) }),
      };
    });
  },
};
