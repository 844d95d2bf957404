/**
 * Fuses rotary embeddings and scaled-dot-product attention. Both come out in the engine's layout [B, S, H·D] between transposes
 * that cancel against those of the export; where they do not cancel, the graph is still right.
 */

import { broadcastShapes, sameShape } from '../../graph/shape.ts';
import {
  type IrGraph,
  type IrNode,
  type IrValue,
  knownValue,
  numbers,
  scalar,
  scalarOf,
  toKnown,
} from './ir.ts';
import { fitsKernel, headsOf, isLearned, rowsOf } from './operators/attention.ts';
import { combineMasks, squeezeLeading } from './operators/masks.ts';
import { become, derive, reshapeOf, transposeOf } from './operators/operator.ts';

/** Makes `node` the [B, H, S, D] view of `v` [B, S, H·D]. */
function becomeHeads(node: IrNode, v: IrValue): void {
  const [b, h, s, d] = node.outputs[0]!.shape as [number, number, number, number];
  become(node, 'Transpose', [reshapeOf(v, [b, s, h, d])], { perm: [0, 2, 1, 3] });
}

/** `v` as a run of another value's last axis: which, from where, how many. */
function lastAxisPart(v: IrValue): { of: IrValue; from: number; size: number } | null {
  const node = v.producer;
  if (!node) return null;
  const of = node.inputs[0]!;
  const last = of.shape.length - 1;
  if (node.op === 'Split' && node.attrs.axis === last) {
    const sizes = numbers(node.attrs.sizes);
    const i = node.outputs.indexOf(v);
    return { of, from: sizes.slice(0, i).reduce((n, s) => n + s, 0), size: sizes[i]! };
  }
  if (node.op !== 'Slice' || !numbers(node.attrs.steps).every((s) => s === 1)) return null;
  if (!v.shape.every((d, i) => i === last || d === of.shape[i])) return null;
  return { of, from: numbers(node.attrs.starts)[last]!, size: v.shape[last]! };
}

/** For concat(−x[D/2:], x[:D/2]): x. */
function rotatedHalf(v: IrValue): IrValue | null {
  const node = v.producer;
  if (node?.op !== 'Concat' || node.inputs.length !== 2 || node.attrs.axis !== v.shape.length - 1)
    return null;
  const negative = node.inputs[0]!.producer;
  if (negative?.op !== 'Scale' || negative.attrs.by !== -1) return null;
  const second = lastAxisPart(negative.inputs[0]!);
  const first = lastAxisPart(node.inputs[1]!);
  if (!first || !second || first.of !== second.of || first.from !== 0 || first.size !== second.from)
    return null;
  return second.from + second.size === first.of.shape.at(-1) && first.size === second.size ? first.of : null;
}

const rank4 = (shape: readonly number[]): number[] => [
  ...Array.from({ length: 4 - shape.length }, () => 1),
  ...shape,
];

/** Tables already cut to rows: every layer turns by the same ones. */
const cut = new WeakMap<IrValue, Map<string, IrValue>>();

/** A table as [B | 1, S, D]; a known one is kept once when all examples have the same positions. */
function perPosition(table: IrValue, shape: readonly number[]): IrValue {
  const v = reshapeOf(table, shape);
  if (!v.known) return v;
  const known = cut.get(table) ?? new Map<string, IrValue>();
  cut.set(table, known);
  const rows = known.get(`${shape}`) ?? knownValue(v.name, squeezeLeading(toKnown(v)));
  known.set(`${shape}`, rows);
  return rows;
}

function fuseRope(node: IrNode): void {
  if (node.op !== 'Add' || node.outputs[0]!.shape.length !== 4) return;
  const [straight, turned] = node.inputs.map((v) => (v?.producer?.op === 'Mul' ? v.producer : null));
  if (!straight || !turned) return;
  for (const [a, b] of [
    [straight, turned],
    [turned, straight],
  ] as const) {
    for (const i of [0, 1]) {
      const x = rotatedHalf(b.inputs[i]!);
      const j = x ? a.inputs.indexOf(x) : -1;
      if (!x || j < 0) continue;
      const cos = a.inputs[1 - j]!;
      const sin = b.inputs[1 - i]!;
      const table = rank4(cos.shape);
      const [batch, one, two, dim] = table as [number, number, number, number];
      if (!sameShape(table, rank4(sin.shape)) || dim !== x.shape[3] || (one !== 1 && two !== 1)) return;
      // Heads before positions is the usual order; some exports rotate before the transpose.
      const headsFirst = one === 1 && two === x.shape[2];
      if (!headsFirst && !(two === 1 && one === x.shape[1])) return;
      const [heads, length] = headsFirst ? [x.shape[1]!, two] : [x.shape[2]!, one];
      const flat = headsFirst ? rowsOf(x) : reshapeOf(x, [x.shape[0]!, length, heads * dim]);
      const tables = [cos, sin].map((t) => perPosition(t, [batch, length, dim]));
      const y = derive('Rope', [flat, ...tables], { heads, headDim: dim }, flat.shape, node.origin);
      if (headsFirst) becomeHeads(node, y);
      else become(node, 'Reshape', [y], { shape: node.outputs[0]!.shape });
      return;
    }
  }
}

/** Only the first numbers of a head turn (Phi): the rest was cut off before and joined again after. */
function fusePartialRope(node: IrNode): void {
  const out = node.outputs[0]!;
  if (node.op !== 'Concat' || node.inputs.length !== 2 || out.shape.length !== 4 || node.attrs.axis !== 3)
    return;
  // [B, H, S, R] is the transposed view of a rotary's rows, which were made of such a view.
  const rowsBehind = (v: IrValue | null | undefined): IrValue | null => {
    const turned = v?.producer?.op === 'Transpose' && isHeadsPerm(v.producer) ? v.producer.inputs[0]! : null;
    return turned?.producer?.op === 'Reshape' ? turned.producer.inputs[0]! : null;
  };
  const rope = rowsBehind(node.inputs[0])?.producer;
  if (rope?.op !== 'Rope' || rope.attrs.rotaryDim !== undefined) return;
  const flat = rope.inputs[0]!.producer;
  const heads = flat?.op === 'Reshape' ? flat.inputs[0]!.producer : null;
  if (heads?.op !== 'Transpose' || !isHeadsPerm(heads)) return;
  const first = lastAxisPart(heads.inputs[0]!);
  const rest = lastAxisPart(node.inputs[1]!);
  if (!first || !rest || first.of !== rest.of || first.from !== 0 || first.size !== rest.from) return;
  if (rest.from + rest.size !== out.shape[3] || !sameShape(first.of.shape, out.shape)) return;
  const [, count, , headDim] = out.shape as [number, number, number, number];
  const attrs = { heads: count, headDim, rotaryDim: first.size };
  const x = rowsOf(first.of);
  const y = derive('Rope', [x, rope.inputs[1]!, rope.inputs[2]!], attrs, x.shape, node.origin);
  becomeHeads(node, y);
}

const isHeadsPerm = (node: IrNode): boolean => numbers(node.attrs.perm).join() === '0,2,1,3';

interface Scores {
  /** [B, H, Sq, D] or, multiplied by bmm, [B·H, Sq, D]. */
  readonly q: IrValue;
  /** [B, H, D, Sk] or [B·H, D, Sk]. */
  readonly kT: IrValue;
  readonly scale: number;
  /** Added to the scaled scores; `flat`: where examples and heads were one axis. */
  readonly masks: readonly { readonly mask: IrValue; readonly flat: boolean }[];
}

/** A Reshape of the axes before the last two. */
const keepsMatrices = (node: IrNode): boolean =>
  node.op === 'Reshape' &&
  node.inputs[0]!.shape.length > 2 &&
  node.inputs[0]!.shape.slice(-2).join() === node.outputs[0]!.shape.slice(-2).join();

const VERY_NEGATIVE = -1e4;

/** A mask before it was stretched over heads and queries: the kernel broadcasts it. */
function unstretched(v: IrValue): IrValue {
  return v.producer?.op === 'Expand' ? unstretched(v.producer.inputs[0]!) : v;
}

/** Reads softmax's input back to q·kᵀ, collecting scale and masks. */
function readScores(v: IrValue): Scores | null {
  const node = v.producer;
  if (!node) return null;
  const [a, b, c] = node.inputs;
  switch (node.op) {
    case 'MatMul':
      return { q: a!, kT: b!, scale: 1, masks: [] };
    case 'Reshape':
      return keepsMatrices(node) ? readScores(a!) : null;
    case 'Scale': {
      const inner = readScores(a!);
      return inner && inner.masks.length === 0
        ? { ...inner, scale: inner.scale * (node.attrs.by as number) }
        : null;
    }
    case 'Add': {
      for (const [s, m] of [
        [a!, b!],
        [b!, a!],
      ] as const) {
        const inner = sameShape(s.shape, v.shape) ? readScores(s) : null;
        const flat = v.shape.length === 3;
        if (inner) return { ...inner, masks: [...inner.masks, { mask: unstretched(m), flat }] };
      }
      return null;
    }
    case 'Max': {
      // A floor at the smallest number, against overflow of masks.
      const s = scalarOf(b);
      return s !== null && s < -1e30 ? readScores(a!) : null;
    }
    case 'Where': {
      for (const [s, fill, masked] of [
        [b!, c!, false],
        [c!, b!, true],
      ] as const) {
        const value = scalarOf(fill);
        if (value === null || value > VERY_NEGATIVE || !sameShape(s.shape, v.shape)) continue;
        const inner = readScores(s);
        if (!inner) continue;
        const low = scalar(value);
        const zero = scalar(0);
        const cond = unstretched(a!);
        const mask = derive('Where', masked ? [cond, low, zero] : [cond, zero, low], {}, cond.shape);
        return { ...inner, masks: [...inner.masks, { mask, flat: v.shape.length === 3 }] };
      }
      return null;
    }
    default:
      return null;
  }
}

/** Softmax's output through the guard that turns the NaN of a fully masked row into 0. */
function probabilities(v: IrValue): IrNode | null {
  const node = v.producer;
  if (node?.op === 'Where' && node.inputs[0]?.producer?.op === 'IsNaN' && scalarOf(node.inputs[1]) === 0) {
    return node.inputs[0].producer.inputs[0] === node.inputs[2] ? probabilities(node.inputs[2]!) : null;
  }
  if (node && keepsMatrices(node)) return probabilities(node.inputs[0]!);
  return node?.op === 'Softmax' && node.attrs.axis === v.shape.length - 1 ? node : null;
}

/** Keys or values before they were repeated for the query heads that share them. */
function beforeRepeat(v: IrValue): IrValue {
  const [b, h, s, d] = v.shape as [number, number, number, number];
  if (v.producer?.op === 'Expand' && v.producer.inputs[0]!.shape[1] === 1) {
    const x = v.producer.inputs[0]!;
    return sameShape(x.shape, [b, 1, s, d]) ? x : v;
  }
  const expand = v.producer?.op === 'Reshape' ? v.producer.inputs[0]!.producer : null;
  if (expand?.op !== 'Expand') return v;
  const [eb, kv, n, es, ed] = expand.outputs[0]!.shape;
  const x = expand.inputs[0]!;
  const fits = x.shape.length === 5 && x.shape[2] === 1 && eb === b && kv! * n! === h && es === s && ed === d;
  return fits && sameShape(x.shape, [b, kv!, 1, s, d]) ? reshapeOf(x, [b, kv!, s, d]) : v;
}

/** Takes number factors off an operand. */
function unscaled(v: IrValue): { v: IrValue; by: number } {
  let by = 1;
  let at = v;
  while (at.producer?.op === 'Scale') {
    by *= at.producer.attrs.by as number;
    at = at.producer.inputs[0]!;
  }
  return { v: at, by };
}

/** Examples and heads, where bmm had them in one axis: from the Reshape that joined them. */
function leadOf(q: IrValue): readonly [number, number] | null {
  const from =
    q.shape.length === 4 ? q : q.producer && keepsMatrices(q.producer) ? q.producer.inputs[0]! : null;
  return from?.shape.length === 4 ? [from.shape[0]!, from.shape[1]!] : null;
}

function fuseOne(node: IrNode): void {
  const rank = node.outputs[0]!.shape.length;
  if (node.op !== 'MatMul' || (rank !== 4 && rank !== 3)) return;
  const softmax = probabilities(node.inputs[0]!);
  const scores = softmax && readScores(softmax.inputs[0]!);
  if (scores?.q.shape.length !== rank || scores.kT.shape.length !== rank) return;
  const q = unscaled(scores.q);
  const kT = unscaled(scores.kT);
  const inner = unscaled(transposeOf(kT.v, rank === 4 ? [0, 1, 3, 2] : [0, 2, 1]));
  const lead = leadOf(q.v);
  if (!lead) return;
  const whole = (v: IrValue): IrValue =>
    v.shape.length === 4 ? v : reshapeOf(v, [...lead, ...v.shape.slice(1)]);
  if (rank === 3 && [inner.v, node.inputs[1]!].some((v) => v.shape[0] !== lead[0] * lead[1])) return;
  const queries = whole(q.v);
  const k = beforeRepeat(whole(inner.v));
  const v = beforeRepeat(whole(node.inputs[1]!));
  const [batch, heads, length, headDim] = queries.shape as [number, number, number, number];
  const kvHeads = k.shape[1]!;
  const keys = k.shape[2]!;
  if (k.shape[0] !== batch || v.shape[0] !== batch || v.shape[1] !== kvHeads || v.shape[3] !== headDim)
    return;
  const full = [batch, heads, length, keys];
  const masks = scores.masks.map(({ mask, flat }) =>
    flat && mask.shape.length === 3 && mask.shape[0] !== 1 ? whole(mask) : mask,
  );
  if (masks.some((m) => m.shape.length > 4 || !sameShape(broadcastShapes('mask', m.shape, full), full)))
    return;
  // The kernel's gradient stops at the mask, so a learned one must stay visible.
  if (!fitsKernel(headDim) || masks.some((m) => isLearned(m))) return;
  const { mask, causal } = combineMasks(masks, full);
  const attrs = { heads, kvHeads, headDim, scale: scores.scale * q.by * kT.by * inner.by, causal };
  const y = derive(
    'Attention',
    [rowsOf(queries), rowsOf(k), rowsOf(v), mask],
    attrs,
    [batch, length, heads * headDim],
    node.origin,
  );
  if (rank === 4) becomeHeads(node, y);
  else become(node, 'Reshape', [headsOf(y, heads)], { shape: node.outputs[0]!.shape });
}

export function fuseAttention(graph: IrGraph): void {
  for (const node of graph.nodes) fuseRope(node);
  for (const node of graph.nodes) fusePartialRope(node);
  for (const node of graph.nodes) fuseOne(node);
}
