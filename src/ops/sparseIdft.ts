/**
 * FourierFT's ΔW: the real part of the inverse 2-D DFT of a matrix that has n non-zero entries at places shared by a whole stack,
 * and its adjoint. Sizes of small prime factors go through fast transforms row by row (spectral.ts). For others one radix step along the rows
 * (out = P1·P2) keeps the work far below n terms per element.
 */
import type { Dispatch, Emitter, Kernel, Ref, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, spread, WORKGROUP } from './dispatch.ts';
import {
  applyKernel,
  backwardKernel,
  type FrequencyInputs,
  hasFastTransform,
  matrixSizes,
  spectralTables,
  turnTable,
} from './spectral.ts';
import { deltaOnnx, spectraOf, spectrumOnnx } from './spectralOnnx.ts';
import type { SpectralAttrs } from './spectrum.ts';

/** Multiply-adds of one term of the first stage (an angle from two lookups, then the sum), in terms of the second stage. */
const ENTRY_COST = 3;

/**
 * How a transform of length `out` with n entries is split into P1·P2: an element costs about ENTRY_COST·n/P2 + P2 terms.
 */
export function radix(out: number, n: number): [p1: number, p2: number] {
  let best = 1;
  const cost = (p2: number) => (ENTRY_COST * n) / p2 + p2;
  for (let p2 = 2; p2 <= out; p2++) if (out % p2 === 0 && cost(p2) < cost(best)) best = p2;
  return [out / best, best];
}

/** Entries listed by row mod P2, in their own order within a group, then where each group starts in that list [n + P2 + 1]. */
function radixTables(rows: Int32Array, out: number): Int32Array {
  const [, p2] = radix(out, rows.length);
  const starts = new Int32Array(p2 + 1);
  for (const row of rows) starts[(row % p2) + 1]!++;
  for (let i = 0; i < p2; i++) starts[i + 1]! += starts[i]!;
  const next = starts.slice();
  const tables = new Int32Array(rows.length + p2 + 1);
  rows.forEach((row, k) => {
    tables[next[row % p2]!++] = k;
  });
  tables.set(starts, rows.length);
  return tables;
}

/** What the kernels of a size look up, beside rows, columns and turns. */
export const frequencyTables = (
  rows: Int32Array,
  columns: Int32Array,
  sizes: Pick<SpectralAttrs, 'out' | 'in'>,
): Int32Array =>
  hasFastTransform(sizes) ? spectralTables(rows, columns, sizes.out, sizes.in) : radixTables(rows, sizes.out);

const SHADER = 'sparseIdft.wgsl';

/** Most bytes of intermediate sums at once; longer stacks go through in parts. */
const SCRATCH_BYTES = 64 * 1024 * 1024;

/** Matrices per thread of `spread_entries`. */
const TOGETHER = 4;

/** Sizes from the inputs of both ops: the first operand, then rows, columns, tables, turns. */
function dims(
  name: string,
  inputs: readonly TensorType[],
  attrs: SpectralAttrs,
  adjoint: boolean,
): [stack: number, n: number] {
  const first = inputs[0]!.shape;
  const n = inputs[1]!.shape[0]!;
  const { out, in: width } = attrs;
  const expected = adjoint ? [first[0], out, width] : [first[0], n];
  if (inputs.length !== 5 || first.join() !== expected.join()) {
    fail('shape', `${name}: [${first}] is not [${expected}] for ${n} frequencies of ${out} × ${width}.`);
  }
  // Products of indices are reduced as u32.
  if (out > 65535 || width > 65535)
    fail('limit', `${name}: ${out} × ${width} exceeds 65535 rows or columns.`);
  return [first[0]!, n];
}

/** The dispatches for every part of the stack that fits into the scratch buffer. */
function inParts(
  stack: number,
  n: number,
  attrs: SpectralAttrs,
  part: (
    shared: Pick<Dispatch, 'shader' | 'constants' | 'params'>,
    count: number,
    p1: number,
    p2: number,
  ) => Dispatch[],
): Kernel {
  const { out, in: width, scaling } = attrs;
  const [p1, p2] = radix(out, n);
  const bytes = 8 * out * width;
  const fits = Math.max(1, Math.floor(SCRATCH_BYTES / bytes));
  // Whole groups of those that share their angles, where at least one fits.
  const atOnce = Math.min(stack, fits >= TOGETHER ? fits - (fits % TOGETHER) : fits);
  const dispatches: Dispatch[] = [];
  for (let first = 0; first < stack; first += atOnce) {
    const count = Math.min(atOnce, stack - first);
    const params = [first, count, n, out, width, p1, p2, { f32: scaling / (out * width) }];
    dispatches.push(...part({ shader: SHADER, constants: { WG: WORKGROUP }, params }, count, p1, p2));
  }
  return { scratchBytes: [atOnce * bytes], dispatches };
}

/** rows, columns, turns, tables: the shader's order. */
const tables: readonly Ref[] = [1, 2, 4, 3].map((i) => ({ in: i }));

/** spectrum f32 [T, n], rows, columns i32 [n], tables i32, turns f32 [out + in, 2] (`frequencyInputs`) → ΔW [T, out, in]. */
export const sparseIdftOp = defineOp<SpectralAttrs>({
  name: 'sparseIdft',
  infer: (inputs, attrs) => {
    const [stack] = dims('sparseIdft', inputs, attrs, false);
    return [{ dtype: 'f32', shape: [stack, attrs.out, attrs.in] }];
  },
  gradient: (g, node, [dDelta]) => {
    const others = node.inputs.slice(1);
    return [
      dDelta ? g.emit(sparseDftOp, [dDelta, ...others], node.attrs)[0]! : null,
      ...others.map(() => null),
    ];
  },
  kernel: ({ inputs, attrs }, caps) => {
    const [stack, n] = dims('sparseIdft', inputs, attrs, false);
    if (hasFastTransform(attrs)) {
      const operands = { spectrum: { in: 0 }, tables: { in: 3 }, turns: { in: 4 } };
      return applyKernel(matrixSizes(attrs, stack, n), null, operands, caps);
    }
    return inParts(stack, n, attrs, (shared, count, p1, p2) => [
      {
        ...shared,
        entry: 'spread_entries',
        bindings: [{ in: 0 }, ...tables, { scratch: 0 }],
        workgroups: perElement(attrs.out * attrs.in * Math.ceil(count / TOGETHER)),
      },
      {
        ...shared,
        entry: 'combine',
        bindings: [{ scratch: 0 }, { in: 4 }, { out: 0 }],
        workgroups: perElement(attrs.in * p1 * Math.ceil(p2 / 4) * count),
      },
    ]);
  },
  onnx: (e, names, { inputs, attrs }) => [
    deltaOnnx(e, names[0]!, spectraOf(inputs[0]!.shape[0]!, attrs, inputs, names, 1)),
  ],
});

/** dΔ f32 [T, out, in] and the tables of sparseIdft → the gradient of the spectrum [T, n]: n entries of the forward transform. */
export const sparseDftOp = defineOp<SpectralAttrs>({
  name: 'sparseDft',
  infer: (inputs, attrs) => {
    const [stack, n] = dims('sparseDft', inputs, attrs, true);
    return [{ dtype: 'f32', shape: [stack, n] }];
  },
  gradient: null,
  kernel: ({ inputs, attrs }, caps) => {
    const [stack, n] = dims('sparseDft', inputs, attrs, true);
    if (hasFastTransform(attrs)) {
      const operands = { spectrum: { in: 4 }, tables: { in: 3 }, turns: { in: 4 } };
      const results = { dS: { out: 0 }, dX: null };
      return backwardKernel(matrixSizes(attrs, stack, n), { dDelta: { in: 0 } }, operands, results, caps);
    }
    return inParts(stack, n, attrs, (shared, count, p1, p2) => [
      {
        ...shared,
        entry: 'separate',
        bindings: [{ in: 0 }, { in: 4 }, { scratch: 0 }],
        workgroups: perElement(attrs.in * p1 * Math.ceil(p2 / 4) * count),
      },
      {
        ...shared,
        entry: 'gather_entries',
        bindings: [{ scratch: 0 }, { in: 1 }, { in: 2 }, { in: 4 }, { out: 0 }],
        workgroups: spread(n * count),
      },
    ]);
  },
  onnx: (e, names, { inputs, attrs }) => [
    spectrumOnnx(e, names[0]!, spectraOf(inputs[0]!.shape[0]!, attrs, inputs, names, 1)),
  ],
});

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
  return {
    attrs,
    constants: [
      i32(rows, 'frequency rows'),
      i32(columns, 'frequency columns'),
      i32(frequencyTables(rows, columns, attrs), 'frequency tables'),
      g.constant({ dtype: 'f32', shape: [out + width, 2] }, turnTable(out, width), 'turns'),
    ],
  };
}

/** ΔW [T, out, in] of a stack of FourierFT layers of one shape, spectrum f32 [T, n]. */
export const sparseIdft = (g: Emitter, spectrum: Value, { attrs, constants }: FrequencyInputs): Value =>
  g.emit<SpectralAttrs>(sparseIdftOp, [spectrum, ...constants], attrs)[0]!;
