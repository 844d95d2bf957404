/** The float64 references and test cases of lookups.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { sizeOf } from '../graph/shape.ts';
import { gatherOp, scatterAddRowsOp, takeAlongGradOp, takeAlongLayout, takeAlongOp } from './lookups.ts';
import { emptyTensor, quantCase, unpackTensor } from './reference.ts';

/** The shader's rule: negative ids count from the end, all others are clamped to the table. */
function rowOf(id: number, rows: number): number {
  return Math.min(Math.max(id < 0 ? id + rows : id, 0), rows - 1);
}

defineCheck(gatherOp, {
  reference([stored, ids], { packed }) {
    const table = unpackTensor(stored!, packed, 'gather');
    const columns = sizeOf(table.shape.slice(1));
    const dtype = table.dtype === 'f16' ? 'f32' : table.dtype;
    const y = emptyTensor(dtype, [...ids!.shape, ...table.shape.slice(1)]);
    ids!.data.forEach((id, n) => {
      const at = rowOf(id, table.shape[0]!) * columns;
      y.data.set(table.data.subarray(at, at + columns), n * columns);
    });
    return [y];
  },
  cases: [
    {
      name: 'embedding',
      inputs: [
        { dtype: 'f32', shape: [6, 5] },
        { dtype: 'i32', shape: [2, 4], data: [0, 5, 3, 3, 1, 0, 3, -1] },
      ],
      attrs: {},
    },
    {
      name: 'one row',
      inputs: [
        { dtype: 'f32', shape: [3, 4] },
        { dtype: 'i32', shape: [], data: [2] },
      ],
      attrs: {},
    },
    {
      name: 'numbers',
      inputs: [
        { dtype: 'i32', shape: [4], data: [10, 20, 30, 40] },
        { dtype: 'i32', shape: [3], data: [3, 0, 3] },
      ],
      attrs: {},
    },
    {
      name: 'f16 table',
      inputs: [
        { dtype: 'f16', shape: [4, 6] },
        { dtype: 'i32', shape: [3], data: [3, 0, 1] },
      ],
      attrs: {},
      gradientInputs: [],
    },
    ...(
      [
        { bits: 4, columns: 40, block: 16, zeros: 'middle' },
        { bits: 4, columns: 37, block: 16, zeros: 'bytes' },
        { bits: 8, columns: 5, block: 8, zeros: 'floats' },
      ] as const
    ).map((packed) => ({
      name: `packed table, ${packed.bits} bits, ${packed.zeros}`,
      inputs: [quantCase(6, packed), { dtype: 'i32' as const, shape: [4], data: [5, 0, -2, 3] }],
      attrs: { packed },
      gradientInputs: [],
    })),
  ],
});

defineCheck(scatterAddRowsOp, {
  reference([dY, ids], { rows }) {
    const columns = sizeOf(dY!.shape) / sizeOf(ids!.shape);
    const table = emptyTensor('f32', [rows, ...dY!.shape.slice(ids!.shape.length)]);
    ids!.data.forEach((id, n) => {
      const at = rowOf(id, rows) * columns;
      for (let c = 0; c < columns; c++) table.data[at + c] = table.data[at + c]! + dY!.data[n * columns + c]!;
    });
    return [table];
  },
  cases: [
    {
      name: 'repeats and gaps',
      inputs: [
        { dtype: 'f32', shape: [2, 4, 5] },
        { dtype: 'i32', shape: [2, 4], data: [0, 5, 3, 3, 1, 0, 3, -1] },
      ],
      attrs: { rows: 7 },
    },
  ],
});

defineCheck(takeAlongOp, {
  reference([x, index]) {
    const { rows, period, taken } = takeAlongLayout('takeAlong', x!, index!);
    const length = x!.shape.at(-1)!;
    const y = emptyTensor('f32', [...x!.shape.slice(0, -1), taken]);
    for (let r = 0; r < rows; r++) {
      for (let k = 0; k < taken; k++) {
        y.data[r * taken + k] = x!.data[r * length + index!.data[(r % period) * taken + k]!]!;
      }
    }
    return [y];
  },
  cases: [
    {
      name: 'repeating rows of indices',
      inputs: [
        { dtype: 'f32', shape: [2, 2, 5] },
        { dtype: 'i32', shape: [2, 3], data: [4, 0, 4, 1, 2, 3] },
      ],
      attrs: {},
    },
    {
      name: 'a row of indices each',
      inputs: [
        { dtype: 'f32', shape: [3, 4] },
        { dtype: 'i32', shape: [3, 2], data: [0, 3, 1, 1, 2, 0] },
      ],
      attrs: {},
    },
  ],
});

defineCheck(takeAlongGradOp, {
  reference([dY, index], { length }) {
    const { rows, period, taken } = takeAlongLayout('takeAlongGrad', dY!, index!);
    const dx = emptyTensor('f32', [...dY!.shape.slice(0, -1), length]);
    for (let r = 0; r < rows; r++) {
      for (let k = 0; k < taken; k++) {
        const at = r * length + index!.data[(r % period) * taken + k]!;
        dx.data[at] = dx.data[at]! + dY!.data[r * taken + k]!;
      }
    }
    return [dx];
  },
  cases: [
    {
      name: 'with repeats',
      inputs: [
        { dtype: 'f32', shape: [2, 2, 3] },
        { dtype: 'i32', shape: [2, 3], data: [4, 0, 4, 1, 2, 3] },
      ],
      attrs: { length: 5 },
    },
  ],
});
