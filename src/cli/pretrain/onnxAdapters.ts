/** The adapters' own ops in ONNX: Cayley transforms, butterfly products, sparse inverse DFTs, each with its gradient. */
import { sizeOf } from '../../graph/shape.ts';
import type { Value } from '../../graph/types.ts';
import { butterflyPermutation } from '../../lib/butterfly.ts';
import { fail } from '../../lib/errors.ts';
import type { ButterflyAttrs, ButterflyGradAttrs } from '../../ops/butterfly.ts';
import { type CayleyAttrs, seriesCoefficients } from '../../ops/cayley.ts';
import type { SparseIdftAttrs } from '../../ops/sparseIdft.ts';
import { type Lowering, lowering, type OnnxEmitter } from './emitter.ts';

const identity = (e: OnnxEmitter, b: number): string =>
  e.tensor(
    'float32',
    [b, b],
    Float32Array.from({ length: b * b }, (_, i) => (i % (b + 1) === 0 ? 1 : 0)),
  );

const swapped = (e: OnnxEmitter, x: string): string => e.transpose(x, [0, 2, 1]);
const matmul = (e: OnnxEmitter, a: string, b: string): string => e.op('MatMul', [a, b]);
const times = (e: OnnxEmitter, x: string, by: number): string => e.op('Mul', [x, e.scalar(by)]);

// ---- Cayley ---------------------------------------------------------------------------------------------------------

/** Source of n blocks → skew matrices [n, b, b]. */
function skew(e: OnnxEmitter, source: string, n: number, { b, form }: CayleyAttrs): string {
  if (form === 'full') {
    const a = e.reshape(source, [n, b, b]);
    return times(e, e.op('Sub', [a, swapped(e, a)]), 0.5);
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

/**
 * Inverse of A = I + Q for skew Q by Newton's iteration from Aᵀ/(1 + ‖Q‖²): A Aᵀ has eigenvalues 1 + σ², so it converges for every Q,
 * quadratically once near; ONNX has no inverse of its own.
 */
function inverse(e: OnnxEmitter, a: string, q: string, b: number): string {
  const norm = e.reduce('ReduceSum', e.op('Mul', [q, q]), [1, 2]);
  const bound = e.op('Add', [e.scalar(1), norm]);
  let x = e.op('Div', [swapped(e, a), bound]);
  const two = times(e, identity(e, b), 2);
  for (let k = 0; k < 24; k++) x = matmul(e, x, e.op('Sub', [two, matmul(e, a, x)]));
  return x;
}

const blocksOf = (v: Value, attrs: CayleyAttrs): number =>
  sizeOf(v.shape) / (attrs.form === 'packed' ? (attrs.b * (attrs.b - 1)) / 2 : attrs.b ** 2);

const cayley = lowering<CayleyAttrs>((e, [source], { inputs, outputs, attrs }) => {
  const { b, kind, terms } = attrs;
  const q = skew(e, source!, blocksOf(inputs[0]!, attrs), attrs);
  const eye = identity(e, b);
  if (kind === 'exact') {
    const inverted = inverse(e, e.op('Add', [eye, q]), q, b);
    return [e.reshape(matmul(e, e.op('Sub', [eye, q]), inverted), outputs[0]!.shape)];
  }
  let sum = e.op('Add', [eye, times(e, q, 0)]);
  let power = q;
  for (const c of seriesCoefficients(terms).slice(1)) {
    sum = e.op('Add', [sum, times(e, power, c)]);
    power = matmul(e, power, q);
  }
  return [e.reshape(sum, outputs[0]!.shape)];
});

/** dQ before its skew part is taken, for n blocks. */
function skewGradient(e: OnnxEmitter, known: string, dR: string, n: number, attrs: CayleyAttrs): string {
  const { b, kind, terms } = attrs;
  if (kind === 'exact') {
    // (I − Q)⁻¹ = (I + Rᵀ)/2, so −2 (I − Q)⁻¹ G (I − Q)⁻¹ = −½ (I + Rᵀ) G (I + Rᵀ).
    const half = e.op('Add', [identity(e, b), swapped(e, e.reshape(known, [n, b, b]))]);
    return times(e, matmul(e, matmul(e, half, dR), half), -0.5);
  }
  const q = skew(e, known, n, attrs);
  const qt = swapped(e, q);
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

const cayleyGrad = lowering<CayleyAttrs>((e, [known, dR], { inputs, outputs, attrs }) => {
  const { b, form } = attrs;
  const n = sizeOf(inputs[1]!.shape) / (b * b);
  const s = skewGradient(e, known!, e.reshape(dR!, [n, b, b]), n, attrs);
  const odd = e.op('Sub', [s, swapped(e, s)]);
  if (form === 'full') return [e.reshape(times(e, odd, 0.5), outputs[0]!.shape)];
  const upper: number[] = [];
  for (let i = 0; i < b; i++) for (let j = i + 1; j < b; j++) upper.push(i * b + j);
  return [
    e.reshape(e.op('Gather', [e.reshape(odd, [n, b * b]), e.ints(upper)], { axis: 1 }), outputs[0]!.shape),
  ];
});

// ---- butterfly ------------------------------------------------------------------------------------------------------

interface Turn {
  readonly d: number;
  readonly m: number;
  readonly b: number;
  readonly num: number;
  readonly stored: number;
  readonly stack: number;
  /** R of entry t and factor f [num | 1, b, b], dropped blocks replaced by the identity. */
  readonly block: (t: number, f: number) => string;
  /** 1 for kept blocks [num, 1, 1], or null. */
  readonly kept: (t: number, f: number) => string | null;
}

function turns(e: OnnxEmitter, d: number, blocks: string, value: Value, mask: string | undefined): Turn {
  const [m, stored, b] = value.shape.slice(-4) as [number, number, number];
  const stack = value.shape.length === 5 ? value.shape[0]! : 1;
  const num = d / b;
  const all = e.reshape(blocks, [stack * m, stored, b, b]);
  const keeps = mask === undefined ? null : e.reshape(mask, [stack * m, num, 1, 1]);
  const pick = (x: string, t: number, f: number) => e.op('Gather', [x, e.ints([t * m + f], [])], { axis: 0 });
  const kept = (t: number, f: number) => (keeps === null ? null : pick(keeps, t, f));
  return {
    ...{ d, m, b, num, stored, stack, kept },
    block: (t, f) => {
      const R = pick(all, t, f);
      const keep = kept(t, f);
      if (keep === null) return R;
      const dropped = e.op('Mul', [e.op('Sub', [e.scalar(1), keep]), identity(e, b)]);
      return e.op('Add', [e.op('Mul', [keep, R]), dropped]);
    },
  };
}

/** Rows [N, d] into blocks [num, N, b] in the order of a factor, and back. */
function toBlocks(e: OnnxEmitter, x: string, turn: Turn, f: number): string {
  const perm = butterflyPermutation(turn.d, turn.b, f);
  const back: number[] = [];
  perm.forEach((p, k) => {
    back[p] = k;
  });
  const ordered = f === 0 ? x : e.op('Gather', [x, e.ints(back)], { axis: 1 });
  return e.transpose(e.reshape(ordered, [-1, turn.num, turn.b]), [1, 0, 2]);
}

function fromBlocks(e: OnnxEmitter, x: string, turn: Turn, f: number): string {
  const rows = e.reshape(e.transpose(x, [1, 0, 2]), [-1, turn.d]);
  return f === 0
    ? rows
    : e.op('Gather', [rows, e.ints([...butterflyPermutation(turn.d, turn.b, f)])], { axis: 1 });
}

function applyFactor(
  e: OnnxEmitter,
  x: string,
  turn: Turn,
  t: number,
  f: number,
  transposed: boolean,
): string {
  const R = turn.block(t, f);
  return fromBlocks(e, matmul(e, toBlocks(e, x, turn, f), transposed ? swapped(e, R) : R), turn, f);
}

/** Entry t of a stack as rows [N, d]. */
const entry = (e: OnnxEmitter, x: string, turn: Turn, t: number, shared: boolean): string =>
  shared || turn.stack === 1
    ? e.reshape(x, [-1, turn.d])
    : e.reshape(e.op('Gather', [e.reshape(x, [turn.stack, -1]), e.ints([t], [])], { axis: 0 }), [-1, turn.d]);

const butterfly = lowering<ButterflyAttrs>((e, [x, blocks, mask], { inputs, outputs, attrs }) => {
  const turn = turns(e, inputs[0]!.shape.at(-1)!, blocks!, inputs[1]!, mask);
  const parts = Array.from({ length: turn.stack }, (_, t) => {
    let y = entry(e, x!, turn, t, attrs.stack === 'share');
    for (let s = 0; s < turn.m; s++) {
      y = applyFactor(e, y, turn, t, attrs.transpose ? s : turn.m - 1 - s, attrs.transpose);
    }
    return y;
  });
  const joined =
    attrs.stack === 'sum' ? parts.reduce((a, b) => e.op('Add', [a, b])) : e.op('Concat', parts, { axis: 0 });
  return [e.reshape(joined, outputs[0]!.shape)];
});

const butterflyGrad = lowering<ButterflyGradAttrs>(
  (e, [x, blocks, upstream, mask], { inputs, outputs, attrs }) => {
    const turn = turns(e, inputs[0]!.shape.at(-1)!, blocks!, inputs[1]!, mask);
    const sums: string[] = [];
    const dX: string[] = [];
    for (let t = 0; t < turn.stack; t++) {
      const before: string[] = [];
      let h = entry(e, x!, turn, t, attrs.shared === 'x');
      for (let f = turn.m - 1; f >= 0; f--) {
        before[f] = h;
        h = applyFactor(e, h, turn, t, f, false);
      }
      let g = entry(e, upstream!, turn, t, attrs.shared === 'upstream');
      for (let f = 0; f < turn.m; f++) {
        const u = toBlocks(e, before[f]!, turn, f);
        const product = matmul(e, swapped(e, u), toBlocks(e, g, turn, f));
        const keep = turn.kept(t, f);
        const masked = keep === null ? product : e.op('Mul', [product, keep]);
        sums.push(turn.stored === 1 && turn.num > 1 ? e.reduce('ReduceSum', masked, [0]) : masked);
        g = applyFactor(e, g, turn, t, f, true);
      }
      dX.push(g);
    }
    const result = [e.reshape(e.op('Concat', sums, { axis: 0 }), outputs[0]!.shape)];
    if (attrs.wantX) {
      const joined =
        attrs.shared === 'x' ? dX.reduce((a, b) => e.op('Add', [a, b])) : e.op('Concat', dX, { axis: 0 });
      result.push(e.reshape(joined, inputs[0]!.shape));
    }
    return result;
  },
);

// ---- sparse inverse DFT ---------------------------------------------------------------------------------------------

/** cos and sin of the angles of every row (or column) and frequency: [size, n]. */
function waves(
  e: OnnxEmitter,
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

const sparseIdft = lowering<SparseIdftAttrs>((e, [spectrum], { inputs, attrs }) => {
  const [stack, n] = inputs[0]!.shape as [number, number];
  const rows = waves(e, attrs.out, inputs[1]!);
  const columns = waves(e, attrs.in, inputs[2]!);
  const s = times(e, e.reshape(spectrum!, [stack, 1, n]), attrs.scaling / (attrs.out * attrs.in));
  const half = (row: string, column: string) => matmul(e, e.op('Mul', [row, s]), e.transpose(column, [1, 0]));
  return [e.op('Sub', [half(rows.cos, columns.cos), half(rows.sin, columns.sin)])];
});

const sparseDft = lowering<SparseIdftAttrs>((e, [delta], { inputs, attrs }) => {
  const rows = waves(e, attrs.out, inputs[1]!);
  const columns = waves(e, attrs.in, inputs[2]!);
  const half = (row: string, column: string) => e.op('Mul', [row, matmul(e, delta!, column)]);
  const sum = e.op(
    'ReduceSum',
    [e.op('Sub', [half(rows.cos, columns.cos), half(rows.sin, columns.sin)]), e.ints([1])],
    { keepdims: 0 },
  );
  return [times(e, sum, attrs.scaling / (attrs.out * attrs.in))];
});

const columnScale: Lowering = (e, [x, s]) => [e.op('Mul', [x!, s!])];

const columnScaleGrad: Lowering = (e, [x, s, dY], { inputs }) => {
  const rows = inputs[0]!.shape.slice(0, -1).map((_, i) => i);
  const dS = e.op('ReduceSum', [e.op('Mul', [dY!, x!]), e.ints(rows)], { keepdims: 0 });
  return [e.op('Mul', [dY!, s!]), dS];
};

export const adapters: Readonly<Record<string, Lowering>> = {
  columnScale,
  columnScaleGrad,
  cayley,
  cayleyGrad,
  butterfly,
  butterflyGrad,
  sparseIdft,
  sparseDft,
};
