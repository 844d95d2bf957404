/**
 * FourierFT's ΔW: the real part of the inverse 2-D DFT of a matrix that has n non-zero entries at places shared by a whole stack,
 * and its adjoint. Kernels: spectralProducts.ts; in ONNX: spectralOnnx.ts.
 */

import type { Emitter, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { mirroredLayout } from './mirroredProduct.ts';
import { type FrequencyInputs, hasFastTransform, spectralTables, turnTable } from './spectral.ts';
import { deltaOnnx, spectraOf, spectrumOnnx } from './spectralOnnx.ts';
import {
  deltaKernel,
  type ProductsAttrs,
  productTables,
  type StackedSizes,
  spectraKernel,
} from './spectralProducts.ts';
import type { SpectralAttrs } from './spectrum.ts';

/** Sizes from the inputs of both ops: the first operand, then rows, columns, tables, turns. */
function sizesOf(
  name: string,
  inputs: readonly TensorType[],
  attrs: ProductsAttrs,
  adjoint: boolean,
): StackedSizes {
  const first = inputs[0]!.shape;
  const n = inputs[1]!.shape[0]!;
  const { out, in: width } = attrs;
  const whole = attrs.mirrored ? [mirroredLayout(attrs).matrix] : [out, width];
  const expected = adjoint ? [first[0], ...whole] : [first[0], n];
  if (inputs.length !== 5 || first.join() !== expected.join()) {
    fail(
      'shape',
      say`${name}: [${first}] is not [${expected.join()}] for ${n} frequencies of ${out} × ${width}.`,
    );
  }
  // Products of indices are reduced as u32.
  if (out > 65535 || width > 65535)
    fail('limit', say`${name}: ${out} × ${width} exceeds 65535 rows or columns.`);
  return { ...attrs, stack: first[0]!, n };
}

const tables = { tables: { in: 3 }, turns: { in: 4 } };

/** spectrum f32 [T, n], rows, columns i32 [n], tables i32, turns f32 [out + in, 2] (`frequencyInputs`) → ΔW [T, out, in]. */
export const sparseIdftOp = defineOp<ProductsAttrs>({
  name: 'sparseIdft',
  infer: (inputs, attrs) => {
    const { stack } = sizesOf('sparseIdft', inputs, attrs, false);
    return [{ dtype: 'f32', shape: [stack, attrs.out, attrs.in] }];
  },
  gradient: (g, node, [dDelta]) => {
    const others = node.inputs.slice(1);
    return [
      dDelta ? g.emit(sparseDftOp, [dDelta, ...others], node.attrs)[0]! : null,
      ...others.map(() => null),
    ];
  },
  kernel: ({ inputs, attrs }, caps) =>
    deltaKernel(sizesOf('sparseIdft', inputs, attrs, false), tables, { in: 0 }, { out: 0 }, caps),
  onnx: (e, names, { inputs, attrs }) => [
    deltaOnnx(e, names[0]!, spectraOf(inputs[0]!.shape[0]!, attrs, inputs, names, 1)),
  ],
});

/**
 * dΔ f32 [T, out, in], or folded as mirroredProduct leaves it [T, matrix], and the tables of sparseIdft → the gradient of the spectrum [T, n]: n
 * entries of the forward transform.
 */
export const sparseDftOp = defineOp<ProductsAttrs>({
  name: 'sparseDft',
  infer: (inputs, attrs) => {
    const { stack, n } = sizesOf('sparseDft', inputs, attrs, true);
    return [{ dtype: 'f32', shape: [stack, n] }];
  },
  gradient: null,
  kernel: ({ inputs, attrs }, caps) =>
    spectraKernel(sizesOf('sparseDft', inputs, attrs, true), tables, { in: 0 }, { out: 0 }, caps),
  onnx: (e, names, { op: { name }, inputs, attrs }) => {
    // The fuse pass folds, and graphs for onnxruntime do not go through it.
    if (attrs.mirrored) fail('unsupported-onnx', say`The op ${name} has no translation to ONNX.`);
    return [spectrumOnnx(e, names[0]!, spectraOf(inputs[0]!.shape[0]!, attrs, inputs, names, 1))];
  },
});

/** ΔW [T, out, in] of a stack of FourierFT layers of one shape, spectrum f32 [T, n]. */
export const sparseIdft = (
  g: Emitter,
  spectrum: Value,
  { attrs, counts, places, products, turns }: FrequencyInputs,
): Value =>
  g.emit<ProductsAttrs>(sparseIdftOp, [spectrum, ...places, products, turns], { ...attrs, counts })[0]!;

/** The constants of layers of one shape: entries at whole places below out and in, all different. */
export function frequencyInputs(
  g: Emitter,
  rows: Int32Array,
  columns: Int32Array,
  attrs: SpectralAttrs,
): FrequencyInputs {
  const { out, in: width } = attrs;
  const i32 = (data: Int32Array, name: string) =>
    g.constant({ dtype: 'i32', shape: [data.length] }, data, name);
  const { tables: products, counts } = productTables(rows, columns, attrs);
  return {
    ...{ attrs, counts },
    places: [i32(rows, 'frequency rows'), i32(columns, 'frequency columns')],
    products: i32(products, 'frequencies for products'),
    transforms: hasFastTransform(attrs)
      ? i32(spectralTables(rows, columns, out, width), 'frequencies for transforms')
      : null,
    turns: g.constant({ dtype: 'f32', shape: [out + width, 2] }, turnTable(out, width), 'turns'),
  };
}
