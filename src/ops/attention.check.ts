/** The float64 references and test cases of attention.ts. */
import { defineCheck, type OpCase } from '../graph/interpret.ts';
import type { Tensor } from '../graph/types.ts';
import {
  type AttentionAttrs,
  type AttentionSizes,
  attentionGradOp,
  attentionOp,
  attentionSizes,
} from './attention.ts';

/** A key whose masked score is below this does not exist. */
const LOWEST = -1e30;

/** Calls `visit` for every (batch, head, query) with the offsets of its rows and its scores (null: the key is not there). */
function eachQuery(
  [q, k, , mask]: readonly (Tensor | undefined)[],
  attrs: AttentionAttrs,
  size: AttentionSizes,
  visit: (row: number, qAt: number, keyAt: (j: number) => number, scores: readonly (number | null)[]) => void,
): void {
  const { heads, kvHeads, headDim, scale, causal } = attrs;
  const { batch, queries, keys, maskStrides } = size;
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const kh = Math.floor(h / (heads / kvHeads));
      const keyAt = (j: number) => ((b * keys + j) * kvHeads + kh) * headDim;
      for (let i = 0; i < queries; i++) {
        const qAt = ((b * queries + i) * heads + h) * headDim;
        const scores = Array.from({ length: keys }, (_, j) => {
          if (causal && j > i + keys - queries) return null;
          let s = 0;
          for (let d = 0; d < headDim; d++) s += q!.data[qAt + d]! * k!.data[keyAt(j) + d]!;
          s *= scale;
          if (mask) {
            const at = [b, h, i, j].reduce((sum, x, axis) => sum + x * maskStrides[axis]!, 0);
            s += mask.data[at]!;
          }
          return s > LOWEST ? s : null;
        });
        visit((b * heads + h) * queries + i, qAt, keyAt, scores);
      }
    }
  }
}

function attend(inputs: readonly Tensor[], attrs: AttentionAttrs, size: AttentionSizes): Tensor[] {
  const { heads, headDim } = attrs;
  const v = inputs[2]!.data;
  const out = new Float64Array(inputs[0]!.data.length);
  const lse = new Float64Array(size.batch * heads * size.queries);
  eachQuery(inputs, attrs, size, (row, qAt, keyAt, scores) => {
    const there = scores.filter((s) => s !== null);
    if (there.length === 0) return;
    const max = Math.max(...there);
    lse[row] = max + Math.log(there.reduce((sum, s) => sum + Math.exp(s - max), 0));
    scores.forEach((s, j) => {
      if (s === null) return;
      const weight = Math.exp(s - lse[row]!);
      for (let d = 0; d < headDim; d++) out[qAt + d]! += weight * v[keyAt(j) + d]!;
    });
  });
  return [
    { dtype: 'f32', shape: inputs[0]!.shape, data: out },
    { dtype: 'f32', shape: [size.batch, heads, size.queries], data: lse },
  ];
}

/** Inputs as of attentionGrad: q, k, v, out, lse, dOut, mask?. */
function attendGradient(inputs: readonly Tensor[], attrs: AttentionAttrs, size: AttentionSizes): Tensor[] {
  const [q, k, v, out, lse, dOut, mask] = inputs.map((t) => t.data);
  const { headDim, scale } = attrs;
  const dQ = new Float64Array(q!.length);
  const dK = new Float64Array(k!.length);
  const dV = new Float64Array(v!.length);
  const forward = [inputs[0], inputs[1], inputs[2], mask ? inputs[6] : undefined];
  eachQuery(forward, attrs, size, (row, qAt, keyAt, scores) => {
    let delta = 0;
    for (let d = 0; d < headDim; d++) delta += dOut![qAt + d]! * out![qAt + d]!;
    scores.forEach((s, j) => {
      if (s === null) return;
      const at = keyAt(j);
      const weight = Math.exp(s - lse![row]!);
      let dWeight = 0;
      for (let d = 0; d < headDim; d++) dWeight += dOut![qAt + d]! * v![at + d]!;
      const dScore = weight * (dWeight - delta) * scale;
      for (let d = 0; d < headDim; d++) {
        dQ[qAt + d]! += dScore * k![at + d]!;
        dK[at + d]! += dScore * q![qAt + d]!;
        dV[at + d]! += weight * dOut![qAt + d]!;
      }
    });
  });
  return [dQ, dK, dV].map((data, i) => ({ dtype: 'f32', shape: inputs[i]!.shape, data }));
}

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

const attentionCases: readonly OpCase<AttentionAttrs>[] = [
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

defineCheck(attentionOp, {
  reference: (inputs, attrs) => attend(inputs, attrs, attentionSizes('attention', inputs, inputs[3], attrs)),
  cases: attentionCases,
});

defineCheck(attentionGradOp, {
  reference: (inputs, attrs) =>
    attendGradient(inputs, attrs, attentionSizes('attentionGrad', inputs, inputs[6], attrs)),
  cases: [
    {
      name: 'grouped queries, 70 keys',
      inputs: [
        { dtype: 'f32', shape: [2, 6, 32] },
        { dtype: 'f32', shape: [2, 70, 16] },
        { dtype: 'f32', shape: [2, 70, 16] },
        { dtype: 'f32', shape: [2, 6, 32] },
        { dtype: 'f32', shape: [2, 4, 6], range: [4, 5] },
        { dtype: 'f32', shape: [2, 6, 32] },
      ],
      attrs: { heads: 4, kvHeads: 2, headDim: 8, scale: 0.35, causal: true },
    },
  ],
});
