/** Pictures of factors: where each can differ from zero, and what its blocks have learnt. */
import { say } from '../../../common.ts';
import { blockMembers, type Factor } from '../../../methods.ts';
import { pretty, real } from '../../format.ts';
import type { Painter } from './MatrixCanvas.tsx';
import { type MapColors, numbersBy, shadeOf, shades } from './painters.ts';

/** Where one factor can be non-zero; blocks in two tones by turns. */
export function factorPainter(factor: Factor, colors: MapColors): Painter {
  if (factor.kind === 'blocks') {
    const { size, block, group, label } = factor;
    const members = blockMembers(factor);
    return {
      rows: size,
      columns: size,
      paint({ pixels, width, scale }) {
        pixels.fill(colors.zero);
        for (let at = 0; at < size; at++) {
          const g = Math.floor(at / block);
          const line = Math.floor(members[at]! / scale) * width;
          const tone = colors.tones[g % 2 === 0 ? 0 : 1];
          for (let c = g * block; c < (g + 1) * block; c++)
            pixels[line + Math.floor(members[c]! / scale)] = tone;
        }
      },
      describe: (r, c) =>
        group[r] === group[c]
          ? say`${pretty(label)}: row ${r}, column ${c}, block ${group[r]!}`
          : say`row ${r}, column ${c}: always 0`,
      numbers: () => numbersBy(size, size, (r, c) => group[r] === group[c]),
    };
  }
  if (factor.kind === 'dense') {
    return {
      rows: factor.rows,
      columns: factor.columns,
      paint: ({ pixels }) => void pixels.fill(colors.tones[0]),
      describe: (r, c) => say`${factor.label}: row ${r}, column ${c}`,
      numbers: () => numbersBy(factor.rows, factor.columns, () => 1),
    };
  }
  const { rows, columns, row, column } = factor;
  const places = new Set(Array.from(row, (r, k) => r * columns + column[k]!));
  return {
    rows,
    columns,
    paint({ pixels, width, scale }) {
      pixels.fill(colors.zero);
      row.forEach((r, k) => {
        pixels[Math.floor(r / scale) * width + Math.floor(column[k]! / scale)] = colors.tones[0];
      });
    },
    describe: (r, c) =>
      places.has(r * columns + c)
        ? say`frequency ${r} along the outputs, ${c} along the inputs: learned`
        : say`frequency ${r} along the outputs, ${c} along the inputs`,
    numbers: () => numbersBy(rows, columns, (r, c) => places.has(r * columns + c)),
  };
}

/** A factor's learnt part, B − I, from its blocks [size / block, block, block], on the ground of where it may differ from zero. */
export function learntFactorPainter(
  factor: Extract<Factor, { kind: 'blocks' }>,
  blocks: Float32Array,
  limit: number,
  colors: MapColors,
): Painter {
  const structure = factorPainter(factor, colors);
  const { size, block, group } = factor;
  const members = blockMembers(factor);
  const places = new Uint32Array(size);
  members.forEach((row, at) => {
    places[row] = at % block;
  });
  const table = shades(colors.still, colors);
  const at = (r: number, c: number) =>
    blocks[(group[r]! * block + places[r]!) * block + places[c]!]! - (r === c ? 1 : 0);
  return {
    ...structure,
    paint({ pixels, width, height, scale }) {
      const largest = new Float32Array(width * height);
      pixels.fill(colors.zero);
      for (let at = 0; at < size; at++) {
        const start = at - (at % block);
        const line = Math.floor(members[at]! / scale) * width;
        for (let c = 0; c < block; c++) {
          const place = line + Math.floor(members[start + c]! / scale);
          const value = blocks[at * block + c]! - (start + c === at ? 1 : 0);
          if (Math.abs(value) >= Math.abs(largest[place]!)) {
            largest[place] = value;
            pixels[place] = table[shadeOf(value, limit)]!;
          }
        }
      }
    },
    describe(r, c) {
      if (group[r] !== group[c]) return structure.describe(r, c);
      return `${structure.describe(r, c)}: ${real(at(r, c))}`;
    },
    numbers: () => numbersBy(size, size, (r, c) => (group[r] === group[c] ? at(r, c) : 0)),
  };
}
