/**
 * Scaled dot-product attention over heads that lie side by side in the last axis, as the projections leave them: no transposes, and no
 * copies of queries, keys and values that are columns of one matrix. The forward pass keeps only the log-sum-exp of each row; the
 * backward pass recomputes the probabilities tile by tile.
 */

import { broadcastStrides, sizeOf } from '../graph/shape.ts';
import type {
  Caps,
  Emitter,
  Kernel,
  KernelNode,
  Node,
  OnnxForm,
  OnnxWriter,
  Param,
  Ref,
  TensorType,
  Value,
} from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { formOf, type KernelForm, perElement } from './dispatch.ts';
import { type SliceAttrs, sliceOp, split } from './moves.ts';
import { FLOAT, matmul, swapped } from './onnx.ts';

/** Where queries, keys or values stand: the columns of an input from `from` on. */
export interface AttentionPart {
  readonly input: number;
  readonly from: number;
}

export interface AttentionAttrs {
  readonly heads: number;
  /** Heads of keys and values; divides `heads` (grouped-query attention). */
  readonly kvHeads: number;
  readonly headDim: number;
  readonly scale: number;
  /** Query i sees the keys up to i + Sk − Sq. */
  readonly causal: boolean;
  /** Of q, k and v; they cover every input. By default each is an input of its own. */
  readonly parts?: readonly AttentionPart[];
  /** Of the kernels; absent: by the device. */
  readonly form?: KernelForm;
}

/** An {@link AttentionPart} with the numbers of its input's rows. */
export interface AttentionOperand extends AttentionPart {
  readonly row: number;
}

export interface AttentionSizes {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  /** q, k and v. */
  readonly operands: readonly [AttentionOperand, AttentionOperand, AttentionOperand];
  /** Inputs that hold q, k and v. */
  readonly inputs: number;
  /** Strides of the mask along batch, head, query, key; zero where broadcast. */
  readonly maskStrides: readonly number[];
}

/** Rows of queries and keys that a workgroup meets at a time, and that a thread of the direct form has. */
const TILE = 32;
const ROWS = 4;
/** Threads per workgroup of the direct form: few, so that short sequences keep every core busy. */
const DIRECT_WORKGROUP = 16;
const MAX_HEAD = 256;

const APART: readonly AttentionPart[] = [0, 1, 2].map((input) => ({ input, from: 0 }));

/** How many inputs hold queries, keys and values. */
export const inputCount = ({ parts = APART }: AttentionAttrs): number =>
  1 + Math.max(...parts.map((p) => p.input));

/** Whether queries, keys and values are inputs of their own. */
export const isApart = ({ attrs }: Pick<Node, 'attrs'>): boolean => inputCount(attrs as AttentionAttrs) === 3;

export function attentionSizes(
  name: string,
  inputs: readonly TensorType[],
  mask: TensorType | undefined,
  attrs: AttentionAttrs,
): AttentionSizes {
  const { heads, kvHeads, headDim, parts = APART } = attrs;
  const operands = parts.map((part) => ({ ...part, row: inputs[part.input]!.shape[2]! }));
  const [q, k, v] = operands as [AttentionOperand, AttentionOperand, AttentionOperand];
  const [batch, queries] = inputs[q.input]!.shape as [number, number];
  const keys = inputs[k.input]!.shape[1]!;
  const widths = [heads, kvHeads, kvHeads].map((count) => count * headDim);
  const count = inputCount(attrs);
  const fits = operands.every(({ input, from, row }, i) => {
    const { shape } = inputs[input]!;
    return (
      shape.length === 3 &&
      shape[0] === batch &&
      shape[1] === [queries, keys, keys][i] &&
      from + widths[i]! <= row
    );
  });
  // Every column is one of q, k or v, so that their gradients are all of an input's.
  const covered = Array.from({ length: count }, (_, input) =>
    operands.reduce((sum, part, i) => (part.input === input ? sum + widths[i]! : sum), 0),
  );
  if (heads % kvHeads !== 0 || !fits || covered.some((width, i) => width !== inputs[i]!.shape[2])) {
    const shapes = operands.map(({ input, from }, i) => `${'qkv'[i]} [${inputs[input]!.shape}] from ${from}`);
    fail(
      'shape',
      say`${name}: ${shapes.join(', ')} are not [B, S, heads·${headDim}] with ${heads} and ${kvHeads} heads.`,
    );
  }
  if (headDim > MAX_HEAD)
    fail('shape', say`${name}: heads of ${headDim} numbers; at most ${MAX_HEAD} are supported.`);
  const scoreShape = [batch, heads, queries, keys];
  if (mask && (mask.shape.length > 4 || mask.shape.at(-1) !== keys)) {
    fail(
      'shape',
      say`${name}: the mask [${mask.shape}] must broadcast to [${scoreShape}] and have ${keys} keys.`,
    );
  }
  return {
    batch,
    queries,
    keys,
    operands: [q, k, v],
    inputs: count,
    maskStrides: mask ? broadcastStrides(mask.shape, scoreShape) : [0, 0, 0, 0],
  };
}

/** What the kernels share; `unit`: the numbers that offsets and strides count by. */
function common(attrs: AttentionAttrs, size: AttentionSizes, masked: boolean, caps: Caps) {
  const { heads, kvHeads, headDim, scale, causal } = attrs;
  const steps = size.operands.flatMap(({ from, row }) => [from, row]);
  const unit = [headDim, ...steps].every((n) => n % 4 === 0) ? 4 : 1;
  const params: Param[] = [
    ...[size.queries, size.keys, heads, kvHeads, size.batch],
    { f32: scale },
    ...size.maskStrides.slice(0, 3),
    ...steps.map((n) => n / unit),
  ];
  // As WIDTH in the shaders: vec4 of a head that one workgroup sums.
  const wide = headDim > 64;
  const blocks = Math.ceil(headDim / 4 / (wide ? 32 : 16));
  const conditions = {
    VEC4: unit === 4,
    MASK: masked,
    CAUSAL: causal,
    WIDE: wide,
  };
  const isDirect = formOf(attrs, caps) === 'alone';
  return {
    ...{ unit, params, isDirect },
    shared: { conditions, constants: { D: headDim, ...(isDirect ? { WG: DIRECT_WORKGROUP } : {}) } },
    /** The entry point and the workgroups for `rows` rows in each of `count` heads. */
    cut: (name: string, rows: number, count: number) => ({
      entry: isDirect ? `${name}_direct` : name,
      workgroups: isDirect
        ? perElement(size.batch * count * Math.ceil(rows / ROWS) * blocks, DIRECT_WORKGROUP)
        : ([Math.ceil(rows / TILE) * blocks, count, size.batch] as const),
    }),
  };
}

/** q, k, v and the mask; without one its binding is not used. */
function readBindings({ operands }: AttentionSizes, mask: Ref | null): Ref[] {
  const read = operands.map(({ input }) => ({ in: input }));
  return [...read, mask ?? read[0]!];
}

// In ONNX: with the probabilities of all heads at once.

/** The score of a key that is not there. */
const ABSENT = -1e30;

/** [B, S, heads·D] → [B, heads, S, D], each head of keys or values repeated for the queries that share it. */
function apartHeads(
  e: OnnxWriter,
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

/** The transpose of {@link apartHeads}: repeated heads are added up. */
function joinedHeads(
  e: OnnxWriter,
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

/** Queries, keys or values in rows of their own. */
function ownRows(e: OnnxWriter, x: string, { from, row }: AttentionOperand, width: number): string {
  return width === row ? x : e.op('Slice', [x, e.ints([from]), e.ints([from + width]), e.ints([2])]);
}

/** Queries, keys and values by head, and the attention weights [B, heads, Sq, Sk]. */
function attentionParts(
  e: OnnxWriter,
  names: readonly string[],
  attrs: AttentionAttrs,
  size: AttentionSizes,
  mask: string | undefined,
) {
  const { heads, kvHeads, headDim } = attrs;
  const { batch, queries, keys } = size;
  const [Q, K, V] = size.operands.map((operand, i) => {
    const own = i === 0 ? heads : kvHeads;
    const x = ownRows(e, names[operand.input]!, operand, own * headDim);
    return apartHeads(e, x, [batch, i === 0 ? queries : keys], own, attrs);
  }) as [string, string, string];
  const scaled = e.op('Mul', [matmul(e, Q, swapped(e, K, 4)), e.scalar(attrs.scale)]);
  const padded = mask === undefined ? scaled : e.op('Add', [scaled, e.op('Max', [mask, e.scalar(ABSENT)])]);
  const scores = attrs.causal ? e.op('Add', [padded, causalMask(e, queries, keys)]) : padded;
  const shares = e.op('Softmax', [scores], { axis: -1 });
  // A query that sees no key at all gets nothing, instead of the mean of what is hidden.
  const there = e.op('Cast', [e.op('Greater', [scores, e.scalar(ABSENT / 2)])], { to: FLOAT });
  const weights = mask === undefined && keys >= queries ? shares : e.op('Mul', [shares, there]);
  return { Q, K, V, scores, weights };
}

/** 0 where query i sees key j, a large negative number elsewhere. */
function causalMask(e: OnnxWriter, queries: number, keys: number): string {
  // From constants by name, so that equal masks are written once.
  const range = (count: number, from: number) => Array.from({ length: count }, (_, i) => i + from);
  const i = e.ints(range(queries, keys - queries), [queries, 1]);
  const later = e.op('Greater', [e.ints(range(keys, 0), [1, keys]), i]);
  return e.op('Where', [later, e.scalar(ABSENT), e.scalar(0)]);
}

const attentionOnnx: OnnxForm<AttentionAttrs> = (e, names, { inputs, attrs }) => {
  const mask = inputCount(attrs);
  const size = attentionSizes('attention', inputs, inputs[mask], attrs);
  const { V, scores, weights } = attentionParts(e, names, attrs, size, names[mask]);
  const out = joinedHeads(e, matmul(e, weights, V), [size.batch, size.queries], attrs.heads, attrs);
  const lse = e.op('ReduceLogSumExp', [scores, e.ints([3])], { keepdims: 0 });
  const any = e.op('Greater', [lse, e.scalar(ABSENT / 2)]);
  return [out, e.op('Where', [any, lse, e.scalar(0)])];
};

const attentionGradOnnx: OnnxForm<AttentionAttrs> = (e, names, { inputs, attrs }) => {
  const { heads, kvHeads } = attrs;
  const at = inputCount(attrs);
  const size = attentionSizes('attentionGrad', inputs, inputs[at + 3], attrs);
  const { batch, queries, keys } = size;
  const { Q, K, V, weights } = attentionParts(e, names, attrs, size, names[at + 3]);
  const out = apartHeads(e, names[at]!, [batch, queries], heads, attrs);
  const dOut = apartHeads(e, names[at + 2]!, [batch, queries], heads, attrs);
  const delta = e.reduce('ReduceSum', e.op('Mul', [dOut, out]), [3]);
  const dWeights = matmul(e, dOut, swapped(e, V, 4));
  const dScores = e.op('Mul', [
    e.op('Mul', [weights, e.op('Sub', [dWeights, delta])]),
    e.scalar(attrs.scale),
  ]);
  const gradients = [
    joinedHeads(e, matmul(e, dScores, K), [batch, queries], heads, attrs),
    joinedHeads(e, matmul(e, swapped(e, dScores, 4), Q), [batch, keys], kvHeads, attrs),
    joinedHeads(e, matmul(e, swapped(e, weights, 4), dOut), [batch, keys], kvHeads, attrs),
  ];
  const pieces = inputs.slice(0, at).map((x, input) => {
    const own = size.operands
      .map((operand, i) => ({ ...operand, d: gradients[i]! }))
      .filter((operand) => operand.input === input)
      .sort((a, b) => a.from - b.from)
      .map(({ d }) => d);
    const whole = own.length === 1 ? own[0]! : e.op('Concat', own, { axis: 2 });
    return { name: e.reshape(whole, [-1]), size: sizeOf(x.shape) };
  });
  const filled = roundUp(queries, ROWS) - queries;
  const padded = e.op('Pad', [delta, e.ints([0, 0, 0, 0, 0, 0, filled, 0])]);
  const kept = filled === 0 ? delta : padded;
  return [
    e.joined([...pieces, { name: e.reshape(kept, [-1]), size: batch * heads * roundUp(queries, ROWS) }]),
  ];
};

/**
 * q [B, Sq, heads·D], k, v [B, Sk, kvHeads·D], or inputs with some of them side by side (`parts`); mask? f32 broadcast to
 * [B, heads, Sq, Sk] → out [B, Sq, heads·D], lse [B, heads, Sq].
 */
export const attentionOp = defineOp<AttentionAttrs>({
  name: 'attention',
  infer: (inputs, attrs) => {
    const { batch, queries } = attentionSizes('attention', inputs, inputs[inputCount(attrs)], attrs);
    return [
      { dtype: 'f32', shape: [batch, queries, attrs.heads * attrs.headDim] },
      { dtype: 'f32', shape: [batch, attrs.heads, queries] },
    ];
  },
  gradient: (g, node, [dOut, dLse]) => {
    if (dLse) fail('internal', 'attention: the log-sum-exp beside the output is not differentiable.');
    if (!dOut) return node.inputs.map(() => null);
    const count = inputCount(node.attrs);
    const inputs = node.inputs.slice(0, count);
    const mask = node.inputs.slice(count);
    const [d] = g.emit(attentionGradOp, [...inputs, ...node.outputs, dOut, ...mask], node.attrs);
    const { offsets } = gradientLayout(inputs);
    const parts = inputs.map(({ shape }, i) => ({ shape, offset: offsets[i]! }));
    return [...split(g, d!, parts), ...mask.map(() => null)];
  },
  kernel: ({ inputs, attrs }, caps) => {
    const mask = inputCount(attrs);
    const size = attentionSizes('attention', inputs, inputs[mask], attrs);
    const masked = inputs.length > mask;
    const { params, shared, cut } = common(attrs, size, masked, caps);
    return {
      dispatches: [
        {
          ...{ ...shared, shader: 'attention.wgsl', params: [...params, 0, 0, 0, 0] },
          ...cut('forward', size.queries, attrs.heads),
          bindings: [...readBindings(size, masked ? { in: mask } : null), { out: 0 }, { out: 1 }],
        },
      ],
    };
  },
  onnx: attentionOnnx,
});

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

/** Where the gradient of each input begins, and behind them the sums of dOut · out. */
function gradientLayout(inputs: readonly TensorType[]): { offsets: readonly number[]; rows: number } {
  const offsets = [0];
  for (const { shape } of inputs) offsets.push(offsets.at(-1)! + sizeOf(shape));
  return { offsets, rows: offsets.at(-1)! };
}

function backward({ inputs, attrs }: KernelNode<AttentionAttrs>, caps: Caps): Kernel {
  const at = inputCount(attrs);
  const [out, lse, dOut, mask] = [at, at + 1, at + 2, at + 3].map((i) => ({ in: i }));
  const masked = inputs.length > at + 3;
  const size = attentionSizes('attentionGrad', inputs, inputs[at + 3], attrs);
  const { unit, params, shared, isDirect, cut } = common(attrs, size, masked, caps);
  const { offsets, rows } = gradientLayout(inputs.slice(0, at));
  const to = size.operands.map(({ input, from }) => (offsets[input]! + from) / unit);
  const shader = isDirect ? 'attentionBackwardDirect.wgsl' : 'attentionBackward.wgsl';
  const all = { ...shared, shader, params: [...params, ...to, rows / unit] };
  const bindings = [...readBindings(size, masked ? mask! : null), dOut!, lse!, { out: 0 }];
  const dq = cut('dq', size.queries, attrs.heads);
  const dkv = cut('dkv', size.keys, attrs.kvHeads);
  if (isDirect) {
    return {
      dispatches: [
        { ...all, ...dq, bindings: [...bindings, out!] },
        { ...all, ...dkv, bindings },
      ],
    };
  }
  const [forQueries, ...others] = dq.workgroups;
  const workgroups = [forQueries + dkv.workgroups[0], ...others] as const;
  return { dispatches: [{ ...all, entry: 'backward', bindings: [...bindings, out!], workgroups }] };
}

/**
 * What attention read, then out, lse, dOut, mask? → the gradients of what it read, one after the other, and dOut · out of every row,
 * [B, heads, Sq rounded up to fours].
 */
export const attentionGradOp = defineOp<AttentionAttrs>({
  name: 'attentionGrad',
  infer: (inputs, attrs) => {
    const at = inputCount(attrs);
    const { batch, queries } = attentionSizes('attentionGrad', inputs, inputs[at + 3], attrs);
    const { rows } = gradientLayout(inputs.slice(0, at));
    return [{ dtype: 'f32', shape: [rows + batch * attrs.heads * roundUp(queries, ROWS)] }];
  },
  gradient: null,
  kernel: backward,
  onnx: attentionGradOnnx,
});

/** The columns of another value that a slice takes, where it takes nothing else away. */
function columnsBehind(v: Value): { readonly of: Value; readonly from: number } {
  const whole = { of: v, from: 0 };
  if (v.producer?.op !== sliceOp) return whole;
  const x = v.producer.inputs[0]!;
  const { starts, steps } = v.producer.attrs as SliceAttrs;
  const last = x.shape.length - 1;
  const alike = x.shape.every((d, axis) => axis === last || d === v.shape[axis]);
  return alike && steps[last] === 1 ? { of: x, from: starts[last]! } : whole;
}

/** Queries, keys and values where they are: not as slices of what they cover together. */
function withoutSlices(values: readonly Value[]): {
  inputs: readonly Value[];
  parts: readonly AttentionPart[];
} {
  const behind = values.map((v) => ({ ...columnsBehind(v), width: v.shape.at(-1)! }));
  const covers = (x: Value): boolean => {
    const parts = behind.filter(({ of }) => of === x).sort((a, b) => a.from - b.from);
    let at = 0;
    for (const { from, width } of parts) {
      if (from !== at) return false;
      at += width;
    }
    return at === x.shape.at(-1);
  };
  const inputs: Value[] = [];
  const parts = behind.map(({ of, from }, i) => {
    const at = covers(of) ? inputs.indexOf(of) : -1;
    if (at >= 0) return { input: at, from };
    const shared = covers(of);
    inputs.push(shared ? of : values[i]!);
    return { input: inputs.length - 1, from: shared ? from : 0 };
  });
  return { inputs, parts };
}

/** @returns out [B, Sq, heads·D]. */
export function attention(
  g: Emitter,
  [q, k, v]: readonly [Value, Value, Value],
  mask: Value | null | undefined,
  attrs: AttentionAttrs,
): Value {
  const { inputs, parts } = withoutSlices([q, k, v]);
  return g.emit(attentionOp, mask ? [...inputs, mask] : inputs, { ...attrs, parts })[0]!;
}
