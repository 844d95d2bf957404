/**
 * ONNX's quantised operators as the float ones they stand for. Quantised weights become matrices that remember their codes; activations
 * stay float: QuantizeLinear, DynamicQuantizeLinear and the integer products round them in onnxruntime, which no gradient passes.
 */
import { sizeOf } from '../../graph/shape.ts';
import { f32Tensor } from '../../onnx/tensor.ts';
import type { OnnxGraph, OnnxTensor } from '../../onnx/types.ts';
import { become, derive } from './derive.ts';
import type { FoldedGraph, FoldedValue } from './folded.ts';
import { countUses, isFloat, makeValue, scalar, scalarOf } from './folded.ts';
import type { Context } from './lowering.ts';
import { axisOf, input, int, refuse } from './lowering.ts';
import { codeBits, dequantised, matrixOf, type QuantSource } from './quant.ts';

/** A weight that is kept in codes. */
function quantWeight(quant: QuantSource): FoldedValue {
  let data: Float64Array | null = null;
  const { name } = quant.codes;
  return makeValue(name, 'float32', quant.shape, {
    known: () => (data ??= dequantised(quant, new Float64Array(sizeOf(quant.shape)))),
    weight: { name, tensor: quant.codes, quant },
  });
}

const tensorOf = (v: FoldedValue | null | undefined, what: string): OnnxTensor | null =>
  v ? (v.tensor ?? refuse(`its ${what} are computed`)) : null;
const requiredTensor = (c: Context, i: number, what: string): OnnxTensor =>
  tensorOf(input(c, i), what) ?? refuse(`its ${what} are missing`);

function bitsOf(c: Context): 4 | 8 {
  const bits = int(c, 'bits', 4);
  return bits === 4 || bits === 8 ? bits : refuse(`its weights have ${bits} bits; 4 and 8 are supported`);
}

/** com.microsoft.MatMulNBits: x Bᵀ with B [N, K] in rows of blocks. */
export function matMulNBits(c: Context): readonly FoldedValue[] {
  const x = input(c, 0);
  const [k, n, block] = ['K', 'N', 'block_size'].map((name) => int(c, name, 0)) as [number, number, number];
  if (c.inputs[4]) return refuse('it reorders its columns (g_idx)');
  const columns = Math.ceil(k / block);
  const w = quantWeight({
    form: 'nbits',
    shape: [n, k],
    codes: requiredTensor(c, 1, 'weights'),
    scales: requiredTensor(c, 2, 'scales'),
    zeros: tensorOf(c.inputs[3], 'zero points'),
    bits: bitsOf(c),
    rowCodes: columns * block,
    block: [1, block],
    blockColumns: columns,
    zerosByRow: true,
  });
  return [linear(c, x, w, 'out-in', c.inputs[5] ?? null)];
}

function linear(
  c: Context,
  x: FoldedValue,
  w: FoldedValue,
  stored: 'out-in' | 'in-out',
  bias: FoldedValue | null,
): FoldedValue {
  const out = w.shape[stored === 'out-in' ? 0 : 1]!;
  return derive('Linear', [x, w, bias], { stored, kind: 'linear' }, [...x.shape.slice(0, -1), out], c.node);
}

/** Codes with scale and zero points along an axis, in blocks of it, or for the whole. */
function alongAxis(
  form: 'linear' | 'gather' | 'integer',
  codes: OnnxTensor,
  scales: OnnxTensor | null,
  zeros: OnnxTensor | null,
  at: { readonly axis: number; readonly block: number },
): QuantSource {
  const bits = codeBits(codes.dtype) ?? refuse(`its weights are ${codes.dtype}, which is not supported`);
  const [rows, columns] = matrixOf(codes.dims);
  const many = Math.max(scales?.size ?? 1, zeros?.size ?? 1);
  const common = {
    form,
    shape: codes.dims,
    codes,
    scales,
    zeros,
    bits,
    rowCodes: columns,
    zerosByRow: false,
  };
  if (many === 1) return { ...common, block: [rows, columns], blockColumns: 1 };
  const rank = codes.dims.length;
  const axis = axisOf(at.axis, rank);
  if (axis === 0 && rank > 1)
    return {
      ...common,
      block: [Math.max(1, at.block), at.block > 0 ? 1 : columns],
      blockColumns: at.block > 0 ? columns : 1,
    };
  if (rank <= 2) {
    // Along the last axis.
    const block = Math.max(1, at.block);
    return at.block > 0
      ? { ...common, block: [1, block], blockColumns: Math.ceil(columns / block) }
      : { ...common, block: [rows, 1], blockColumns: columns };
  }
  return refuse(`its scales lie along axis ${axis} of [${codes.dims}]; the first axis is supported`);
}

export function dequantizeLinear(c: Context): readonly FoldedValue[] {
  const x = input(c, 0);
  const at = { axis: int(c, 'axis', 1), block: int(c, 'block_size', 0) };
  const scales = (): OnnxTensor => requiredTensor(c, 1, 'scales');
  const zeros = (): OnnxTensor | null => tensorOf(c.inputs[2], 'zero points');
  if (x.tensor && codeBits(x.dtype) !== null)
    return [quantWeight(alongAxis('linear', x.tensor, scales(), zeros(), at))];
  const from = x.producer;
  if (from?.op === 'Gather' && from.inputs[0]!.tensor && codeBits(x.dtype) !== null) {
    // Rows of a table that is dequantised afterwards: the rows of the dequantised table.
    if (scales().size !== 1) return refuse('it dequantises gathered rows by more than one scale');
    const table = quantWeight(alongAxis('linear', from.inputs[0]!.tensor, scales(), zeros(), at));
    return [derive('Gather', [table, from.inputs[1]!], from.attrs, x.shape, from.origin)];
  }
  // What QuantizeLinear was given.
  return isFloat(x.dtype) ? [x] : refuse('its input is neither a weight nor what QuantizeLinear gave');
}

/** Activations stay as they are. */
export const quantizeLinear = (c: Context): readonly FoldedValue[] => [input(c, 0)];

export const dynamicQuantizeLinear = (c: Context): readonly FoldedValue[] => [
  input(c, 0),
  scalar(1),
  scalar(0),
];

/** x (W − zero) without scale: it comes as a factor behind, which {@link absorbScales} takes in. */
export function matMulInteger(c: Context): readonly FoldedValue[] {
  const x = input(c, 0);
  if (!isFloat(x.dtype)) return refuse('its left operand is not what DynamicQuantizeLinear gave');
  return [linear(c, x, integerMatrix(c, 1, null, 3), 'in-out', null)];
}

function integerMatrix(c: Context, at: number, scaleAt: number | null, zeroAt: number): FoldedValue {
  const codes = requiredTensor(c, at, 'weights');
  if (codes.dims.length !== 2) return refuse('its right operand is no matrix');
  const scales = scaleAt === null ? null : requiredTensor(c, scaleAt, 'scales');
  const zeros = tensorOf(c.inputs[zeroAt], 'zero points');
  return quantWeight(alongAxis('integer', codes, scales, zeros, { axis: 1, block: 0 }));
}

/** com.microsoft: the integer product with scales and bias inside. */
export const matMulIntegerToFloat = (c: Context): readonly FoldedValue[] => [
  linear(c, input(c, 0), integerMatrix(c, 1, 3, 5), 'in-out', c.inputs[6] ?? null),
];
export const dynamicQuantizeMatMul = (c: Context): readonly FoldedValue[] => [
  linear(c, input(c, 0), integerMatrix(c, 1, 2, 3), 'in-out', c.inputs[4] ?? null),
];

/** com.microsoft.GatherBlockQuantized: rows of a table in blocks along its last axis. */
export function gatherBlockQuantized(c: Context): readonly FoldedValue[] {
  const codes = requiredTensor(c, 0, 'codes');
  const ids = input(c, 1);
  const bits = codes.dtype === 'uint8' ? bitsOf(c) : (codeBits(codes.dtype) ?? 0);
  if ((bits !== 4 && bits !== 8) || codes.dims.length !== 2 || int(c, 'gather_axis', 0) !== 0)
    return refuse('it is not a table of rows in 4 or 8 bits');
  if (axisOf(int(c, 'quantize_axis', 1), 2) !== 1) return refuse('its blocks do not lie along the rows');
  const perCode = codes.dtype === 'uint8' ? 8 / bits : 1;
  const columns = codes.dims[1]! * perCode;
  const block = int(c, 'block_size', 128);
  const table = quantWeight({
    form: 'gather',
    shape: [codes.dims[0]!, columns],
    codes,
    scales: requiredTensor(c, 2, 'scales'),
    zeros: tensorOf(c.inputs[3], 'zero points'),
    bits,
    rowCodes: columns,
    block: [1, block],
    blockColumns: Math.ceil(columns / block),
    zerosByRow: codes.dtype === 'uint8',
  });
  return [derive('Gather', [table, ids], { axis: 0 }, [...ids.shape, columns], c.node)];
}

/** A factor behind an integer product is the scale of its weight: one number, or one per output. */
export function absorbScales(graph: FoldedGraph): void {
  const uses = countUses(graph);
  const outputs = new Set(graph.outputs.map((o) => o.value));
  for (const node of graph.nodes) {
    if (node.op !== 'Mul' && node.op !== 'Scale') continue;
    for (const [y, factor] of [node.inputs, [...node.inputs].reverse()] as [FoldedValue, FoldedValue?][]) {
      const product = y.producer;
      const quant = product?.op === 'Linear' ? product.inputs[1]!.weight?.quant : undefined;
      if (!product || quant?.form !== 'integer' || quant.scales) continue;
      if (uses.get(y)?.length !== 1 || outputs.has(y)) continue;
      const by = node.op === 'Scale' ? (node.attrs.by as number) : scalarOf(factor);
      const scales = scaleTensor(quant, by, factor);
      if (!scales) continue;
      const w = quantWeight(withScales(quant, scales));
      const { origin } = product;
      become(node, 'Linear', [product.inputs[0]!, w, product.inputs[2] ?? null], product.attrs);
      node.origin = origin;
      break;
    }
  }
}

function scaleTensor(
  quant: QuantSource,
  by: number | null,
  factor: FoldedValue | undefined,
): OnnxTensor | null {
  if (factor?.tensor) return factor.tensor;
  if (by !== null) return f32Tensor(`${quant.codes.name} scale`, [], [by]);
  const out = quant.shape[1]!;
  return factor?.known && sizeOf(factor.shape) === out && factor.shape.at(-1) === out
    ? f32Tensor(`${quant.codes.name} scale`, [out], factor.known())
    : null;
}

/** One scale for the whole, or one per column. */
function withScales(quant: QuantSource, scales: OnnxTensor): QuantSource {
  const [rows, columns] = matrixOf(quant.shape);
  return scales.size === 1 && (quant.zeros?.size ?? 1) === 1
    ? { ...quant, scales }
    : { ...quant, scales, block: [rows, 1], blockColumns: columns };
}

const ROUNDS_ACTIVATIONS = new Set([
  'DynamicQuantizeLinear',
  'MatMulInteger',
  'QuantizeLinear',
  'MatMulIntegerToFloat',
  'DynamicQuantizeMatMul',
]);

/** What of a file's quantisation the engine does not do; sentences for the user. */
export function quantNotes(graph: OnnxGraph): readonly string[] {
  return graph.nodes.some((n) => ROUNDS_ACTIVATIONS.has(n.opType))
    ? [
        'The file rounds activations to 8 bits while it runs; here its weights are dequantised and activations stay float, so scores differ slightly from onnxruntime, before and after merging.',
      ]
    : [];
}
