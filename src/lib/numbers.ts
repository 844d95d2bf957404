/** Small sums over lists of numbers, degrees, and matrices turned. */

/** The middle value (mean of the two middle ones for an even count); NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** 0 for none. */
export const mean = (values: readonly number[]): number =>
  values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);

/** The commonest value, of several the greatest, and its share; 0 for none. */
export function commonest(values: readonly number[]): { readonly value: number; readonly share: number } {
  const counts = new Map<number, number>();
  for (const v of values) counts.set(v, (counts.get(v) ?? 0) + 1);
  let value = 0;
  let most = 0;
  for (const [v, count] of counts)
    if (count > most || (count === most && v > value)) [value, most] = [v, count];
  return { value, share: values.length === 0 ? 0 : most / values.length };
}

/** The greatest of however many numbers (a call takes some ten thousand arguments and no more); −Infinity for none. */
export function greatest(values: Iterable<number>): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of values) most = Math.max(most, value);
  return most;
}

/** The least of them; Infinity for none. */
export function least(values: Iterable<number>): number {
  let low = Number.POSITIVE_INFINITY;
  for (const value of values) low = Math.min(low, value);
  return low;
}

/** 180 for π. */
export const degreesOf = (radians: number): number => (radians * 180) / Math.PI;

/** Elements of a tensor of some shape. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** A row-major matrix [rows, columns] turned to [columns, rows], in `out`: another array of the kind. */
export function transposed<T extends Float32Array | Float64Array | Uint16Array>(
  data: T,
  [rows, columns]: readonly number[],
  out: T,
): T {
  for (let r = 0; r < rows!; r++)
    for (let c = 0; c < columns!; c++) out[c * rows! + r] = data[r * columns! + c]!;
  return out;
}
