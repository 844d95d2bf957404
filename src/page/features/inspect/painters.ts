/** What the matrix pictures show: structure of factors and products, and values on a fixed diverging scale. */
import type { ComposedPattern } from '../../../adapters/sparsity.ts';
import type { Factor } from '../../../adapters/types.ts';
import { real } from '../../../app/format.ts';
import type { Painter } from './MatrixCanvas.tsx';
import { diverging, type MapColors } from './useMapColors.ts';

/** Where one factor can be non-zero; blocks in two tones by turns. */
export function factorPainter(factor: Factor, colors: MapColors): Painter {
  if (factor.kind === 'blocks') {
    const { size, group, label } = factor;
    const isIn = (r: number, c: number) => group[r] === group[c];
    return {
      rows: size,
      columns: size,
      color: (r, c) => (isIn(r, c) ? colors.tones[group[r]! % 2 === 0 ? 0 : 1] : colors.zero),
      weight: (r, c) => (isIn(r, c) ? 1 : 0),
      describe: (r, c) =>
        isIn(r, c) ? `${label}: row ${r}, column ${c}, block ${group[r]}` : `row ${r}, column ${c}: always 0`,
    };
  }
  if (factor.kind === 'dense') {
    return {
      rows: factor.rows,
      columns: factor.columns,
      color: () => colors.tones[0],
      weight: () => 1,
      describe: (r, c) => `${factor.label}: row ${r}, column ${c}`,
    };
  }
  const places = Float64Array.from(factor.row, (row, k) => row * factor.columns + factor.column[k]!).sort();
  const isIn = (r: number, c: number) => has(places, r * factor.columns + c);
  return {
    rows: factor.rows,
    columns: factor.columns,
    color: (r, c) => (isIn(r, c) ? colors.tones[0] : colors.zero),
    weight: (r, c) => (isIn(r, c) ? 1 : 0),
    describe: (r, c) =>
      `frequency ${r} along the outputs, ${c} along the inputs${isIn(r, c) ? ': learned' : ''}`,
    points: factor,
  };
}

/** Whether an ascending list has a number. */
function has(list: Float64Array, value: number): boolean {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return list[low] === value;
}

/** Where a product of factors can be non-zero, of which every `every`-th row is known. */
export function composedPainter(
  { rows }: ComposedPattern,
  every: number,
  columns: number,
  colors: MapColors,
): Painter {
  const marks = new Uint8Array(rows.length * columns);
  rows.forEach((row, r) => {
    for (const column of row) marks[r * columns + column] = 1;
  });
  const at = (r: number, c: number) => marks[Math.floor(r / every) * columns + c]!;
  return {
    rows: columns,
    columns,
    color: (r, c) => (at(r, c) ? colors.tones[0] : colors.zero),
    weight: at,
    describe: (r) => `input ${r} reaches ${rows[Math.floor(r / every)]!.length} of ${columns}`,
  };
}

/** Values, less the identity if wanted, on a scale from −limit to limit. */
export function valuePainter(
  data: Float32Array,
  rows: number,
  columns: number,
  limit: number,
  colors: MapColors,
  lessIdentity = false,
): Painter {
  const at = (r: number, c: number) => data[r * columns + c]! - (lessIdentity && r === c ? 1 : 0);
  return {
    rows,
    columns,
    color: (r, c) => diverging(at(r, c), limit, colors),
    weight: (r, c) => Math.abs(at(r, c)),
    describe: (r, c) => `row ${r}, column ${c}: ${real(at(r, c))}`,
  };
}

/** A factor's learnt part, B − I, on the ground of where it may differ from zero. */
export function learntFactorPainter(
  factor: Factor,
  data: Float32Array,
  limit: number,
  colors: MapColors,
): Painter {
  const structure = factorPainter(factor, colors);
  const ground = { ...colors, zero: colors.still };
  const values = valuePainter(data, structure.rows, structure.columns, limit, ground, true);
  return {
    ...values,
    color: (r, c) => (structure.weight(r, c) === 0 ? colors.zero : values.color(r, c)),
    weight: (r, c) => structure.weight(r, c) + values.weight(r, c),
  };
}
