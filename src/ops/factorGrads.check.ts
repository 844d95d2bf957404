/** The float64 reference and test cases of factorGrads.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { factorGradsOp, factorSizes } from './factorGrads.ts';
import { emptyTensor } from './reference.ts';
import { skinnyForms } from './skinny.ts';

defineCheck(factorGradsOp, {
  reference(inputs, { alpha }) {
    const { terms, sizes } = factorSizes(inputs);
    return sizes.map(([m, n], i) => {
      const [a, b] = [inputs[2 * i]!.data, inputs[2 * i + 1]!.data];
      const out = emptyTensor('f32', [m, n]);
      for (let row = 0; row < m; row++) {
        for (let column = 0; column < n; column++) {
          let sum = 0;
          for (let t = 0; t < terms; t++) sum += a[t * m + row]! * b[t * n + column]!;
          out.data[row * n + column] = alpha[i]! * sum;
        }
      }
      return out;
    });
  },
  // Tokens, out, in, rank: several parts of unlike numbers; odd sizes; more than eight; too short for a kernel of its own.
  cases: (
    [
      [1030, 40, 72, 8],
      [515, 131, 37, 5],
      [130, 66, 70, 24],
      [70, 36, 40, 1],
      [12, 36, 40, 8],
    ] as const
  ).flatMap(([terms, out, inner, r]) =>
    skinnyForms.map((variant) => ({
      name: `${terms} tokens, ${out} from ${inner}, rank ${r}, ${variant}`,
      inputs: [out, r, r, inner].map((columns) => ({ dtype: 'f32' as const, shape: [terms, columns] })),
      attrs: { alpha: [1, 0.5] as const, variant },
    })),
  ),
});
