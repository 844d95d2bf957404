/** The float64 reference and test cases of mirroredProduct.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { mirroredLayout, mirroredProductOp } from './mirroredProduct.ts';
import { emptyTensor } from './reference.ts';

/** What counts of a row at place p with its image: both, and the less the other; the two places that are their own image have no other. */
function imagesOf(row: ArrayLike<number>, at: number, size: number, p: number): readonly [number, number] {
  const own = row[at + p]!;
  if (p === 0 || 2 * p === size) return [own, 0];
  const image = row[at + size - p]!;
  return [own + image, own - image];
}

defineCheck(mirroredProductOp, {
  reference([dY, x], attrs) {
    const { out, in: width } = attrs;
    const [rows, columns] = dY!.shape as [number, number];
    const { row, across, matrix } = mirroredLayout(attrs);
    const result = emptyTensor('f32', [columns / out, matrix]);
    for (let part = 0; part < columns / out; part++) {
      for (let t = 0; t < rows; t++) {
        for (let p = 0; 2 * p <= out; p++) {
          const y = imagesOf(dY!.data, t * columns + part * out, out, p);
          const at = part * matrix + p * row;
          for (let q = 0; 2 * q <= width; q++) {
            const own = imagesOf(x!.data, t * width, width, q);
            result.data[at + q]! += y[0] * own[0];
            result.data[at + across + q]! += y[1] * own[1];
          }
        }
      }
    }
    return [result];
  },
  // Rows, layers side by side, out, in: one row; a long sum in splits; wide and tall.
  cases: (
    [
      [1, 1, 8, 8],
      [19, 3, 16, 24],
      [530, 1, 40, 136],
      [33, 2, 200, 16],
    ] as const
  ).map(([rows, parts, out, width]) => ({
    name: `${rows} rows, ${parts} × ${out} from ${width}`,
    inputs: [parts * out, width].map((columns) => ({ dtype: 'f32' as const, shape: [rows, columns] })),
    attrs: { out, in: width },
  })),
});
