/**
 * FourierFT in ONNX: ΔW [out, in] of n numbers s at places (r, c), scale Σ s cos 2π(p r / out + q c / in), and its adjoint, as products with
 * tables. Where n is small, n waves of rows meet n waves of columns. Else the spectrum is folded: with U[f, g] the sum of the numbers at (±f, ±g)
 * and V the same with the signs' product, ΔW = Cr U Cc − Sr V Sc for the cosines C and sines S of f up to out/2 and g up to in/2.
 */
import type { OnnxWriter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { matmul, times } from './onnx.ts';
import { foldedCount, foldedFrequency, isFoldedOdd, type SpectralAttrs } from './spectrum.ts';

/** A stack of spectra of n numbers at the same places. */
export interface Spectra extends SpectralAttrs {
  readonly stack: number;
  readonly n: number;
  readonly rows: Value;
  readonly columns: Value;
  /** What no other places are called. */
  readonly key: string;
}

/** Those of a node whose inputs from `at` on are rows and columns. */
export const spectraOf = (
  stack: number,
  attrs: SpectralAttrs,
  inputs: readonly Value[],
  names: readonly string[],
  at: number,
): Spectra => ({
  ...{ ...attrs, stack, n: inputs[at]!.shape[0]! },
  ...{ rows: inputs[at]!, columns: inputs[at + 1]!, key: `${names[at]} ${names[at + 1]}` },
});

const placesOf = (frequencies: Value): ArrayLike<number> =>
  frequencies.source?.() ?? fail('internal', 'Frequencies must be constants.');

const radians = (turns: number, size: number): number => (2 * Math.PI * (turns % size)) / size;

/** ΔW [T, out, in] of spectra [T, n]. */
export function deltaOnnx(e: OnnxWriter, spectra: string, of: Spectra): string {
  const scaled = times(e, spectra, of.scaling / (of.out * of.in));
  return isFolded(of) ? foldedDelta(e, scaled, of) : wavesDelta(e, scaled, of);
}

/** The gradient [T, n] of spectra by that of their ΔW [T, out, in]. */
export function spectrumOnnx(e: OnnxWriter, delta: string, of: Spectra): string {
  const sum = isFolded(of) ? foldedSpectrum(e, delta, of) : wavesSpectrum(e, delta, of);
  return times(e, sum, of.scaling / (of.out * of.in));
}

// As waves.

interface Waves {
  readonly cos: string;
  readonly sin: string;
}

/** cos and sin of the angles of every row and frequency [out, n], and of every column [in, n]. */
function waves(e: OnnxWriter, { out, in: width, n, rows, columns, key }: Spectra): readonly [Waves, Waves] {
  const table = (what: 'cos' | 'sin', size: number, frequencies: Value, side: string): string => {
    const at = placesOf(frequencies);
    return e.table(`${what} of ${size}, ${side} ${key}`, [size, n], (i) =>
      Math[what](radians(Math.floor(i / n) * at[i % n]!, size)),
    );
  };
  const both = (size: number, frequencies: Value, side: string): Waves => ({
    cos: table('cos', size, frequencies, side),
    sin: table('sin', size, frequencies, side),
  });
  return [both(out, rows, 'rows'), both(width, columns, 'columns')];
}

function wavesDelta(e: OnnxWriter, spectra: string, of: Spectra): string {
  const [r, c] = waves(e, of);
  const s = e.reshape(spectra, [of.stack, 1, of.n]);
  const half = (row: string, column: string) => matmul(e, e.op('Mul', [row, s]), e.transpose(column, [1, 0]));
  return e.op('Sub', [half(r.cos, c.cos), half(r.sin, c.sin)]);
}

function wavesSpectrum(e: OnnxWriter, delta: string, of: Spectra): string {
  const [r, c] = waves(e, of);
  const half = (row: string, column: string) => e.op('Mul', [row, matmul(e, delta, column)]);
  return e.op('ReduceSum', [e.op('Sub', [half(r.cos, c.cos), half(r.sin, c.sin)]), e.ints([-2])], {
    keepdims: 0,
  });
}

// Folded.

/** Sizes of U and V. */
const folds = ({ out, in: width }: SpectralAttrs) => [foldedCount(out), foldedCount(width)] as const;

/** Multiply-adds of a matrix with the rows' tables first, and with the columns' first. */
function costs(of: SpectralAttrs): { readonly rowsFirst: number; readonly columnsFirst: number } {
  const { out, in: width } = of;
  const [down, across] = folds(of);
  return {
    rowsFirst: 2 * out * across * (down + width),
    columnsFirst: 2 * down * width * (across + out),
  };
}

const isRowsFirst = (of: SpectralAttrs): boolean => costs(of).rowsFirst < costs(of).columnsFirst;

const isFolded = (of: Spectra): boolean => Math.min(...Object.values(costs(of))) < 2 * of.n * of.out * of.in;

/** cos of f p / size, and ±sin, for p below size and f up to half of it, in an order of axes: [2, …]. */
function halfTable(e: OnnxWriter, size: number, sign: 1 | -1, order: 'f p' | 'p f'): string {
  const folded = foldedCount(size);
  const each = folded * size;
  const dims = order === 'f p' ? [2, folded, size] : [2, size, folded];
  return e.table(`half waves of ${size}, ${order}, ${sign}`, dims, (i) => {
    // Both axes name the same product.
    const [a, b] = [Math.floor((i % each) / dims[2]!), i % dims[2]!];
    return i < each ? Math.cos(radians(a * b, size)) : sign * Math.sin(radians(a * b, size));
  });
}

/** The cell of U and V that each number adds to, and with which sign to V. */
function cells(of: Spectra): { cell: number; sign: 1 | -1 }[] {
  const { out, in: width, rows, columns } = of;
  const [, across] = folds(of);
  const [r, c] = [placesOf(rows), placesOf(columns)];
  return Array.from(r, (row, k) => ({
    cell: foldedFrequency(row, out) * across + foldedFrequency(c[k]!, width),
    sign: isFoldedOdd(row, c[k]!, of) ? -1 : 1,
  }));
}

/**
 * U and V [T, 2, out/2 + 1, in/2 + 1] of spectra [T, n]: as many gathers are added up as a cell has numbers at most. Where a cell has
 * fewer, number n is taken, which is 0.
 */
function gathered(e: OnnxWriter, spectra: string, of: Spectra): string {
  const { n, stack, key } = of;
  const [down, across] = folds(of);
  const count = down * across;
  const lists = Array.from({ length: count }, (): { k: number; sign: 1 | -1 }[] => []);
  cells(of).forEach(({ cell, sign }, k) => {
    lists[cell]!.push({ k, sign });
  });
  const most = Math.max(...lists.map((list) => list.length));
  const padded = e.op('Concat', [spectra, e.zeros([stack, 1])], { axis: 1 });
  const cellsOf = `of cells ${of.out} × ${of.in} at ${key}`;
  const layers = Array.from({ length: most }, (_, layer) => {
    const at = e.indices(`number ${layer} ${cellsOf}`, [count], (i) => lists[i]![layer]?.k ?? n);
    const numbers = e.reshape(e.op('Gather', [padded, at], { axis: 1 }), [stack, 1, count]);
    const signs = e.table(`sign ${layer} ${cellsOf}`, [2, count], (i) =>
      i < count ? 1 : (lists[i - count]![layer]?.sign ?? 0),
    );
    return e.op('Mul', [numbers, signs]);
  });
  const sum = layers.length === 1 ? layers[0]! : e.op('Sum', layers);
  return e.reshape(sum, [stack, 2, down, across]);
}

function foldedDelta(e: OnnxWriter, spectra: string, of: Spectra): string {
  const { stack, out, in: width } = of;
  const [down, across] = folds(of);
  const both = gathered(e, spectra, of);
  const columns = halfTable(e, width, 1, 'f p');
  if (isRowsFirst(of)) {
    const left = matmul(e, halfTable(e, out, -1, 'p f'), both);
    const beside = e.reshape(e.transpose(left, [0, 2, 1, 3]), [stack, out, 2 * across]);
    return matmul(e, beside, e.reshape(columns, [2 * across, width]));
  }
  const right = e.reshape(matmul(e, both, columns), [stack, 2 * down, width]);
  const rows = e.reshape(halfTable(e, out, -1, 'f p'), [2 * down, out]);
  return matmul(e, e.transpose(rows, [1, 0]), right);
}

/** The gradients of U and V [T, 2, out/2 + 1, in/2 + 1] by that of ΔW. */
function foldedGradient(e: OnnxWriter, delta: string, of: Spectra): string {
  const { stack, out, in: width } = of;
  const [down, across] = folds(of);
  const ofRows = halfTable(e, out, -1, 'f p');
  if (isRowsFirst(of)) {
    const columns = e.transpose(e.reshape(halfTable(e, width, 1, 'f p'), [2 * across, width]), [1, 0]);
    const beside = e.reshape(matmul(e, delta, columns), [stack, out, 2, across]);
    return matmul(e, ofRows, e.transpose(beside, [0, 2, 1, 3]));
  }
  const left = matmul(e, e.reshape(ofRows, [2 * down, out]), delta);
  return matmul(e, e.reshape(left, [stack, 2, down, width]), halfTable(e, width, 1, 'p f'));
}

function foldedSpectrum(e: OnnxWriter, delta: string, of: Spectra): string {
  const [down, across] = folds(of);
  const count = down * across;
  const flat = e.reshape(foldedGradient(e, delta, of), [of.stack, 2 * count]);
  const own = cells(of);
  const key = `${of.out} × ${of.in} at ${of.key}`;
  const part = (from: 0 | 1): string => {
    const at = e.indices(`cells ${from} ${key}`, [of.n], (k) => from * count + own[k]!.cell);
    return e.op('Gather', [flat, at], { axis: 1 });
  };
  const signs = e.table(`signs ${key}`, [of.n], (k) => own[k]!.sign);
  return e.op('Add', [part(0), e.op('Mul', [part(1), signs])]);
}
