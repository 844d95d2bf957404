/** The float64 reference and test cases of rope.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { ropeLayout, ropeOp } from './rope.ts';

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

defineCheck(ropeOp, {
  reference: (inputs, attrs) => {
    const { heads, headDim, rotaryDim, interleaved, inverse } = attrs;
    const { sequence, table, tableBatch } = ropeLayout(inputs, attrs);
    const [x, cos, sin] = inputs.map((t) => t.data);
    const data = x!.slice();
    for (let head = 0; head < x!.length / headDim; head++) {
      const token = Math.floor(head / heads);
      const row = Math.floor(token / sequence) * tableBatch + (token % sequence) * table;
      for (let i = 0; i < rotaryDim / 2; i++) {
        const [a, b] = interleaved ? [2 * i, 2 * i + 1] : [i, i + rotaryDim / 2];
        const [ta, tb] = table === rotaryDim ? [row + a, row + b] : [row + i, row + i];
        const [xa, xb] = [x![head * headDim + a]!, x![head * headDim + b]!];
        const [sa, sb] = inverse ? [-sin![tb]!, -sin![ta]!] : [sin![ta]!, sin![tb]!];
        data[head * headDim + a] = xa * cos![ta]! - xb * sa;
        data[head * headDim + b] = xb * cos![tb]! + xa * sb;
      }
    }
    return [{ ...inputs[0]!, data }];
  },
  cases: [
    ropeCase('half-split, one table', [2, 3, 16], [1, 3, 8], { heads: 2, headDim: 8, rotaryDim: 8 }),
    ropeCase('half-split, a table per row, one value per pair', [2, 3, 16], [2, 3, 4], {
      heads: 2,
      headDim: 8,
      rotaryDim: 8,
    }),
    ropeCase('part of the head', [1, 5, 18], [5, 4], { heads: 3, headDim: 6, rotaryDim: 4 }),
    ropeCase('interleaved', [1, 4, 12], [1, 4, 3], { heads: 2, headDim: 6, rotaryDim: 6, interleaved: true }),
    ropeCase('interleaved, full table', [2, 2, 8], [2, 2, 6], {
      heads: 1,
      headDim: 8,
      rotaryDim: 6,
      interleaved: true,
    }),
  ],
});

function ropeCase(
  name: string,
  x: readonly number[],
  table: readonly number[],
  attrs: {
    readonly heads: number;
    readonly headDim: number;
    readonly rotaryDim: number;
    readonly interleaved?: boolean;
  },
) {
  return {
    name,
    inputs: [f32(...x), f32(...table), f32(...table)],
    attrs: { interleaved: false, inverse: false, ...attrs },
    gradientInputs: [0],
  };
}
