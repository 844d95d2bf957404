/** gather: rows of a table by number (embeddings); scatterAddRows, its gradient, in a fixed order and without atomics. */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf } from '../graph/shape.ts';
import { bytesOf, type Emitter, type TensorType, type Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, rowParts, WORKGROUP } from './dispatch.ts';
import {
  logicalMatrix,
  type QuantFormat,
  quantConditions,
  quantConstants,
  quantLayout,
  quantParams,
} from './quantised.ts';

export interface GatherAttrs {
  /** The table is packed (u32); made by the fuse pass. */
  readonly packed?: QuantFormat;
}

export interface ScatterAddRowsAttrs {
  /** Rows of the table. */
  readonly rows: number;
}

export const gatherOp = defineOp<GatherAttrs>({
  name: 'gather',
  infer([stored, ids], { packed }) {
    const table = logicalMatrix(stored!, packed, 'gather');
    if (table.shape.length < 1 || ids!.dtype !== 'i32') {
      fail('shape', `gather: takes a table of rows and i32 ids, not [${table.shape}] and ${ids!.dtype}.`);
    }
    const dtype = table.dtype === 'f16' ? 'f32' : table.dtype;
    return [{ dtype, shape: [...ids!.shape, ...table.shape.slice(1)] }];
  },
  gradient(g, node, [dY], wants) {
    const [table, ids] = node.inputs as [Value, Value];
    return [wants[0] ? scatterAddRows(g, dY!, ids, table.shape[0]!) : null, null];
  },
  kernel({ inputs, attrs: { packed } }, caps) {
    const [stored, ids] = inputs as [TensorType, TensorType];
    const table = logicalMatrix(stored, packed, 'gather');
    const rows = table.shape[0]!;
    const columns = sizeOf(table.shape.slice(1));
    const count = sizeOf(ids.shape);
    const rowBytes = packed ? 4 * quantLayout(packed).stride : columns * bytesOf[table.dtype];
    return {
      dispatches: rowParts({ in: 0 }, rows, rowBytes, caps.maxStorageBindingBytes).map(
        ({ first, end, ref }) => ({
          shader: 'gather.wgsl',
          entry: 'gather',
          conditions: { F16: table.dtype === 'f16', ...quantConditions(packed) },
          constants: { WG: WORKGROUP, ...quantConstants(packed) },
          params: [count, columns, rows, first, end, 0, 0, 0, ...quantParams(packed)],
          bindings: [ref, { in: 1 }, { out: 0 }],
          workgroups: perElement(count * columns),
        }),
      ),
    };
  },
});

export const scatterAddRowsOp = defineOp<ScatterAddRowsAttrs>({
  name: 'scatterAddRows',
  infer([dY, ids], { rows }) {
    const lead = ids!.shape.length;
    if (
      dY!.dtype !== 'f32' ||
      ids!.dtype !== 'i32' ||
      dY!.shape.slice(0, lead).join() !== ids!.shape.join()
    ) {
      fail('shape', `scatterAddRows: rows [${dY!.shape}] do not go with ids [${ids!.shape}].`);
    }
    return [{ dtype: 'f32', shape: [rows, ...dY!.shape.slice(lead)] }];
  },
  gradient: (g, node, [dY]) => [gather(g, dY!, node.inputs[1]!), null],
  kernel({ inputs: [dY, ids], attrs: { rows } }) {
    const count = sizeOf(ids!.shape);
    const columns = sizeOf(dY!.shape) / count;
    const common = {
      shader: 'gather.wgsl',
      conditions: { F16: false, ...quantConditions(undefined) },
      constants: { WG: WORKGROUP },
      params: [count, columns, rows, 0, rows, 0, 0, 0, ...quantParams(undefined)],
    };
    return {
      scratchBytes: [count * 8],
      dispatches: [
        { ...common, entry: 'clear', bindings: [{ out: 0 }], workgroups: perElement(rows * columns) },
        { ...common, entry: 'link', bindings: [{ in: 1 }, { scratch: 0 }], workgroups: perElement(count) },
        {
          ...common,
          entry: 'add_rows',
          bindings: [{ out: 0 }, { in: 0 }, { in: 1 }, { scratch: 0 }],
          workgroups: perElement(count * columns),
        },
      ],
    };
  },
});

/** Rows of `table` [V, ...] at i32 `ids` [...] → [..., ...]; an f16 table gives f32. */
export const gather = (g: Emitter, table: Value, ids: Value): Value => g.emit(gatherOp, [table, ids], {})[0]!;

/** dy [..., D...] added up by id into a table of `rows` rows. */
export const scatterAddRows = (g: Emitter, dY: Value, ids: Value, rows: number): Value =>
  g.emit(scatterAddRowsOp, [dY, ids], { rows })[0]!;
