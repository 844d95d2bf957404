/** gather: rows of a table by number (embeddings); scatterAddRows, its gradient, in a fixed order and without atomics. */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf } from '../graph/shape.ts';
import { bytesOf, type Emitter, type TensorType, type Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, rowParts, WORKGROUP } from './dispatch.ts';
import {
  logicalMatrix,
  type QuantFormat,
  quantCase,
  quantConditions,
  quantConstants,
  quantLayout,
  quantParams,
  unpackTensor,
} from './quantised.ts';
import { emptyTensor } from './reference.ts';

export interface GatherAttrs {
  /** The table is packed (u32); made by the fuse pass. */
  readonly packed?: QuantFormat;
}

export interface ScatterAddRowsAttrs {
  /** Rows of the table. */
  readonly rows: number;
}

/** The shader's rule: negative ids count from the end, all others are clamped to the table. */
function rowOf(id: number, rows: number): number {
  return Math.min(Math.max(id < 0 ? id + rows : id, 0), rows - 1);
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

/** Rows of `table` [V, ...] at i32 `ids` [...] → [..., ...]; an f16 table gives f32. */
export const gather = (g: Emitter, table: Value, ids: Value): Value => g.emit(gatherOp, [table, ids], {})[0]!;

/** dy [..., D...] added up by id into a table of `rows` rows. */
export const scatterAddRows = (g: Emitter, dY: Value, ids: Value, rows: number): Value =>
  g.emit(scatterAddRowsOp, [dY, ids], { rows })[0]!;
