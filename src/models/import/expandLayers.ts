/** onnxruntime's fused layers: norms with a residual, embeddings, activations with a bias, products with their operands turned. */
import { broadcastShapes } from '../../graph/shape.ts';
import { derive, transposeOf } from './derive.ts';
import type { FoldedValue } from './folded.ts';
import { knownValue } from './folded.ts';
import type { Context } from './lowering.ts';
import { axisOf, float, input, int, list, refuse, text } from './lowering.ts';
import { allot, counted } from './room.ts';

type Values = readonly (FoldedValue | null)[];

const join = (c: Context, op: string, a: FoldedValue, b: FoldedValue): FoldedValue =>
  derive(op, [a, b], {}, broadcastShapes(c.node.opType, a.shape, b.shape), c.node);

const add = (c: Context, a: FoldedValue, b: FoldedValue): FoldedValue => join(c, 'Add', a, b);

/** Sum, Min and Max of three operands or more: two at a time, from the left. */
export const chained =
  (op: 'Add' | 'Min' | 'Max') =>
  (c: Context): Values => [c.inputs.map((_, i) => input(c, i)).reduce((a, b) => join(c, op, a, b))];

/** What a block passes by: the input, rows of tables, a norm or a sum, and not what its last layer gives. */
const isResidual = ({ producer }: FoldedValue): boolean =>
  producer === null || ['LayerNorm', 'RmsNorm', 'Add', 'Gather'].includes(producer.op);

/** input + skip + bias, normalised; the fourth output is that sum. */
export function skipNorm(kind: 'LayerNorm' | 'RmsNorm') {
  return (c: Context): Values => {
    if (c.node.outputs[1] || c.node.outputs[2]) return refuse('it gives out its mean and deviation');
    const bias = c.inputs[kind === 'LayerNorm' ? 4 : 3];
    const [x, skip] = [input(c, 0), input(c, 1)];
    // The bias is that of the linear layer before, on whichever side that is, so it joins there first.
    const isFirst = isResidual(skip) && !isResidual(x);
    const sum = bias && isFirst ? add(c, add(c, x, bias), skip) : add(c, x, bias ? add(c, skip, bias) : skip);
    const weights = kind === 'LayerNorm' ? [input(c, 2), c.inputs[3] ?? null] : [input(c, 2)];
    const y = derive(kind, [sum, ...weights], { eps: float(c, 'epsilon', 1e-12) }, sum.shape, c.node);
    return [y, null, null, sum];
  };
}

/** Token, position and segment rows, summed and normalised; the second output counts each example's tokens. */
export function embedLayerNorm(c: Context): Values {
  const [ids, segments] = [input(c, 0), c.inputs[1] ?? null];
  const [batch, length] = ids.shape as [number, number];
  const rows = (table: FoldedValue, at: FoldedValue): FoldedValue =>
    derive('Gather', [table, at], { axis: 0 }, [...at.shape, table.shape[1]!], c.node);
  const places = knownValue('positions', {
    dtype: 'int64',
    shape: [1, length],
    data: counted('int64', length),
  });
  let sum = add(c, rows(input(c, 2), ids), rows(input(c, 3), c.inputs[8] ?? places));
  if (segments && c.inputs[4]) sum = add(c, sum, rows(c.inputs[4], segments));
  const attrs = { eps: float(c, 'epsilon', 1e-12) };
  const y = derive('LayerNorm', [sum, input(c, 5), input(c, 6)], attrs, sum.shape, c.node);
  const mask = c.inputs[7];
  const none = knownValue('no mask', {
    dtype: 'int32',
    shape: [batch],
    data: allot('int32', [batch]),
  });
  const counts = mask
    ? derive('Reduce', [mask], { fn: 'sum', axes: [1], keepdims: false }, [batch], c.node)
    : none;
  return [y, counts, sum];
}

/** Gelu and FastGelu of x + bias. */
export function biasGelu(fn: 'Gelu' | 'GeluTanh') {
  return (c: Context): Values => {
    const x = input(c, 0);
    const sum = c.inputs[1] ? add(c, x, c.inputs[1]) : x;
    return [derive(fn, [sum], {}, sum.shape)];
  };
}

/** x · sigmoid(alpha · x): QuickGelu, and ONNX 24's Swish. */
export function swish(usual: number) {
  return (c: Context): Values => {
    const x = input(c, 0);
    const alpha = float(c, 'alpha', usual);
    if (alpha === 1) return [derive('Silu', [x], {}, x.shape)];
    if (Math.abs(alpha - 1.702) < 1e-6) return [derive('QuickGelu', [x], {}, x.shape)];
    const gate = derive('Sigmoid', [derive('Scale', [x], { by: alpha }, x.shape)], {}, x.shape);
    return [derive('Mul', [x, gate], {}, x.shape)];
  };
}

const turned = (v: FoldedValue): FoldedValue => {
  const rank = v.shape.length;
  const perm = v.shape.map((_, i) => i);
  return transposeOf(v, [...perm.slice(0, rank - 2), rank - 1, rank - 2]);
};

export function fusedMatMul(c: Context): Values {
  if (int(c, 'transBatchA', 0) === 1 || int(c, 'transBatchB', 0) === 1)
    return refuse('it turns its batch axes');
  const a = int(c, 'transA', 0) === 1 ? turned(input(c, 0)) : input(c, 0);
  const b = int(c, 'transB', 0) === 1 ? turned(input(c, 1)) : input(c, 1);
  if (a.shape.length < 2 || b.shape.length < 2) return refuse('it multiplies by a vector');
  const batch = broadcastShapes('FusedMatMul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  const y = derive('MatMul', [a, b], {}, [...batch, a.shape.at(-2)!, b.shape.at(-1)!], c.node);
  const alpha = float(c, 'alpha', 1);
  return [alpha === 1 ? y : derive('Scale', [y], { by: alpha }, y.shape)];
}

const activations = new Set(['Relu', 'Tanh', 'Sigmoid', 'Gelu']);

export function fusedGemm(c: Context): Values {
  const transA = int(c, 'transA', 0) === 1;
  const transB = int(c, 'transB', 0) === 1;
  const [a, b] = [input(c, 0), input(c, 1)];
  const attrs = { transA, transB, alpha: float(c, 'alpha', 1), beta: float(c, 'beta', 1) };
  const shape = [a.shape[transA ? 1 : 0]!, b.shape[transB ? 0 : 1]!];
  const y = derive('Gemm', [a, b, c.inputs[2] ?? null], attrs, shape, c.node);
  const fn = text(c, 'activation', '');
  if (!activations.has(fn)) return refuse(`its activation ${fn || 'is missing and'} is not supported`);
  return [derive(fn, [y], {}, shape)];
}

/** √Σx² or Σx² along axes. */
export function reduced(fn: 'ReduceL2' | 'ReduceSumSquare') {
  return (c: Context): Values => {
    const x = input(c, 0);
    const given = list(c, 1, 'axes');
    const axes = (given ?? x.shape.map((_, i) => i)).map((a) => axisOf(a, x.shape.length));
    const keepdims = int(c, 'keepdims', 1) === 1;
    const shape = keepdims
      ? x.shape.map((d, i) => (axes.includes(i) ? 1 : d))
      : x.shape.filter((_, i) => !axes.includes(i));
    const square = derive('Square', [x], {}, x.shape);
    const sum = derive('Reduce', [square], { fn: 'sum', axes, keepdims }, shape);
    return [fn === 'ReduceL2' ? derive('Sqrt', [sum], {}, shape) : sum];
  };
}
