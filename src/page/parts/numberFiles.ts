/** Numbers as files: CSV of tables, CSV and NumPy's .npy of matrices, and the names they are saved under. */
import type { NumberTable } from './chartNumbers.ts';

/** A matrix as a picture shows it. */
export interface Numbers {
  readonly rows: number;
  readonly columns: number;
  /** Row after row. */
  readonly data: Float32Array;
}

/** A cell of a CSV file: in quotes where it must be. */
export const csvCell = (text: string): string =>
  /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;

const titleOf = (title: string, formula: string | undefined): string =>
  formula === undefined ? title : `${title} (${formula})`;

/** A table with a line of titles, formulas beside them; nothing stands where there is no number. */
export const tableCsv = ({ head, rows, formulas = {} }: NumberTable): string =>
  `${[head.map((title) => csvCell(titleOf(title, formulas[title]))).join(','), ...rows.map((row) => row.map((value) => csvCell(String(value ?? ''))).join(','))].join('\n')}\n`;

/** Digits that tell every number of 32 bits from its neighbours. */
const DIGITS = 9;

/** A matrix, a row a line; in parts, since the whole may be longer than a string can be. */
export function* matrixCsv({ rows, columns, data }: Numbers): Generator<string> {
  for (let r = 0; r < rows; r++) {
    const row = data.subarray(r * columns, (r + 1) * columns);
    yield `${Array.from(row, (value) => String(Number(value.toPrecision(DIGITS)))).join(',')}\n`;
  }
}

/** Magic, version and length of the header. */
const FIXED_BYTES = 10;
/** The numbers begin at a multiple of so many bytes. */
const ALIGNED = 64;

/** NumPy's own format, version 1.0: little-endian floats of 32 bits, row after row. `numpy.load` reads it. */
export function npyOf({ rows, columns, data }: Numbers): Uint8Array {
  const words = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${columns}), }`;
  const whole = Math.ceil((FIXED_BYTES + words.length + 1) / ALIGNED) * ALIGNED;
  const header = `${words.padEnd(whole - FIXED_BYTES - 1)}\n`;
  const bytes = new Uint8Array(whole + 4 * data.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0]);
  view.setUint16(8, header.length, true);
  bytes.set(new TextEncoder().encode(header), FIXED_BYTES);
  data.forEach((value, i) => {
    view.setFloat32(whole + 4 * i, value, true);
  });
  return bytes;
}

const LONGEST_NAME = 60;

/** What a thing is called on screen, as the name of a file. */
export const fileStem = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^\p{Ll}\p{Lo}\p{Nd}]+/gu, ' ')
    .trim()
    .slice(0, LONGEST_NAME)
    .trim()
    .replaceAll(' ', '-') || 'papilio';
