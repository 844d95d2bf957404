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
import { say } from '../lib/say.ts';
import { addParts } from './addParts.ts';
import { perElement, rowRanges, sharedOut, WORKGROUP } from './dispatch.ts';

export interface NormAttrs {
  readonly eps: number;
}

/** Of the gradient in the input. */
export interface NormGradAttrs extends NormAttrs {
  /** An operand is added to the result: what the same value's other readers contribute. */
  readonly add: boolean;
  /** The last operand, one number per column, times the result is an output of its own. Made by the fuse pass. */
  readonly gain: boolean;
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
    fail('shape', say`${op}: needs f32 with a last axis, not ${x.dtype} [${x.shape}].`);
  for (const v of vectors) {
    if (v && (v.dtype !== 'f32' || v.shape.join() !== `${columns}`)) {
      fail('shape', say`${op}: ${v.dtype} [${v.shape}] does not go with rows of ${columns}.`);
    }
  }
  return { rows: sizeOf(x.shape) / columns, columns };
}

/** layerNorm takes the mean off; rmsNorm does not, and has no bias and keeps no mean. */
export type Norm = 'layerNorm' | 'rmsNorm';

/** Numbers that the forward pass keeps of each row: layerNorm's mean, and 1 / its spread. */
export const statistics = (norm: Norm): number => (norm === 'layerNorm' ? 2 : 1);

/** The type of the rows' statistics: the means of all rows (layerNorm), then rstd of all. */
const statisticsType = (norm: Norm, rows: number): TensorType => ({
  dtype: 'f32',
  shape: [statistics(norm) * rows],
});

/** The optional operands of a gradient in the input, which follow x, dy and the statistics: the weight, what is added, the gain. */
export function optionalOperands<T>(
  inputs: readonly T[],
  { add, gain }: NormGradAttrs,
): { readonly weight: T | undefined; readonly added: T | undefined; readonly gain: T | undefined } {
  const end = inputs.length - (gain ? 1 : 0);
  const before = end - (add ? 1 : 0);
  return {
    weight: before > 3 ? inputs[3] : undefined,
    added: add ? inputs[before] : undefined,
    gain: gain ? inputs[end] : undefined,
  };
}

/** One dispatch of norms.wgsl, whose bindings have fixed places: what is absent stands for nothing that the entry point reads. */
const dispatch = (
  norm: Norm,
  entry: string,
  size: NormRows,
  eps: number,
  bindings: readonly (Ref | undefined)[],
  { threads, workgroups }: Pick<ReturnType<typeof sharedOut>, 'threads' | 'workgroups'>,
  conditions: Readonly<Record<string, boolean>> = {},
  { chunk, chunks } = { chunk: 1, chunks: 1 },
) => {
  const params: Param[] = [size.rows, size.columns, { f32: eps }, chunk, chunks];
  return {
    ...{ shader: 'norms.wgsl', entry, constants: { WG: threads }, params, workgroups },
    conditions: { CENTER: norm === 'layerNorm', ...conditions },
    bindings: bindings.map((ref) => ref ?? bindings[0]!),
  };
};

// In ONNX.

const lastAxis = (shape: readonly number[]): number[] => [shape.length - 1];
const otherAxes = (shape: readonly number[]): number[] => shape.slice(0, -1).map((_, i) => i);

/** Σ over all rows of a · b (or of a), as [columns]. */
function overRows(e: OnnxWriter, x: readonly number[], a: string, b?: string): string {
  const product = b === undefined ? a : e.op('Mul', [a, b]);
  return e.op('ReduceSum', [product, e.ints(otherAxes(x))], { keepdims: 0 });
}

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
    const rows = sizeOf(shape.slice(0, -1));
    const kept = [...(mean === null ? [] : [mean]), rstd].map((stat) => ({
      name: e.reshape(stat, [rows]),
      size: rows,
    }));
    return [b === undefined ? scaled : e.op('Add', [scaled, b]), e.joined(kept)];
  };

/** rstd of the rows, and x normalised again. */
function normalised(
  e: OnnxWriter,
  norm: Norm,
  [x, stats]: readonly [string, string],
  shape: readonly number[],
): { readonly rstd: string; readonly n: string } {
  const rows = sizeOf(shape.slice(0, -1));
  const column = (i: number): string => e.reshape(e.part(stats, i * rows, rows), [...shape.slice(0, -1), 1]);
  const rstd = column(statistics(norm) - 1);
  const off = norm === 'layerNorm' ? e.op('Sub', [x, column(0)]) : x;
  return { rstd, n: e.op('Mul', [off, rstd]) };
}

const normGradOnnx =
  (norm: Norm): OnnxForm<NormGradAttrs> =>
  (e, operands, { inputs, attrs }) => {
    const { shape } = inputs[0]!;
    const [x, dy, stats] = operands as [string, string, string];
    const { weight, added, gain } = optionalOperands(operands, attrs);
    const { rstd, n } = normalised(e, norm, [x, stats], shape);
    const h = weight === undefined ? dy : e.op('Mul', [dy, weight]);
    const off = norm === 'layerNorm' ? e.op('Sub', [h, e.reduce('ReduceMean', h, lastAxis(shape))]) : h;
    const along = e.op('Mul', [n, e.reduce('ReduceMean', e.op('Mul', [h, n]), lastAxis(shape))]);
    const own = e.op('Mul', [e.op('Sub', [off, along]), rstd]);
    const dx = added === undefined ? own : e.op('Add', [own, added]);
    return gain === undefined ? [dx] : [dx, e.op('Mul', [dx, gain])];
  };

const normGradWeightsOnnx =
  (norm: Norm): OnnxForm<NormAttrs> =>
  (e, [x, dy, stats], { inputs }) => {
    const { shape } = inputs[0]!;
    const dw = overRows(e, shape, dy!, normalised(e, norm, [x!, stats!], shape).n);
    return norm === 'layerNorm' ? [dw, overRows(e, shape, dy!)] : [dw];
  };

/** x, w?, and for layerNorm b? (only with w) → y, and the rows' statistics. */
const defineNorm = (name: Norm, grad: () => Op<NormGradAttrs>, gradWeights: () => Op<NormAttrs>) =>
  defineOp<NormAttrs>({
    name,
    infer([x, ...vectors]) {
      const { rows } = normRows(name, x!, ...vectors);
      return [{ dtype: 'f32', shape: x!.shape }, statisticsType(name, rows)];
    },
    gradient(g, node, [dY], wants) {
      const [x, w] = node.inputs as [Value, Value | undefined];
      if (!dY) return node.inputs.map(() => null);
      const stats = node.outputs[1]!;
      const attrs = { ...node.attrs, add: false, gain: false };
      const dx = wants[0] ? g.emit(grad(), [x, dY, stats, ...(w ? [w] : [])], attrs)[0]! : null;
      const [dw, db] =
        wants[1] || wants[2] ? g.emit(gradWeights(), [x, dY, stats], node.attrs) : [null, null];
      return [dx, wants[1] ? dw! : null, wants[2] ? db! : null].slice(0, node.inputs.length);
    },
    kernel({ inputs, attrs }, caps) {
      const size = normRows(name, inputs[0]!);
      const shared = sharedOut(size.rows, caps);
      const [, weight, bias] = inputs;
      const bindings = [{ in: 0 }, { out: 0 }, { out: 1 }, weight && { in: 1 }, bias && { in: 2 }];
      const conditions = { WEIGHT: weight !== undefined, BIAS: bias !== undefined, ALONE: shared.alone };
      return { dispatches: [dispatch(name, 'forward', size, attrs.eps, bindings, shared, conditions)] };
    },
    onnx: normOnnx(name),
  });

/** x, dy, statistics, w?, added?, gain? → dx, plus what is added, and with a gain the same times it. */
const defineNormGrad = (norm: Norm) =>
  defineOp<NormGradAttrs>({
    name: `${norm}Grad`,
    infer(inputs, attrs) {
      const [x, , stats] = inputs;
      const { weight, added, gain } = optionalOperands(inputs, attrs);
      const { rows } = normRows(`${norm}Grad`, x!, weight, gain);
      for (const [what, own, type] of [
        [say`what is added`, added, x!],
        [say`the statistics`, stats, statisticsType(norm, rows)],
      ] as const)
        if (own && !sameShape(own.shape, type.shape))
          fail('shape', say`${norm}Grad: ${what} [${own.shape}] is not [${type.shape}].`);
      const dx = { dtype: 'f32', shape: x!.shape } as const;
      return gain ? [dx, dx] : [dx];
    },
    gradient: null,
    kernel({ inputs, attrs }, caps) {
      const size = normRows(`${norm}Grad`, inputs[0]!);
      const shared = sharedOut(size.rows, caps);
      const refs = inputs.map((_, i): Ref => ({ in: i }));
      const { weight, added, gain } = optionalOperands(refs, attrs);
      const scaled = gain && { out: 1 };
      const bindings = [...refs.slice(0, 3), weight, { out: 0 }, added, gain, scaled];
      const conditions = {
        ...{ WEIGHT: weight !== undefined, ADD: attrs.add, GAIN: attrs.gain },
        ALONE: shared.alone,
      };
      return {
        dispatches: [dispatch(norm, 'backward_input', size, attrs.eps, bindings, shared, conditions)],
      };
    },
    onnx: normGradOnnx(norm),
  });

/** x, dy, statistics → dw, and for layerNorm db: sums over the rows. */
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
    dispatch(
      ...([norm, entry, size, attrs.eps, bindings] as const),
      { threads: WORKGROUP, workgroups: perElement(threads) },
      {},
      cut,
    );
  const operands = inputs.map((_, i): Ref => ({ in: i }));
  const sums = step('backward_weights', [...operands, ...parts], size.columns * cut.chunks);
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

/** Layer normalisation over the last axis; w and b may be null (b only with w). */
export const layerNorm = (g: Emitter, x: Value, w: Value | null, b: Value | null, attrs: NormAttrs): Value =>
  g.emit(layerNormOp, [x, ...(w ? [w] : []), ...(w && b ? [b] : [])], attrs)[0]!;

/** Root-mean-square normalisation over the last axis; w may be null. */
export const rmsNorm = (g: Emitter, x: Value, w: Value | null, attrs: NormAttrs): Value =>
  g.emit(rmsNormOp, w ? [x, w] : [x], attrs)[0]!;
