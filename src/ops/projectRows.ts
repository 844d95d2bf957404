/**
 * COFT's projection of OFT's stored weights, in place and without gradient: the skew matrix of every row is pulled back onto a
 * ball of radius `limit` in the Frobenius norm. PEFT does this before every forward.
 */

import { sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { spread } from './dispatch.ts';

export interface ProjectRowsAttrs {
  /** Element at which the first row starts in the (packed) state. */
  readonly offset: number;
  readonly rows: number;
  readonly columns: number;
  /** Largest √2·‖row‖₂ that stays as it is. */
  readonly limit: number;
}

/** state f32 [N]. */
export const projectRowsOp = defineOp<ProjectRowsAttrs>({
  name: 'projectRows',
  infer: ([state], { offset, rows, columns }) => {
    const size = sizeOf(state!.shape);
    if (offset + rows * columns > size) {
      fail(
        'shape',
        say`projectRows: ${rows} rows of ${columns} from ${offset} on do not fit into [${state!.shape}].`,
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
});

export function projectRows(g: Emitter, state: Value, attrs: ProjectRowsAttrs): void {
  g.emit(projectRowsOp, [state], attrs);
}
