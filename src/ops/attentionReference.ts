/** Float64 loops of attention and its gradient: the oracle of src/ops/attention.ts. */
import type { Tensor } from '../graph/types.ts';
import type { AttentionAttrs, AttentionSizes } from './attention.ts';

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

export function attend(inputs: readonly Tensor[], attrs: AttentionAttrs, size: AttentionSizes): Tensor[] {
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
export function attendGradient(
  inputs: readonly Tensor[],
  attrs: AttentionAttrs,
  size: AttentionSizes,
): Tensor[] {
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
