/** The float64 references and test cases of spectral.ts: ΔW x by its sum of cosines. */
import { defineCheck } from '../graph/interpret.ts';
import type { Tensor } from '../graph/types.ts';
import { emptyTensor } from './reference.ts';
import { spectralGradOp, spectralOp, spectralSourceOp, spectralTables, turnTable } from './spectral.ts';
import type { SpectralAttrs } from './spectrum.ts';

/** cos and sin sums of one row [size] at n frequencies. */
function sums(row: Float64Array, frequencies: Float64Array): [re: Float64Array, im: Float64Array] {
  const size = row.length;
  const re = new Float64Array(frequencies.length);
  const im = new Float64Array(frequencies.length);
  frequencies.forEach((f, k) => {
    for (let q = 0; q < size; q++) {
      const angle = (2 * Math.PI * ((q * f) % size)) / size;
      re[k]! += row[q]! * Math.cos(angle);
      im[k]! += row[q]! * Math.sin(angle);
    }
  });
  return [re, im];
}

/** Rows through ΔW, from the side of `from` to that of `to`. */
function through(
  x: Tensor,
  spectrum: Tensor,
  from: Tensor,
  to: Tensor,
  size: number,
  factor: number,
): Tensor {
  const width = x.shape.at(-1)!;
  const rows = x.data.length / width;
  const y = emptyTensor('f32', [...x.shape.slice(0, -1), size]);
  for (let t = 0; t < rows; t++) {
    const [re, im] = sums(x.data.subarray(t * width, (t + 1) * width), from.data);
    for (let k = 0; k < re.length; k++) {
      for (let p = 0; p < size; p++) {
        const angle = (2 * Math.PI * ((p * to.data[k]!) % size)) / size;
        y.data[t * size + p]! +=
          factor * spectrum.data[k]! * (re[k]! * Math.cos(angle) - im[k]! * Math.sin(angle));
      }
    }
  }
  return y;
}

defineCheck(spectralOp, {
  reference: ([x, spectrum, rows, columns], { out, in: width, scaling }) => [
    through(x!, spectrum!, columns!, rows!, out, scaling / (out * width)),
  ],
  cases: [
    spectralCase('more outputs', [2, 5, 8], 24, 9),
    spectralCase('more inputs, one row', [1, 60], 12, 17),
    spectralCase('every frequency', [7, 6], 4, 24),
    spectralCase('a pair each way', [3, 2], 2, 4),
    spectralCase('threes and fives', [9, 90], 54, 40),
    spectralCase('one number', [13, 50], 16, 1),
    spectralCase('four rows at a time', [3, 640], 20, 80),
    spectralCase('one row at a time', [3, 1080], 20, 80),
    spectralCase('many rows', [600, 16], 10, 12),
    spectralCase('numbers behind', [7, 20], 12, 12, 5),
  ],
});

defineCheck(spectralGradOp, {
  reference: ([x, spectrum, rows, columns, , , dY], { out, in: width, scaling, wantX }) => {
    const factor = scaling / (out * width);
    const dS = emptyTensor('f32', spectrum!.shape);
    for (let t = 0; t < x!.data.length / width; t++) {
      const [a, b] = sums(x!.data.subarray(t * width, (t + 1) * width), columns!.data);
      const [c, d] = sums(dY!.data.subarray(t * out, (t + 1) * out), rows!.data);
      for (let k = 0; k < a.length; k++) dS.data[k]! += factor * (a[k]! * c[k]! - b[k]! * d[k]!);
    }
    return wantX ? [dS, through(dY!, spectrum!, rows!, columns!, width, factor)] : [dS];
  },
  cases: [
    gradCase('few rows', [2, 5, 8], 24, 9, true),
    gradCase('without dx', [7, 30], 16, 20, false),
    gradCase('every frequency', [11, 6], 4, 24, true),
    gradCase('four rows at a time', [5, 12], 640, 80, true),
    gradCase('one row at a time', [5, 12], 1200, 80, true),
    gradCase('many rows', [1100, 10], 6, 12, true),
    gradCase('numbers behind', [7, 20], 12, 12, true, 5),
  ],
});

defineCheck(spectralSourceOp, {
  reference: ([y]) => [y!],
  // The gradients of x and the spectrum are no slopes of y: those are ΔW's, which was made before.
  cases: [
    (() => {
      const { inputs, attrs } = operandsOf([3, 20], 12, 12, 0);
      const y = { dtype: 'f32' as const, shape: [3, 12] };
      return { name: 'as it is', inputs: [y, ...inputs], attrs, gradientInputs: [0] };
    })(),
  ],
});

function operandsOf(shape: readonly number[], out: number, n: number, behind: number) {
  const width = shape.at(-1)!;
  // Places that are all different and in no order, as in sparseIdft's cases.
  const places = Array.from({ length: n }, (_, k) => (k * 577 + 3) % (out * width));
  const rows = Int32Array.from(places, (at) => Math.floor(at / width));
  const columns = Int32Array.from(places, (at) => at % width);
  const i32 = (data: Int32Array) => ({ dtype: 'i32' as const, shape: [data.length], data: [...data] });
  const attrs: SpectralAttrs = { out, in: width, scaling: 150 };
  const inputs = [
    { dtype: 'f32' as const, shape },
    { dtype: 'f32' as const, shape: [n + behind] },
    i32(rows),
    i32(columns),
    i32(spectralTables(rows, columns, out, width)),
    { dtype: 'f32' as const, shape: [out + width, 2], data: [...turnTable(out, width)] },
  ];
  return { inputs, attrs };
}

function spectralCase(name: string, shape: readonly number[], out: number, n: number, behind = 0) {
  return {
    name,
    ...operandsOf(shape, out, n, behind),
    gradientInputs: n < 50 && shape[0]! < 50 ? [0, 1] : [],
  };
}

function gradCase(
  name: string,
  shape: readonly number[],
  out: number,
  n: number,
  wantX: boolean,
  behind = 0,
) {
  const { inputs, attrs } = operandsOf(shape, out, n, behind);
  const dY = { dtype: 'f32' as const, shape: [...shape.slice(0, -1), out] };
  return { name, inputs: [...inputs, dY], attrs: { ...attrs, wantX } };
}
