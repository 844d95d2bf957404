/**
 * linear: y = activation(x Wᵀ + b), x [..., in], W [out, in] (f32, or f16 when frozen), b [out]. Bias and activation run in the
 * product's epilogue; with `keepPre` the second output is x Wᵀ + b, which the gradient of the activation reads.
 */
import { defineOp } from '../graph/defineOp.ts';
import { sameShape, sizeOf } from '../graph/shape.ts';
import type { Emitter, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { addN } from './addN.ts';
import type { GemmVariantName } from './gemm.ts';
import { gemmKernel } from './gemm.ts';
import { matmul } from './matmul.ts';
import { logicalMatrix, type QuantFormat, quantCase, unpackTensor } from './quantised.ts';
import { reduce } from './reduce.ts';
import { emptyTensor } from './reference.ts';
import type { Activation } from './scalar.ts';
import { scalarFunction } from './scalar.ts';
import { unaryGrad } from './unary.ts';
import { view } from './view.ts';

export interface LinearAttrs {
  readonly activation: Activation;
  /** Also return the value before the activation. */
  readonly keepPre: boolean;
  /** A tuner's choice; absent: by shape class. */
  readonly variant?: GemmVariantName;
  /** The weight is packed (u32); made by the fuse pass, after differentiation. */
  readonly packed?: QuantFormat;
}

export const linearOp = defineOp<LinearAttrs>({
  name: 'linear',
  infer([x, stored, b], attrs) {
    const w = logicalMatrix(stored!, attrs.packed, 'linear');
    if (w.shape.length !== 2 || x!.shape.length < 1 || x!.shape.at(-1) !== w.shape[1]) {
      fail('shape', `linear: input [${x!.shape}] does not go with the weight [${w.shape}] ([out, in]).`);
    }
    if (x!.dtype !== 'f32' || (w.dtype !== 'f32' && w.dtype !== 'f16')) {
      fail('shape', `linear: takes an f32 input and an f32 or f16 weight, not ${x!.dtype} and ${w.dtype}.`);
    }
    if (b && !sameShape(b.shape, [w.shape[0]!])) {
      fail('shape', `linear: bias [${b.shape}] does not go with the weight [${w.shape}].`);
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
        variant: attrs.variant,
      },
      caps,
    );
  },
  reference([x, stored, b], attrs) {
    const w = unpackTensor(stored!, attrs.packed, 'linear');
    const [n, k] = w.shape as [number, number];
    const rows = sizeOf(x!.shape) / k;
    const y = emptyTensor('f32', [...x!.shape.slice(0, -1), n]);
    const pre = emptyTensor('f32', y.shape);
    const { value } = scalarFunction(attrs.activation);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < n; j++) {
        let sum = b ? b.data[j]! : 0;
        for (let l = 0; l < k; l++) sum += x!.data[i * k + l]! * w.data[j * k + l]!;
        pre.data[i * n + j] = sum;
        y.data[i * n + j] = value(sum);
      }
    }
    return attrs.keepPre ? [y, pre] : [y];
  },
  cases: [
    linearCase('plain', [5, 8], 12, true, 'none', false),
    linearCase('odd, no bias', [2, 3, 7], 5, false, 'none', false),
    linearCase('relu kept', [2, 5, 6], 9, true, 'relu', true),
    linearCase('gelu kept', [7, 8], 8, true, 'gelu', true),
    linearCase('gelu not kept', [7, 9], 6, true, 'gelu', false),
    linearCase('geluTanh kept, no bias', [6, 4], 8, false, 'geluTanh', true),
    linearCase('silu kept', [3, 5], 5, true, 'silu', true),
    linearCase('quickGelu', [3, 8], 4, true, 'quickGelu', true),
    { ...linearCase('tiles', [70, 64], 68, true, 'gelu', true), gradientInputs: [] },
    { ...linearCase('long inner axis, split', [6, 600], 10, true, 'gelu', true), gradientInputs: [] },
    { ...linearCase('one row', [600], 7, true, 'silu', true), gradientInputs: [] },
    {
      name: 'f16 weight',
      inputs: [
        { dtype: 'f32', shape: [5, 8] },
        { dtype: 'f16', shape: [6, 8] },
        { dtype: 'f32', shape: [6] },
      ],
      attrs: { activation: 'none', keepPre: false },
      gradientInputs: [0, 2],
    },
    packedCase('4 bit', [5, 64], 12, { bits: 4, columns: 64, block: 32, zeros: 'middle' }),
    packedCase('4 bit, odd, bytes', [3, 37], 7, { bits: 4, columns: 37, block: 16, zeros: 'bytes' }),
    packedCase('8 bit, one block, floats', [2, 18], 20, { bits: 8, columns: 18, block: 20, zeros: 'floats' }),
    packedCase('4 bit, tiles', [70, 64], 68, { bits: 4, columns: 64, block: 16, zeros: 'bytes' }),
    packedCase('8 bit, split', [6, 600], 10, { bits: 8, columns: 600, block: 32, zeros: 'middle' }),
  ],
});

/** Packed weights come after differentiation, so there is no gradient to check. */
function packedCase(name: string, x: number[], out: number, packed: QuantFormat) {
  return {
    name,
    inputs: [
      { dtype: 'f32' as const, shape: x },
      quantCase(out, packed),
      { dtype: 'f32' as const, shape: [out] },
    ],
    attrs: { activation: 'gelu' as const, keepPre: true, packed },
    gradientInputs: [],
  };
}

function linearCase(
  name: string,
  x: number[],
  out: number,
  bias: boolean,
  activation: Activation,
  keepPre: boolean,
) {
  const f32 = (shape: number[]) => ({ dtype: 'f32' as const, shape });
  return {
    name,
    inputs: [f32(x), f32([out, x.at(-1)!]), ...(bias ? [f32([out])] : [])],
    attrs: { activation, keepPre },
  };
}

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
