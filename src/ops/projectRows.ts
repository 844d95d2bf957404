/**
 * COFT's projection of OFT's stored weights, in place and without gradient: the skew matrix of every row is pulled back onto a
 * ball of radius `limit` in the Frobenius norm. PEFT does this before every forward.
 */
import { defineOp } from '../graph/defineOp.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { spread } from './dispatch.ts';

export interface ProjectRowsAttrs {
  /** Element at which the first row starts in the (packed) state. */
  readonly offset: number;
  readonly rows: number;
  readonly columns: number;
  /** Largest √2·‖row‖₂ that stays as it is. */
  readonly limit: number;
}

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

/** state f32 [N]. */
export const projectRowsOp = defineOp<ProjectRowsAttrs>({
  name: 'projectRows',
  infer: ([state], { offset, rows, columns }) => {
    const size = state!.shape.reduce((n, d) => n * d, 1);
    if (offset + rows * columns > size) {
      fail(
        'shape',
        `projectRows: ${rows} rows of ${columns} from ${offset} on do not fit into [${state!.shape}].`,
      );
    }
    return [];
  },
  gradient: null,
  mutates: [0],
  kernel: ({ attrs: { offset, rows, columns, limit } }) => ({
    dispatches: [
      {
        shader: 'projectRows.wgsl',
        entry: 'project',
        constants: { WG: 64 },
        params: [offset, rows, columns, { f32: limit }],
        bindings: [{ in: 0 }],
        workgroups: spread(rows),
      },
    ],
  }),
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

export function projectRows(g: Emitter, state: Value, attrs: ProjectRowsAttrs): void {
  g.emit(projectRowsOp, [state], attrs);
}
