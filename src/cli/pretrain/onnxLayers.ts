/** Normalisation, attention, rotary positions and the loss in ONNX, forward and backward. */
import type { Node } from '../../graph/types.ts';
import { fail } from '../../lib/errors.ts';
import type { AttentionAttrs } from '../../ops/attention.ts';
import type { CrossEntropyAttrs } from '../../ops/crossEntropy.ts';
import type { NormAttrs } from '../../ops/norms.ts';
import type { RopeAttrs } from '../../ops/rope.ts';
import { type Lowering, lowering, type OnnxEmitter } from './emitter.ts';

const FLOAT = 1;
/** The score of a key that is not there. */
const ABSENT = -1e30;
const INT64 = 7;

/** Statistics of rows, [...], beside the rows they belong to, [..., 1]. */
const column = (e: OnnxEmitter, stat: string, x: readonly number[]): string =>
  e.reshape(stat, [...x.slice(0, -1), 1]);

const lastAxis = (shape: readonly number[]): number[] => [shape.length - 1];
const otherAxes = (shape: readonly number[]): number[] => shape.slice(0, -1).map((_, i) => i);

/** Σ over all rows of a · b (or of a), as [columns]. */
function overRows(e: OnnxEmitter, x: readonly number[], a: string, b?: string): string {
  const product = b === undefined ? a : e.op('Mul', [a, b]);
  return e.op('ReduceSum', [product, e.ints(otherAxes(x))], { keepdims: 0 });
}

const centred = (e: OnnxEmitter, x: string, mean: string, rstd: string, shape: readonly number[]): string =>
  e.op('Mul', [e.op('Sub', [x, column(e, mean, shape)]), column(e, rstd, shape)]);

const rowStatistic = (e: OnnxEmitter, stat: string, shape: readonly number[]): string =>
  e.reshape(stat, shape.slice(0, -1));

const inverseRoot = (e: OnnxEmitter, meanSquare: string, eps: number): string =>
  e.op('Reciprocal', [e.op('Sqrt', [e.op('Add', [meanSquare, e.scalar(eps)])])]);

const norms: Readonly<Record<string, Lowering>> = {
  layerNorm: lowering<NormAttrs>((e, [x, w, b], { inputs, attrs }) => {
    const { shape } = inputs[0]!;
    const mean = e.reduce('ReduceMean', x!, lastAxis(shape));
    const off = e.op('Sub', [x!, mean]);
    const rstd = inverseRoot(e, e.reduce('ReduceMean', e.op('Mul', [off, off]), lastAxis(shape)), attrs.eps);
    const n = e.op('Mul', [off, rstd]);
    const scaled = w === undefined ? n : e.op('Mul', [n, w]);
    return [
      b === undefined ? scaled : e.op('Add', [scaled, b]),
      rowStatistic(e, mean, shape),
      rowStatistic(e, rstd, shape),
    ];
  }),
  layerNormGrad: (e, [x, dy, mean, rstd, w], { inputs }) => {
    const { shape } = inputs[0]!;
    const n = centred(e, x!, mean!, rstd!, shape);
    const h = w === undefined ? dy! : e.op('Mul', [dy!, w]);
    const meanH = e.reduce('ReduceMean', h, lastAxis(shape));
    const along = e.op('Mul', [n, e.reduce('ReduceMean', e.op('Mul', [h, n]), lastAxis(shape))]);
    const rest = e.op('Sub', [e.op('Sub', [h, meanH]), along]);
    return [e.op('Mul', [rest, column(e, rstd!, shape)])];
  },
  layerNormGradWeights: (e, [x, dy, mean, rstd], { inputs }) => {
    const { shape } = inputs[0]!;
    const n = centred(e, x!, mean!, rstd!, shape);
    return [overRows(e, shape, dy!, n), overRows(e, shape, dy!)];
  },
  rmsNorm: lowering<NormAttrs>((e, [x, w], { inputs, attrs }) => {
    const { shape } = inputs[0]!;
    const rstd = inverseRoot(e, e.reduce('ReduceMean', e.op('Mul', [x!, x!]), lastAxis(shape)), attrs.eps);
    const n = e.op('Mul', [x!, rstd]);
    return [w === undefined ? n : e.op('Mul', [n, w]), rowStatistic(e, rstd, shape)];
  }),
  rmsNormGrad: (e, [x, dy, rstd, w], { inputs }) => {
    const { shape } = inputs[0]!;
    const scale = column(e, rstd!, shape);
    const n = e.op('Mul', [x!, scale]);
    const h = w === undefined ? dy! : e.op('Mul', [dy!, w]);
    const along = e.op('Mul', [n, e.reduce('ReduceMean', e.op('Mul', [h, n]), lastAxis(shape))]);
    return [e.op('Mul', [e.op('Sub', [h, along]), scale])];
  },
  rmsNormGradWeights: (e, [x, dy, rstd], { inputs }) => {
    const { shape } = inputs[0]!;
    return [overRows(e, shape, dy!, e.op('Mul', [x!, column(e, rstd!, shape)]))];
  },
};

/** [B, S, heads·D] → [B, heads, S, D], each head of keys or values repeated for the queries that share it. */
function heads(
  e: OnnxEmitter,
  x: string,
  [batch, rows]: readonly number[],
  own: number,
  attrs: AttentionAttrs,
) {
  const { heads: all, headDim } = attrs;
  const apart = e.transpose(e.reshape(x, [batch!, rows!, own, headDim]), [0, 2, 1, 3]);
  if (own === all) return apart;
  const grouped = e.reshape(apart, [batch!, own, 1, rows!, headDim]);
  const repeated = e.op('Expand', [grouped, e.ints([batch!, own, all / own, rows!, headDim])]);
  return e.reshape(repeated, [batch!, all, rows!, headDim]);
}

/** The transpose of {@link heads}: repeated heads are added up. */
function joined(
  e: OnnxEmitter,
  x: string,
  [batch, rows]: readonly number[],
  own: number,
  attrs: AttentionAttrs,
) {
  const { heads: all, headDim } = attrs;
  const grouped = e.reshape(x, [batch!, own, all / own, rows!, headDim]);
  const apart = own === all ? x : e.op('ReduceSum', [grouped, e.ints([2])], { keepdims: 0 });
  return e.reshape(e.transpose(apart, [0, 2, 1, 3]), [batch!, rows!, own * headDim]);
}

const turned = (e: OnnxEmitter, x: string): string => e.transpose(x, [0, 1, 3, 2]);

/** Queries, keys and values by head, and the attention weights [B, heads, Sq, Sk]. */
function attentionParts(
  e: OnnxEmitter,
  names: readonly string[],
  node: Node<AttentionAttrs>,
  maskAt: number,
) {
  const { attrs, inputs } = node;
  const [q, k, v] = names;
  const mask = names[maskAt];
  const [qShape, kShape] = inputs.map(({ shape }) => shape) as [number[], number[]];
  const [queries, keys] = [qShape[1]!, kShape[1]!];
  const Q = heads(e, q!, qShape, attrs.heads, attrs);
  const K = heads(e, k!, kShape, attrs.kvHeads, attrs);
  const V = heads(e, v!, kShape, attrs.kvHeads, attrs);
  const scaled = e.op('Mul', [e.op('MatMul', [Q, turned(e, K)]), e.scalar(attrs.scale)]);
  const padded = mask === undefined ? scaled : e.op('Add', [scaled, e.op('Max', [mask, e.scalar(ABSENT)])]);
  const scores = attrs.causal ? e.op('Add', [padded, causalMask(e, queries, keys)]) : padded;
  const shares = e.op('Softmax', [scores], { axis: -1 });
  // A query that sees no key at all gets nothing, instead of the mean of what is hidden.
  const there = e.op('Cast', [e.op('Greater', [scores, e.scalar(ABSENT / 2)])], { to: FLOAT });
  const weights = mask === undefined && keys >= queries ? shares : e.op('Mul', [shares, there]);
  return { Q, K, V, scores, weights, qShape, kShape };
}

/** 0 where query i sees key j, a large negative number elsewhere. */
function causalMask(e: OnnxEmitter, queries: number, keys: number): string {
  // From constants by name, so that equal masks are written once.
  const range = (count: number, from: number) => Array.from({ length: count }, (_, i) => i + from);
  const i = e.ints(range(queries, keys - queries), [queries, 1]);
  const later = e.op('Greater', [e.ints(range(keys, 0), [1, keys]), i]);
  return e.op('Where', [later, e.scalar(ABSENT), e.scalar(0)]);
}

const attention: Readonly<Record<string, Lowering>> = {
  attention: lowering<AttentionAttrs>((e, inputs, node) => {
    const { V, scores, weights, qShape } = attentionParts(e, inputs, node, 3);
    const out = joined(e, e.op('MatMul', [weights, V]), qShape, node.attrs.heads, node.attrs);
    const lse = e.op('ReduceLogSumExp', [scores, e.ints([3])], { keepdims: 0 });
    const any = e.op('Greater', [lse, e.scalar(ABSENT / 2)]);
    return [out, e.op('Where', [any, lse, e.scalar(0)])];
  }),
  attentionGrad: lowering<AttentionAttrs>((e, inputs, node) => {
    const { attrs } = node;
    const { Q, K, V, weights, qShape, kShape } = attentionParts(e, inputs, node, 6);
    const out = heads(e, inputs[3]!, qShape, attrs.heads, attrs);
    const dOut = heads(e, inputs[5]!, qShape, attrs.heads, attrs);
    const delta = e.reduce('ReduceSum', e.op('Mul', [dOut, out]), [3]);
    const dWeights = e.op('MatMul', [dOut, turned(e, V)]);
    const dScores = e.op('Mul', [
      e.op('Mul', [weights, e.op('Sub', [dWeights, delta])]),
      e.scalar(attrs.scale),
    ]);
    return [
      joined(e, e.op('MatMul', [dScores, K]), qShape, attrs.heads, attrs),
      joined(e, e.op('MatMul', [turned(e, dScores), Q]), kShape, attrs.kvHeads, attrs),
      joined(e, e.op('MatMul', [turned(e, weights), dOut]), kShape, attrs.kvHeads, attrs),
    ];
  }),
};

/** The first or second half of the last axis. */
function half(e: OnnxEmitter, x: string, which: 0 | 1, length: number): string {
  const from = (which * length) / 2;
  return e.op('Slice', [x, e.ints([from]), e.ints([from + length / 2]), e.ints([-1])]);
}

const exchanged = (e: OnnxEmitter, a: string, b: string): string => e.op('Concat', [a, b], { axis: -1 });

const rope = lowering<RopeAttrs>((e, [x, cos, sin], { inputs, attrs }) => {
  const { heads: count, headDim, rotaryDim, interleaved, inverse } = attrs;
  if (interleaved || rotaryDim !== headDim)
    return fail('unsupported-onnx', 'The op rope has a translation to ONNX only for half-split whole heads.');
  const [batch, sequence] = inputs[0]!.shape as [number, number];
  const table = inputs[1]!.shape;
  const rows = table.length === 3 ? table[0]! : 1;
  const wide = (t: string): string => {
    const full = table.at(-1) === rotaryDim ? t : exchanged(e, t, t);
    return e.reshape(full, [rows, sequence, 1, headDim]);
  };
  const sines = wide(sin!);
  const [first, second] = [half(e, sines, 0, headDim), half(e, sines, 1, headDim)];
  // y = x·cos + exchanged halves of x · (−sin, sin); the transpose exchanges the signed sines too.
  const signed = inverse
    ? exchanged(e, second, e.op('Neg', [first]))
    : exchanged(e, e.op('Neg', [first]), second);
  const apart = e.reshape(x!, [batch, sequence, count, headDim]);
  const other = exchanged(e, half(e, apart, 1, headDim), half(e, apart, 0, headDim));
  const y = e.op('Add', [e.op('Mul', [apart, wide(cos!)]), e.op('Mul', [other, signed])]);
  return [e.reshape(y, inputs[0]!.shape)];
});

/** Labels that count as int64 [N], 0 for the others, and which do as float [N, 1]. */
function countedLabels(e: OnnxEmitter, labels: string, classes: number, ignore: number, rows: number) {
  const wide = e.op('Cast', [labels], { to: INT64 });
  const inside = e.op('And', [
    e.op('GreaterOrEqual', [wide, e.ints([0], [])]),
    e.op('Less', [wide, e.ints([classes], [])]),
  ]);
  const counts = e.op('And', [inside, e.op('Not', [e.op('Equal', [wide, e.ints([ignore], [])])])]);
  return {
    label: e.op('Where', [counts, wide, e.ints([0], [])]),
    counts: e.reshape(e.op('Cast', [counts], { to: FLOAT }), [rows, 1]),
  };
}

const loss: Readonly<Record<string, Lowering>> = {
  crossEntropy: lowering<CrossEntropyAttrs>((e, [logits, labels], { inputs, attrs }) => {
    const [rows, classes] = inputs[0]!.shape as [number, number];
    const { label, counts } = countedLabels(e, labels!, classes, attrs.ignoreIndex, rows);
    const logShares = e.op('LogSoftmax', [logits!], { axis: 1 });
    const picked = e.op('GatherElements', [logShares, e.reshape(label, [rows, 1])], { axis: 1 });
    const sum = e.reduce('ReduceSum', e.op('Mul', [picked, counts]), [0, 1]);
    return [
      e.reshape(e.op('Neg', [sum]), [1]),
      e.op('ReduceLogSumExp', [logits!, e.ints([1])], { keepdims: 0 }),
    ];
  }),
  crossEntropyGrad: lowering<CrossEntropyAttrs>((e, [logits, labels, , dLoss], { inputs, attrs }) => {
    const [rows, classes] = inputs[0]!.shape as [number, number];
    const { label, counts } = countedLabels(e, labels!, classes, attrs.ignoreIndex, rows);
    const target = e.op('OneHot', [label, e.ints([classes], []), e.tensor('float32', [2], [0, 1])], {
      axis: 1,
    });
    const off = e.op('Sub', [e.op('Softmax', [logits!], { axis: 1 }), target]);
    return [e.op('Mul', [off, e.op('Mul', [counts, e.reshape(dLoss!, [1, 1])])])];
  }),
};

export const layers: Readonly<Record<string, Lowering>> = { ...norms, ...attention, rope, ...loss };
