/**
 * Brings one ONNX node of any opset (11 to 21) into the importer's canonical spelling: shapes, axes and permutations become whole,
 * non-negative attributes, optional forms are filled in, and the result's type is known. This table says which ONNX ops exist here at
 * all; whether an op can also run on the GPU is the emitter's business.
 */
import { broadcastShapes, sizeOf } from '../../graph/shape.ts';
import { binaryFns, comparisons, unaryFns } from './evaluate.ts';
import { countNonZero } from './evaluateMoves.ts';
import { toKnown } from './evaluateOps.ts';
import { knownValue } from './folded.ts';
import type { Context, Lowered, Refusal } from './lowering.ts';
import { axisOf, input, int, one, Refused, refuse, reshape, text } from './lowering.ts';
import {
  argMax,
  clip,
  conv,
  cumSum,
  gemm,
  layerNorm,
  matmul,
  reduce,
  resize,
  rmsNorm,
  softmax,
  variadic,
} from './lowerLayers.ts';
import {
  castRule,
  concatRule,
  constantOfShape,
  expandRule,
  gather,
  gatherElements,
  gatherNd,
  range,
  reshapeRule,
  shapeRule,
  sliceRule,
  splitRule,
  squeeze,
  tile,
  transposeRule,
  trilu,
  unsqueeze,
} from './lowerMoves.ts';
import { checkedSize, work } from './room.ts';

const rules: Record<string, (c: Context) => Lowered> = {
  Identity: (c) => reshape(input(c, 0), input(c, 0).shape),
  // Inference form; training dropout is the adapters' and the trainer's business.
  Dropout: (c) => reshape(input(c, 0), input(c, 0).shape),
  Shape: shapeRule,
  Size: (c) => {
    const size = Float64Array.of(sizeOf(input(c, 0).shape));
    return reshape(knownValue('size', { dtype: 'int64', shape: [], data: size }), []);
  },
  Reshape: reshapeRule,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Flatten: (c) => {
    const x = input(c, 0);
    const axis = axisOf(int(c, 'axis', 1), x.shape.length, 'end');
    return reshape(x, [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))]);
  },
  Expand: expandRule,
  ConstantOfShape: constantOfShape,
  Range: range,
  Cast: castRule,
  CastLike: (c) =>
    one('Cast', [input(c, 0)], { to: input(c, 1).dtype }, input(c, 1).dtype, input(c, 0).shape),
  Transpose: transposeRule,
  Slice: sliceRule,
  Split: splitRule,
  Concat: concatRule,
  Gather: gather,
  GatherND: gatherNd,
  GatherElements: gatherElements,
  ScatterND: (c) => {
    if (text(c, 'reduction', 'none') !== 'none') return refuse('it reduces while scattering');
    return one(
      'ScatterND',
      [input(c, 0), input(c, 1), input(c, 2)],
      {},
      input(c, 0).dtype,
      input(c, 0).shape,
    );
  },
  Where: (c) => {
    const [cond, a, b] = [input(c, 0), input(c, 1), input(c, 2)];
    return one('Where', [cond, a, b], {}, a.dtype, broadcastShapes('Where', cond.shape, a.shape, b.shape));
  },
  Trilu: trilu,
  Tile: tile,
  CumSum: cumSum,
  ArgMax: argMax,
  NonZero: (c) => {
    const x = input(c, 0);
    if (!x.known) return refuse('its result depends on the data');
    work(sizeOf(x.shape));
    return one('NonZero', [x], {}, 'int64', [x.shape.length, countNonZero(toKnown(x))]);
  },
  Clip: clip,
  Resize: resize,
  MatMul: matmul,
  Gemm: gemm,
  Conv: conv,
  Softmax: softmax('Softmax'),
  LogSoftmax: softmax('LogSoftmax'),
  LayerNormalization: layerNorm,
  RMSNormalization: rmsNorm,
  SimplifiedLayerNormalization: rmsNorm,
  Gelu: (c) =>
    one(
      text(c, 'approximate', 'none') === 'tanh' ? 'GeluTanh' : 'Gelu',
      [input(c, 0)],
      {},
      input(c, 0).dtype,
      input(c, 0).shape,
    ),
  ReduceMean: reduce('mean'),
  ReduceSum: reduce('sum'),
  ReduceMax: reduce('max'),
  ReduceMin: reduce('min'),
  ReduceProd: reduce('prod'),
  Sum: variadic('Add'),
  Min: variadic('Min'),
  Max: variadic('Max'),
  Mod: (c) => {
    if (int(c, 'fmod', 0) === 1) return refuse('it is a C-style remainder (fmod)');
    const [a, b] = [input(c, 0), input(c, 1)];
    return one('Mod', [a, b], {}, a.dtype, broadcastShapes('Mod', a.shape, b.shape));
  },
};

for (const op of Object.keys(unaryFns)) {
  rules[op] = (c) => {
    const x = input(c, 0);
    return one(op, [x], {}, op === 'Not' || op === 'IsNaN' ? 'bool' : x.dtype, x.shape);
  };
}
for (const op of Object.keys(binaryFns)) {
  rules[op] ??= (c) => {
    const [a, b] = [input(c, 0), input(c, 1)];
    return one(op, [a, b], {}, comparisons.has(op) ? 'bool' : a.dtype, broadcastShapes(op, a.shape, b.shape));
  };
}

/** Why a node cannot be imported whose operator is not in this table. */
export const NO_RULE = 'the operator is not supported';

export const canLower = (domain: string, opType: string): boolean =>
  domain === '' && Object.hasOwn(rules, opType);

/** @throws PapilioError 'malformed-onnx' where a result would have a shape that is none */
export function lower(context: Context): Lowered | Refusal {
  const { domain, opType } = context.node;
  if (!canLower(domain, opType)) return { refusal: NO_RULE };
  try {
    const lowered = rules[opType]!(context);
    for (const { shape } of lowered.outputs) checkedSize(shape);
    return lowered;
  } catch (error) {
    if (error instanceof Refused) return { refusal: error.message };
    throw error;
  }
}
