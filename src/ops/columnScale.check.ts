/** The float64 references and test cases of columnScale.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { columnScaleGradOp, columnScaleOp } from './columnScale.ts';
import { emptyTensor } from './reference.ts';

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

defineCheck(columnScaleOp, {
  reference([x, s]) {
    const columns = s!.data.length;
    return [{ dtype: 'f32', shape: x!.shape, data: x!.data.map((v, i) => v * s!.data[i % columns]!) }];
  },
  cases: [
    { name: 'odd', inputs: [f32(2, 3, 7), f32(7)], attrs: {} },
    { name: 'many rows', inputs: [f32(150, 6), f32(6)], attrs: {} },
  ],
});

defineCheck(columnScaleGradOp, {
  reference([x, s, dy]) {
    const columns = s!.data.length;
    const ds = emptyTensor('f32', s!.shape);
    dy!.data.forEach((d, i) => {
      ds.data[i % columns]! += d * x!.data[i]!;
    });
    return [{ dtype: 'f32', shape: x!.shape, data: dy!.data.map((d, i) => d * s!.data[i % columns]!) }, ds];
  },
  cases: [
    { name: 'few rows', inputs: [f32(2, 3, 7), f32(7), f32(2, 3, 7)], attrs: {} },
    { name: 'many rows', inputs: [f32(333, 5), f32(5), f32(333, 5)], attrs: {} },
  ],
});
