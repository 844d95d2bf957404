/** The float64 reference and test cases of cast.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { castOp } from './cast.ts';

defineCheck(castOp, {
  // Rounding to f16 is the device's business: the reference keeps its float64, as for every narrower type.
  reference([x], { to }) {
    return [{ dtype: to, shape: x!.shape, data: to === 'i32' ? x!.data.map(Math.trunc) : x!.data }];
  },
  cases: [
    {
      name: 'to i32, towards zero',
      inputs: [{ dtype: 'f32', shape: [5], data: [-1.7, -0.2, 0.9, 2, 1000.5] }],
      attrs: { to: 'i32' },
      gradientInputs: [],
    },
    {
      name: 'i32 to f32',
      inputs: [{ dtype: 'i32', shape: [3], data: [-3, 0, 70000] }],
      attrs: { to: 'f32' },
    },
    { name: 'f16 to f32', inputs: [{ dtype: 'f16', shape: [7] }], attrs: { to: 'f32' } },
  ],
});
