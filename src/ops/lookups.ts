/**
 * Look-ups by number, each with the gradient that adds what was taken back, in a fixed order and without atomics: gather (rows of a
 * table), takeAlong (from every row the entries that a row of indices names, as torch.gather on the last axis).
 */

import { sizeOf } from '../graph/shape.ts';
import { bytesOf, defineOp, type Emitter, type TensorType, type Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { divisor, perElement, rowParts, WORKGROUP } from './dispatch.ts';
import { INT64 } from './onnx.ts';
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
      fail('shape', say`gather: takes a table of rows and i32 ids, not [${table.shape}] and ${ids!.dtype}.`);
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
          params: [...divisor(columns), count, rows, first, end, ...quantParams(packed)],
          bindings: [ref, { in: 1 }, { out: 0 }],
          workgroups: perElement(count * columns),
        }),
      ),
    };
  },
  onnx: (e, [table, ids]) => [e.op('Gather', [table!, ids!])],
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
      fail('shape', say`scatterAddRows: rows [${dY!.shape}] do not go with ids [${ids!.shape}].`);
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
      params: [...divisor(columns), count, rows, 0, rows, ...quantParams(undefined)],
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
  onnx(e, [dy, ids], { inputs, outputs, attrs: { rows } }) {
    const count = sizeOf(inputs[1]!.shape);
    const columns = sizeOf(inputs[0]!.shape) / count;
    const ofEach = e.reshape(e.op('Cast', [ids!], { to: INT64 }), [count, 1]);
    const indices = e.op('Expand', [ofEach, e.ints([count, columns])]);
    const updates = e.reshape(dy!, [count, columns]);
    const sum = e.op('ScatterElements', [e.zeros([rows, columns]), indices, updates], {
      axis: 0,
      reduction: 'add',
    });
    return [e.reshape(sum, outputs[0]!.shape)];
  },
});

/** Rows of `table` [V, ...] at i32 `ids` [...] → [..., ...]; an f16 table gives f32. */
export const gather = (g: Emitter, table: Value, ids: Value): Value => g.emit(gatherOp, [table, ids], {})[0]!;

/** dy [..., D...] added up by id into a table of `rows` rows. */
export const scatterAddRows = (g: Emitter, dY: Value, ids: Value, rows: number): Value =>
  g.emit(scatterAddRowsOp, [dY, ids], { rows })[0]!;

export interface TakeAlongGradAttrs {
  /** Length of the axis that was taken from. */
  readonly length: number;
}

/** [rows, taken] of y, and how many rows of indices there are; they repeat over the rows of x. */
export function takeAlongLayout(
  op: string,
  x: TensorType,
  index: TensorType,
): { rows: number; period: number; taken: number } {
  const rows = sizeOf(x.shape.slice(0, -1));
  const [period, taken] = index.shape as [number, number];
  if (
    x.dtype !== 'f32' ||
    index.dtype !== 'i32' ||
    index.shape.length !== 2 ||
    x.shape.length < 1 ||
    rows % period !== 0
  ) {
    fail(
      'shape',
      say`${op}: ${x.dtype} [${x.shape}] does not take ${index.dtype} [${index.shape}] row by row.`,
    );
  }
  return { rows, period, taken };
}

/** x f32 [..., L], index i32 [P, K] whose rows repeat over those of x → y [..., K]. */
export const takeAlongOp = defineOp<Record<never, never>>({
  name: 'takeAlong',
  infer([x, index]) {
    const { taken } = takeAlongLayout('takeAlong', x!, index!);
    return [{ dtype: 'f32', shape: [...x!.shape.slice(0, -1), taken] }];
  },
  gradient(g, node, [dY]) {
    const [x, index] = node.inputs as [Value, Value];
    return [g.emit(takeAlongGradOp, [dY!, index], { length: x.shape.at(-1)! })[0]!, null];
  },
  kernel({ inputs: [x, index] }) {
    const { rows, period, taken } = takeAlongLayout('takeAlong', x!, index!);
    return {
      dispatches: [
        {
          shader: 'takeAlong.wgsl',
          entry: 'take_along',
          constants: { WG: WORKGROUP },
          params: [rows * taken, x!.shape.at(-1)!, taken, period],
          bindings: [{ in: 0 }, { in: 1 }, { out: 0 }],
          workgroups: perElement(rows * taken),
        },
      ],
    };
  },
  onnx(e, [x, index], { inputs, outputs }) {
    const { rows, period, taken } = takeAlongLayout('takeAlong', inputs[0]!, inputs[1]!);
    const blocks = rows / period;
    const table = e.reshape(x!, [blocks, period, inputs[0]!.shape.at(-1)!]);
    const ids = e.op('Expand', [index!, e.ints([blocks, period, taken])]);
    return [e.reshape(e.op('GatherElements', [table, ids], { axis: 2 }), outputs[0]!.shape)];
  },
});

/** dY [..., K], index i32 [P, K] → dX [..., length]. */
export const takeAlongGradOp = defineOp<TakeAlongGradAttrs>({
  name: 'takeAlongGrad',
  infer([dY, index], { length }) {
    takeAlongLayout('takeAlongGrad', dY!, index!);
    return [{ dtype: 'f32', shape: [...dY!.shape.slice(0, -1), length] }];
  },
  gradient: null,
  kernel({ inputs: [dY, index], attrs: { length } }) {
    const { rows, period, taken } = takeAlongLayout('takeAlongGrad', dY!, index!);
    return {
      dispatches: [
        {
          shader: 'takeAlong.wgsl',
          entry: 'put_along',
          constants: { WG: WORKGROUP },
          params: [rows * length, length, taken, period],
          bindings: [{ in: 0 }, { in: 1 }, { out: 0 }],
          workgroups: perElement(rows * length),
        },
      ],
    };
  },
  onnx(e, [dy, index], { inputs, outputs, attrs: { length } }) {
    const { rows, period, taken } = takeAlongLayout('takeAlongGrad', inputs[0]!, inputs[1]!);
    const blocks = rows / period;
    const ids = e.op('Expand', [index!, e.ints([blocks, period, taken])]);
    const updates = e.reshape(dy!, [blocks, period, taken]);
    const sum = e.op('ScatterElements', [e.zeros([blocks, period, length]), ids, updates], {
      axis: 2,
      reduction: 'add',
    });
    return [e.reshape(sum, outputs[0]!.shape)];
  },
});

/** Entries of the last axis of x by rows of indices [P, K] (non-negative), which repeat over the rows of x. */
export const takeAlong = (g: Emitter, x: Value, index: Value): Value =>
  g.emit(takeAlongOp, [x, index], {})[0]!;
