/** The float64 references and test cases of sparseIdft.ts. */
import { defineCheck } from '../graph/interpret.ts';
import type { Tensor } from '../graph/types.ts';
import { sparseDftOp, sparseIdftOp } from './sparseIdft.ts';
import { turnTable } from './spectral.ts';
import { layoutOf, productTables } from './spectralProducts.ts';

/** cos and sin of a frequency at each of so many places. */
function waveOf(frequency: number, size: number): { readonly cos: Float64Array; readonly sin: Float64Array } {
  const angles = Float64Array.from(
    { length: size },
    (_, p) => (2 * Math.PI * ((p * frequency) % size)) / size,
  );
  return { cos: angles.map(Math.cos), sin: angles.map(Math.sin) };
}

defineCheck(sparseIdftOp, {
  reference: ([spectrum, rows, columns], attrs) => {
    const { out, in: width, scaling } = attrs;
    const [stack, n] = spectrum!.shape as [number, number];
    const data = new Float64Array(stack * out * width);
    const factor = scaling / (out * width);
    for (let k = 0; k < n; k++) {
      const [down, across] = [waveOf(rows!.data[k]!, out), waveOf(columns!.data[k]!, width)];
      for (let t = 0; t < stack; t++) {
        const s = factor * spectrum!.data[t * n + k]!;
        for (let p = 0; p < out; p++) {
          const [cos, sin, at] = [s * down.cos[p]!, s * down.sin[p]!, (t * out + p) * width];
          for (let q = 0; q < width; q++) data[at + q]! += cos * across.cos[q]! - sin * across.sin[q]!;
        }
      }
    }
    return [{ dtype: 'f32', shape: [stack, out, width], data } satisfies Tensor];
  },
  cases: [
    frequencyCase('a stack of 6', 6, 12, 10, 9, false),
    frequencyCase('odd sizes', 1, 7, 5, 12, false),
    frequencyCase('every frequency', 2, 6, 4, 24, false),
    frequencyCase('fewer numbers than lines', 1, 36, 28, 3, false),
    frequencyCase('wide', 3, 48, 81, 100, false),
    frequencyCase('tall', 5, 90, 34, 130, false),
    frequencyCase('a pair each way', 2, 2, 2, 4, false),
    frequencyCase('one row', 1, 1, 9, 5, false),
  ],
});

defineCheck(sparseDftOp, {
  reference: ([dDelta, rows, columns], attrs) => {
    const { out, in: width, scaling, mirrored } = attrs;
    const { row, across: images, matrix } = layoutOf(attrs);
    const stack = dDelta!.shape[0]!;
    const n = rows!.shape[0]!;
    const data = new Float64Array(stack * n);
    for (let k = 0; k < n; k++) {
      const [down, across] = [waveOf(rows!.data[k]!, out), waveOf(columns!.data[k]!, width)];
      for (let t = 0; t < stack; t++) {
        let sum = 0;
        for (let p = 0; p <= (mirrored ? out / 2 : out - 1); p++) {
          const at = t * matrix + p * row;
          for (let q = 0; q <= (mirrored ? width / 2 : width - 1); q++) {
            const a = dDelta!.data[at + q]!;
            const b = mirrored ? dDelta!.data[at + images + q]! : a;
            sum += a * down.cos[p]! * across.cos[q]! - b * down.sin[p]! * across.sin[q]!;
          }
        }
        data[t * n + k] = (scaling / (out * width)) * sum;
      }
    }
    return [{ dtype: 'f32', shape: [stack, n], data } satisfies Tensor];
  },
  cases: [
    frequencyCase('a stack of 2', 2, 24, 18, 31, true),
    frequencyCase('odd sizes', 2, 9, 17, 31, true),
    frequencyCase('tall, a stack of 5', 5, 90, 34, 130, true),
    frequencyCase('one row', 1, 1, 9, 5, true),
    frequencyCase('wide, folded before', 5, 16, 40, 90, true, true),
    frequencyCase('tall, folded before', 2, 56, 24, 31, true, true),
  ],
});

function frequencyCase(
  name: string,
  stack: number,
  out: number,
  width: number,
  n: number,
  adjoint: boolean,
  mirrored = false,
) {
  // Places that are all different and in no order: a step that shares no factor with the number of entries.
  const places = Array.from({ length: n }, (_, k) => (k * 577 + 3) % (out * width));
  const rows = Int32Array.from(places, (at) => Math.floor(at / width));
  const columns = Int32Array.from(places, (at) => at % width);
  const i32 = (data: Int32Array) => ({ dtype: 'i32' as const, shape: [data.length], data: [...data] });
  const { tables, counts } = productTables(rows, columns, { out, in: width });
  const attrs = { out, in: width, scaling: 150, counts, ...(mirrored && { mirrored }) };
  const whole = mirrored ? [layoutOf(attrs).matrix] : [out, width];
  return {
    name,
    inputs: [
      { dtype: 'f32' as const, shape: adjoint ? [stack, ...whole] : [stack, n] },
      i32(rows),
      i32(columns),
      i32(tables),
      { dtype: 'f32' as const, shape: [out + width, 2], data: [...turnTable(out, width)] },
    ],
    attrs,
    gradientInputs: n < 50 ? [0] : [],
  };
}
