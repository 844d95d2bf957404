/** The shapes at which src/ops/attention.ts is tested. */
import type { OpCase } from '../graph/types.ts';
import type { AttentionAttrs } from './attention.ts';

function attentionCase(
  name: string,
  [batch, queries, keys]: readonly [number, number, number],
  attrs: AttentionAttrs,
  mask?: { readonly shape: readonly number[]; readonly data: readonly number[] },
  forwardOnly = false,
): OpCase<AttentionAttrs> {
  const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });
  const kv = f32(batch, keys, attrs.kvHeads * attrs.headDim);
  const inputs = [f32(batch, queries, attrs.heads * attrs.headDim), kv, kv];
  return {
    name,
    inputs: mask ? [...inputs, { dtype: 'f32' as const, ...mask }] : inputs,
    attrs,
    gradientInputs: forwardOnly ? [] : [0, 1, 2],
  };
}

export const attentionCases: readonly OpCase<AttentionAttrs>[] = [
  attentionCase('two heads', [2, 5, 5], { heads: 2, kvHeads: 2, headDim: 8, scale: 0.35, causal: false }),
  attentionCase('causal, more keys than queries', [1, 3, 6], {
    heads: 3,
    kvHeads: 3,
    headDim: 4,
    scale: 0.5,
    causal: true,
  }),
  attentionCase('grouped queries, causal', [2, 9, 9], {
    heads: 4,
    kvHeads: 2,
    headDim: 8,
    scale: 0.3,
    causal: true,
  }),
  attentionCase('head of 5', [1, 4, 7], { heads: 2, kvHeads: 1, headDim: 5, scale: 0.4, causal: false }),
  attentionCase(
    'padding mask',
    [2, 3, 4],
    { heads: 2, kvHeads: 2, headDim: 4, scale: 0.5, causal: false },
    {
      shape: [2, 1, 1, 4],
      data: [0, 0, -3.4e38, -3.4e38, 0, 0.5, 0, -3.4e38],
    },
  ),
  attentionCase(
    'full mask with an empty row',
    [1, 2, 3],
    { heads: 2, kvHeads: 2, headDim: 4, scale: 1, causal: false },
    {
      shape: [1, 2, 2, 3],
      data: [0, -1, 1, -3.4e38, -3.4e38, -3.4e38, 0.3, 0, 0, 0, -3.4e38, 0],
    },
  ),
  attentionCase('causal, more queries than keys', [1, 5, 3], {
    heads: 1,
    kvHeads: 1,
    headDim: 4,
    scale: 1,
    causal: true,
  }),
  attentionCase(
    'large scores, 65 tokens',
    [1, 65, 65],
    { heads: 1, kvHeads: 1, headDim: 32, scale: 6, causal: false },
    undefined,
    true,
  ),
  attentionCase('heads of 64', [1, 3, 5], {
    heads: 2,
    kvHeads: 2,
    headDim: 64,
    scale: 0.125,
    causal: false,
  }),
  attentionCase('heads of 128', [1, 2, 3], {
    heads: 1,
    kvHeads: 1,
    headDim: 128,
    scale: 0.09,
    causal: false,
  }),
];
