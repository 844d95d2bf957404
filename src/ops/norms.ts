/** layerNorm and rmsNorm over the last axis, each with two backward kernels: for the input, and for weight and bias. */
import { sameShape, sizeOf } from '../graph/shape.ts';
import type {
  Emitter,
  Kernel,
  KernelNode,
  OnnxForm,
  OnnxWriter,
  Op,
  Param,
  Ref,
  TensorType,
  Value,
} from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { addParts } from './addParts.ts';
import { perElement, rowRanges, spread, WORKGROUP } from './dispatch.ts';

export interface NormAttrs {
  readonly eps: number;
}

/** Of the gradient in the input. */
export interface NormGradAttrs extends NormAttrs {
  /** The last operand is added to the result: what the same value's other readers contribute. */
  readonly add: boolean;
}

interface NormRows {
  readonly rows: number;
  readonly columns: number;
}

/** Rows and columns of x; the weight (and bias) must have one number per column. */
export function normRows(
  op: string,
  x: TensorType,
  ...vectors: readonly (TensorType | undefined)[]
): NormRows {
  const columns = x.shape.at(-1);
  if (x.dtype !== 'f32' || !columns)
    fail('shape', `${op}: needs f32 with a last axis, not ${x.dtype} [${x.shape}].`);
  for (const v of vectors) {
    if (v && (v.dtype !== 'f32' || v.shape.join() !== `${columns}`)) {
      fail('shape', `${op}: ${v.dtype} [${v.shape}] does not go with rows of ${columns}.`);
    }
  }
  return { rows: sizeOf(x.shape) / columns, columns };
}

/** layerNorm takes the mean off; rmsNorm does not, and has no bias and keeps no mean. */
export type Norm = 'layerNorm' | 'rmsNorm';

/** What the forward pass keeps of each row: 1 / its spread, and layerNorm's mean before it. */
export const statistics = (norm: Norm): number => (norm === 'layerNorm' ? 2 : 1);

/** rstd, and layerNorm's mean, out of the statistics in their order. */
const statisticsOf = <T>(norm: Norm, [a, b]: readonly T[]): readonly [T | undefined, T | undefined] =>
  norm === 'layerNorm' ? [b, a] : [a, undefined];

/** The type of the rows' statistics: x without its last axis. */
const rowType = (x: TensorType): TensorType => ({ dtype: 'f32', shape: x.shape.slice(0, -1) });

/** The optional operands of a gradient in the input, which follow x, dy and the statistics of the rows: the weight, what is added. */
export function optionalOperands<T>(
  norm: Norm,
  inputs: readonly T[],
  { add }: NormGradAttrs,
): { readonly weight: T | undefined; readonly added: T | undefined } {
  const at = 2 + statistics(norm);
  const before = inputs.length - (add ? 1 : 0);
  return { weight: before > at ? inputs[at] : undefined, added: add ? inputs.at(-1) : undefined };
}

/** One dispatch of norms.wgsl, whose bindings have fixed places: what is absent stands for nothing that the entry point reads. */
const dispatch = (
  norm: Norm,
  entry: string,
  size: NormRows,
  eps: number,
  bindings: readonly (Ref | undefined)[],
  workgroups: [number, number, number],
  conditions: Readonly<Record<string, boolean>> = {},
  { chunk, chunks } = { chunk: 1, chunks: 1 },
) => {
  const params: Param[] = [size.rows, size.columns, { f32: eps }, chunk, chunks];
  return {
    ...{ shader: 'norms.wgsl', entry, constants: { WG: WORKGROUP }, params, workgroups },
    conditions: { CENTER: norm === 'layerNorm', ...conditions },
    bindings: bindings.map((ref) => ref ?? bindings[0]!),
  };
};

// In ONNX.

/** Statistics of rows, [...], beside the rows they belong to, [..., 1]. */
const column = (e: OnnxWriter, stat: string, x: readonly number[]): string =>
  e.reshape(stat, [...x.slice(0, -1), 1]);

const lastAxis = (shape: readonly number[]): number[] => [shape.length - 1];
const otherAxes = (shape: readonly number[]): number[] => shape.slice(0, -1).map((_, i) => i);

/** Σ over all rows of a · b (or of a), as [columns]. */
function overRows(e: OnnxWriter, x: readonly number[], a: string, b?: string): string {
  const product = b === undefined ? a : e.op('Mul', [a, b]);
  return e.op('ReduceSum', [product, e.ints(otherAxes(x))], { keepdims: 0 });
}

const rowStatistic = (e: OnnxWriter, stat: string, shape: readonly number[]): string =>
  e.reshape(stat, shape.slice(0, -1));

const inverseRoot = (e: OnnxWriter, meanSquare: string, eps: number): string =>
  e.op('Reciprocal', [e.op('Sqrt', [e.op('Add', [meanSquare, e.scalar(eps)])])]);

const normOnnx =
  (norm: Norm): OnnxForm<NormAttrs> =>
  (e, [x, w, b], { inputs, attrs }) => {
    const { shape } = inputs[0]!;
    const mean = norm === 'layerNorm' ? e.reduce('ReduceMean', x!, lastAxis(shape)) : null;
    const off = mean === null ? x! : e.op('Sub', [x!, mean]);
    const rstd = inverseRoot(e, e.reduce('ReduceMean', e.op('Mul', [off, off]), lastAxis(shape)), attrs.eps);
    const n = e.op('Mul', [off, rstd]);
    const scaled = w === undefined ? n : e.op('Mul', [n, w]);
    return [
      b === undefined ? scaled : e.op('Add', [scaled, b]),
      ...(mean === null ? [] : [rowStatistic(e, mean, shape)]),
      rowStatistic(e, rstd, shape),
    ];
  };

/** x normalised again from the statistics of its rows. */
function normalised(
  e: OnnxWriter,
  norm: Norm,
  x: string,
  statistics: readonly string[],
  shape: readonly number[],
): string {
  const [rstd, mean] = statisticsOf(norm, statistics);
  const off = mean === undefined ? x : e.op('Sub', [x, column(e, mean, shape)]);
  return e.op('Mul', [off, column(e, rstd!, shape)]);
}

const normGradOnnx =
  (norm: Norm): OnnxForm<NormGradAttrs> =>
  (e, operands, { inputs, attrs }) => {
    const { shape } = inputs[0]!;
    const [x, dy, ...rows] = operands as [string, string, ...string[]];
    const { weight, added } = optionalOperands(norm, operands, attrs);
    const n = normalised(e, norm, x, rows, shape);
    const h = weight === undefined ? dy : e.op('Mul', [dy, weight]);
    const off = norm === 'layerNorm' ? e.op('Sub', [h, e.reduce('ReduceMean', h, lastAxis(shape))]) : h;
    const along = e.op('Mul', [n, e.reduce('ReduceMean', e.op('Mul', [h, n]), lastAxis(shape))]);
    const dx = e.op('Mul', [e.op('Sub', [off, along]), column(e, statisticsOf(norm, rows)[0]!, shape)]);
    return [added === undefined ? dx : e.op('Add', [dx, added])];
  };

const normGradWeightsOnnx =
  (norm: Norm): OnnxForm<NormAttrs> =>
  (e, [x, dy, ...rows], { inputs }) => {
    const { shape } = inputs[0]!;
    const dw = overRows(e, shape, dy!, normalised(e, norm, x!, rows, shape));
    return norm === 'layerNorm' ? [dw, overRows(e, shape, dy!)] : [dw];
  };

/** x, w?, and for layerNorm b? (only with w) → y, mean (layerNorm), rstd. */
const defineNorm = (name: Norm, grad: () => Op<NormGradAttrs>, gradWeights: () => Op<NormAttrs>) =>
  defineOp<NormAttrs>({
    name,
    infer([x, ...vectors]) {
      normRows(name, x!, ...vectors);
      return [
        { dtype: 'f32', shape: x!.shape },
        ...new Array<TensorType>(statistics(name)).fill(rowType(x!)),
      ];
    },
    gradient(g, node, [dY], wants) {
      const [x, w] = node.inputs as [Value, Value | undefined];
      if (!dY) return node.inputs.map(() => null);
      const rows = node.outputs.slice(1);
      const dx = wants[0]
        ? g.emit(grad(), [x, dY, ...rows, ...(w ? [w] : [])], { ...node.attrs, add: false })[0]!
        : null;
      const [dw, db] =
        wants[1] || wants[2] ? g.emit(gradWeights(), [x, dY, ...rows], node.attrs) : [null, null];
      return [dx, wants[1] ? dw! : null, wants[2] ? db! : null].slice(0, node.inputs.length);
    },
    kernel({ inputs, outputs, attrs }) {
      const size = normRows(name, inputs[0]!);
      const [, weight, bias] = inputs;
      const [rstd, mean] = statisticsOf(name, outputs.map((_, i): Ref => ({ out: i })).slice(1));
      const bindings = [{ in: 0 }, { out: 0 }, rstd, mean, weight && { in: 1 }, bias && { in: 2 }];
      const conditions = { WEIGHT: weight !== undefined, BIAS: bias !== undefined };
      return {
        dispatches: [dispatch(name, 'forward', size, attrs.eps, bindings, spread(size.rows), conditions)],
      };
    },
    onnx: normOnnx(name),
  });

/** x, dy, mean (layerNorm), rstd, w?, added? → dx, plus what is added. */
const defineNormGrad = (norm: Norm) =>
  defineOp<NormGradAttrs>({
    name: `${norm}Grad`,
    infer(inputs, attrs) {
      const x = inputs[0];
      const { weight, added } = optionalOperands(norm, inputs, attrs);
      normRows(`${norm}Grad`, x!, weight);
      if (added && !sameShape(added.shape, x!.shape)) {
        fail('shape', `${norm}Grad: what is added [${added.shape}] is not of x's shape [${x!.shape}].`);
      }
      return [{ dtype: 'f32', shape: x!.shape }];
    },
    gradient: null,
    kernel({ inputs, attrs }) {
      const size = normRows(`${norm}Grad`, inputs[0]!);
      const refs = inputs.map((_, i): Ref => ({ in: i }));
      const { weight, added } = optionalOperands(norm, refs, attrs);
      const bindings = [refs[0], refs[1], ...statisticsOf(norm, refs.slice(2)), weight, { out: 0 }, added];
      const conditions = { WEIGHT: weight !== undefined, ADD: attrs.add };
      return {
        dispatches: [
          dispatch(norm, 'backward_input', size, attrs.eps, bindings, spread(size.rows), conditions),
        ],
      };
    },
    onnx: normGradOnnx(norm),
  });

/** x, dy, mean (layerNorm), rstd → dw, and for layerNorm db: sums over the rows. */
const defineNormGradWeights = (norm: Norm) =>
  defineOp<NormAttrs>({
    name: `${norm}GradWeights`,
    infer([x]) {
      const { columns } = normRows(`${norm}GradWeights`, x!);
      return new Array<TensorType>(statistics(norm)).fill({ dtype: 'f32', shape: [columns] });
    },
    gradient: null,
    kernel: (node) => sumsOverRows(norm, node),
    onnx: normGradWeightsOnnx(norm),
  });

function sumsOverRows(norm: Norm, { inputs, outputs, attrs }: KernelNode<NormAttrs>): Kernel {
  const size = normRows(`${norm}GradWeights`, inputs[0]!);
  const cut = rowRanges(size);
  const results = outputs.map((_, i): Ref => ({ out: i }));
  const parts = cut.chunks === 1 ? results : outputs.map((_, i): Ref => ({ scratch: i }));
  const step = (entry: string, bindings: readonly (Ref | undefined)[], threads: number) =>
    dispatch(norm, entry, size, attrs.eps, bindings, perElement(threads), {}, cut);
  const [x, dy, ...rows] = inputs.map((_, i): Ref => ({ in: i }));
  const sums = step(
    'backward_weights',
    [x, dy, ...statisticsOf(norm, rows), ...parts],
    size.columns * cut.chunks,
  );
  if (cut.chunks === 1) return { dispatches: [sums] };
  return {
    scratchBytes: outputs.map(() => size.columns * cut.chunks * 4),
    dispatches: [sums, step('finish', [parts[0], results[0], parts[1], results[1]], size.columns)],
    partials: addParts(
      outputs.map((_, i) => ({ scratch: i, out: i, parts: cut.chunks, count: size.columns })),
    ),
  };
}

export const layerNormOp = defineNorm(
  'layerNorm',
  () => layerNormGradOp,
  () => layerNormGradWeightsOp,
);

export const layerNormGradOp = defineNormGrad('layerNorm');
export const layerNormGradWeightsOp = defineNormGradWeights('layerNorm');

export const rmsNormOp = defineNorm(
  'rmsNorm',
  () => rmsNormGradOp,
  () => rmsNormGradWeightsOp,
);

export const rmsNormGradOp = defineNormGrad('rmsNorm');
export const rmsNormGradWeightsOp = defineNormGradWeights('rmsNorm');

/** y, mean and rstd of layer normalisation over the last axis; w and b may be null (b only with w). */
export const layerNorm = (
  g: Emitter,
  x: Value,
  w: Value | null,
  b: Value | null,
  attrs: NormAttrs,
): readonly [Value, Value, Value] =>
  g.emit(layerNormOp, [x, ...(w ? [w] : []), ...(w && b ? [b] : [])], attrs) as unknown as [
    Value,
    Value,
    Value,
  ];

/** y and rstd of root-mean-square normalisation over the last axis; w may be null. */
export const rmsNorm = (g: Emitter, x: Value, w: Value | null, attrs: NormAttrs): readonly [Value, Value] =>
  g.emit(rmsNormOp, w ? [x, w] : [x], attrs) as unknown as [Value, Value];
