/**
 * linear: y = activation(x Wᵀ + b), x [..., in], W [out, in] (f32, or f16 when frozen), b [out]. Bias and activation run in the
 * product's epilogue; with `keepPre` the second output is x Wᵀ + b, which the gradient of the activation reads.
 */

import { sameShape, sizeOf } from '../graph/shape.ts';
import type { Emitter, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { addN, reduce } from './elementwise.ts';
import { gemmKernel } from './gemm.ts';
import { matmul } from './matmul.ts';
import { view } from './moves.ts';
import { logicalMatrix, type QuantFormat } from './quantised.ts';
import type { Activation } from './scalar.ts';
import { activationOnnx, unaryGrad } from './unary.ts';

export interface LinearAttrs {
  readonly activation: Activation;
  /** Also return the value before the activation. */
  readonly keepPre: boolean;
  /** The weight is packed (u32); made by the fuse pass, after differentiation. */
  readonly packed?: QuantFormat;
}

export const linearOp = defineOp<LinearAttrs>({
  name: 'linear',
  infer([x, stored, b], attrs) {
    const w = logicalMatrix(stored!, attrs.packed, 'linear');
    if (w.shape.length !== 2 || x!.shape.length < 1 || x!.shape.at(-1) !== w.shape[1]) {
      fail('shape', say`linear: input [${x!.shape}] does not go with the weight [${w.shape}] ([out, in]).`);
    }
    if (x!.dtype !== 'f32' || (w.dtype !== 'f32' && w.dtype !== 'f16')) {
      fail(
        'shape',
        say`linear: takes an f32 input and an f32 or f16 weight, not ${x!.dtype} and ${w.dtype}.`,
      );
    }
    if (b && !sameShape(b.shape, [w.shape[0]!])) {
      fail('shape', say`linear: bias [${b.shape}] does not go with the weight [${w.shape}].`);
    }
    const y: TensorType = { dtype: 'f32', shape: [...x!.shape.slice(0, -1), w.shape[0]!] };
    return attrs.keepPre ? [y, y] : [y];
  },
  gradient(g, node, [dY, dPreOut], wants) {
    const [x, w, b] = node.inputs as [Value, Value, Value | undefined];
    const { activation, keepPre } = node.attrs;
    const terms: Value[] = [];
    if (dY) {
      if (activation === 'none') terms.push(dY);
      else {
        // A forward that kept nothing pays with a second product here.
        const pre = keepPre
          ? node.outputs[1]!
          : g.emit(linearOp, node.inputs, { activation: 'none', keepPre: false }, node.module)[0]!;
        terms.push(unaryGrad(g, pre, dY, activation));
      }
    }
    if (dPreOut) terms.push(dPreOut);
    const out = w.shape[0]!;
    const inner = w.shape[1]!;
    const rows = sizeOf(x.shape) / inner;
    const d = view(g, addN(g, terms), [rows, out]);
    return [
      wants[0] ? view(g, matmul(g, d, w), x.shape) : null,
      wants[1] ? matmul(g, d, view(g, x, [rows, inner]), { transA: true }) : null,
      ...(b ? [wants[2] ? reduce(g, d, { fn: 'sum', axes: [0] }) : null] : []),
    ];
  },
  kernel({ inputs, attrs }, caps) {
    const [x, stored, b] = inputs as [TensorType, TensorType, TensorType | undefined];
    const w = logicalMatrix(stored, attrs.packed, 'linear');
    const [n, k] = w.shape as [number, number];
    return gemmKernel(
      {
        ...{ m: sizeOf(x.shape) / k, n, k, batch: [], aStrides: [], bStrides: [] },
        transA: false,
        transB: true,
        alpha: 1,
        bHalf: w.dtype === 'f16',
        bQuant: attrs.packed,
        a: { in: 0 },
        b: { in: 1 },
        c: { out: 0 },
        epilogue: {
          bias: b && { in: 2 },
          pre: attrs.keepPre ? { out: 1 } : undefined,
          activation: attrs.activation,
        },
      },
      caps,
    );
  },
  onnx(e, [x, w, b], { inputs, outputs, attrs }) {
    const inner = inputs[1]!.shape[1]!;
    const flat = e.reshape(x!, [sizeOf(inputs[0]!.shape) / inner, inner]);
    const product = e.op('Gemm', b === undefined ? [flat, w!] : [flat, w!, b], { transB: 1 });
    const pre = e.reshape(product, outputs[0]!.shape);
    return [activationOnnx(e, pre, attrs.activation), pre];
  },
});

export interface LinearOptions extends Partial<LinearAttrs> {
  /** The PyTorch module, by which adapters find the node. */
  readonly module?: string;
}

/** activation(x wᵀ + b): x [..., in], w [out, in], b [out] or null → y [..., out]. */
export function linear(g: Emitter, x: Value, w: Value, b: Value | null, options: LinearOptions = {}): Value {
  const { module, ...attrs } = options;
  const inputs = b ? [x, w, b] : [x, w];
  return g.emit<LinearAttrs>(linearOp, inputs, { activation: 'none', keepPre: false, ...attrs }, module)[0]!;
}
