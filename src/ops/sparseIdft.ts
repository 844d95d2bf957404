/**
 * FourierFT's ΔW: the real part of the inverse 2-D DFT of a matrix that has n non-zero entries at places shared by a whole stack,
 * and its adjoint. One radix step along the rows (out = P1·P2) keeps the work far below n terms per element; 768², n = 1000 takes
 * some 60 instead of 1000.
 */
import type {
  Dispatch,
  Emitter,
  Kernel,
  OnnxForm,
  OnnxWriter,
  Ref,
  TensorType,
  Value,
} from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, spread, WORKGROUP } from './dispatch.ts';
import { matmul, times } from './onnx.ts';

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

/** Constant tables: the entries grouped by the radix step, exact sines and cosines. */
export interface FrequencyTables {
  /** Entries listed by row mod P2, in their own order within a group. */
  readonly order: Int32Array;
  /** Where each group starts in `order` [P2 + 1]. */
  readonly starts: Int32Array;
  /** (cos, sin) of every whole angle: of `out` parts of a turn, then of `width` parts [out + width, 2]. */
  readonly turns: Float32Array;
}

export function frequencyTables(rows: Int32Array, out: number, width: number): FrequencyTables {
  const [, p2] = radix(out, rows.length);
  const starts = new Int32Array(p2 + 1);
  for (const row of rows) starts[(row % p2) + 1]!++;
  for (let i = 0; i < p2; i++) starts[i + 1]! += starts[i]!;
  const next = starts.slice();
  const order = new Int32Array(rows.length);
  rows.forEach((row, k) => {
    order[next[row % p2]!++] = k;
  });
  const turns = new Float32Array(2 * (out + width));
  const fill = (parts: number, offset: number) => {
    for (let i = 0; i < parts; i++) {
      turns[2 * (offset + i)] = Math.cos((2 * Math.PI * i) / parts);
      turns[2 * (offset + i) + 1] = Math.sin((2 * Math.PI * i) / parts);
    }
  };
  fill(out, 0);
  fill(width, out);
  return { order, starts, turns };
}

export interface SparseIdftAttrs {
  readonly out: number;
  readonly in: number;
  /** PEFT's `scaling`; the transform divides by out·in besides. */
  readonly scaling: number;
}

const SHADER = 'sparseIdft.wgsl';

/** Most bytes of intermediate sums at once; longer stacks go through in parts. */
const SCRATCH_BYTES = 64 * 1024 * 1024;

/** Matrices per thread of `spread_entries`. */
const TOGETHER = 4;

/** Sizes from the inputs of both ops: the first operand, then rows, columns, order, starts, turns. */
function dims(
  name: string,
  inputs: readonly TensorType[],
  attrs: SparseIdftAttrs,
  adjoint: boolean,
): [stack: number, n: number] {
  const first = inputs[0]!.shape;
  const n = inputs[1]!.shape[0]!;
  const { out, in: width } = attrs;
  const expected = adjoint ? [first[0], out, width] : [first[0], n];
  if (inputs.length !== 6 || first.join() !== expected.join()) {
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
  attrs: SparseIdftAttrs,
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

/** rows, columns, turns, order, starts: the shader's order. */
const tables: readonly Ref[] = [1, 2, 5, 3, 4].map((i) => ({ in: i }));

// In ONNX: products with tables of cosines and sines.

/** cos and sin of the angles of every row (or column) and frequency: [size, n]. */
function waves(
  e: OnnxWriter,
  size: number,
  frequencies: Value,
): { readonly cos: string; readonly sin: string } {
  const at = frequencies.source?.() ?? fail('internal', 'Frequencies must be constants.');
  const n = at.length;
  const angle = (i: number) => (2 * Math.PI * ((Math.floor(i / n) * at[i % n]!) % size)) / size;
  const table = (f: (a: number) => number) =>
    e.tensor(
      'float32',
      [size, n],
      Float32Array.from({ length: size * n }, (_, i) => f(angle(i))),
    );
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

const sparseIdftOnnx: OnnxForm<SparseIdftAttrs> = (e, [spectrum], { inputs, attrs }) => {
  const [stack, n] = inputs[0]!.shape as [number, number];
  const rows = waves(e, attrs.out, inputs[1]!);
  const columns = waves(e, attrs.in, inputs[2]!);
  const s = times(e, e.reshape(spectrum!, [stack, 1, n]), attrs.scaling / (attrs.out * attrs.in));
  const half = (row: string, column: string) => matmul(e, e.op('Mul', [row, s]), e.transpose(column, [1, 0]));
  return [e.op('Sub', [half(rows.cos, columns.cos), half(rows.sin, columns.sin)])];
};

const sparseDftOnnx: OnnxForm<SparseIdftAttrs> = (e, [delta], { inputs, attrs }) => {
  const rows = waves(e, attrs.out, inputs[1]!);
  const columns = waves(e, attrs.in, inputs[2]!);
  const half = (row: string, column: string) => e.op('Mul', [row, matmul(e, delta!, column)]);
  const sum = e.op(
    'ReduceSum',
    [e.op('Sub', [half(rows.cos, columns.cos), half(rows.sin, columns.sin)]), e.ints([1])],
    { keepdims: 0 },
  );
  return [times(e, sum, attrs.scaling / (attrs.out * attrs.in))];
};

/** spectrum f32 [T, n], rows, columns, order i32 [n], starts i32 [P2 + 1], turns f32 [out + in, 2] (`frequencyTables`) → ΔW [T, out, in]. */
export const sparseIdftOp = defineOp<SparseIdftAttrs>({
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
  kernel: ({ inputs, attrs }) => {
    const [stack, n] = dims('sparseIdft', inputs, attrs, false);
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
        bindings: [{ scratch: 0 }, { in: 5 }, { out: 0 }],
        workgroups: perElement(attrs.in * p1 * Math.ceil(p2 / 4) * count),
      },
    ]);
  },
  onnx: sparseIdftOnnx,
});

/** dΔ f32 [T, out, in] and the tables of sparseIdft → the gradient of the spectrum [T, n]: n entries of the forward transform. */
export const sparseDftOp = defineOp<SparseIdftAttrs>({
  name: 'sparseDft',
  infer: (inputs, attrs) => {
    const [stack, n] = dims('sparseDft', inputs, attrs, true);
    return [{ dtype: 'f32', shape: [stack, n] }];
  },
  gradient: null,
  kernel: ({ inputs, attrs }) => {
    const [stack, n] = dims('sparseDft', inputs, attrs, true);
    return inParts(stack, n, attrs, (shared, count, p1, p2) => [
      {
        ...shared,
        entry: 'separate',
        bindings: [{ in: 0 }, { in: 5 }, { scratch: 0 }],
        workgroups: perElement(attrs.in * p1 * Math.ceil(p2 / 4) * count),
      },
      {
        ...shared,
        entry: 'gather_entries',
        bindings: [{ scratch: 0 }, { in: 1 }, { in: 2 }, { in: 5 }, { out: 0 }],
        workgroups: spread(n * count),
      },
    ]);
  },
  onnx: sparseDftOnnx,
});

/**
 * ΔW of a stack of FourierFT layers of one shape.
 * @param spectrum f32 [T, n] @param attrs the entries' places (whole numbers below out and in) and PEFT's scaling
 * @returns [T, out, in]
 */
export function sparseIdft(
  g: Emitter,
  spectrum: Value,
  attrs: SparseIdftAttrs & { readonly rows: Int32Array; readonly columns: Int32Array },
): Value {
  const { rows, columns, out, in: width, scaling } = attrs;
  const { order, starts, turns } = frequencyTables(rows, out, width);
  const i32 = (data: Int32Array, name: string) =>
    g.constant({ dtype: 'i32', shape: [data.length] }, data, name);
  const inputs = [
    spectrum,
    i32(rows, 'frequency rows'),
    i32(columns, 'frequency columns'),
    i32(order, 'frequency order'),
    i32(starts, 'frequency starts'),
    g.constant({ dtype: 'f32', shape: [out + width, 2] }, turns, 'turns'),
  ];
  return g.emit<SparseIdftAttrs>(sparseIdftOp, inputs, { out, in: width, scaling })[0]!;
}
