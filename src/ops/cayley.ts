/**
 * The Cayley transform of many skew-symmetric blocks: OFT's parameters (packed strict upper triangles, exact or as PEFT's truncated
 * Neumann series) and BOFT's (full matrices of which the skew half counts, always exact).
 *
 * Sign: the series approximates the transpose of the exact rotation. That is PEFT's, and adapters depend on it.
 */

import { sizeOf } from '../graph/shape.ts';
import type {
  Caps,
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
import { say } from '../lib/say.ts';
import { perElement, spread } from './dispatch.ts';
import { gemmKernel } from './gemm.ts';
import { identity, matmul, swapped, times } from './onnx.ts';

export interface CayleyAttrs {
  /** Block size, at least 2. */
  readonly b: number;
  readonly kind: 'exact' | 'neumann';
  /** PEFT's `num_cayley_neumann_terms`; only the series reads it. */
  readonly terms: number;
  /** `packed`: source [n, b(b−1)/2]. `full`: source [n, b, b] (or [m, num, b, b]), exact only. */
  readonly form: 'packed' | 'full';
}

const SHADER = 'cayley.wgsl';
const WG = 64;

/** Largest block that one thread inverts in registers. */
const SMALL = 8;

/** Largest block whose matrix fits into the 16 KiB of workgroup memory that WebGPU guarantees; of which four do. */
const TILE = 64;
const FOUR_TILES = 32;
/** On a processor larger blocks go through products, which read a quarter as often: there reading is what takes time. */
const FEW_TILES = 16;

/** Whether a series or a gradient holds its blocks in workgroup memory. */
const isHeld = (b: number, { software }: Caps): boolean => b <= (software ? FEW_TILES : FOUR_TILES);

/** Numbers of workgroup memory that several blocks may fill together; some drivers clear it slowly. */
const SHARED = 1024;

export const sourceShape = (lead: readonly number[], { b, form }: CayleyAttrs): number[] =>
  form === 'packed' ? [...lead, (b * (b - 1)) / 2] : [...lead, b, b];

/** The leading dimensions of the source: how the blocks are laid out. */
export function leadOf(source: TensorType, attrs: CayleyAttrs): number[] {
  const lead = source.shape.slice(0, attrs.form === 'packed' ? -1 : -2);
  if (attrs.b < 2 || source.shape.join() !== sourceShape(lead, attrs).join()) {
    fail(
      'shape',
      say`cayley: [${source.shape}] is no ${attrs.form} stack of skew blocks of size ${attrs.b}.`,
    );
  }
  if (attrs.form === 'full' && attrs.kind !== 'exact')
    fail('shape', say`cayley: the series takes packed blocks only.`);
  return [...lead];
}

interface Task {
  readonly attrs: CayleyAttrs;
  readonly blocks: number;
  /** Of the series: its highest power and the coefficient of that. */
  readonly degree: number;
  readonly last: number;
}

function taskOf(blocks: number, attrs: CayleyAttrs): Task {
  const coefficients = attrs.kind === 'exact' ? [1] : seriesCoefficients(attrs.terms);
  return { attrs, blocks, degree: coefficients.length - 1, last: coefficients.at(-1)! };
}

type Entry = Pick<Dispatch, 'entry' | 'constants' | 'bindings' | 'workgroups'> & {
  readonly factor?: number;
  readonly unit?: boolean;
};

const dispatch = (
  { attrs, blocks, degree, last }: Task,
  { factor = last, unit = false, ...rest }: Entry,
): Dispatch => ({
  shader: SHADER,
  conditions: { FULL: attrs.form === 'full', WITH_UNIT: unit },
  params: [blocks, degree, { f32: factor }],
  ...rest,
});

/** An entry that holds `matrices` of every block in workgroup memory, four by four numbers a thread. */
function tiled(task: Task, entry: string, matrices: number, bindings: readonly Ref[]): Dispatch {
  const side = Math.ceil(task.attrs.b / 4);
  const per = Math.max(1, Math.floor(WG / side ** 2));
  return dispatch(task, {
    entry,
    constants: { B: task.attrs.b, SIDE: side, PER: per, MATRICES: matrices },
    bindings,
    workgroups: spread(Math.ceil(task.blocks / per)),
  });
}

const perEntry = (task: Task, entry: string, factor: number, bindings: readonly Ref[], unit = false) =>
  dispatch(task, {
    ...{ entry, bindings, factor, unit },
    constants: { B: task.attrs.b, WG },
    workgroups: perElement(task.blocks * task.attrs.b ** 2, WG),
  });

/** Blocks too large for workgroup memory: products of whole matrices, in scratch buffers. */
function large(task: Task, caps: Caps) {
  const { blocks, attrs } = task;
  const { b } = attrs;
  const elements = blocks * b * b;
  const scratchBytes: number[] = [];
  const dispatches: Dispatch[] = [];
  const scratch = (bytes: number): Ref => ({ scratch: scratchBytes.push(bytes) - 1 });
  return {
    matrix: () => scratch(4 * elements),
    entry: (entry: string, factor: number, bindings: readonly Ref[], unit = false) =>
      dispatches.push(perEntry(task, entry, factor, bindings, unit)),
    /** c = alpha · x y + add, block by block. */
    product(
      alpha: number,
      [x, transA]: readonly [Ref, boolean],
      [y, transB]: readonly [Ref, boolean],
      add: Ref,
      c: Ref,
    ): Ref {
      const strides = { batch: [blocks], aStrides: [b * b], bStrides: [b * b] };
      const kernel = gemmKernel(
        {
          ...{ m: b, n: b, k: b, ...strides, transA, transB, alpha, bHalf: false },
          ...{ a: x, b: y, c, epilogue: { add }, scratch },
        },
        caps,
      );
      dispatches.push(...kernel.dispatches);
      return c;
    },
    kernel: (): Kernel => ({ scratchBytes, dispatches }),
  };
}

/** The series for X = 2Q: h ← X h / 2 + X, from h = last · X / 2; then R = I + h. */
function largeSeries(task: Task, caps: Caps): Kernel {
  const { degree, last } = task;
  const { matrix, entry, product, kernel } = large(task, caps);
  const x = matrix();
  if (degree < 2) {
    entry('spread', degree === 0 ? 0 : last, [{ in: 0 }, x, { out: 0 }], true);
    return kernel();
  }
  const xUnit = matrix();
  entry('spread', 2, [{ in: 0 }, x, xUnit], true);
  let h = x;
  for (let s = 1; s < degree; s++) {
    const isLast = s === degree - 1;
    const alpha = s === 1 ? last / 4 : 0.5;
    h = product(alpha, [x, false], [h, false], isLast ? xUnit : x, isLast ? { out: 0 } : matrix());
  }
  return kernel();
}

/**
 * Its gradient by the scheme of `series_backward` with N = −X/2 and P = 2I − h: for T = S/2, T ← −X T / 2 − G h / 2 + G and
 * h ← −X h / 2 + X, from T = last · G / 2 and h = last · X / 2.
 */
function largeSeriesBackward(task: Task, caps: Caps): Kernel {
  const { degree, last } = task;
  const { matrix, entry, product, kernel } = large(task, caps);
  const g: Ref = { in: 1 };
  if (degree === 1) {
    entry('collect', last, [g, { out: 0 }]);
    return kernel();
  }
  const x = matrix();
  entry('spread', 2, [{ in: 0 }, x]);
  let h = x;
  let t = g;
  for (let s = 1; s < degree; s++) {
    const start = s === 1 ? last / 2 : 1;
    const turned = product(-0.5 * start, [x, false], [t, false], g, matrix());
    t = product(-0.5 * start, [g, false], [h, false], turned, matrix());
    if (s < degree - 1) h = product(-0.5 * start, [x, false], [h, false], x, matrix());
  }
  entry('collect', 2, [t, { out: 0 }]);
  return kernel();
}

/** The exact gradient: Y = G Rᵀ + G, S = −½ (Rᵀ Y + Y). */
function largeExactBackward(task: Task, caps: Caps): Kernel {
  const { matrix, entry, product, kernel } = large(task, caps);
  const [r, g] = [{ in: 0 }, { in: 1 }];
  const y = product(1, [g, false], [r, true], g, matrix());
  entry('collect', -0.5, [product(1, [r, true], [y, false], y, matrix()), { out: 0 }]);
  return kernel();
}

function forward(source: TensorType, attrs: CayleyAttrs, caps: Caps): Kernel {
  const { b, kind } = attrs;
  const blocks = sizeOf(leadOf(source, attrs));
  const task = taskOf(blocks, attrs);
  const bindings = [{ in: 0 }, { out: 0 }];
  if (kind === 'neumann')
    return isHeld(b, caps) ? { dispatches: [tiled(task, 'series', 2, bindings)] } : largeSeries(task, caps);
  const one = (entry: string, constants: Record<string, number>, workgroups: Dispatch['workgroups']) => ({
    dispatches: [dispatch(task, { entry, constants: { B: b, ...constants }, bindings, workgroups })],
  });
  if (b <= SMALL) return one('invert_small', { WG }, perElement(blocks, WG));
  if (b <= TILE) {
    const per = Math.max(1, Math.min(Math.floor(WG / b), Math.floor(SHARED / (b * b))));
    return one('invert_tile', { PER: per }, spread(Math.ceil(blocks / per)));
  }
  return one('invert_storage', { WG: Math.min(256, 64 * Math.ceil(b / 64)) }, spread(blocks));
}

function backward(dR: TensorType, attrs: CayleyAttrs, caps: Caps): Kernel {
  const task = taskOf(sizeOf(dR.shape.slice(0, -2)), attrs);
  const exact = attrs.kind === 'exact';
  if (!isHeld(attrs.b, caps)) return (exact ? largeExactBackward : largeSeriesBackward)(task, caps);
  const bindings = [{ in: 0 }, { in: 1 }, { out: 0 }];
  return {
    dispatches: [
      exact ? tiled(task, 'exact_backward', 2, bindings) : tiled(task, 'series_backward', 4, bindings),
    ],
  };
}

/** Coefficients c₀ … c_d of PEFT's truncated series (since 0.18 the last one is 1; 3 and 4 terms are the same). */
export function seriesCoefficients(terms: number): number[] {
  if (terms <= 1) return [1];
  if (terms === 2) return [1, 2];
  const degree = terms <= 4 ? 3 : terms - 1;
  return [1, ...new Array<number>(degree - 1).fill(2), 1];
}

// In ONNX, for n blocks at once.

/** Source of n blocks → skew matrices [n, b, b]. */
function skew(e: OnnxWriter, source: string, n: number, { b, form }: CayleyAttrs): string {
  if (form === 'full') {
    const a = e.reshape(source, [n, b, b]);
    return times(e, e.op('Sub', [a, swapped(e, a, 3)]), 0.5);
  }
  const at: number[] = [];
  const sign = new Float32Array(b * b);
  for (let i = 0; i < b; i++) {
    for (let j = 0; j < b; j++) {
      const [low, high] = i < j ? [i, j] : [j, i];
      at.push(i === j ? 0 : low * b - (low * (low + 1)) / 2 + (high - low - 1));
      sign[i * b + j] = Math.sign(j - i);
    }
  }
  const packed = e.reshape(source, [n, (b * (b - 1)) / 2]);
  const whole = e.op('Gather', [packed, e.ints(at)], { axis: 1 });
  return e.reshape(e.op('Mul', [whole, e.tensor('float32', [b * b], sign)]), [n, b, b]);
}

/** Block size up to which the inverse is written out; products of larger blocks are quicker. */
const ELIMINATED = 64;

/** Inverse of A = I + Q for n skew Q [b, b]; ONNX has no inverse of its own. */
const inverse = (e: OnnxWriter, q: string, n: number, b: number): string =>
  b <= ELIMINATED ? eliminated(e, q, n, b) : iterated(e, q, b);

/** By elimination, every element a line over the blocks: the pivots of I + Q are at least 1, in any order. */
function eliminated(e: OnnxWriter, q: string, n: number, b: number): string {
  const cut = (x: string, from: number, to: number, axis: number) =>
    e.op('Slice', [x, e.ints([from]), e.ints([to]), e.ints([axis])]);
  const eye = e.reshape(identity(e, b), [b, b, 1]);
  const lines = e.reshape(e.transpose(e.reshape(q, [n, b * b]), [1, 0]), [b, b, n]);
  const sides = [e.op('Add', [lines, eye]), e.op('Expand', [eye, e.ints([b, b, n])])];
  let both = e.op('Concat', sides, { axis: 1 });
  for (let k = 0; k < b; k++) {
    const column = cut(both, k, k + 1, 1);
    const row = e.op('Div', [cut(both, k, k + 1, 0), cut(column, k, k + 1, 0)]);
    // The row itself is 1 too large, so that what is left of it is the row.
    both = e.op('Sub', [both, e.op('Mul', [e.op('Sub', [column, cut(eye, k, k + 1, 1)]), row])]);
  }
  return e.reshape(e.transpose(e.reshape(cut(both, b, 2 * b, 1), [b * b, n]), [1, 0]), [n, b, b]);
}

/**
 * By Newton's iteration from Aᵀ/(1 + ‖Q‖²): A Aᵀ has eigenvalues 1 + σ², so it converges for every Q, quadratically once near.
 */
function iterated(e: OnnxWriter, q: string, b: number): string {
  const a = e.op('Add', [identity(e, b), q]);
  const norm = e.reduce('ReduceSum', e.op('Mul', [q, q]), [1, 2]);
  const bound = e.op('Add', [e.scalar(1), norm]);
  let x = e.op('Div', [swapped(e, a, 3), bound]);
  const two = times(e, identity(e, b), 2);
  for (let k = 0; k < 24; k++) x = matmul(e, x, e.op('Sub', [two, matmul(e, a, x)]));
  return x;
}

const blocksIn = (v: TensorType, attrs: CayleyAttrs): number =>
  sizeOf(v.shape) / (attrs.form === 'packed' ? (attrs.b * (attrs.b - 1)) / 2 : attrs.b ** 2);

const cayleyOnnx: OnnxForm<CayleyAttrs> = (e, [source], { inputs, outputs, attrs }) => {
  const { b, kind, terms } = attrs;
  const n = blocksIn(inputs[0]!, attrs);
  const q = skew(e, source!, n, attrs);
  const eye = identity(e, b);
  if (kind === 'exact') {
    // (I − Q)(I + Q)⁻¹ = 2 (I + Q)⁻¹ − I
    return [e.reshape(e.op('Sub', [times(e, inverse(e, q, n, b), 2), eye]), outputs[0]!.shape)];
  }
  let sum = e.op('Add', [eye, times(e, q, 0)]);
  let power = q;
  for (const c of seriesCoefficients(terms).slice(1)) {
    sum = e.op('Add', [sum, times(e, power, c)]);
    power = matmul(e, power, q);
  }
  return [e.reshape(sum, outputs[0]!.shape)];
};

/** dQ before its skew part is taken, for n blocks. */
function skewGradient(e: OnnxWriter, known: string, dR: string, n: number, attrs: CayleyAttrs): string {
  const { b, kind, terms } = attrs;
  if (kind === 'exact') {
    // (I − Q)⁻¹ = (I + Rᵀ)/2, so −2 (I − Q)⁻¹ G (I − Q)⁻¹ = −½ (I + Rᵀ) G (I + Rᵀ).
    const half = e.op('Add', [identity(e, b), swapped(e, e.reshape(known, [n, b, b]), 3)]);
    return times(e, matmul(e, matmul(e, half, dR), half), -0.5);
  }
  const q = skew(e, known, n, attrs);
  const qt = swapped(e, q, 3);
  // D_k = Σ_{j<k} (Qᵀ)^j G (Qᵀ)^(k−1−j) obeys D_(k+1) = D_k Qᵀ + (Qᵀ)^k G.
  let d = dR;
  let left = matmul(e, qt, dR);
  let sum = times(e, dR, 0);
  for (const c of seriesCoefficients(terms).slice(1)) {
    sum = e.op('Add', [sum, times(e, d, c)]);
    d = e.op('Add', [matmul(e, d, qt), left]);
    left = matmul(e, qt, left);
  }
  return sum;
}

const cayleyGradOnnx: OnnxForm<CayleyAttrs> = (e, [known, dR], { inputs, outputs, attrs }) => {
  const { b, form } = attrs;
  const n = sizeOf(inputs[1]!.shape) / (b * b);
  const s = skewGradient(e, known!, e.reshape(dR!, [n, b, b]), n, attrs);
  const odd = e.op('Sub', [s, swapped(e, s, 3)]);
  if (form === 'full') return [e.reshape(times(e, odd, 0.5), outputs[0]!.shape)];
  const upper: number[] = [];
  for (let i = 0; i < b; i++) for (let j = i + 1; j < b; j++) upper.push(i * b + j);
  return [
    e.reshape(e.op('Gather', [e.reshape(odd, [n, b * b]), e.ints(upper)], { axis: 1 }), outputs[0]!.shape),
  ];
};

/** source (see `form`) → R with the same leading dimensions, then [b, b]. */
export const cayleyOp = defineOp<CayleyAttrs>({
  name: 'cayley',
  infer: ([source], attrs) => [{ dtype: 'f32', shape: [...leadOf(source!, attrs), attrs.b, attrs.b] }],
  gradient: (g, node, [dR]) => {
    const { attrs } = node;
    // One term or none is the identity, whatever the parameters are.
    if (!dR || (attrs.kind === 'neumann' && attrs.terms <= 1)) return [null];
    return g.emit(cayleyGradOp, [attrs.kind === 'exact' ? node.outputs[0]! : node.inputs[0]!, dR], attrs);
  },
  kernel: ({ inputs, attrs }, caps) => forward(inputs[0]!, attrs, caps),
  onnx: cayleyOnnx,
});

/** From R (exact) or the packed source (series), and dR → the gradient of the source. */
export const cayleyGradOp = defineOp<CayleyAttrs>({
  name: 'cayleyGrad',
  infer: ([, dR], attrs) => [{ dtype: 'f32', shape: sourceShape(dR!.shape.slice(0, -2), attrs) }],
  gradient: null,
  kernel: ({ inputs, attrs }, caps) => backward(inputs[1]!, attrs, caps),
  onnx: cayleyGradOnnx,
});

/** OFT's rotations: q [n, b(b−1)/2] → R [n, b, b]. */
export const cayley = (
  g: Emitter,
  q: Value,
  attrs: { readonly b: number; readonly kind: 'exact' | 'neumann'; readonly terms: number },
): Value => g.emit<CayleyAttrs>(cayleyOp, [q], { ...attrs, form: 'packed' })[0]!;

/** BOFT's rotations: A [..., b, b] → R of the same shape, exact, from the skew half of A. */
export const cayleyFull = (g: Emitter, a: Value, attrs: { readonly b: number }): Value =>
  g.emit<CayleyAttrs>(cayleyOp, [a], { b: attrs.b, kind: 'exact', terms: 0, form: 'full' })[0]!;
