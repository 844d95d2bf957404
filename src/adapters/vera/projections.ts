/** VeRA's frozen random matrices, drawn as PEFT draws them: torch's CPU generator, A before B, one stream. */
import { mt19937 } from '../../lib/mt19937.ts';

/** Rows and columns of A [r, largest in] and B [largest out, r]. */
export interface ProjectionSizes {
  readonly r: number;
  readonly in: number;
  readonly out: number;
}

/** Kaiming-uniform with gain √2: the bound is √6 over the root of the second dimension. */
const bound = (columns: number): number => (Math.sqrt(3) * Math.SQRT2) / Math.sqrt(columns);

/** Both matrices of a seed, row-major. */
export function drawProjections(sizes: ProjectionSizes, seed: number): { A: Float32Array; B: Float32Array } {
  const { uniform } = mt19937(seed);
  const draw = (rows: number, columns: number) => {
    const limit = bound(columns);
    return Float32Array.from({ length: rows * columns }, () => uniform(-limit, limit));
  };
  const A = draw(sizes.r, sizes.in);
  return { A, B: draw(sizes.out, sizes.r) };
}
