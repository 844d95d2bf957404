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
  reference([x, s, dy], { bias }) {
    const columns = s!.data.length;
    const db = emptyTensor('f32', s!.shape);
    const ds = emptyTensor('f32', s!.shape);
    dy!.data.forEach((d, i) => {
      ds.data[i % columns]! += d * x!.data[i]!;
      db.data[i % columns]! += d;
    });
    const dx = {
      dtype: 'f32' as const,
      shape: x!.shape,
      data: dy!.data.map((d, i) => d * s!.data[i % columns]!),
    };
    return [dx, ds, ...(bias ? [db] : [])];
  },
  cases: [
    { name: 'few rows', inputs: [f32(2, 3, 7), f32(7), f32(2, 3, 7)], attrs: { bias: false } },
    { name: 'one row', inputs: [f32(1, 70), f32(70), f32(1, 70)], attrs: { bias: true } },
    { name: 'many rows', inputs: [f32(333, 5), f32(5), f32(333, 5)], attrs: { bias: false } },
    {
      name: 'many rows, with a bias',
      inputs: [f32(3, 111, 5), f32(5), f32(3, 111, 5)],
      attrs: { bias: true },
    },
  ],
});
