/** The float64 references and test cases of sparseIdft.ts. */
import { defineCheck } from '../graph/interpret.ts';
import type { Tensor } from '../graph/types.ts';
import { frequencyTables, sparseDftOp, sparseIdftOp } from './sparseIdft.ts';
import { turnTable } from './spectral.ts';
import type { SpectralAttrs } from './spectrum.ts';

/** Entry (p, q) of the transform's kernel for one frequency. */
const wave = (p: number, row: number, q: number, column: number, { out, in: width }: SpectralAttrs): number =>
  Math.cos(2 * Math.PI * (((p * row) % out) / out + ((q * column) % width) / width));

defineCheck(sparseIdftOp, {
  reference: ([spectrum, rows, columns], attrs) => {
    const { out, in: width, scaling } = attrs;
    const [stack, n] = spectrum!.shape as [number, number];
    const data = new Float64Array(stack * out * width);
    const factor = scaling / (out * width);
    for (let t = 0; t < stack; t++) {
      for (let k = 0; k < n; k++) {
        const s = factor * spectrum!.data[t * n + k]!;
        for (let p = 0; p < out; p++) {
          for (let q = 0; q < width; q++) {
            data[(t * out + p) * width + q]! += s * wave(p, rows!.data[k]!, q, columns!.data[k]!, attrs);
          }
        }
      }
    }
    return [{ dtype: 'f32', shape: [stack, out, width], data } satisfies Tensor];
  },
  cases: [
    frequencyCase('a stack of 6', 6, 12, 10, 9, false),
    frequencyCase('prime number of rows', 1, 7, 5, 12, false),
    frequencyCase('every frequency', 2, 6, 4, 24, false),
    frequencyCase('more rows than entries', 1, 36, 8, 3, false),
    frequencyCase('wide', 3, 48, 70, 100, false),
    frequencyCase('fast, wide', 3, 48, 80, 100, false),
    frequencyCase('fast, a pair each way', 2, 2, 2, 4, false),
    frequencyCase('fast, one row at a time', 1, 1200, 12, 60, false),
  ],
});

defineCheck(sparseDftOp, {
  reference: ([dDelta, rows, columns], attrs) => {
    const { out, in: width, scaling } = attrs;
    const stack = dDelta!.shape[0]!;
    const n = rows!.shape[0]!;
    const data = new Float64Array(stack * n);
    for (let t = 0; t < stack; t++) {
      for (let k = 0; k < n; k++) {
        let sum = 0;
        for (let p = 0; p < out; p++) {
          for (let q = 0; q < width; q++) {
            sum +=
              dDelta!.data[(t * out + p) * width + q]! * wave(p, rows!.data[k]!, q, columns!.data[k]!, attrs);
          }
        }
        data[t * n + k] = (scaling / (out * width)) * sum;
      }
    }
    return [{ dtype: 'f32', shape: [stack, n], data } satisfies Tensor];
  },
  cases: [
    frequencyCase('a stack of 2', 2, 24, 18, 31, true),
    frequencyCase('odd', 2, 9, 14, 31, true),
    frequencyCase('fast, ranges of rows', 3, 60, 54, 31, true),
    frequencyCase('fast, one row at a time', 1, 12, 1080, 60, true),
  ],
});

function frequencyCase(name: string, stack: number, out: number, width: number, n: number, adjoint: boolean) {
  // Places that are all different and in no order: a step that shares no factor with the number of entries.
  const places = Array.from({ length: n }, (_, k) => (k * 577 + 3) % (out * width));
  const rows = Int32Array.from(places, (at) => Math.floor(at / width));
  const columns = Int32Array.from(places, (at) => at % width);
  const i32 = (data: Int32Array) => ({ dtype: 'i32' as const, shape: [data.length], data: [...data] });
  return {
    name,
    inputs: [
      { dtype: 'f32' as const, shape: adjoint ? [stack, out, width] : [stack, n] },
      i32(rows),
      i32(columns),
      i32(frequencyTables(rows, columns, { out, in: width })),
      { dtype: 'f32' as const, shape: [out + width, 2], data: [...turnTable(out, width)] },
    ],
    attrs: { out, in: width, scaling: 150 },
    gradientInputs: n < 50 ? [0] : [],
  };
}
