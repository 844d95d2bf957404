/** The float64 reference and test cases of projectRows.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { projectRowsOp } from './projectRows.ts';

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

defineCheck(projectRowsOp, {
  reference: ([state], { offset, rows, columns, limit }) => {
    const data = state!.data.slice();
    for (let r = 0; r < rows; r++) {
      const row = data.subarray(offset + r * columns, offset + (r + 1) * columns);
      const norm = Math.sqrt(2 * row.reduce((s, v) => s + v * v, 0));
      if (norm > limit) for (let c = 0; c < columns; c++) row[c] = (row[c]! * limit) / norm;
    }
    return [{ ...state!, data }];
  },
  cases: [
    {
      name: 'inside a packed buffer',
      inputs: [f32(50)],
      attrs: { offset: 4, rows: 3, columns: 15, limit: 2.9 },
    },
    { name: 'long rows', inputs: [f32(200)], attrs: { offset: 0, rows: 2, columns: 100, limit: 0.1 } },
    {
      name: 'zero rows stay zero, limit zero',
      inputs: [{ ...f32(6), data: [0, 0, 0, 1, 2, 3] }],
      attrs: { offset: 0, rows: 2, columns: 3, limit: 0 },
    },
  ],
});
