/**
 * Scaled dot-product attention over heads that lie side by side in the last axis, as the projections leave them: no transposes.
 * The forward pass keeps only the log-sum-exp of each row; the backward pass recomputes the probabilities pair by pair.
 */
import { broadcastStrides } from '../graph/shape.ts';
import type {
  Dispatch,
  Emitter,
  KernelNode,
  Node,
  OnnxForm,
  OnnxWriter,
  Param,
  TensorType,
  Value,
} from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import { FLOAT, matmul, swapped } from './onnx.ts';

export interface AttentionAttrs {
  readonly heads: number;
  /** Heads of keys and values; divides `heads` (grouped-query attention). */
  readonly kvHeads: number;
  readonly headDim: number;
  readonly scale: number;
  /** Query i sees the keys up to i + Sk − Sq. */
  readonly causal: boolean;
}

export interface AttentionSizes {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  /** Strides of the mask along batch, head, query, key; zero where broadcast. */
  readonly maskStrides: readonly number[];
}

const SHADER = 'attention.wgsl';

/** Most bytes of probabilities kept at once in the backward pass. */
const SCRATCH_BYTES = 64 * 1024 * 1024;
const ROWS = 4;
const MAX_HEAD = 256;

export function attentionSizes(
  name: string,
  [q, k, v]: readonly TensorType[],
  mask: TensorType | undefined,
  attrs: AttentionAttrs,
): AttentionSizes {
  const { heads, kvHeads, headDim } = attrs;
  const [batch, queries] = [q!.shape[0]!, q!.shape[1]!];
  const keys = k!.shape[1]!;
  const expected = [`${[batch, queries, heads * headDim]}`, `${[batch, keys, kvHeads * headDim]}`];
  if (
    heads % kvHeads !== 0 ||
    q!.shape.join() !== expected[0] ||
    k!.shape.join() !== expected[1] ||
    v!.shape.join() !== expected[1]
  ) {
    fail(
      'shape',
      `${name}: q [${q!.shape}], k [${k!.shape}], v [${v!.shape}] are not [B, S, heads·${headDim}] with ${heads} and ${kvHeads} heads.`,
    );
  }
  if (headDim > MAX_HEAD)
    fail('shape', `${name}: heads of ${headDim} numbers; at most ${MAX_HEAD} are supported.`);
  const scoreShape = [batch, heads, queries, keys];
  if (mask && (mask.shape.length > 4 || mask.shape.at(-1) !== keys)) {
    fail(
      'shape',
      `${name}: the mask [${mask.shape}] must broadcast to [${scoreShape}] and have ${keys} keys.`,
    );
  }
  return {
    batch,
    queries,
    keys,
    maskStrides: mask ? broadcastStrides(mask.shape, scoreShape) : [0, 0, 0, 0],
  };
}

/** What the three kernels share. */
function common(attrs: AttentionAttrs, size: AttentionSizes, masked: boolean) {
  const { heads, kvHeads, headDim, scale, causal } = attrs;
  const vec4 = headDim % 4 === 0;
  const elements = vec4 ? headDim / 4 : headDim;
  const conditions = {
    VEC4: vec4,
    MASK: masked,
    CAUSAL: causal,
    D32: elements <= 8,
    D64: elements > 8 && elements <= 16,
    D128: elements > 16 && elements <= 32,
  };
  // The private arrays hold 64 elements at most: enough for vec4 heads of 256, and for odd heads of 64.
  if (elements > 64) fail('shape', `attention: heads of ${headDim} numbers must be a multiple of 4.`);
  const params = (first: number, pairs: number): Param[] => [
    size.batch,
    heads,
    kvHeads,
    size.queries,
    size.keys,
    { f32: scale },
    ...size.maskStrides.slice(0, 3),
    first,
    pairs,
  ];
  return {
    elements,
    params,
    shared: { shader: SHADER, conditions, constants: { DE: elements, WG: WORKGROUP } },
  };
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

/** Queries, keys and values by head, and the attention weights [B, heads, Sq, Sk]. */
function attentionParts(e: OnnxWriter, names: readonly string[], node: Node<AttentionAttrs>, maskAt: number) {
  const { attrs, inputs } = node;
  const [q, k, v] = names;
  const mask = names[maskAt];
  const [qShape, kShape] = inputs.map(({ shape }) => shape) as [number[], number[]];
  const [queries, keys] = [qShape[1]!, kShape[1]!];
  const Q = apartHeads(e, q!, qShape, attrs.heads, attrs);
  const K = apartHeads(e, k!, kShape, attrs.kvHeads, attrs);
  const V = apartHeads(e, v!, kShape, attrs.kvHeads, attrs);
  const scaled = e.op('Mul', [matmul(e, Q, swapped(e, K, 4)), e.scalar(attrs.scale)]);
  const padded = mask === undefined ? scaled : e.op('Add', [scaled, e.op('Max', [mask, e.scalar(ABSENT)])]);
  const scores = attrs.causal ? e.op('Add', [padded, causalMask(e, queries, keys)]) : padded;
  const shares = e.op('Softmax', [scores], { axis: -1 });
  // A query that sees no key at all gets nothing, instead of the mean of what is hidden.
  const there = e.op('Cast', [e.op('Greater', [scores, e.scalar(ABSENT / 2)])], { to: FLOAT });
  const weights = mask === undefined && keys >= queries ? shares : e.op('Mul', [shares, there]);
  return { Q, K, V, scores, weights, qShape, kShape };
}

/** 0 where query i sees key j, a large negative number elsewhere. */
function causalMask(e: OnnxWriter, queries: number, keys: number): string {
  // From constants by name, so that equal masks are written once.
  const range = (count: number, from: number) => Array.from({ length: count }, (_, i) => i + from);
  const i = e.ints(range(queries, keys - queries), [queries, 1]);
  const later = e.op('Greater', [e.ints(range(keys, 0), [1, keys]), i]);
  return e.op('Where', [later, e.scalar(ABSENT), e.scalar(0)]);
}

const attentionOnnx: OnnxForm<AttentionAttrs> = (e, inputs, node) => {
  const { V, scores, weights, qShape } = attentionParts(e, inputs, node, 3);
  const out = joinedHeads(e, matmul(e, weights, V), qShape, node.attrs.heads, node.attrs);
  const lse = e.op('ReduceLogSumExp', [scores, e.ints([3])], { keepdims: 0 });
  const any = e.op('Greater', [lse, e.scalar(ABSENT / 2)]);
  return [out, e.op('Where', [any, lse, e.scalar(0)])];
};

const attentionGradOnnx: OnnxForm<AttentionAttrs> = (e, inputs, node) => {
  const { attrs } = node;
  const { Q, K, V, weights, qShape, kShape } = attentionParts(e, inputs, node, 6);
  const out = apartHeads(e, inputs[3]!, qShape, attrs.heads, attrs);
  const dOut = apartHeads(e, inputs[5]!, qShape, attrs.heads, attrs);
  const delta = e.reduce('ReduceSum', e.op('Mul', [dOut, out]), [3]);
  const dWeights = matmul(e, dOut, swapped(e, V, 4));
  const dScores = e.op('Mul', [
    e.op('Mul', [weights, e.op('Sub', [dWeights, delta])]),
    e.scalar(attrs.scale),
  ]);
  return [
    joinedHeads(e, matmul(e, dScores, K), qShape, attrs.heads, attrs),
    joinedHeads(e, matmul(e, swapped(e, dScores, 4), Q), kShape, attrs.kvHeads, attrs),
    joinedHeads(e, matmul(e, swapped(e, weights, 4), dOut), kShape, attrs.kvHeads, attrs),
  ];
};

/** q [B, Sq, heads·D], k, v [B, Sk, kvHeads·D], mask? f32 broadcast to [B, heads, Sq, Sk] → out [B, Sq, heads·D], lse [B, heads, Sq]. */
export const attentionOp = defineOp<AttentionAttrs>({
  name: 'attention',
  infer: (inputs, attrs) => {
    const { batch, queries } = attentionSizes('attention', inputs, inputs[3], attrs);
    return [
      { dtype: 'f32', shape: [...inputs[0]!.shape] },
      { dtype: 'f32', shape: [batch, attrs.heads, queries] },
    ];
  },
  gradient: (g, node, [dOut, dLse]) => {
    if (dLse) fail('internal', 'attention: the log-sum-exp beside the output is not differentiable.');
    const [q, k, v, mask] = node.inputs;
    if (!dOut) return node.inputs.map(() => null);
    const known = [q!, k!, v!, node.outputs[0]!, node.outputs[1]!, dOut];
    const d = g.emit(attentionGradOp, mask ? [...known, mask] : known, node.attrs);
    return mask ? [...d, null] : d;
  },
  kernel: ({ inputs, attrs }) => {
    const size = attentionSizes('attention', inputs, inputs[3], attrs);
    const { params, shared } = common(attrs, size, inputs.length > 3);
    return {
      dispatches: [
        {
          ...shared,
          entry: 'forward',
          params: params(0, 0),
          bindings: [
            { in: 0 },
            { in: 1 },
            { in: 2 },
            { out: 0 },
            { out: 1 },
            ...(inputs[3] ? [{ in: 3 }] : []),
          ],
          workgroups: perElement(size.batch * attrs.heads * size.queries),
        },
      ],
    };
  },
  onnx: attentionOnnx,
});

function backward({ inputs, attrs }: KernelNode<AttentionAttrs>) {
  const mask = inputs[6];
  const size = attentionSizes('attentionGrad', inputs, mask, attrs);
  const { elements, params, shared } = common(attrs, size, mask !== undefined);
  const perPair = attrs.heads / attrs.kvHeads;
  const pairs = size.batch * attrs.kvHeads;
  const pairBytes = 8 * perPair * size.queries * size.keys;
  const atOnce = Math.max(1, Math.min(pairs, Math.floor(SCRATCH_BYTES / pairBytes)));
  const dispatches: Dispatch[] = [];
  for (let first = 0; first < pairs; first += atOnce) {
    const here = Math.min(atOnce, pairs - first);
    const queryThreads = here * perPair * Math.ceil(size.queries / ROWS) * elements;
    const keyThreads = here * Math.ceil(size.keys / ROWS) * elements;
    dispatches.push(
      {
        ...shared,
        entry: 'scores',
        params: params(first, here),
        bindings: [
          ...[0, 1, 2, 3, 5, 4].map((i) => ({ in: i })),
          { scratch: 0 },
          ...(mask ? [{ in: 6 }] : []),
        ],
        workgroups: perElement(here * perPair * size.queries * Math.ceil(size.keys / ROWS)),
      },
      {
        ...shared,
        entry: 'gradients',
        params: params(first, here),
        bindings: [{ in: 0 }, { in: 1 }, { scratch: 0 }, { in: 5 }, { out: 0 }, { out: 1 }, { out: 2 }],
        workgroups: perElement(queryThreads + keyThreads),
      },
    );
  }
  return { scratchBytes: [atOnce * pairBytes], dispatches };
}

/** q, k, v, out, lse, dOut, mask? → dQ, dK, dV. */
export const attentionGradOp = defineOp<AttentionAttrs>({
  name: 'attentionGrad',
  infer: (inputs, attrs) => {
    attentionSizes('attentionGrad', inputs, inputs[6], attrs);
    return inputs.slice(0, 3).map((t) => ({ dtype: 'f32', shape: [...t.shape] }));
  },
  gradient: null,
  kernel: backward,
  onnx: attentionGradOnnx,
});

/** @returns out [B, Sq, heads·D]. */
export function attention(
  g: Emitter,
  q: Value,
  k: Value,
  v: Value,
  mask: Value | null | undefined,
  attrs: AttentionAttrs,
): Value {
  return g.emit(attentionOp, mask ? [q, k, v, mask] : [q, k, v], attrs)[0]!;
}
