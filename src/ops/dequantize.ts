/**
 * dequantize: a packed matrix (quantised.ts) in numbers. The importer puts one in front of every reader of a quantised weight; the fuse
 * pass joins it to the products and gathers that can read codes themselves, so only what needs the numbers (merging, norms of
 * rows, additive adapters) pays for them.
 */
import { defineOp } from '../graph/defineOp.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import {
  logicalMatrix,
  type QuantFormat,
  quantConditions,
  quantConstants,
  quantParams,
} from './quantised.ts';

export interface DequantizeAttrs {
  readonly packed: QuantFormat;
}

export const dequantizeOp = defineOp<DequantizeAttrs>({
  name: 'dequantize',
  infer: ([q], { packed }) => [logicalMatrix(q!, packed, 'dequantize')],
  // A quantised weight is frozen; what trains is added to its numbers or replaces them.
  gradient: null,
  kernel({ inputs, attrs: { packed } }) {
    const rows = inputs[0]!.shape[0]!;
    const { QUANT: _, ...conditions } = quantConditions(packed);
    return {
      dispatches: [
        {
          shader: 'dequantize.wgsl',
          entry: 'dequantize',
          conditions,
          constants: { WG: WORKGROUP, ...quantConstants(packed) },
          params: [rows, packed.columns, 0, 0, ...quantParams(packed)],
          bindings: [{ in: 0 }, { out: 0 }],
          workgroups: perElement(rows * Math.ceil(packed.columns / 4)),
        },
      ],
    };
  },
});

/** A packed matrix q (u32) → [rows, columns] f32. */
export const dequantize = (g: Emitter, q: Value, packed: QuantFormat): Value =>
  g.emit(dequantizeOp, [q], { packed })[0]!;
