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
import { type Blocks, series, seriesCoefficients, seriesGradient } from './cayleySeries.ts';
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
};

const dispatch = ({ attrs, blocks, degree, last }: Task, { factor = last, ...rest }: Entry): Dispatch => ({
  shader: SHADER,
  conditions: { FULL: attrs.form === 'full' },
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

const perEntry = (task: Task, entry: Pick<Entry, 'entry' | 'bindings' | 'factor'>) =>
  dispatch(task, {
    ...entry,
    constants: { B: task.attrs.b, WG },
    workgroups: perElement(task.blocks * task.attrs.b ** 2, WG),
  });

const MIX = 'blockMix.wgsl';

/** Blocks too large for workgroup memory: products of whole matrices, in scratch buffers. */
function large(task: Task, caps: Caps) {
  const { blocks, attrs } = task;
  const { b } = attrs;
  const elements = blocks * b * b;
  const scratchBytes: number[] = [];
  const dispatches: Dispatch[] = [];
  const scratch = (bytes: number): Ref => ({ scratch: scratchBytes.push(bytes) - 1 });
  const matrix = () => scratch(4 * elements);
  const on: Blocks<Ref> = {
    product(x, y, { add, turned, to = matrix() } = {}) {
      const strides = { batch: [blocks], aStrides: [b * b], bStrides: [b * b] };
      const kernel = gemmKernel(
        {
          ...{ m: b, n: b, k: b, ...strides, alpha: 1, bHalf: false },
          ...{
            transA: turned === 'x',
            transB: turned === 'y',
            a: x,
            b: y,
            c: to,
            epilogue: { add },
            scratch,
          },
        },
        caps,
      );
      dispatches.push(...kernel.dispatches);
      return to;
    },
    mix([a, x], [c, y], { isTurned = false, hasUnit = false, to = matrix() } = {}) {
      const width = b % 4 === 0 ? 4 : 1;
      const threads = elements / width;
      dispatches.push({
        shader: MIX,
        entry: 'mix_blocks',
        conditions: { TURNED: isTurned, WITH_UNIT: hasUnit, QUADS: width === 4 },
        constants: { WG, SIDE: b },
        params: [threads, { f32: a }, { f32: c }],
        bindings: [x, y, to],
        workgroups: perElement(threads, WG),
      });
      return to;
    },
  };
  return {
    on,
    /** The matrices Q. */
    spread(): Ref {
      const q = matrix();
      dispatches.push(perEntry(task, { entry: 'spread', bindings: [{ in: 0 }, q] }));
      return q;
    },
    /** What trains gets `factor` times S − Sᵀ. */
    collect: (factor: number, s: Ref) =>
      dispatches.push(perEntry(task, { entry: 'collect', factor, bindings: [s, { out: 0 }] })),
    kernel: (): Kernel => ({ scratchBytes, dispatches }),
  };
}

function largeSeries(task: Task, caps: Caps): Kernel {
  const { on, spread, kernel } = large(task, caps);
  const { degree, last, attrs } = task;
  const r = { out: 0 };
  const q = spread();
  if (degree < 2) on.mix([degree * last, q], [0, q], { hasUnit: true, to: r });
  else series(on, q, seriesCoefficients(attrs.terms), r);
  return kernel();
}

function largeSeriesBackward(task: Task, caps: Caps): Kernel {
  const { on, spread, collect, kernel } = large(task, caps);
  const { degree, last, attrs } = task;
  const g: Ref = { in: 1 };
  if (degree === 1) collect(last, g);
  else collect(1, seriesGradient(on, spread(), g, seriesCoefficients(attrs.terms)));
  return kernel();
}

/** The exact gradient: Y = G Rᵀ + G, S = −½ (Rᵀ Y + Y). */
function largeExactBackward(task: Task, caps: Caps): Kernel {
  const { on, collect, kernel } = large(task, caps);
  const [r, g] = [{ in: 0 }, { in: 1 }];
  const y = on.product(g, r, { add: g, turned: 'y' });
  collect(-0.5, on.product(r, y, { add: y, turned: 'x' }));
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
  const coefficients = seriesCoefficients(terms);
  const whole =
    coefficients.length > 2
      ? series(onnxBlocks(e, b), q, coefficients)
      : e.op('Add', [eye, times(e, q, coefficients[1] ?? 0)]);
  return [e.reshape(whole, outputs[0]!.shape)];
};

/** Blocks of side b in ONNX, many at once. */
const onnxBlocks = (e: OnnxWriter, b: number): Blocks<string> => ({
  product(x, y, { add, turned } = {}) {
    const [left, right] = [turned === 'x' ? swapped(e, x, 3) : x, turned === 'y' ? swapped(e, y, 3) : y];
    const both = matmul(e, left, right);
    return add === undefined ? both : e.op('Add', [both, add]);
  },
  mix([a, x], [c, y], { isTurned, hasUnit } = {}) {
    const other = isTurned ? swapped(e, y, 3) : y;
    const sum = e.op('Add', [times(e, x, a), times(e, other, c)]);
    return hasUnit ? e.op('Add', [sum, identity(e, b)]) : sum;
  },
});

/** dQ before its skew part is taken, for n blocks. */
function skewGradient(e: OnnxWriter, known: string, dR: string, n: number, attrs: CayleyAttrs): string {
  const { b, kind, terms } = attrs;
  if (kind === 'exact') {
    // (I − Q)⁻¹ = (I + Rᵀ)/2, so −2 (I − Q)⁻¹ G (I − Q)⁻¹ = −½ (I + Rᵀ) G (I + Rᵀ).
    const half = e.op('Add', [identity(e, b), swapped(e, e.reshape(known, [n, b, b]), 3)]);
    return times(e, matmul(e, matmul(e, half, dR), half), -0.5);
  }
  const coefficients = seriesCoefficients(terms);
  if (coefficients.length === 2) return times(e, dR, coefficients[1]!);
  return seriesGradient(onnxBlocks(e, b), skew(e, known, n, attrs), dR, coefficients);
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
