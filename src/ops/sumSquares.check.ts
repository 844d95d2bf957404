/** The float64 reference and test cases of sumSquares.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { sumSquaresOp } from './sumSquares.ts';

defineCheck(sumSquaresOp, {
  reference: ([x]) => [
    { dtype: 'f32', shape: [1], data: Float64Array.of(x!.data.reduce((s, v) => s + v * v, 0)) },
  ],
  cases: [
    { name: 'one element', inputs: [{ dtype: 'f32', shape: [1] }], attrs: {} },
    { name: 'odd', inputs: [{ dtype: 'f32', shape: [3, 341] }], attrs: {} },
    { name: 'several groups', inputs: [{ dtype: 'f32', shape: [5003] }], attrs: {} },
  ],
});
