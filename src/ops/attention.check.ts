/** The float64 references and test cases of attention.ts. */
import { defineCheck, type OpCase } from '../graph/interpret.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Tensor } from '../graph/types.ts';
import {
  type AttentionAttrs,
  type AttentionSizes,
  attentionGradOp,
  attentionOp,
  attentionSizes,
  inputCount,
} from './attention.ts';

/** A key whose masked score is below this does not exist. */
const LOWEST = -1e30;

interface Query {
  /** Place of its log-sum-exp. */
  readonly row: number;
  readonly qAt: number;
  /** Place of its output and the output's gradient. */
  readonly at: number;
  readonly kAt: (j: number) => number;
  readonly vAt: (j: number) => number;
  /** Null: the key is not there. */
  readonly scores: readonly (number | null)[];
}

/** Calls `visit` for every (batch, head, query). */
function eachQuery(
  inputs: readonly Tensor[],
  mask: Tensor | undefined,
  attrs: AttentionAttrs,
  size: AttentionSizes,
  visit: (query: Query) => void,
): void {
  const { heads, kvHeads, headDim, scale, causal } = attrs;
  const { batch, queries, keys, maskStrides, operands } = size;
  const [q, k, v] = operands;
  const [qs, ks] = [inputs[q.input]!.data, inputs[k.input]!.data];
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const kh = Math.floor(h / (heads / kvHeads));
      const kAt = (j: number) => (b * keys + j) * k.row + k.from + kh * headDim;
      const vAt = (j: number) => (b * keys + j) * v.row + v.from + kh * headDim;
      for (let i = 0; i < queries; i++) {
        const qAt = (b * queries + i) * q.row + q.from + h * headDim;
        const at = ((b * queries + i) * heads + h) * headDim;
        const scores = Array.from({ length: keys }, (_, j) => {
          if (causal && j > i + keys - queries) return null;
          let s = 0;
          for (let d = 0; d < headDim; d++) s += qs[qAt + d]! * ks[kAt(j) + d]!;
          s *= scale;
          if (mask) s += mask.data[[b, h, i, j].reduce((sum, x, axis) => sum + x * maskStrides[axis]!, 0)]!;
          return s > LOWEST ? s : null;
        });
        visit({ row: (b * heads + h) * queries + i, qAt, at, kAt, vAt, scores });
      }
    }
  }
}

function attend(inputs: readonly Tensor[], attrs: AttentionAttrs): Tensor[] {
  const count = inputCount(attrs);
  const size = attentionSizes('attention', inputs, inputs[count], attrs);
  const { heads, headDim } = attrs;
  const v = inputs[size.operands[2].input]!.data;
  const shape = [size.batch, size.queries, heads * headDim];
  const out = new Float64Array(sizeOf(shape));
  const lse = new Float64Array(size.batch * heads * size.queries);
  eachQuery(inputs, inputs[count], attrs, size, ({ row, at, vAt, scores }) => {
    const there = scores.filter((s) => s !== null);
    if (there.length === 0) return;
    const max = Math.max(...there);
    lse[row] = max + Math.log(there.reduce((sum, s) => sum + Math.exp(s - max), 0));
    scores.forEach((s, j) => {
      if (s === null) return;
      const weight = Math.exp(s - lse[row]!);
      for (let d = 0; d < headDim; d++) out[at + d]! += weight * v[vAt(j) + d]!;
    });
  });
  return [
    { dtype: 'f32', shape, data: out },
    { dtype: 'f32', shape: [size.batch, heads, size.queries], data: lse },
  ];
}

/** Inputs as of attentionGrad: what holds q, k and v, then out, lse, dOut, mask?. */
function attendGradient(inputs: readonly Tensor[], attrs: AttentionAttrs): Tensor[] {
  const count = inputCount(attrs);
  const mask = inputs[count + 3];
  const size = attentionSizes('attentionGrad', inputs, mask, attrs);
  const [out, lse, dOut] = inputs.slice(count, count + 3).map((t) => t.data) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const { heads, headDim, scale } = attrs;
  const [q, k, v] = size.operands.map(({ input }) => inputs[input]!.data);
  const gradients = inputs.slice(0, count).map(({ data }) => new Float64Array(data.length));
  const [dQ, dK, dV] = size.operands.map(({ input }) => gradients[input]!);
  const fours = Math.ceil(size.queries / 4) * 4;
  const rows = new Float64Array(size.batch * heads * fours);
  eachQuery(inputs, mask, attrs, size, ({ row, qAt, at, kAt, vAt, scores }) => {
    let delta = 0;
    for (let d = 0; d < headDim; d++) delta += dOut[at + d]! * out[at + d]!;
    rows[Math.floor(row / size.queries) * fours + (row % size.queries)] = delta;
    scores.forEach((s, j) => {
      if (s === null) return;
      const weight = Math.exp(s - lse[row]!);
      let dWeight = 0;
      for (let d = 0; d < headDim; d++) dWeight += dOut[at + d]! * v![vAt(j) + d]!;
      const dScore = weight * (dWeight - delta) * scale;
      for (let d = 0; d < headDim; d++) {
        dQ![qAt + d]! += dScore * k![kAt(j) + d]!;
        dK![kAt(j) + d]! += dScore * q![qAt + d]!;
        dV![vAt(j) + d]! += weight * dOut[at + d]!;
      }
    });
  });
  const all = [...gradients, rows].flatMap((part) => [...part]);
  return [{ dtype: 'f32', shape: [all.length], data: Float64Array.from(all) }];
}

interface Shape {
  readonly name: string;
  readonly sizes: readonly [batch: number, queries: number, keys: number];
  readonly attrs: AttentionAttrs;
  readonly mask?: { readonly shape: readonly number[]; readonly data: readonly number[] };
}

const f32 = (...shape: readonly number[]) => ({ dtype: 'f32' as const, shape });

/** What holds queries, keys and values, each at the width of all its parts. */
function operands({ sizes: [batch, queries, keys], attrs }: Shape) {
  const widths = [attrs.heads, attrs.kvHeads, attrs.kvHeads].map((count) => count * attrs.headDim);
  const parts = attrs.parts ?? [0, 1, 2].map((input) => ({ input, from: 0 }));
  return Array.from({ length: inputCount(attrs) }, (_, input) => {
    const here = widths.filter((_width, i) => parts[i]!.input === input);
    const rows = parts[0]!.input === input ? queries : keys;
    return f32(
      batch,
      rows,
      here.reduce((sum, width) => sum + width, 0),
    );
  });
}

const maskOf = ({ mask }: Shape) => (mask ? [{ dtype: 'f32' as const, ...mask }] : []);

/** Each in both forms of the kernels, and differentiated in one. */
const attentionCase = (shape: Shape, gradient = true): OpCase<AttentionAttrs>[] =>
  FORMS.map((form) => ({
    name: `${shape.name}, ${form}`,
    inputs: [...operands(shape), ...maskOf(shape)],
    attrs: { ...shape.attrs, form },
    gradientInputs: gradient && form === 'shared' ? operands(shape).map((_, i) => i) : [],
  }));

/** The gradient's kernels alone: at sizes where finite differences take long. */
const gradientCase = (shape: Shape): OpCase<AttentionAttrs>[] => {
  const { sizes, attrs } = shape;
  const rows = f32(sizes[0], sizes[1], attrs.heads * attrs.headDim);
  const lse = { ...f32(sizes[0], attrs.heads, sizes[1]), range: [4, 5] as const };
  return FORMS.map((form) => ({
    name: `${shape.name}, ${form}`,
    inputs: [...operands(shape), rows, lse, rows, ...maskOf(shape)],
    attrs: { ...attrs, form },
  }));
};

const FORMS = ['shared', 'alone'] as const;

const plain = (heads: number, headDim: number, scale: number): AttentionAttrs => ({
  ...{ heads, kvHeads: heads, headDim, scale },
  causal: false,
});

const packed = (from: readonly [number, number, number]) => from.map((at) => ({ input: 0, from: at }));

const HIDDEN = -3.4e38;

const SMALL: readonly Shape[] = [
  { name: 'two heads', sizes: [2, 5, 5], attrs: plain(2, 8, 0.35) },
  {
    name: 'causal, more keys than queries',
    sizes: [1, 3, 6],
    attrs: { ...plain(3, 4, 0.5), causal: true },
  },
  {
    name: 'grouped queries, causal',
    sizes: [2, 9, 9],
    attrs: { heads: 4, kvHeads: 2, headDim: 8, scale: 0.3, causal: true },
  },
  {
    name: 'head of 5',
    sizes: [1, 4, 7],
    attrs: { heads: 2, kvHeads: 1, headDim: 5, scale: 0.4, causal: false },
  },
  { name: 'one query, one key', sizes: [1, 1, 1], attrs: plain(1, 4, 1) },
  {
    name: 'padding mask',
    sizes: [2, 3, 4],
    attrs: plain(2, 4, 0.5),
    mask: { shape: [2, 1, 1, 4], data: [0, 0, HIDDEN, HIDDEN, 0, 0.5, 0, HIDDEN] },
  },
  {
    name: 'full mask with an empty row',
    sizes: [1, 2, 3],
    attrs: plain(2, 4, 1),
    mask: {
      shape: [1, 2, 2, 3],
      data: [0, -1, 1, HIDDEN, HIDDEN, HIDDEN, 0.3, 0, 0, 0, HIDDEN, 0],
    },
  },
  {
    name: 'causal, more queries than keys',
    sizes: [1, 5, 3],
    attrs: { ...plain(1, 4, 1), causal: true },
  },
  { name: 'heads of 64', sizes: [1, 3, 5], attrs: plain(2, 64, 0.125) },
  { name: 'heads of 128', sizes: [1, 2, 3], attrs: plain(1, 128, 0.09) },
  {
    name: 'columns of one matrix, keys first',
    sizes: [2, 6, 6],
    attrs: {
      ...{ heads: 4, kvHeads: 2, headDim: 4, scale: 0.5, causal: true },
      parts: packed([8, 0, 24]),
    },
  },
  {
    name: 'keys and values in one matrix, head of 3',
    sizes: [1, 3, 5],
    attrs: {
      ...plain(2, 3, 0.6),
      parts: [
        { input: 0, from: 0 },
        { input: 1, from: 6 },
        { input: 1, from: 0 },
      ],
    },
  },
];

/** 0 where a key is at most 20 before its query, hidden elsewhere: whole tiles of it. */
const slidingWindow = (count: number): number[] =>
  Array.from({ length: count * count }, (_, at) => {
    const distance = Math.floor(at / count) - (at % count);
    return distance >= 0 && distance <= 20 ? 0 : HIDDEN;
  });

const LARGE: readonly Shape[] = [
  { name: '65 tokens', sizes: [2, 65, 65], attrs: plain(2, 32, 0.18) },
  { name: '70 tokens, causal', sizes: [1, 70, 70], attrs: { ...plain(2, 64, 0.125), causal: true } },
  {
    name: 'grouped queries, 70 keys',
    sizes: [2, 6, 70],
    attrs: { heads: 4, kvHeads: 2, headDim: 8, scale: 0.35, causal: true },
  },
  { name: '40 keys of 256 numbers', sizes: [1, 33, 40], attrs: plain(1, 256, 0.06) },
  {
    name: '35 tokens of 5 numbers in one matrix',
    sizes: [1, 35, 35],
    attrs: { ...plain(2, 5, 0.4), causal: true, parts: packed([0, 10, 20]) },
  },
  {
    name: '100 tokens in one matrix, a window of 21',
    sizes: [1, 100, 100],
    attrs: { ...plain(2, 8, 0.35), parts: packed([0, 16, 32]) },
    mask: { shape: [1, 1, 100, 100], data: slidingWindow(100) },
  },
  {
    name: '70 keys, of which one example has 30',
    sizes: [2, 33, 70],
    attrs: plain(1, 8, 0.35),
    mask: {
      shape: [2, 1, 1, 70],
      data: Array.from({ length: 140 }, (_, j) => (j >= 30 && j < 70 ? HIDDEN : 0)),
    },
  },
];

defineCheck(attentionOp, {
  reference: attend,
  cases: [
    ...SMALL.flatMap((shape) => attentionCase(shape)),
    ...LARGE.flatMap((shape) => attentionCase(shape, false)),
    ...attentionCase({ name: 'large scores, 65 tokens', sizes: [1, 65, 65], attrs: plain(1, 32, 6) }, false),
  ],
});

defineCheck(attentionGradOp, { reference: attendGradient, cases: LARGE.flatMap(gradientCase) });
