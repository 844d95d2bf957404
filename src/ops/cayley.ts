/**
 * The Cayley transform of many skew-symmetric blocks: OFT's parameters (packed strict upper triangles, exact or as PEFT's truncated
 * Neumann series) and BOFT's (full matrices of which the skew half counts, always exact).
 *
 * Sign: the series approximates the transpose of the exact rotation. That is PEFT's, and adapters depend on it.
 */
import { defineOp } from '../graph/defineOp.ts';
import type { Emitter, Kernel, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { rotationOf, seriesCoefficients, skewGradient, skewOf } from './cayleyReference.ts';
import { perElement, spread } from './dispatch.ts';

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

const sourceShape = (lead: readonly number[], { b, form }: CayleyAttrs): number[] =>
  form === 'packed' ? [...lead, (b * (b - 1)) / 2] : [...lead, b, b];

const blocksOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** The leading dimensions of the source: how the blocks are laid out. */
function leadOf(source: TensorType, attrs: CayleyAttrs): number[] {
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
  const blocks = blocksOf(leadOf(source, attrs));
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

const cases: readonly [string, CayleyAttrs, number[], [number, number]?][] = [
  ['BOFT blocks', { b: 4, kind: 'exact', terms: 0, form: 'full' }, [2, 3]],
  ['odd full block', { b: 3, kind: 'exact', terms: 0, form: 'full' }, [5]],
  ['b 2', { b: 2, kind: 'exact', terms: 0, form: 'packed' }, [7]],
  ['b 8, large angles', { b: 8, kind: 'exact', terms: 0, form: 'packed' }, [3], [-3, 3]],
  ['b 9 in workgroup memory', { b: 9, kind: 'exact', terms: 0, form: 'packed' }, [8]],
  ['b 32 in workgroup memory', { b: 32, kind: 'exact', terms: 0, form: 'packed' }, [3], [-0.3, 0.3]],
  ['b 66 in storage', { b: 66, kind: 'exact', terms: 0, form: 'packed' }, [1], [-0.1, 0.1]],
  ['series of 1 term is the identity', { b: 4, kind: 'neumann', terms: 1, form: 'packed' }, [3]],
  ['series of 2 terms', { b: 4, kind: 'neumann', terms: 2, form: 'packed' }, [3]],
  ['series of 4 terms', { b: 5, kind: 'neumann', terms: 4, form: 'packed' }, [3]],
  ['series of 5 terms', { b: 6, kind: 'neumann', terms: 5, form: 'packed' }, [2]],
  ['series of 6 terms', { b: 3, kind: 'neumann', terms: 6, form: 'packed' }, [11]],
  ['series, b 24', { b: 24, kind: 'neumann', terms: 5, form: 'packed' }, [2], [-0.2, 0.2]],
];

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
  reference: ([source], attrs) => {
    const { b, form, kind, terms } = attrs;
    const lead = leadOf(source!, attrs);
    const blocks = blocksOf(lead);
    const stride = source!.data.length / blocks;
    const data = new Float64Array(blocks * b * b);
    for (let n = 0; n < blocks; n++) {
      const q = skewOf(source!.data.subarray(n * stride, (n + 1) * stride), b, form);
      data.set(rotationOf(q, b, kind, terms), n * b * b);
    }
    return [{ dtype: 'f32', shape: [...lead, b, b], data }];
  },
  cases: cases.map(([name, attrs, lead, range = [-1, 1]]) => ({
    name,
    inputs: [{ dtype: 'f32', shape: sourceShape(lead, attrs), range }],
    attrs,
    ...((attrs.kind === 'neumann' && attrs.terms <= 1) || attrs.b > 32 ? { gradientInputs: [] } : {}),
  })),
});

/** From R (exact) or the packed source (series), and dR → the gradient of the source. */
export const cayleyGradOp = defineOp<CayleyAttrs>({
  name: 'cayleyGrad',
  infer: ([, dR], attrs) => [{ dtype: 'f32', shape: sourceShape(dR!.shape.slice(0, -2), attrs) }],
  gradient: null,
  kernel: ({ inputs, attrs }) => {
    const { b, kind } = attrs;
    const blocks = blocksOf(inputs[1]!.shape.slice(0, -2));
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
  reference: ([known, dR], attrs) => {
    const { b, form, kind, terms } = attrs;
    const lead = dR!.shape.slice(0, -2);
    const blocks = blocksOf(lead);
    const shape = sourceShape(lead, attrs);
    const stride = blocksOf(shape) / blocks;
    const data = new Float64Array(blocks * stride);
    for (let n = 0; n < blocks; n++) {
      const g = dR!.data.subarray(n * b * b, (n + 1) * b * b);
      const q =
        kind === 'exact'
          ? skewFromRotation(known!.data.subarray(n * b * b, (n + 1) * b * b), b)
          : skewOf(known!.data.subarray(n * stride, (n + 1) * stride), b, form);
      const s = skewGradient(q, g, b, kind, terms);
      let next = n * stride;
      for (let i = 0; i < b; i++) {
        for (let j = 0; j < b; j++) {
          const d = s[i * b + j]! - s[j * b + i]!;
          if (form === 'full') data[next++] = d / 2;
          else if (i < j) data[next++] = d;
        }
      }
    }
    return [{ dtype: 'f32', shape, data }];
  },
  cases: [
    {
      name: 'series of 5 terms',
      inputs: [
        { dtype: 'f32', shape: [3, 10], range: [-0.5, 0.5] },
        { dtype: 'f32', shape: [3, 5, 5] },
      ],
      attrs: { b: 5, kind: 'neumann', terms: 5, form: 'packed' },
    },
    {
      name: 'exact at a quarter turn',
      inputs: [
        { dtype: 'f32', shape: [1, 2, 2], data: [0, -1, 1, 0] },
        { dtype: 'f32', shape: [1, 2, 2] },
      ],
      attrs: { b: 2, kind: 'exact', terms: 0, form: 'full' },
    },
  ],
});

/** Q = (I + R)⁻¹(I − R): the transform is its own inverse, and never meets R = −I. */
const skewFromRotation = (r: Float64Array, b: number): Float64Array => rotationOf(r, b, 'exact', 0);

/** OFT's rotations: q [n, b(b−1)/2] → R [n, b, b]. */
export const cayley = (
  g: Emitter,
  q: Value,
  attrs: { readonly b: number; readonly kind: 'exact' | 'neumann'; readonly terms: number },
): Value => g.emit<CayleyAttrs>(cayleyOp, [q], { ...attrs, form: 'packed' })[0]!;

/** BOFT's rotations: A [..., b, b] → R of the same shape, exact, from the skew half of A. */
export const cayleyFull = (g: Emitter, a: Value, attrs: { readonly b: number }): Value =>
  g.emit<CayleyAttrs>(cayleyOp, [a], { b: attrs.b, kind: 'exact', terms: 0, form: 'full' })[0]!;
