/**
 * A spectrum as it is moved by hand: which coefficients are off, which have another value, and where a frequency lies in the plane, whose middle
 * is the frequency 0 and whose rim the finest waves. Pure; nothing here computes a ΔW.
 */
import type { Inspection } from '../../../protocol.ts';

export type Spectrum = NonNullable<Inspection['spectrum']>;

/** What was done to a trained spectrum, by the number of the frequency. */
export interface SpectrumEdit {
  readonly moved: ReadonlyMap<number, number>;
  readonly off: ReadonlySet<number>;
}

export const AS_TRAINED: SpectrumEdit = { moved: new Map(), off: new Set() };

export const isEdited = ({ moved, off }: SpectrumEdit): boolean => moved.size > 0 || off.size > 0;

/** A coefficient of its own, which then counts. */
export function movedTo({ moved, off }: SpectrumEdit, k: number, value: number): SpectrumEdit {
  const rest = new Set(off);
  rest.delete(k);
  return { moved: new Map(moved).set(k, value), off: rest };
}

/** Off if it counts, else as it was before it was off. */
export function toggled({ moved, off }: SpectrumEdit, k: number): SpectrumEdit {
  const now = new Set(off);
  if (!now.delete(k)) now.add(k);
  return { moved, off: now };
}

/** All others off. */
export function alone({ moved }: SpectrumEdit, k: number, count: number): SpectrumEdit {
  return { moved, off: new Set(Array.from({ length: count }, (_, i) => i).filter((i) => i !== k)) };
}

/** The coefficient that counts. */
export const coefficient = (
  { values }: Pick<Spectrum, 'values'>,
  { moved, off }: SpectrumEdit,
  k: number,
): number => (off.has(k) ? 0 : (moved.get(k) ?? values[k]!));

/** All coefficients as they are moved. */
export const valuesOf = (spectrum: Pick<Spectrum, 'values'>, edit: SpectrumEdit): Float32Array =>
  spectrum.values.map((_, k) => coefficient(spectrum, edit, k));

/** Periods of the wave along an axis of n entries, the direction as a sign: f and n − f are the same wave, there and back. */
export const periods = (frequency: number, n: number): number =>
  frequency > n / 2 ? frequency - n : frequency;

/** A minus as one reads it. */
export const signed = (n: number): string => (n < 0 ? `−${-n}` : String(n));

/** Where a frequency lies along an axis of n whose middle is 0. */
export const centred = (frequency: number, n: number): number => (frequency + Math.floor(n / 2)) % n;

/**
 * The frequency nearest to a point of the plane.
 * @param row, column in places of the centred plane, fractions allowed
 * @param reach how far it may be at most, in places
 */
export function nearest(
  spectrum: Spectrum,
  { rows, columns }: { readonly rows: number; readonly columns: number },
  { row, column }: { readonly row: number; readonly column: number },
  reach: number,
): number | null {
  let best: number | null = null;
  let least = reach;
  for (let k = 0; k < spectrum.values.length; k++) {
    const apart = Math.hypot(
      centred(spectrum.rows[k]!, rows) + 0.5 - row,
      centred(spectrum.columns[k]!, columns) + 0.5 - column,
    );
    if (apart <= least) [best, least] = [k, apart];
  }
  return best;
}

/** Numbers of the frequencies, the largest coefficient as trained first. */
export const bySize = ({ values }: Pick<Spectrum, 'values'>): number[] =>
  [...values.keys()].sort((a, b) => Math.abs(values[b]!) - Math.abs(values[a]!) || a - b);

/** The largest coefficient by size, and what a slider for one spans: some room beyond. */
export function rangeOf({ values }: Pick<Spectrum, 'values'>): {
  readonly largest: number;
  readonly limit: number;
} {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const limit = Math.max(1, 2 * largest);
  return { largest, limit };
}
