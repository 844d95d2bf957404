/** onnxruntime's Attention (one product for q, k and v) and MultiHeadAttention, with their many forms of mask. */
import type { Heads } from './attend.ts';
import { additive, attend, headsOf, part, rowsOf } from './attend.ts';
import { derive, reshapeOf } from './derive.ts';
import { afterPast, wanted, withinLength } from './expandAttention.ts';
import type { FoldedValue } from './folded.ts';
import { knownValue } from './folded.ts';
import type { Context } from './lowering.ts';
import { float, input, int, ints, refuse } from './lowering.ts';
import { counted } from './room.ts';

/** [2B]: per example where its tokens end, then where they begin. */
function between(bounds: FoldedValue, keys: number): FoldedValue[] {
  const batch = bounds.shape[0]! / 2;
  const half = (from: number): FoldedValue =>
    derive('Slice', [bounds], { starts: [from], steps: [1], shape: [batch] }, [batch]);
  const index = knownValue('positions', {
    dtype: bounds.dtype,
    shape: [1, keys],
    data: counted(bounds.dtype, keys),
  });
  const begun = derive('GreaterOrEqual', [index, reshapeOf(half(batch), [batch, 1])], {}, [batch, keys]);
  return [withinLength(half(0), keys), reshapeOf(additive(begun), [batch, 1, 1, keys])];
}

/** mask_index or key_padding_mask → additive masks. */
function paddingMasks(c: Context, mask: FoldedValue | null, batch: number, keys: number): FoldedValue[] {
  if (!mask) return [];
  const low = float(c, 'mask_filter_value', -10000);
  const [first, second] = mask.shape;
  switch (mask.shape.length) {
    case 1:
      if (first === batch) return [withinLength(mask, keys)];
      if (first === 2 * batch) return between(mask, keys);
      break;
    case 2:
      if (first === batch && second === keys) return [reshapeOf(additive(mask, low), [batch, 1, 1, keys])];
      break;
    case 3:
      if (first === batch && mask.shape[2] === keys)
        return [reshapeOf(additive(mask, low), [batch, 1, second!, keys])];
      break;
  }
  return refuse(`its mask has the shape [${mask.shape}], which is not supported`);
}

function plus(x: FoldedValue, bias: FoldedValue | null, c: Context): FoldedValue {
  return bias ? derive('Add', [x, bias], {}, x.shape, c.node) : x;
}

const scaleOf = (c: Context, headDim: number): number => {
  const scale = float(c, 'scale', 0);
  return scale === 0 ? 1 / Math.sqrt(headDim) : scale;
};

export function contribAttention(c: Context): readonly (FoldedValue | null)[] {
  const [x, w] = [input(c, 0), input(c, 1)];
  const [batch, length] = x.shape as [number, number];
  const heads = int(c, 'num_heads', 0);
  if (int(c, 'do_rotary', 0) === 1) return refuse('it rotates inside');
  const third = w.shape[1]! / 3;
  const [qSize, kSize, vSize] = (ints(c, 'qkv_hidden_sizes') ?? [third, third, third]) as [
    number,
    number,
    number,
  ];
  const total = qSize + kSize + vSize;
  const product = derive('MatMul', [x, w], {}, [batch, length, total], c.node);
  const packed = plus(product, c.inputs[2] ?? null, c);
  const q = part(packed, 0, qSize);
  let k = part(packed, qSize, kSize);
  let v = part(packed, qSize + kSize, vSize);
  const past = c.inputs[4] ?? null;
  if (past && past.shape[3] !== 0) {
    const half = (i: number): FoldedValue => {
      const shape = past.shape.slice(1);
      const attrs = { starts: [i, 0, 0, 0, 0], steps: [1, 1, 1, 1, 1], shape: [1, ...shape] };
      return reshapeOf(derive('Slice', [past], attrs, [1, ...shape]), shape);
    };
    k = afterPast(k, half(0));
    v = afterPast(v, half(1));
  }
  const keys = k.shape[1]!;
  const masks = paddingMasks(c, c.inputs[3] ?? null, batch, keys);
  if (c.inputs[5]) masks.push(c.inputs[5]);
  const y = attend(
    {
      q,
      k,
      v,
      heads,
      kvHeads: heads,
      scale: scaleOf(c, qSize / heads),
      causal: int(c, 'unidirectional', 0) === 1,
      masks,
    },
    c.node,
  );
  if (!wanted(c, 1)) return [y];
  const [pk, pv] = [k, v].map((t) => {
    const split = headsOf(t, heads);
    return reshapeOf(split, [1, ...split.shape]);
  }) as [FoldedValue, FoldedValue];
  return [y, derive('Concat', [pk, pv], { axis: 0 }, [2, ...pk.shape.slice(1)])];
}

interface Projected {
  readonly q: FoldedValue;
  readonly k: FoldedValue;
  readonly v: FoldedValue;
}

/** q, k and v as rows, from three tensors, q and a pair, or one of all three; [B, S, H, n, D] packs n of them per head. */
function projections(c: Context, heads: number): Projected {
  const first = input(c, 0);
  const unpack = (x: FoldedValue, i: number): FoldedValue => {
    const [b, s, h, , d] = x.shape as [number, number, number, number, number];
    const attrs = { starts: [0, 0, 0, i, 0], steps: [1, 1, 1, 1, 1], shape: [b, s, h, 1, d] };
    return reshapeOf(derive('Slice', [x], attrs, attrs.shape), [b, s, h * d]);
  };
  if (first.shape.length === 5) return { q: unpack(first, 0), k: unpack(first, 1), v: unpack(first, 2) };
  const key = c.inputs[1];
  if (!key) {
    const third = first.shape[2]! / 3;
    return { q: part(first, 0, third), k: part(first, third, third), v: part(first, 2 * third, third) };
  }
  if (key.shape.length === 5) return { q: first, k: unpack(key, 0), v: unpack(key, 1) };
  const value = input(c, 2);
  const rows = (v: FoldedValue): FoldedValue => (v.shape.length === 4 ? rowsOf(v) : v);
  if (key.shape.length === 4 && key.shape[1] !== heads) return refuse('its keys have other heads');
  return { q: first, k: rows(key), v: rows(value) };
}

export function multiHeadAttention(c: Context): readonly (FoldedValue | null)[] {
  const heads = int(c, 'num_heads', 0);
  if (wanted(c, 3)) return refuse('it gives out its scores');
  let { q, k, v } = projections(c, heads);
  const bias = c.inputs[3];
  if (bias) {
    const [nq, nk, nv] = [q, k, v].map((t) => t.shape[2]!) as [number, number, number];
    q = plus(q, part(bias, 0, nq), c);
    // Keys of cross attention that come from a cache have had theirs.
    if (c.inputs[1]?.shape.length !== 4) {
      k = plus(k, part(bias, nq, nk), c);
      v = plus(v, part(bias, nq + nk, nv), c);
    }
  }
  k = afterPast(k, c.inputs[6] ?? null);
  v = afterPast(v, c.inputs[7] ?? null);
  const masks = paddingMasks(c, c.inputs[4] ?? null, q.shape[0]!, k.shape[1]!);
  if (c.inputs[5]) masks.push(c.inputs[5]);
  const all: Heads = {
    q,
    k,
    v,
    heads,
    kvHeads: heads,
    scale: scaleOf(c, q.shape[2]! / heads),
    causal: int(c, 'unidirectional', 0) === 1,
    masks,
  };
  const y = attend(all, c.node);
  return [y, ...[k, v].map((t, i) => (wanted(c, i + 1) ? headsOf(t, heads) : null))];
}
