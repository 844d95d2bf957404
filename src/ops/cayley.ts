/**
 * The Cayley transform of many skew-symmetric blocks: OFT's parameters (packed strict upper triangles, exact or as PEFT's truncated
 * Neumann series) and BOFT's (full matrices of which the skew half counts, always exact).
 *
 * Sign: the series approximates the transpose of the exact rotation. That is PEFT's, and adapters depend on it.
 */
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, Kernel, OnnxForm, OnnxWriter, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, spread } from './dispatch.ts';
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
const SMALL = 8;

/** Largest block whose matrix fits into the 16 KiB of workgroup memory that WebGPU guarantees. */
const TILE = 64;

/** Numbers of workgroup memory that several blocks may fill together; some drivers clear it slowly. */
const SHARED = 1024;

export const sourceShape = (lead: readonly number[], { b, form }: CayleyAttrs): number[] =>
  form === 'packed' ? [...lead, (b * (b - 1)) / 2] : [...lead, b, b];

/** The leading dimensions of the source: how the blocks are laid out. */
export function leadOf(source: TensorType, attrs: CayleyAttrs): number[] {
  const lead = source.shape.slice(0, attrs.form === 'packed' ? -1 : -2);
  if (attrs.b < 2 || source.shape.join() !== sourceShape(lead, attrs).join()) {
    fail('shape', `cayley: [${source.shape}] is no ${attrs.form} stack of skew blocks of size ${attrs.b}.`);
  }
  if (attrs.form === 'full' && attrs.kind !== 'exact')
    fail('shape', 'cayley: the series takes packed blocks only.');
  return [...lead];
}

function series(attrs: CayleyAttrs): { readonly degree: number; readonly last: number } {
  const coefficients = attrs.kind === 'exact' ? [1] : seriesCoefficients(attrs.terms);
  return { degree: coefficients.length - 1, last: coefficients.at(-1)! };
}

function forward(source: TensorType, attrs: CayleyAttrs): Kernel {
  const { b } = attrs;
  const blocks = sizeOf(leadOf(source, attrs));
  const { degree, last } = series(attrs);
  const shared = {
    shader: SHADER,
    conditions: { FULL: attrs.form === 'full' },
    params: [blocks, degree, 0, { f32: last }],
  };
  const bindings = [{ in: 0 }, { out: 0 }];
  if (attrs.kind === 'neumann') {
    return {
      scratchBytes: [4 * blocks * b * b],
      dispatches: [
        {
          ...shared,
          entry: 'series',
          constants: { B: b, WG },
          bindings: [...bindings, { scratch: 0 }],
          workgroups: perElement(blocks * b, WG),
        },
      ],
    };
  }
  if (b <= SMALL) {
    const constants = { B: b, WG };
    return {
      dispatches: [
        { ...shared, entry: 'invert_small', constants, bindings, workgroups: perElement(blocks, WG) },
      ],
    };
  }
  if (b <= TILE) {
    const per = Math.max(1, Math.min(Math.floor(WG / b), Math.floor(SHARED / (b * b))));
    const constants = { B: b, PER: per };
    return {
      dispatches: [
        { ...shared, entry: 'invert_tile', constants, bindings, workgroups: spread(Math.ceil(blocks / per)) },
      ],
    };
  }
  const constants = { B: b, WG: Math.min(256, 64 * Math.ceil(b / 64)) };
  return {
    dispatches: [{ ...shared, entry: 'invert_storage', constants, bindings, workgroups: spread(blocks) }],
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
  kernel: ({ inputs, attrs }) => forward(inputs[0]!, attrs),
  onnx: cayleyOnnx,
});

/** From R (exact) or the packed source (series), and dR → the gradient of the source. */
export const cayleyGradOp = defineOp<CayleyAttrs>({
  name: 'cayleyGrad',
  infer: ([, dR], attrs) => [{ dtype: 'f32', shape: sourceShape(dR!.shape.slice(0, -2), attrs) }],
  gradient: null,
  kernel: ({ inputs, attrs }) => {
    const { b, kind } = attrs;
    const blocks = sizeOf(inputs[1]!.shape.slice(0, -2));
    const { degree, last } = series(attrs);
    // The series leaves S in part 2 or 3, by the parity of its steps.
    const part = kind === 'exact' ? 1 : 2 + (degree % 2);
    const shared = {
      shader: SHADER,
      conditions: { FULL: attrs.form === 'full' },
      constants: { B: b, WG },
      params: [blocks, degree, part, { f32: last }],
    };
    return {
      scratchBytes: [(kind === 'exact' ? 2 : 4) * 4 * blocks * b * b],
      dispatches: [
        {
          ...shared,
          entry: kind === 'exact' ? 'exact_backward' : 'series_backward',
          bindings: [{ in: 0 }, { in: 1 }, { scratch: 0 }],
          workgroups: perElement(blocks * b, WG),
        },
        {
          ...shared,
          entry: 'collect',
          bindings: [{ scratch: 0 }, { out: 0 }],
          workgroups: perElement(blocks * b * b, WG),
        },
      ],
    };
  },
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
