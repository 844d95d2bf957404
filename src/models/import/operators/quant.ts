/**
 * Quantised operators as the float ones they stand for. Quantised weights become matrices that remember their codes; activations stay
 * float: QuantizeLinear, DynamicQuantizeLinear and the integer products round them in onnxruntime, which no gradient passes.
 */
import { sizeOf } from '../../../graph/shape.ts';
import { say } from '../../../lib/say.ts';
import type { Reading } from '../../../onnx/readers.ts';
import { f32Tensor } from '../../../onnx/tensor.ts';
import { isFloat, type OnnxDType, type OnnxGraph, type OnnxTensor } from '../../../onnx/types.ts';
import { allocate } from '../importBudget.ts';
import { type IrGraph, type IrNode, type IrValue, MOVES, makeValue, scalar, storedScalar } from '../ir.ts';
import { isConv1d } from '../names.ts';
import { checkCodes, codeBits, dequantised, matrixOf, type QuantSource } from '../quantMatrix.ts';
import { contribAttention } from './attention.ts';
import { convRule, matmulRule } from './linalg.ts';
import { embedLayerNorm } from './normalisation.ts';
import {
  absorb,
  axisOf,
  type Context,
  derive,
  input,
  int,
  type Operators,
  type Results,
  refuse,
} from './operator.ts';

/** A weight that is kept in codes, as `reading` reads them. */
function quantWeight(quant: QuantSource, reading: Reading | null): IrValue {
  checkCodes(quant);
  let data: Float32Array | null = null;
  const { name } = quant.codes;
  return makeValue(name, 'float32', quant.shape, {
    known: () => (data ??= dequantised(quant, allocate('float32', quant.shape) as Float32Array)),
    weight: { name, tensor: quant.codes, quant, reading },
  });
}

const tensorOf = (v: IrValue | null | undefined, what: string): OnnxTensor | null =>
  v ? (v.tensor ?? refuse(say`its ${what} are computed`)) : null;
const requiredTensor = (c: Context, i: number, what: string): OnnxTensor =>
  tensorOf(input(c, i), what) ?? refuse(say`its ${what} are missing`);

function bitsOf(c: Context): 4 | 8 {
  const bits = int(c, 'bits', 4);
  return bits === 4 || bits === 8 ? bits : refuse(say`its weights have ${bits} bits; 4 and 8 are supported`);
}

/** com.microsoft.MatMulNBits: x Bᵀ with B [N, K] in rows of blocks. */
function matMulNBits(c: Context): Results {
  const x = input(c, 0);
  const [k, n, block] = ['K', 'N', 'block_size'].map((name) => int(c, name, 0)) as [number, number, number];
  if (c.inputs[4]) return refuse(say`it reorders its columns (g_idx)`);
  const columns = Math.ceil(k / block);
  const w = quantWeight(
    {
      form: 'nbits',
      shape: [n, k],
      codes: requiredTensor(c, 1, say`weights`),
      scales: requiredTensor(c, 2, say`scales`),
      zeros: tensorOf(c.inputs[3], say`zero points`),
      bits: bitsOf(c),
      rowCodes: columns * block,
      block: [1, block],
      blockColumns: columns,
      zerosByRow: true,
    },
    { node: c.node, input: 1 },
  );
  return [linear(c, x, w, 'out-in', c.inputs[5] ?? null)];
}

function linear(
  c: Context,
  x: IrValue,
  w: IrValue,
  stored: 'out-in' | 'in-out',
  bias: IrValue | null,
): IrValue {
  const out = w.shape[stored === 'out-in' ? 0 : 1]!;
  const kind = isConv1d(w.name) ? 'conv1d' : 'linear';
  return derive('Linear', [x, w, bias], { stored, kind }, [...x.shape.slice(0, -1), out], c.node);
}

/** Codes with scale and zero points along an axis, in blocks of it, or for the whole. */
function alongAxis(
  form: 'linear' | 'gather' | 'integer',
  codes: OnnxTensor,
  scales: OnnxTensor | null,
  zeros: OnnxTensor | null,
  at: { readonly axis: number; readonly block: number },
): QuantSource {
  const bits = codeBits(codes.dtype) ?? refuse(say`its weights are ${codes.dtype}, which is not supported`);
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
  return refuse(say`its scales lie along axis ${axis} of [${codes.dims}]; the first axis is supported`);
}

/** A move of elements that lies between a tensor of the file and a value. */
interface Move {
  readonly node: IrNode;
  /** After it. */
  readonly shape: readonly number[];
}

/** The tensor of codes that a value is, with the moves since, first one first; null for what is computed. */
function codesOf(v: IrValue): { readonly tensor: OnnxTensor; readonly moves: readonly Move[] } | null {
  const moves: Move[] = [];
  let at = v;
  while (!at.tensor) {
    const node = at.producer ?? at.moved;
    if (!node || !MOVES.has(node.op)) return null;
    moves.unshift({ node, shape: at.shape });
    at = node.inputs[0]!;
  }
  return codeBits(at.dtype) === null ? null : { tensor: at.tensor, moves };
}

/** The same moves of the dequantised tensor. */
const replay = (weight: IrValue, moves: readonly Move[]): IrValue =>
  moves.reduce(
    (v, { node, shape }) => derive(node.op, [v, ...node.inputs.slice(1)], node.attrs, shape, node.origin),
    weight,
  );

/** Where the file reads codes: at this node, or where the first of the moves takes some of them. */
function readingOf(c: Context, input: number, moves: readonly Move[]): Reading | null {
  const taken = moves.find(({ node }) => node.op !== 'Transpose');
  if (!taken) return { node: c.node, input };
  const { origin } = moves[0]!.node;
  return origin && { node: origin, input: 0 };
}

/** Whole rows of a table are taken, so that its last axis stays the last. */
const takesRows = (moves: readonly Move[]): boolean =>
  moves.every(({ node }) => node.op === 'Gather' && node.attrs.axis === 0);

function dequantizeLinear(c: Context): Results {
  const x = input(c, 0);
  const at = { axis: int(c, 'axis', 1), block: int(c, 'block_size', 0) };
  const codes = codesOf(x);
  if (!codes) {
    // What QuantizeLinear was given.
    return isFloat(x.dtype) ? [x] : refuse(say`its input is neither a weight nor what QuantizeLinear gave`);
  }
  const scales = requiredTensor(c, 1, say`scales`);
  const zeros = tensorOf(c.inputs[2], say`zero points`);
  const { tensor, moves } = codes;
  if (moves.length > 0 && Math.max(scales.size, zeros?.size ?? 1) > 1) {
    // Scales along the rows that were taken are scales along the table's.
    if (!takesRows(moves) || at.block > 0 || axisOf(at.axis, x.shape.length) !== x.shape.length - 1)
      return refuse(say`it dequantises codes that were moved by more than one scale`);
    at.axis = tensor.dims.length - 1;
  }
  return [replay(quantWeight(alongAxis('linear', tensor, scales, zeros, at), readingOf(c, 0, moves)), moves)];
}

/** Ops whose results are never negative, and those whose results are not where their operands are not. */
const NOT_NEGATIVE = new Set(['Softmax', 'Relu', 'Sigmoid', 'Exp', 'Square', 'Abs', 'Sqrt', 'Rsqrt']);
const KEEPS_SIGN = new Set([...MOVES, 'Reduce', 'Add', 'Mul', 'Div', 'Max', 'Concat', 'Cast']);

/** Whether no number of a value can be negative, as far as a look at what makes it tells. */
function isNotNegative(v: IrValue | null, depth = 4): boolean {
  if (!v || depth === 0) return false;
  if (v.known && !v.producer) return sizeOf(v.shape) <= 1024 && v.known().every((x) => x >= 0);
  const { producer } = v;
  if (!producer) return false;
  const { op, attrs, inputs } = producer;
  if (NOT_NEGATIVE.has(op) || (op === 'Clip' && (attrs.min as number) >= 0)) return true;
  if (op === 'Pow') return (storedScalar(inputs[1]) ?? 1) % 2 === 0;
  if (op === 'Mul' && inputs[0] === inputs[1]) return true;
  const operands = MOVES.has(op) ? inputs.slice(0, 1) : inputs;
  return KEEPS_SIGN.has(op) && operands.every((x) => isNotNegative(x, depth - 1));
}

const CODE_RANGES: Partial<Record<OnnxDType, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
};

/**
 * Activations stay float. But where no code stands for a negative number, rounding is a Relu as well: onnxruntime's quantiser takes the
 * model's own out, since the codes do its work.
 */
function quantizeLinear(c: Context): Results {
  const x = input(c, 0);
  const scale = storedScalar(c.inputs[1]);
  const zero = c.inputs[2] ? storedScalar(c.inputs[2]) : 0;
  const range = CODE_RANGES[c.inputs[2]?.dtype ?? 'uint8'];
  if (scale === null || zero === null || !range || x.known) return [x];
  const [min, max] = range.map((code) => (code - zero) * scale) as [number, number];
  if (min !== 0 && max !== 0) return [x];
  if (min === 0 && isNotNegative(x)) return [x];
  return [derive('Clip', [x], { min, max }, x.shape, c.node)];
}

const dynamicQuantizeLinear = (c: Context): Results => [input(c, 0), scalar(1), scalar(0)];

/** x (W − zero) without scale: it comes as a factor behind, which {@link absorbScales} takes in. */
function matMulInteger(c: Context): Results {
  const [x, y] = [input(c, 0), input(c, 1)];
  if (!isFloat(x.dtype)) return refuse(say`its left operand is not what DynamicQuantizeLinear gave`);
  if (isFloat(y.dtype)) {
    // Both sides are activations, as in attention.
    const made = matmulRule(c);
    return [derive('MatMul', [x, y], {}, made.outputs[0]!.shape, c.node)];
  }
  const { w, stored } = integerMatrix(c, 1, null, 3);
  return [linear(c, x, w, stored, null)];
}

/** The convolution without scale, as {@link matMulInteger}. */
function convInteger(c: Context): Results {
  const x = input(c, 0);
  if (!isFloat(x.dtype)) return refuse(say`its input is not what DynamicQuantizeLinear gave`);
  const codes = requiredTensor(c, 1, say`weights`);
  const w = quantWeight(
    alongAxis('integer', codes, null, tensorOf(c.inputs[3], say`zero points`), { axis: 0, block: 0 }),
    { node: c.node, input: 1 },
  );
  const made = convRule({ ...c, inputs: [x, w] });
  return [derive('Conv', [x, w, null], made.attrs, made.outputs[0]!.shape, c.node)];
}

interface IntegerMatrix {
  readonly w: IrValue;
  readonly stored: 'in-out' | 'out-in';
}

function integerMatrix(c: Context, at: number, scaleAt: number | null, zeroAt: number): IntegerMatrix {
  const codes = codesOf(input(c, at)) ?? refuse(say`its weights are computed`);
  const { tensor, moves } = codes;
  // Optimum keeps a tied head as the table, turned; the quantiser turns the codes.
  const turned = moves.length === 1 && moves[0]!.node.op === 'Transpose';
  if (tensor.dims.length !== 2 || (moves.length > 0 && !turned))
    return refuse(say`its right operand is no matrix of the file`);
  const scales = scaleAt === null ? null : requiredTensor(c, scaleAt, say`scales`);
  const zeros = tensorOf(c.inputs[zeroAt], say`zero points`);
  const axis = turned ? 0 : 1;
  return {
    w: quantWeight(alongAxis('integer', tensor, scales, zeros, { axis, block: 0 }), readingOf(c, at, moves)),
    stored: turned ? 'out-in' : 'in-out',
  };
}

/** com.microsoft: the integer product with scales and bias inside. */
function matMulIntegerToFloat(c: Context): Results {
  const { w, stored } = integerMatrix(c, 1, 3, 5);
  return [linear(c, input(c, 0), w, stored, c.inputs[6] ?? null)];
}
function dynamicQuantizeMatMul(c: Context): Results {
  const { w, stored } = integerMatrix(c, 1, 2, 3);
  return [linear(c, input(c, 0), w, stored, c.inputs[4] ?? null)];
}

/** com.microsoft.QAttention: Attention with the packed projection in codes. */
function qAttention(c: Context): Results {
  const x = input(c, 0);
  if (!isFloat(x.dtype)) return refuse(say`its input is not what DynamicQuantizeLinear gave`);
  const { w, stored } = integerMatrix(c, 1, 4, 7);
  if (stored === 'out-in') return refuse(say`its weights are turned`);
  const [bias, mask, past] = [2, 5, 8].map((i) => c.inputs[i] ?? null);
  return contribAttention({ ...c, inputs: [x, w, bias!, mask!, past!] });
}

/** Where com.microsoft.QEmbedLayerNormalization has its tables, gamma and beta; their scales and zero points follow in this order. */
const EMBED_CODES = [2, 3, 4, 5, 6] as const;

/** com.microsoft.QEmbedLayerNormalization: every table in codes, gamma and beta too. */
function qEmbedLayerNorm(c: Context): Results {
  const inputs = [...c.inputs.slice(0, 8)];
  EMBED_CODES.forEach((at, i) => {
    if (!c.inputs[at]) return;
    const codes = requiredTensor(c, at, say`tables`);
    const [scales, zeros] = [
      requiredTensor(c, 8 + i, say`scales`),
      tensorOf(c.inputs[13 + i], say`zero points`),
    ];
    inputs[at] = quantWeight(alongAxis('linear', codes, scales, zeros, { axis: 0, block: 0 }), {
      node: c.node,
      input: at,
    });
  });
  return embedLayerNorm({ ...c, inputs });
}

/** com.microsoft.GatherBlockQuantized: rows of a table in blocks along its last axis. */
function gatherBlockQuantized(c: Context): Results {
  const codes = requiredTensor(c, 0, say`codes`);
  const ids = input(c, 1);
  const bits = codes.dtype === 'uint8' ? bitsOf(c) : (codeBits(codes.dtype) ?? 0);
  if ((bits !== 4 && bits !== 8) || codes.dims.length !== 2 || int(c, 'gather_axis', 0) !== 0)
    return refuse(say`it is not a table of rows in 4 or 8 bits`);
  if (axisOf(int(c, 'quantize_axis', 1), 2) !== 1) return refuse(say`its blocks do not lie along the rows`);
  const perCode = codes.dtype === 'uint8' ? 8 / bits : 1;
  const columns = codes.dims[1]! * perCode;
  const block = int(c, 'block_size', 128);
  const table = quantWeight(
    {
      form: 'gather',
      shape: [codes.dims[0]!, columns],
      codes,
      scales: requiredTensor(c, 2, say`scales`),
      zeros: tensorOf(c.inputs[3], say`zero points`),
      bits,
      rowCodes: columns,
      block: [1, block],
      blockColumns: Math.ceil(columns / block),
      zerosByRow: codes.dtype === 'uint8',
    },
    { node: c.node, input: 0 },
  );
  return [derive('Gather', [table, ids], { axis: 0 }, [...ids.shape, columns], c.node)];
}

/** A factor behind an integer product is the scale of its weight: one number, or one per output. */
export function absorbScales(graph: IrGraph): void {
  absorb(graph, ['Mul', 'Scale'], (node, product, _, factor) => {
    const [x, matrix, bias] = product.inputs;
    const quant = matrix?.weight?.quant;
    if (!/^(Linear|Conv)$/.test(product.op) || quant?.form !== 'integer' || quant.scales) return null;
    const by = node.op === 'Scale' ? (node.attrs.by as number) : storedScalar(factor);
    const scales = scaleTensor(quant, by, factor, product);
    if (!scales) return null;
    const scaled = withScales(quant, scales, outputAxis(product));
    return [x!, quantWeight(scaled, matrix!.weight!.reading), bias ?? null];
  });
}

/** Axis of the weight that counts the product's outputs. */
const outputAxis = ({ op, attrs }: IrNode): 0 | 1 => (op === 'Linear' && attrs.stored === 'in-out' ? 1 : 0);

function scaleTensor(
  quant: QuantSource,
  by: number | null,
  factor: IrValue | undefined,
  product: IrNode,
): OnnxTensor | null {
  if (by !== null) return factor?.tensor ?? f32Tensor(`${quant.codes.name} scale`, [], [by]);
  if (!factor?.known) return null;
  const out = quant.shape[outputAxis(product)]!;
  const channel = product.op === 'Linear' ? 1 : product.outputs[0]!.shape.length - 1;
  if (sizeOf(factor.shape) !== out || factor.shape.at(-channel) !== out) return null;
  return factor.tensor ?? f32Tensor(`${quant.codes.name} scale`, [out], factor.known());
}

/** One scale for the whole, or one per output. */
function withScales(quant: QuantSource, scales: OnnxTensor, axis: 0 | 1): QuantSource {
  const [rows, columns] = matrixOf(quant.shape);
  if (scales.size === 1 && (quant.zeros?.size ?? 1) === 1) return { ...quant, scales };
  return axis === 1
    ? { ...quant, scales, block: [rows, 1], blockColumns: columns }
    : { ...quant, scales, block: [1, columns], blockColumns: 1 };
}

/** When onnxruntime rounds the activations of a file to 8 bits: by scales that the file holds, or by each run's own; null: never. */
export type ActivationRounding = 'static' | 'dynamic' | null;

const ROUNDS_DYNAMICALLY = new Set(['DynamicQuantizeLinear', 'DynamicQuantizeMatMul']);

export function activationRounding(graph: OnnxGraph): ActivationRounding {
  let found: ActivationRounding = null;
  const look = ({ nodes, initializers, constants }: OnnxGraph): void => {
    for (const node of nodes) {
      if (ROUNDS_DYNAMICALLY.has(node.opType)) found ??= 'dynamic';
      const from = node.inputs[0] ?? '';
      // A weight that is rounded while the model runs is no activation.
      const fixed = initializers.has(from) || constants.has(from);
      if (node.opType === 'QuantizeLinear' && !fixed) found = 'static';
      for (const attribute of node.attributes.values()) if (attribute.kind === 'graph') look(attribute.value);
    }
  };
  look(graph);
  return found;
}

/** What of a file's quantisation the engine does not do; sentences for the user. */
export function quantNotes(graph: OnnxGraph): readonly string[] {
  const rounding = activationRounding(graph);
  if (rounding === null) return [];
  return [
    rounding === 'static'
      ? say`The file rounds activations to 8 bits while it runs, by scales that it holds; here its weights are dequantised and activations stay float, so scores differ from onnxruntime's, before and after merging.`
      : say`The file rounds activations to 8 bits while it runs, by the range that each run has; here its weights are dequantised and activations stay float, so scores differ from onnxruntime's, before and after merging.`,
  ];
}

export const quant: Operators = {
  DequantizeLinear: { infer: dequantizeLinear },
  QuantizeLinear: { infer: quantizeLinear },
  DynamicQuantizeLinear: { infer: dynamicQuantizeLinear },
  MatMulInteger: { infer: matMulInteger },
  ConvInteger: { infer: convInteger },
  'com.microsoft.DequantizeLinear': { infer: dequantizeLinear },
  'com.microsoft.QuantizeLinear': { infer: quantizeLinear },
  'com.microsoft.MatMulIntegerToFloat': { infer: matMulIntegerToFloat },
  'com.microsoft.DynamicQuantizeMatMul': { infer: dynamicQuantizeMatMul },
  'com.microsoft.QAttention': { infer: qAttention },
  'com.microsoft.QEmbedLayerNormalization': { infer: qEmbedLayerNorm },
  'com.microsoft.MatMulNBits': { infer: matMulNBits },
  'com.microsoft.GatherBlockQuantized': { infer: gatherBlockQuantized },
};
