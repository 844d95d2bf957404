/**
 * Attention as the contrib ops and ONNX 23 have it: from heads and masks in their many forms to one canonical node on [B, S, H·D]; and
 * that node spelled out in plain products where the kernel does not fit it.
 */
import { broadcastShapes } from '../../graph/shape.ts';
import { isFloat } from '../../onnx/dtype.ts';
import type { OnnxNode } from '../../onnx/types.ts';
import { derive, reshapeOf, transposeOf } from './derive.ts';
import type { FoldedGraph, FoldedNode, FoldedValue } from './folded.ts';
import { knownValue, partOfWeight, scalar } from './folded.ts';
import { combineMasks } from './masks.ts';
import { allot } from './room.ts';

/** Low enough to vanish in any softmax, high enough that two of them do not overflow. */
export const LOW = -1e30;

export interface Heads {
  /** [B, Sq, heads·D]. */
  readonly q: FoldedValue;
  /** [B, Sk, kvHeads·D]. */
  readonly k: FoldedValue;
  /** [B, Sk, kvHeads·Dv]. */
  readonly v: FoldedValue;
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
  readonly masks: readonly FoldedValue[];
}

/** [B, H, S, D] → [B, S, H·D]. */
export function rowsOf(v: FoldedValue): FoldedValue {
  const [b, h, s, d] = v.shape as [number, number, number, number];
  return reshapeOf(transposeOf(v, [0, 2, 1, 3]), [b, s, h * d]);
}

/** [B, S, H·D] → [B, H, S, D]. */
export function headsOf(v: FoldedValue, heads: number): FoldedValue {
  const [b, s, width] = v.shape as [number, number, number];
  return transposeOf(reshapeOf(v, [b, s, heads, width / heads]), [0, 2, 1, 3]);
}

/** `size` numbers of the last axis from `from` on. */
export function part(v: FoldedValue, from: number, size: number): FoldedValue {
  const last = v.shape.length - 1;
  // A bias that the file keeps in one for several layers.
  if (v.weight && !v.weight.part) return partOfWeight(v, { axis: last, from, size });
  const shape = v.shape.with(last, size);
  const starts = v.shape.map((_, i) => (i === last ? from : 0));
  return derive('Slice', [v], { starts, steps: v.shape.map(() => 1), shape }, shape);
}

/** 0 where `keep` is true, very negative elsewhere. */
export function additive(keep: FoldedValue, low = LOW): FoldedValue {
  return derive('Where', [keep, scalar(0), scalar(low)], {}, keep.shape);
}

/** A boolean mask made additive; a float one is so already. */
export const asAdditive = (mask: FoldedValue): FoldedValue => (isFloat(mask.dtype) ? mask : additive(mask));

/** [1, 1, Sq, Sk]: 0 where query i (at position i + offset) sees key j, very negative elsewhere. */
export function triangle(queries: number, keys: number, offset: number, window: number | null): FoldedValue {
  const shape = [1, 1, queries, keys];
  const data = allot('float32', shape);
  for (let i = 0; i < data.length; i++) {
    const distance = Math.floor(i / keys) + offset - (i % keys);
    if (distance < 0 || (window !== null && distance >= window)) data[i] = LOW;
  }
  return knownValue('triangle', { dtype: 'float32', shape, data });
}

/** @returns [B, Sq, heads·Dv] */
export function attend(h: Heads, origin: OnnxNode): FoldedValue {
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
export function isLearned(v: FoldedValue, seen = new Set<FoldedValue>()): boolean {
  if (seen.has(v)) return false;
  seen.add(v);
  return v.weight !== null || (v.producer?.inputs.some((u) => u !== null && isLearned(u, seen)) ?? false);
}

/** Head sizes the kernel has registers for. */
export const fitsKernel = (headDim: number): boolean => headDim <= (headDim % 4 === 0 ? 256 : 64);

/** The kernel's gradient stops at the mask, so a learned one must stay visible; and it knows no soft caps. */
function fits(node: FoldedNode): boolean {
  const [q, , v, mask] = node.inputs as [FoldedValue, FoldedValue, FoldedValue, FoldedValue | null];
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
function repeated(v: FoldedValue, heads: number): FoldedValue {
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

function spell(node: FoldedNode): void {
  const [q, k, v, mask] = node.inputs as [FoldedValue, FoldedValue, FoldedValue, FoldedValue | null];
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
  const turned = transposeOf(y, [0, 2, 1, 3]);
  node.op = 'Reshape';
  node.inputs = [turned];
  node.attrs = { shape: node.outputs[0]!.shape };
}

/** @param all also those the kernel could run */
export function spellAttention(graph: FoldedGraph, all: boolean): void {
  for (const node of graph.nodes) if (node.op === 'Attention' && (all || !fits(node))) spell(node);
}
