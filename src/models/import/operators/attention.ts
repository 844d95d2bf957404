/**
 * Attention as ONNX 23 and com.microsoft have it, in their many forms of heads, caches and masks: each becomes one canonical node on
 * [B, S, H·D], which is spelled out in plain products where the kernel does not fit it. Rotary embeddings with them.
 */
import { broadcastShapes } from '../../../graph/shape.ts';
import { say } from '../../../lib/say.ts';
import { isFloat, type OnnxNode } from '../../../onnx/types.ts';
import * as op from '../../../ops/index.ts';
import { allocate } from '../importBudget.ts';
import { type IrGraph, type IrNode, type IrValue, knownValue, partOfWeight, scalar, toKnown } from '../ir.ts';
import { combineMasks, squeezeLeading } from './masks.ts';
import {
  become,
  type Context,
  derive,
  float,
  input,
  int,
  ints,
  type Operators,
  positions,
  type Results,
  refuse,
  reshapeOf,
  sliceOf,
  transposeOf,
} from './operator.ts';

/** Low enough to vanish in any softmax, high enough that two of them do not overflow. */
const LOW = -1e30;

export interface Heads {
  /** [B, Sq, heads·D]. */
  readonly q: IrValue;
  /** [B, Sk, kvHeads·D]. */
  readonly k: IrValue;
  /** [B, Sk, kvHeads·Dv]. */
  readonly v: IrValue;
  readonly heads: number;
  readonly kvHeads: number;
  readonly scale: number;
  /** Query i sees the keys up to i + Sk − Sq. */
  readonly causal: boolean;
  /** Keys that a query sees at most, itself included; null: all. */
  readonly window?: number | null;
  /** c·tanh(score / c), where not 0. */
  readonly softcap?: number;
  /** Additive, each broadcastable to [B, H, Sq, Sk]. */
  readonly masks: readonly IrValue[];
}

/** [B, H, S, D] → [B, S, H·D]. */
export function rowsOf(v: IrValue): IrValue {
  const [b, h, s, d] = v.shape as [number, number, number, number];
  return reshapeOf(transposeOf(v, [0, 2, 1, 3]), [b, s, h * d]);
}

/** [B, S, H·D] → [B, H, S, D]. */
export function headsOf(v: IrValue, heads: number): IrValue {
  const [b, s, width] = v.shape as [number, number, number];
  return transposeOf(reshapeOf(v, [b, s, heads, width / heads]), [0, 2, 1, 3]);
}

/** `size` numbers of the last axis from `from` on. */
function part(v: IrValue, from: number, size: number): IrValue {
  const last = v.shape.length - 1;
  // A bias that the file keeps in one for several layers.
  if (v.weight && !v.weight.part) return partOfWeight(v, { axis: last, from, size });
  return sliceOf(v, last, from, size);
}

/** 0 where `keep` is true, very negative elsewhere. */
function additive(keep: IrValue, low = LOW): IrValue {
  return derive('Where', [keep, scalar(0), scalar(low)], {}, keep.shape);
}

/** A boolean mask made additive; a float one is so already. */
const asAdditive = (mask: IrValue): IrValue => (isFloat(mask.dtype) ? mask : additive(mask));

/** [1, 1, Sq, Sk]: 0 where query i (at position i + offset) sees key j, very negative elsewhere. */
function triangle(queries: number, keys: number, offset: number, window: number | null): IrValue {
  const shape = [1, 1, queries, keys];
  const data = allocate('float32', shape);
  for (let i = 0; i < data.length; i++) {
    const distance = Math.floor(i / keys) + offset - (i % keys);
    if (distance < 0 || (window !== null && distance >= window)) data[i] = LOW;
  }
  return knownValue('triangle', { dtype: 'float32', shape, data });
}

/** @returns [B, Sq, heads·Dv] */
function attend(h: Heads, origin: OnnxNode): IrValue {
  const [batch, queries, width] = h.q.shape as [number, number, number];
  const keys = h.k.shape[1]!;
  const headDim = width / h.heads;
  const valueDim = h.v.shape[2]! / h.kvHeads;
  const masks = [...h.masks];
  // A table only where a flag does not say it: at 2,048 positions it is 32 MB of numbers.
  const window = h.window != null && h.window < keys ? h.window : null;
  if (window !== null) masks.push(triangle(queries, keys, keys - queries, window));
  const combined = combineMasks(masks, [batch, h.heads, queries, keys]);
  const attrs = {
    heads: h.heads,
    kvHeads: h.kvHeads,
    headDim,
    scale: h.scale,
    causal: combined.causal || (h.causal && window === null),
    softcap: h.softcap ?? 0,
  };
  const shape = [batch, queries, h.heads * valueDim];
  return derive('Attention', [h.q, h.k, h.v, combined.mask], attrs, shape, origin);
}

/** Whether something that may be trained lies above a value (T5's relative position bias). */
export function isLearned(v: IrValue, seen = new Set<IrValue>()): boolean {
  if (seen.has(v)) return false;
  seen.add(v);
  return v.weight !== null || (v.producer?.inputs.some((u) => u !== null && isLearned(u, seen)) ?? false);
}

/** Head sizes the kernel takes. */
export const fitsKernel = (headDim: number): boolean => headDim <= 256;

/** The kernel's gradient stops at the mask, so a learned one must stay visible; and it knows no soft caps. */
function fits(node: IrNode): boolean {
  const [q, , v, mask] = node.inputs as [IrValue, IrValue, IrValue, IrValue | null];
  const { heads, kvHeads, headDim, softcap } = node.attrs as Record<string, number>;
  return (
    !softcap &&
    v.shape[2] === kvHeads! * headDim! &&
    fitsKernel(headDim!) &&
    q.shape[2] === heads! * headDim! &&
    !(mask && isLearned(mask))
  );
}

/** [B, KV, S, D] → [B, H, S, D], each key and value head serving H / KV query heads. */
function repeated(v: IrValue, heads: number): IrValue {
  const [b, kv, s, d] = v.shape as [number, number, number, number];
  if (kv === heads) return v;
  const wide = [b, kv, heads / kv, s, d];
  return reshapeOf(derive('Expand', [reshapeOf(v, [b, kv, 1, s, d])], { shape: wide }, wide), [
    b,
    heads,
    s,
    d,
  ]);
}

function spell(node: IrNode): void {
  const [q, k, v, mask] = node.inputs as [IrValue, IrValue, IrValue, IrValue | null];
  const { heads, kvHeads, scale, softcap } = node.attrs as Record<string, number>;
  const [batch, queries] = q.shape as [number, number];
  const keys = k.shape[1]!;
  const full = [batch, heads!, queries, keys];
  const kT = transposeOf(repeated(headsOf(k, kvHeads!), heads!), [0, 1, 3, 2]);
  let scores = derive('MatMul', [headsOf(q, heads!), kT], {}, full, node.origin);
  scores = derive('Scale', [scores], { by: scale! }, full);
  if (softcap) {
    const bounded = derive('Tanh', [derive('Scale', [scores], { by: 1 / softcap }, full)], {}, full);
    scores = derive('Scale', [bounded], { by: softcap }, full);
  }
  if (node.attrs.causal) {
    scores = derive('Add', [scores, triangle(queries, keys, keys - queries, null)], {}, full);
  }
  if (mask) scores = derive('Add', [scores, mask], {}, broadcastShapes('mask', full, mask.shape));
  const p = derive('Softmax', [scores], { axis: 3 }, full);
  const values = repeated(headsOf(v, kvHeads!), heads!);
  const y = derive('MatMul', [p, values], {}, [batch, heads!, queries, values.shape[3]!], node.origin);
  become(node, 'Reshape', [transposeOf(y, [0, 2, 1, 3])], { shape: node.outputs[0]!.shape });
}

/** @param all also those the kernel could run */
export function spellAttention(graph: IrGraph, all: boolean): void {
  for (const node of graph.nodes) if (node.op === 'Attention' && (all || !fits(node))) spell(node);
}

// Rotary embedding as an operator of its own: com.microsoft's, ONNX 23's, and the one inside GroupQueryAttention.

/** A table of the file, which is no parameter whatever it is called. */
const constant = (v: IrValue): IrValue => (v.known ? knownValue(v.name, toKnown(v)) : v);

/** One table for all examples where they have the same positions. */
const shared = (v: IrValue): IrValue => (v.known ? knownValue(v.name, squeezeLeading(toKnown(v))) : v);

/**
 * Rows of an angle table [positions, R/2].
 * @param places positions [B, S], or null for `from`, `from` + 1, …
 * @returns [B | 1, S, R/2]
 */
function angleRows(table: IrValue, places: IrValue | null, from: number, length: number): IrValue {
  if (table.shape.length !== 2) refuse(say`its rotary table has the shape [${table.shape}], not two axes`);
  const [rows, width] = table.shape as [number, number];
  if (places) {
    const shape = [...places.shape, width];
    return shared(derive('Gather', [constant(table), places], { axis: 0 }, shape));
  }
  if (from + length > rows) {
    refuse(say`its rotary table has ${rows} positions, fewer than ${from + length}; use shorter sequences`);
  }
  return reshapeOf(sliceOf(constant(table), 0, from, length), [1, length, width]);
}

/** @param x [B, S, heads·D], its tables [B | 1, S, R/2] */
function rotate(x: IrValue, cos: IrValue, sin: IrValue, heads: number, interleaved: boolean): IrValue {
  const attrs = { heads, headDim: x.shape[2]! / heads, rotaryDim: 2 * cos.shape.at(-1)!, interleaved };
  return derive('Rope', [x, cos, sin], attrs, x.shape);
}

/** RotaryEmbedding on [B, S, H·D] or [B, H, S, D]; `tables` says which inputs are positions, cos and sin. */
function rotaryEmbedding(tables: { positions: number; cos: number; sin: number }) {
  return (c: Context): Results => {
    const x = input(c, 0);
    const [cosTable, sinTable] = [input(c, tables.cos), input(c, tables.sin)];
    const places = c.inputs[tables.positions] ?? null;
    const whole = x.shape.length === 4;
    if (!whole && x.shape.length !== 3) refuse(say`it turns a tensor of the shape [${x.shape}]`);
    const rows = whole ? rowsOf(x) : x;
    const partial = int(c, 'rotary_embedding_dim', 0);
    if (partial > 0 && partial !== 2 * cosTable.shape.at(-1)!)
      refuse(say`it turns ${partial} numbers of a head with a table for ${2 * cosTable.shape.at(-1)!}`);
    const declared = int(c, 'num_heads', 0);
    const heads = whole
      ? x.shape[1]!
      : declared > 0
        ? declared
        : rows.shape[2]! / (2 * cosTable.shape.at(-1)!);
    const length = rows.shape[1]!;
    const pick = (table: IrValue): IrValue => {
      if (table.shape.length === 3) return shared(constant(table));
      // One number is where the sequence begins.
      if (places?.shape.length === 1) {
        const from = places.known?.()[0] ?? refuse(say`the place where it begins depends on the data`);
        return angleRows(table, null, from, length);
      }
      return angleRows(table, places, 0, length);
    };
    const y = rotate(rows, pick(cosTable), pick(sinTable), heads, int(c, 'interleaved', 0) === 1);
    return [whole ? headsOf(y, heads) : y];
  };
}

/** Keys or values [B, S, KV·D] behind those of a cache [B, KV, P, D]. */
function afterPast(v: IrValue, past: IrValue | null): IrValue {
  if (!past || past.shape[2] === 0) return v;
  const before = rowsOf(past);
  const shape = [v.shape[0]!, before.shape[1]! + v.shape[1]!, v.shape[2]!];
  return derive('Concat', [before, v], { axis: 1 }, shape);
}

const wanted = (c: Context, output: number): boolean => Boolean(c.node.outputs[output]);

/** Keys and values for the cache of the next run, where the node gives them out. */
const presents = (c: Context, keysAndValues: readonly IrValue[], heads: number): Results =>
  keysAndValues.map((t, i) => (wanted(c, i + 1) ? headsOf(t, heads) : null));

const scaleOf = (c: Context, headDim: number): number => {
  const scale = float(c, 'scale', 0);
  return scale === 0 ? 1 / Math.sqrt(headDim) : scale;
};

/**
 * Without a cache its mask is causal whatever seqlens_k says: padding is on the right, where no earlier position sees it. With a cache
 * every example is taken to fill it.
 */
function groupQueryAttention(c: Context): Results {
  const heads = int(c, 'num_heads', 0);
  const kvHeads = int(c, 'kv_num_heads', 0);
  if (int(c, 'smooth_softmax', 0) === 1 || c.inputs[11]) return refuse(say`it has attention sinks`);
  if (int(c, 'qk_output', 0) !== 0) return refuse(say`it gives out its scores`);
  if (c.inputs[12] ?? c.inputs[13]) return refuse(say`its cache is quantised`);
  let q = input(c, 0);
  let k: IrValue;
  let v: IrValue;
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
    const [cos, sin] = [7, 8].map((i) => angleRows(input(c, i), c.inputs[9] ?? null, past, length)) as [
      IrValue,
      IrValue,
    ];
    const interleaved = int(c, 'rotary_interleaved', 0) === 1;
    q = rotate(q, cos, sin, heads, interleaved);
    k = rotate(k, cos, sin, kvHeads, interleaved);
  }
  const keys = afterPast(k, c.inputs[3] ?? null);
  const values = afterPast(v, c.inputs[4] ?? null);
  const window = int(c, 'local_window_size', -1);
  const y = attend(
    {
      q,
      k: keys,
      v: values,
      heads,
      kvHeads,
      scale: scaleOf(c, width / heads),
      causal: true,
      window: window > 0 ? window : null,
      softcap: float(c, 'softcap', 0),
      masks: c.inputs[10] ? [c.inputs[10]] : [],
    },
    c.node,
  );
  return [y, ...presents(c, [keys, values], kvHeads)];
}

/** Q, K, V as [B, S, H·D] or [B, H, S, D]; the causal mask is aligned at the upper left, after the cache. */
function onnxAttention(c: Context): Results {
  if (wanted(c, 3)) return refuse(say`it gives out its scores`);
  const [q, k, v] = [input(c, 0), input(c, 1), input(c, 2)];
  const whole = q.shape.length === 4;
  const heads = whole ? q.shape[1]! : int(c, 'q_num_heads', 0);
  const kvHeads = whole ? k.shape[1]! : int(c, 'kv_num_heads', 0);
  if (heads < 1 || kvHeads < 1) return refuse(say`it does not say how many heads it has`);
  const rows = whole ? [q, k, v].map(rowsOf) : [q, k, v];
  const [past, pastValues] = [c.inputs[4] ?? null, c.inputs[5] ?? null];
  const [queries, keys, values] = [
    rows[0]!,
    afterPast(rows[1]!, past),
    afterPast(rows[2]!, pastValues),
  ] as const;
  const [sq, sk] = [queries.shape[1]!, keys.shape[1]!];
  const masks: IrValue[] = [];
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
  return [out, ...presents(c, [keys, values], kvHeads)];
}

/** A mask that ends before the keys do hides the rest. */
function stretched(mask: IrValue, keys: number): IrValue {
  const have = mask.shape.at(-1)!;
  if (have === keys || have === 1) return mask;
  const shape = mask.shape.with(-1, keys - have);
  const hidden = knownValue('hidden', {
    dtype: 'float32',
    shape,
    data: allocate('float32', shape).fill(LOW),
  });
  return derive('Concat', [mask, hidden], { axis: shape.length - 1 }, mask.shape.with(-1, keys));
}

/** Keys whose places are below [B] bounds, or are not → [B, 1, 1, Sk], additive. */
function keysWhere(op: 'Less' | 'GreaterOrEqual', bounds: IrValue, keys: number): IrValue {
  const batch = bounds.shape[0]!;
  const places = positions(bounds.dtype, keys);
  const keep = derive(op, [places, reshapeOf(bounds, [batch, 1])], {}, [batch, keys]);
  return reshapeOf(additive(keep), [batch, 1, 1, keys]);
}

/** [B] numbers of keys that are there. */
const withinLength = (lengths: IrValue, keys: number): IrValue => keysWhere('Less', lengths, keys);

/** [2B]: per example where its tokens end, then where they begin. */
function between(bounds: IrValue, keys: number): IrValue[] {
  const batch = bounds.shape[0]! / 2;
  const begun = keysWhere('GreaterOrEqual', sliceOf(bounds, 0, batch, batch), keys);
  return [withinLength(sliceOf(bounds, 0, 0, batch), keys), begun];
}

/** mask_index or key_padding_mask → additive masks. */
function paddingMasks(c: Context, mask: IrValue | null, batch: number, keys: number): IrValue[] {
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
  return refuse(say`its mask has the shape [${mask.shape}], which is not supported`);
}

function plus(x: IrValue, bias: IrValue | null, c: Context): IrValue {
  return bias ? derive('Add', [x, bias], {}, x.shape, c.node) : x;
}

export function contribAttention(c: Context): Results {
  const [x, w] = [input(c, 0), input(c, 1)];
  const [batch, length] = x.shape as [number, number];
  const heads = int(c, 'num_heads', 0);
  if (int(c, 'do_rotary', 0) === 1) return refuse(say`it rotates inside`);
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
    const half = (i: number): IrValue => reshapeOf(sliceOf(past, 0, i, 1), past.shape.slice(1));
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
  }) as [IrValue, IrValue];
  return [y, derive('Concat', [pk, pv], { axis: 0 }, [2, ...pk.shape.slice(1)])];
}

interface Projected {
  readonly q: IrValue;
  readonly k: IrValue;
  readonly v: IrValue;
}

/** q, k and v as rows, from three tensors, q and a pair, or one of all three; [B, S, H, n, D] packs n of them per head. */
function projections(c: Context, heads: number): Projected {
  const first = input(c, 0);
  const unpack = (x: IrValue, i: number): IrValue => {
    const [b, s, h, , d] = x.shape as [number, number, number, number, number];
    return reshapeOf(sliceOf(x, 3, i, 1), [b, s, h * d]);
  };
  if (first.shape.length === 5) return { q: unpack(first, 0), k: unpack(first, 1), v: unpack(first, 2) };
  const key = c.inputs[1];
  if (!key) {
    const third = first.shape[2]! / 3;
    return { q: part(first, 0, third), k: part(first, third, third), v: part(first, 2 * third, third) };
  }
  if (key.shape.length === 5) return { q: first, k: unpack(key, 0), v: unpack(key, 1) };
  const value = input(c, 2);
  const rows = (v: IrValue): IrValue => (v.shape.length === 4 ? rowsOf(v) : v);
  if (key.shape.length === 4 && key.shape[1] !== heads) return refuse(say`its keys have other heads`);
  return { q: first, k: rows(key), v: rows(value) };
}

function multiHeadAttention(c: Context): Results {
  const heads = int(c, 'num_heads', 0);
  if (wanted(c, 3)) return refuse(say`it gives out its scores`);
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
  return [y, ...presents(c, [k, v], heads)];
}

export const attention: Operators = {
  Attention: {
    infer: onnxAttention,
    emit: ({ g, x, optional, attrs }) =>
      op.attention(g, [x(0), x(1), x(2)], optional(3), {
        heads: attrs.heads as number,
        kvHeads: attrs.kvHeads as number,
        headDim: attrs.headDim as number,
        scale: attrs.scale as number,
        causal: attrs.causal as boolean,
      }),
  },
  Rope: {
    emit: ({ g, x, attrs }) =>
      op.rope(g, x(0), x(1), x(2), {
        heads: attrs.heads as number,
        headDim: attrs.headDim as number,
        rotaryDim: (attrs.rotaryDim ?? attrs.headDim) as number,
        interleaved: attrs.interleaved === true,
      }),
  },
  RotaryEmbedding: { infer: rotaryEmbedding({ cos: 1, sin: 2, positions: 3 }) },
  'com.microsoft.Attention': { infer: contribAttention },
  'com.microsoft.MultiHeadAttention': { infer: multiHeadAttention },
  'com.microsoft.GroupQueryAttention': { infer: groupQueryAttention },
  'com.microsoft.RotaryEmbedding': { infer: rotaryEmbedding({ positions: 1, cos: 2, sin: 3 }) },
};
