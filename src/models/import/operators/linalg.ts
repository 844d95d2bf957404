/** Products, convolutions, and the layers that fusions make of them. */

import { broadcastShapes, broadcastStrides, forEachRow, sizeOf } from '../../../graph/shape.ts';
import { say } from '../../../lib/say.ts';
import * as op from '../../../ops/index.ts';
import { allocate, spend } from '../importBudget.ts';
import { type IrValue, numbers } from '../ir.ts';
import { rounding } from './elementwise.ts';
import {
  type Context,
  derive,
  float,
  type Inferred,
  input,
  int,
  ints,
  type Operator,
  type Operators,
  one,
  refuse,
  text,
  transposeOf,
} from './operator.ts';
import { swapLast } from './reduction.ts';

const matmul: Operator = {
  infer: matmulRule,
  fold([a, b], _, shape) {
    const [m, n] = shape.slice(-2) as [number, number];
    const k = a!.shape.at(-1) ?? 1;
    const batch = shape.slice(0, -2);
    spend(sizeOf(shape) * k);
    const data = allocate(a!.dtype, shape);
    const round = rounding(a!.dtype);
    const [left, right] = [a!, b!].map((x) => broadcastStrides(x.shape.slice(0, -2), batch)) as [
      number[],
      number[],
    ];
    // A row of the walk is one product: its axis is one more, of one place.
    forEachRow(
      [...batch, 1],
      [
        [...left, 0],
        [...right, 0],
      ],
      (o, _length, [i, j]) => {
        const [x, y, to] = [i! * m * k, j! * k * n, o * m * n];
        for (let r = 0; r < m; r++) {
          for (let c = 0; c < n; c++) {
            let sum = 0;
            for (let t = 0; t < k; t++) sum += a!.data[x + r * k + t]! * b!.data[y + t * n + c]!;
            data[to + r * n + c] = round(sum);
          }
        }
      },
    );
    return { dtype: a!.dtype, shape, data };
  },
  emit({ g, node, x }) {
    // Σ over the last axis of both operands, where an export transposed the second for it.
    const b = x(1);
    const source = b.producer;
    const rank = b.shape.length;
    const perm = source?.op.name === 'transpose' ? (source.attrs as { perm: readonly number[] }).perm : null;
    const isTurned = perm && node.outputs[0]!.shape.length >= 2;
    if (isTurned && perm.every((p, i) => p === swapLast(rank, rank - 2)[i]))
      return op.matmul(g, x(0), source!.inputs[0]!, { transB: true });
    return op.matmul(g, x(0), b);
  },
};

export function matmulRule(c: Context): Inferred {
  const [a, b] = [input(c, 0), input(c, 1)];
  if (a.shape.length < 2 || b.shape.length < 2) return refuse(say`it multiplies by a vector`);
  if (a.shape.at(-1) !== b.shape.at(-2))
    return refuse(say`its shapes [${a.shape}] and [${b.shape}] do not go together`);
  const batch = broadcastShapes('MatMul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  return one('MatMul', [a, b], {}, a.dtype, [...batch, a.shape.at(-2)!, b.shape.at(-1)!]);
}

function gemmRule(c: Context): Inferred {
  const [a, b] = [input(c, 0), input(c, 1)];
  const transA = int(c, 'transA', 0) === 1;
  const transB = int(c, 'transB', 0) === 1;
  const attrs = { transA, transB, alpha: float(c, 'alpha', 1), beta: float(c, 'beta', 1) };
  const shape = [a.shape[transA ? 1 : 0]!, b.shape[transB ? 0 : 1]!];
  return one('Gemm', [a, b, c.inputs[2] ?? null], attrs, a.dtype, shape);
}

const gemm: Operator = {
  infer: gemmRule,
  emit({ g, x, optional, attrs }) {
    const product = op.matmul(g, x(0), x(1), {
      transA: attrs.transA as boolean,
      transB: attrs.transB as boolean,
      alpha: attrs.alpha as number,
    });
    const c = optional(2);
    if (!c) return product;
    const added = attrs.beta === 1 ? c : op.scale(g, c, { by: attrs.beta as number });
    return op.binary(g, product, added, { fn: 'add' });
  },
};

/** Convolutions over a sequence are pictures of height 1 here: kernel, stride and padding always have two axes. */
export function convRule(c: Context): Inferred {
  const [x, w] = [input(c, 0), input(c, 1)];
  const spatial = w.shape.length - 2;
  if (spatial !== 1 && spatial !== 2)
    return refuse(say`it is a convolution over ${spatial} dimensions; one and two are supported`);
  if (int(c, 'group', 1) !== 1) return refuse(say`it is a grouped convolution`);
  if ((ints(c, 'dilations') ?? []).some((d) => d !== 1)) return refuse(say`it is a dilated convolution`);
  const strides = ints(c, 'strides') ?? w.shape.slice(2).map(() => 1);
  const auto = text(c, 'auto_pad', 'NOTSET');
  if (auto !== 'NOTSET' && auto !== 'VALID') return refuse(say`it pads by ${auto}`);
  const padding = ints(c, 'pads') ?? [...strides, ...strides].map(() => 0);
  const out = w.shape
    .slice(2)
    .map((k, i) => Math.floor((x.shape[2 + i]! + padding[i]! + padding[spatial + i]! - k) / strides[i]!) + 1);
  const flat = spatial === 1;
  const attrs = {
    kernel: flat ? [1, w.shape[2]!] : w.shape.slice(2),
    stride: flat ? [1, strides[0]!] : strides,
    pads: flat ? [0, padding[0]!, 0, padding[1]!] : padding,
  };
  return one('Conv', [x, w, c.inputs[2] ?? null], attrs, x.dtype, [x.shape[0]!, w.shape[0]!, ...out]);
}

/** The last two axes swapped. */
const turned = (v: IrValue): IrValue => transposeOf(v, swapLast(v.shape.length, v.shape.length - 2));

/** com.microsoft.FusedMatMul: a product with a factor, of operands turned or not. */
const fusedMatMul: Operator = {
  infer(c) {
    if (int(c, 'transBatchA', 0) === 1 || int(c, 'transBatchB', 0) === 1)
      return refuse(say`it turns its batch axes`);
    const a = int(c, 'transA', 0) === 1 ? turned(input(c, 0)) : input(c, 0);
    const b = int(c, 'transB', 0) === 1 ? turned(input(c, 1)) : input(c, 1);
    if (a.shape.length < 2 || b.shape.length < 2) return refuse(say`it multiplies by a vector`);
    const batch = broadcastShapes('FusedMatMul', a.shape.slice(0, -2), b.shape.slice(0, -2));
    const y = derive('MatMul', [a, b], {}, [...batch, a.shape.at(-2)!, b.shape.at(-1)!], c.node);
    const alpha = float(c, 'alpha', 1);
    return [alpha === 1 ? y : derive('Scale', [y], { by: alpha }, y.shape)];
  },
};

const ACTIVATIONS = new Set(['Relu', 'Tanh', 'Sigmoid', 'Gelu']);

const fusedGemm: Operator = {
  infer(c) {
    const { op: name, inputs, attrs, outputs } = gemmRule(c);
    const [{ shape }] = outputs as [Inferred['outputs'][number]];
    const y = derive(name, [...inputs], attrs, shape, c.node);
    const fn = text(c, 'activation', '');
    if (!ACTIVATIONS.has(fn))
      return refuse(
        fn === ''
          ? say`its activation is missing and is not supported`
          : say`its activation ${fn} is not supported`,
      );
    return [derive(fn, [y], {}, shape)];
  },
};

export const linalg: Operators = {
  MatMul: matmul,
  Gemm: gemm,
  Conv: { infer: convRule },
  Linear: {
    emit: ({ g, x, optional, module }) =>
      op.linear(g, x(0), x(1), optional(2), module === undefined ? {} : { module }),
  },
  Unfold: {
    emit({ g, x, attrs }) {
      const [kernel, stride, pads] = [attrs.kernel, attrs.stride, attrs.pads].map((a) => numbers(a));
      return op.unfold(g, x(0), {
        kernel: [kernel![0]!, kernel![1]!],
        stride: [stride![0]!, stride![1]!],
        pads: [pads![0]!, pads![1]!, pads![2]!, pads![3]!],
      });
    },
  },
  'com.microsoft.FusedMatMul': fusedMatMul,
  'com.microsoft.TransposeMatMul': fusedMatMul,
  'com.microsoft.FusedGemm': fusedGemm,
};
