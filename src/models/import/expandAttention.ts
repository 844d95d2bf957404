/** ONNX 23's Attention, and GroupQueryAttention of com.microsoft (the genai model builder). */
import { asAdditive, attend, headsOf, LOW, part, rowsOf, triangle } from './attend.ts';
import { derive, reshapeOf } from './derive.ts';
import type { FoldedValue } from './folded.ts';
import { knownValue } from './folded.ts';
import type { Context } from './lowering.ts';
import { float, input, int, refuse } from './lowering.ts';
import { allot, counted } from './room.ts';
import { angleRows, rotate } from './rotary.ts';

/** Keys or values [B, S, KV·D] behind those of a cache [B, KV, P, D]. */
export function afterPast(v: FoldedValue, past: FoldedValue | null): FoldedValue {
  if (!past || past.shape[2] === 0) return v;
  const before = rowsOf(past);
  const shape = [v.shape[0]!, before.shape[1]! + v.shape[1]!, v.shape[2]!];
  return derive('Concat', [before, v], { axis: 1 }, shape);
}

export const wanted = (c: Context, output: number): boolean => Boolean(c.node.outputs[output]);

/**
 * Without a cache its mask is causal whatever seqlens_k says: padding is on the right, where no earlier position sees it. With a cache
 * every example is taken to fill it.
 */
export function groupQueryAttention(c: Context): readonly (FoldedValue | null)[] {
  const heads = int(c, 'num_heads', 0);
  const kvHeads = int(c, 'kv_num_heads', 0);
  if (int(c, 'smooth_softmax', 0) === 1 || c.inputs[11]) return refuse('it has attention sinks');
  if (int(c, 'qk_output', 0) !== 0) return refuse('it gives out its scores');
  if (c.inputs[12] ?? c.inputs[13]) return refuse('its cache is quantised');
  let q = input(c, 0);
  let k: FoldedValue;
  let v: FoldedValue;
  if (c.inputs[1]) {
    [k, v] = [c.inputs[1], input(c, 2)];
  } else {
    const headDim = q.shape[2]! / (heads + 2 * kvHeads);
    const packed = q;
    q = part(packed, 0, heads * headDim);
    k = part(packed, heads * headDim, kvHeads * headDim);
    v = part(packed, (heads + kvHeads) * headDim, kvHeads * headDim);
  }
  const [, length, width] = q.shape as [number, number, number];
  const past = c.inputs[3]?.shape[2] ?? 0;
  if (int(c, 'do_rotary', 0) === 1) {
    const positions = c.inputs[9] ?? null;
    const tables = [7, 8].map((i) => angleRows(input(c, i), positions, past, length)) as [
      FoldedValue,
      FoldedValue,
    ];
    const interleaved = int(c, 'rotary_interleaved', 0) === 1;
    q = rotate(q, ...tables, heads, interleaved);
    k = rotate(k, ...tables, kvHeads, interleaved);
  }
  const keys = afterPast(k, c.inputs[3] ?? null);
  const values = afterPast(v, c.inputs[4] ?? null);
  const window = int(c, 'local_window_size', -1);
  const scale = float(c, 'scale', 0);
  const y = attend(
    {
      q,
      k: keys,
      v: values,
      heads,
      kvHeads,
      scale: scale === 0 ? 1 / Math.sqrt(width / heads) : scale,
      causal: true,
      window: window > 0 ? window : null,
      softcap: float(c, 'softcap', 0),
      masks: c.inputs[10] ? [c.inputs[10]] : [],
    },
    c.node,
  );
  return [y, ...[keys, values].map((t, i) => (wanted(c, i + 1) ? headsOf(t, kvHeads) : null))];
}

/** Q, K, V as [B, S, H·D] or [B, H, S, D]; the causal mask is aligned at the upper left, after the cache. */
export function onnxAttention(c: Context): readonly (FoldedValue | null)[] {
  if (wanted(c, 3)) return refuse('it gives out its scores');
  const [q, k, v] = [input(c, 0), input(c, 1), input(c, 2)];
  const whole = q.shape.length === 4;
  const heads = whole ? q.shape[1]! : int(c, 'q_num_heads', 0);
  const kvHeads = whole ? k.shape[1]! : int(c, 'kv_num_heads', 0);
  if (heads < 1 || kvHeads < 1) return refuse('it does not say how many heads it has');
  const rows = whole ? [q, k, v].map(rowsOf) : [q, k, v];
  const [past, pastValues] = [c.inputs[4] ?? null, c.inputs[5] ?? null];
  const [queries, keys, values] = [
    rows[0]!,
    afterPast(rows[1]!, past),
    afterPast(rows[2]!, pastValues),
  ] as const;
  const [sq, sk] = [queries.shape[1]!, keys.shape[1]!];
  const masks: FoldedValue[] = [];
  if (c.inputs[3]) masks.push(stretched(asAdditive(c.inputs[3]), sk));
  if (c.inputs[6]) masks.push(withinLength(c.inputs[6], sk));
  const before = past?.shape[2] ?? 0;
  const causal = int(c, 'is_causal', 0) === 1;
  const aligned = sk - sq === before;
  if (causal && !aligned) masks.push(triangle(sq, sk, before, null));
  const scale = float(c, 'scale', 0);
  const y = attend(
    {
      q: queries,
      k: keys,
      v: values,
      heads,
      kvHeads,
      scale: scale === 0 ? Math.sqrt(heads / queries.shape[2]!) : scale,
      causal: causal && aligned,
      softcap: float(c, 'softcap', 0),
      masks,
    },
    c.node,
  );
  const out = whole ? headsOf(y, heads) : y;
  return [out, ...[keys, values].map((t, i) => (wanted(c, i + 1) ? headsOf(t, kvHeads) : null))];
}

/** A mask that ends before the keys do hides the rest. */
function stretched(mask: FoldedValue, keys: number): FoldedValue {
  const have = mask.shape.at(-1)!;
  if (have === keys || have === 1) return mask;
  const shape = mask.shape.with(-1, keys - have);
  const hidden = knownValue('hidden', {
    dtype: 'float32',
    shape,
    data: allot('float32', shape).fill(LOW),
  });
  return derive('Concat', [mask, hidden], { axis: shape.length - 1 }, mask.shape.with(-1, keys));
}

/** [B] numbers of keys that are there → [B, 1, 1, Sk], additive. */
export function withinLength(lengths: FoldedValue, keys: number): FoldedValue {
  const batch = lengths.shape[0]!;
  const data = counted(lengths.dtype, keys);
  const index = knownValue('positions', { dtype: lengths.dtype, shape: [1, keys], data });
  const keep = derive('Less', [index, reshapeOf(lengths, [batch, 1])], {}, [batch, keys]);
  return reshapeOf(asAdditive(keep), [batch, 1, 1, keys]);
}
