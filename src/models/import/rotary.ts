/** Rotary embedding as an op of its own: com.microsoft's, ONNX 23's, and the one inside GroupQueryAttention. */
import { headsOf, rowsOf } from './attend.ts';
import { derive, reshapeOf } from './derive.ts';
import { toKnown } from './evaluateOps.ts';
import type { FoldedValue } from './folded.ts';
import { knownValue } from './folded.ts';
import type { Context } from './lowering.ts';
import { input, int, refuse } from './lowering.ts';
import { squeezeLeading } from './masks.ts';

/** A table of the file, which is no parameter whatever it is called. */
const constant = (v: FoldedValue): FoldedValue => (v.known ? knownValue(v.name, toKnown(v)) : v);

/** One table for all examples where they have the same positions. */
const shared = (v: FoldedValue): FoldedValue =>
  v.known ? knownValue(v.name, squeezeLeading(toKnown(v))) : v;

/**
 * Rows of an angle table [positions, R/2].
 * @param positions [B, S], or null for `from`, `from` + 1, …
 * @returns [B | 1, S, R/2]
 */
export function angleRows(
  table: FoldedValue,
  positions: FoldedValue | null,
  from: number,
  length: number,
): FoldedValue {
  const [rows, width] = table.shape as [number, number];
  if (positions) {
    const shape = [...positions.shape, width];
    return shared(derive('Gather', [constant(table), positions], { axis: 0 }, shape));
  }
  if (from + length > rows) {
    refuse(`its rotary table has ${rows} positions, fewer than ${from + length}; use shorter sequences`);
  }
  const attrs = { starts: [from, 0], steps: [1, 1], shape: [length, width] };
  return reshapeOf(derive('Slice', [constant(table)], attrs, [length, width]), [1, length, width]);
}

/** @param x [B, S, heads·D], its tables [B | 1, S, R/2] */
export function rotate(
  x: FoldedValue,
  cos: FoldedValue,
  sin: FoldedValue,
  heads: number,
  interleaved: boolean,
): FoldedValue {
  const attrs = { heads, headDim: x.shape[2]! / heads, rotaryDim: 2 * cos.shape.at(-1)!, interleaved };
  return derive('Rope', [x, cos, sin], attrs, x.shape);
}

/** RotaryEmbedding on [B, S, H·D] or [B, H, S, D]; `tables` says which inputs are positions, cos and sin. */
export function rotaryEmbedding(tables: { positions: number; cos: number; sin: number }) {
  return (c: Context): readonly FoldedValue[] => {
    const x = input(c, 0);
    const [cosTable, sinTable] = [input(c, tables.cos), input(c, tables.sin)];
    const positions = c.inputs[tables.positions] ?? null;
    const whole = x.shape.length === 4;
    const rows = whole ? rowsOf(x) : x;
    const partial = int(c, 'rotary_embedding_dim', 0);
    if (partial > 0 && partial !== 2 * cosTable.shape.at(-1)!)
      refuse(`it turns ${partial} numbers of a head with a table for ${2 * cosTable.shape.at(-1)!}`);
    const given = int(c, 'num_heads', 0);
    const heads = whole ? x.shape[1]! : given > 0 ? given : rows.shape[2]! / (2 * cosTable.shape.at(-1)!);
    const length = rows.shape[1]!;
    const pick = (table: FoldedValue): FoldedValue => {
      if (table.shape.length === 3) return shared(constant(table));
      // One number is where the sequence begins.
      if (positions?.shape.length === 1) {
        const from = positions.known?.()[0] ?? refuse('the place where it begins depends on the data');
        return angleRows(table, null, from, length);
      }
      return angleRows(table, positions, 0, length);
    };
    const y = rotate(rows, pick(cosTable), pick(sinTable), heads, int(c, 'interleaved', 0) === 1);
    return [whole ? headsOf(y, heads) : y];
  };
}
