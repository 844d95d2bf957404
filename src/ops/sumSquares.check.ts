/** The float64 reference and test cases of sumSquares.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { sumSquaresOp } from './sumSquares.ts';

/** Numbers that a part takes at a time; it goes on at the next that no other part took. */
const RUN = 256;

defineCheck(sumSquaresOp, {
  reference: ([x]) => {
    const parts = Math.min(256, Math.ceil(x!.data.length / 1024));
    const sums = new Float64Array(parts);
    x!.data.forEach((v, i) => {
      sums[Math.floor(i / RUN) % parts]! += v * v;
    });
    return [{ dtype: 'f32', shape: [parts], data: sums }];
  },
  cases: [
    { name: 'one element', inputs: [{ dtype: 'f32', shape: [1] }], attrs: {} },
    { name: 'odd', inputs: [{ dtype: 'f32', shape: [3, 341] }], attrs: {} },
    { name: 'several parts', inputs: [{ dtype: 'f32', shape: [5003] }], attrs: {} },
  ],
});
