/**
 * FourierFT in ONNX: ΔW [out, in] of n numbers s at places (r, c), scale Σ s cos 2π(p r / out + q c / in), and its adjoint, as products with
 * tables. Where n is small, n waves of rows meet n waves of columns. Else the spectrum is folded: with U[f, g] the sum of the numbers at (±f, ±g)
 * and V the same with the signs' product, ΔW = Cr U Cc − Sr V Sc for the cosines C and sines S of f up to out/2 and g up to in/2.
 */
import type { OnnxWriter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { matmul, times } from './onnx.ts';
import type { SpectralAttrs } from './spectrum.ts';

/** Rows and columns of n numbers, and a name that no others have. */
export interface Places {
  readonly rows: Value;
  readonly columns: Value;
  readonly key: string;
}

const placesOf = (frequencies: Value): ArrayLike<number> =>
  frequencies.source?.() ?? fail('internal', 'Frequencies must be constants.');

const radians = (turns: number, size: number): number => (2 * Math.PI * (turns % size)) / size;

/** ΔW [T, out, in] of spectra [T, n]. */
export function deltaOnnx(
  e: OnnxWriter,
  spectra: string,
  stack: number,
  places: Places,
  attrs: SpectralAttrs,
): string {
  const scaled = times(e, spectra, attrs.scaling / (attrs.out * attrs.in));
  return isFolded(attrs, places)
    ? foldedDelta(e, scaled, stack, places, attrs)
    : wavesDelta(e, scaled, stack, places, attrs);
}

/** The gradient [T, n] of spectra by that of their ΔW [T, out, in]. */
export function spectrumOnnx(
  e: OnnxWriter,
  delta: string,
  stack: number,
  places: Places,
  attrs: SpectralAttrs,
): string {
  const sum = isFolded(attrs, places)
    ? foldedSpectrum(e, delta, stack, places, attrs)
    : wavesSpectrum(e, delta, places, attrs);
  return times(e, sum, attrs.scaling / (attrs.out * attrs.in));
}

// As waves.

/** cos and sin of the angles of every row (or column) and frequency: [size, n]. */
function waves(
  e: OnnxWriter,
  size: number,
  frequencies: Value,
  key: string,
): { readonly cos: string; readonly sin: string } {
  const at = placesOf(frequencies);
  const n = at.length;
  const table = (what: 'cos' | 'sin') =>
    e.table(`${what} of ${size} at ${key}`, [size, n], (i) =>
      Math[what](radians(Math.floor(i / n) * at[i % n]!, size)),
    );
  return { cos: table('cos'), sin: table('sin') };
}

function wavesDelta(
  e: OnnxWriter,
  spectra: string,
  stack: number,
  { rows, columns, key }: Places,
  { out, in: width }: SpectralAttrs,
): string {
  const [r, c] = [waves(e, out, rows, `rows ${key}`), waves(e, width, columns, `columns ${key}`)];
  const s = e.reshape(spectra, [stack, 1, rows.shape[0]!]);
  const half = (row: string, column: string) => matmul(e, e.op('Mul', [row, s]), e.transpose(column, [1, 0]));
  return e.op('Sub', [half(r.cos, c.cos), half(r.sin, c.sin)]);
}

function wavesSpectrum(
  e: OnnxWriter,
  delta: string,
  { rows, columns, key }: Places,
  { out, in: width }: SpectralAttrs,
): string {
  const [r, c] = [waves(e, out, rows, `rows ${key}`), waves(e, width, columns, `columns ${key}`)];
  const half = (row: string, column: string) => e.op('Mul', [row, matmul(e, delta, column)]);
  return e.op('ReduceSum', [e.op('Sub', [half(r.cos, c.cos), half(r.sin, c.sin)]), e.ints([-2])], {
    keepdims: 0,
  });
}

// Folded.

const folds = ({ out, in: width }: SpectralAttrs) =>
  [Math.floor(out / 2) + 1, Math.floor(width / 2) + 1] as const;

/** Multiply-adds of a matrix with the rows' tables first, and with the columns' first. */
function costs(attrs: SpectralAttrs): { readonly rowsFirst: number; readonly columnsFirst: number } {
  const { out, in: width } = attrs;
  const [down, across] = folds(attrs);
  return {
    rowsFirst: 2 * out * across * (down + width),
    columnsFirst: 2 * down * width * (across + out),
  };
}

const isRowsFirst = (attrs: SpectralAttrs): boolean => costs(attrs).rowsFirst < costs(attrs).columnsFirst;

const isFolded = (attrs: SpectralAttrs, { rows }: Places): boolean =>
  Math.min(...Object.values(costs(attrs))) < 2 * rows.shape[0]! * attrs.out * attrs.in;

/** cos of f p / size, and ±sin, for p below size and f up to half of it, in an order of axes: [2, …]. */
function halfTable(e: OnnxWriter, size: number, sign: 1 | -1, order: 'f p' | 'p f'): string {
  const folded = Math.floor(size / 2) + 1;
  const each = folded * size;
  const dims = order === 'f p' ? [2, folded, size] : [2, size, folded];
  return e.table(`half waves of ${size}, ${order}, ${sign}`, dims, (i) => {
    // Both axes name the same product.
    const [a, b] = [Math.floor((i % each) / dims[2]!), i % dims[2]!];
    return i < each ? Math.cos(radians(a * b, size)) : sign * Math.sin(radians(a * b, size));
  });
}

/** The cell of U and V that each number adds to, and with which sign to V. */
function cells({ rows, columns }: Places, attrs: SpectralAttrs): { cell: number; sign: 1 | -1 }[] {
  const { out, in: width } = attrs;
  const [, across] = folds(attrs);
  const [r, c] = [placesOf(rows), placesOf(columns)];
  const fold = (f: number, size: number) => (2 * f > size ? { at: size - f, sign: -1 } : { at: f, sign: 1 });
  return Array.from(r, (row, k) => {
    const [down, right] = [fold(row, out), fold(c[k]!, width)];
    return { cell: down.at * across + right.at, sign: down.sign === right.sign ? 1 : -1 };
  });
}

/** For every cell of U and V its numbers, as many rows as a cell has numbers at most; those that are not there are number n, which is 0. */
function gathered(
  e: OnnxWriter,
  spectra: string,
  stack: number,
  places: Places,
  attrs: SpectralAttrs,
): string {
  const n = places.rows.shape[0]!;
  const [down, across] = folds(attrs);
  const count = down * across;
  const lists = Array.from({ length: count }, (): { k: number; sign: 1 | -1 }[] => []);
  cells(places, attrs).forEach(({ cell, sign }, k) => {
    lists[cell]!.push({ k, sign });
  });
  const most = Math.max(...lists.map((list) => list.length));
  const padded = e.op('Concat', [spectra, e.zeros([stack, 1])], { axis: 1 });
  const key = `${attrs.out} × ${attrs.in} at ${places.key}`;
  const layers = Array.from({ length: most }, (_, layer) => {
    const at = e.indices(`number ${layer} of cells ${key}`, [count], (i) => lists[i]![layer]?.k ?? n);
    const numbers = e.reshape(e.op('Gather', [padded, at], { axis: 1 }), [stack, 1, count]);
    const signs = e.table(`sign ${layer} of cells ${key}`, [2, count], (i) =>
      i < count ? 1 : (lists[i - count]![layer]?.sign ?? 0),
    );
    return e.op('Mul', [numbers, signs]);
  });
  const sum = layers.length === 1 ? layers[0]! : e.op('Sum', layers);
  return e.reshape(sum, [stack, 2, down, across]);
}

function foldedDelta(
  e: OnnxWriter,
  spectra: string,
  stack: number,
  places: Places,
  attrs: SpectralAttrs,
): string {
  const { out, in: width } = attrs;
  const [down, across] = folds(attrs);
  const both = gathered(e, spectra, stack, places, attrs);
  const columns = halfTable(e, width, 1, 'f p');
  if (isRowsFirst(attrs)) {
    const left = matmul(e, halfTable(e, out, -1, 'p f'), both);
    const beside = e.reshape(e.transpose(left, [0, 2, 1, 3]), [stack, out, 2 * across]);
    return matmul(e, beside, e.reshape(columns, [2 * across, width]));
  }
  const right = e.reshape(matmul(e, both, columns), [stack, 2 * down, width]);
  const rows = e.reshape(halfTable(e, out, -1, 'f p'), [2 * down, out]);
  return matmul(e, e.transpose(rows, [1, 0]), right);
}

function foldedSpectrum(
  e: OnnxWriter,
  delta: string,
  stack: number,
  places: Places,
  attrs: SpectralAttrs,
): string {
  const { out, in: width } = attrs;
  const [down, across] = folds(attrs);
  const n = places.rows.shape[0]!;
  let both: string;
  if (isRowsFirst(attrs)) {
    const columns = e.transpose(e.reshape(halfTable(e, width, 1, 'f p'), [2 * across, width]), [1, 0]);
    const beside = e.reshape(matmul(e, delta, columns), [stack, out, 2, across]);
    both = matmul(e, halfTable(e, out, -1, 'f p'), e.transpose(beside, [0, 2, 1, 3]));
  } else {
    const rows = e.reshape(halfTable(e, out, -1, 'f p'), [2 * down, out]);
    both = matmul(
      e,
      e.reshape(matmul(e, rows, delta), [stack, 2, down, width]),
      halfTable(e, width, 1, 'p f'),
    );
  }
  const flat = e.reshape(both, [stack, 2 * down * across]);
  const own = cells(places, attrs);
  const key = `${out} × ${width} at ${places.key}`;
  const part = (from: 0 | 1): string => {
    const at = e.indices(`cells ${from} ${key}`, [n], (k) => from * down * across + own[k]!.cell);
    return e.op('Gather', [flat, at], { axis: 1 });
  };
  const signs = e.table(`signs ${key}`, [n], (k) => own[k]!.sign);
  return e.op('Add', [part(0), e.op('Mul', [part(1), signs])]);
}
