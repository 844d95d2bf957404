/**
 * How a matrix [rows, columns] is kept in 4 or 8 bits on the device: one u32 tensor [rows, stride]. Each row holds its codes (low bits
 * first, filled up to a word), then one f32 scale per block of columns, then the zero points of the blocks:
 *   value = (code − zero) · scale.
 * One buffer for all three, because the kernels' epilogues need the other bindings, and whole rows, so that a matrix beyond the
 * binding limit can be bound in parts.
 * dequantize makes the float matrix of it.
 */

import type { Emitter, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

export interface QuantFormat {
  readonly bits: 4 | 8;
  readonly columns: number;
  /** Columns that share a scale: a multiple of 4 (the last block may be shorter). */
  readonly block: number;
  /** Zero points: the middle code (8 or 128) everywhere, one byte per block, or one f32 per block. */
  readonly zeros: 'middle' | 'bytes' | 'floats';
}

/** Sizes and places of a row's parts, in words. */
export interface QuantLayout {
  readonly blocks: number;
  readonly scales: number;
  readonly zeros: number;
  readonly stride: number;
}

export function quantLayout({ bits, columns, block, zeros }: QuantFormat): QuantLayout {
  const blocks = Math.ceil(columns / block);
  const scales = Math.ceil((columns * bits) / 32);
  const at = scales + blocks;
  const zeroWords = zeros === 'middle' ? 0 : zeros === 'bytes' ? Math.ceil(blocks / 4) : blocks;
  return { blocks, scales, zeros: at, stride: at + zeroWords };
}

/**
 * The matrix that an operand stands for.
 * @throws PapilioError('shape') for a tensor that is not in this format
 */
export function logicalMatrix(operand: TensorType, format: QuantFormat | undefined, op: string): TensorType {
  if (!format) return operand;
  const { stride } = quantLayout(format);
  if (
    operand.dtype !== 'u32' ||
    operand.shape.length !== 2 ||
    operand.shape[1] !== stride ||
    format.block % 4 !== 0
  ) {
    fail(
      'shape',
      say`${op}: ${operand.dtype} [${operand.shape}] is no matrix of ${format.columns} columns in ${format.bits} bits and blocks of ${format.block}.`,
    );
  }
  return { dtype: 'f32', shape: [operand.shape[0]!, format.columns] };
}

/** Bits of f32 values as u32, and back. */
const bitsOf = new Float32Array(1);
const asWord = new Uint32Array(bitsOf.buffer);
const floatOf = (word: number): number => {
  asWord[0] = word;
  return bitsOf[0]!;
};

/** The matrix in numbers; row-major. */
export function unpackMatrix(
  packed: ArrayLike<number>,
  rows: number,
  format: QuantFormat,
  out: Float32Array | Float64Array,
): void {
  const { bits, columns, block, zeros } = format;
  const layout = quantLayout(format);
  const perWord = 32 / bits;
  const mask = 2 ** bits - 1;
  for (let r = 0; r < rows; r++) {
    const row = r * layout.stride;
    for (let b = 0; b < layout.blocks; b++) {
      const scale = floatOf(packed[row + layout.scales + b]!);
      const zero =
        zeros === 'middle'
          ? 2 ** (bits - 1)
          : zeros === 'bytes'
            ? (packed[row + layout.zeros + Math.floor(b / 4)]! >>> (8 * (b % 4))) & 255
            : floatOf(packed[row + layout.zeros + b]!);
      const end = Math.min(columns, (b + 1) * block);
      for (let c = b * block; c < end; c++) {
        const word = packed[row + Math.floor(c / perWord)]!;
        out[r * columns + c] = (((word >>> ((c % perWord) * bits)) & mask) - zero) * scale;
      }
    }
  }
}

/** What a matrix is packed from: numbers by row and column or block. */
export interface QuantContents {
  code(row: number, column: number): number;
  scale(row: number, block: number): number;
  zero(row: number, block: number): number;
}

export function packMatrix(rows: number, format: QuantFormat, from: QuantContents): Uint32Array<ArrayBuffer> {
  const { bits, columns, zeros } = format;
  const layout = quantLayout(format);
  const perWord = 32 / bits;
  const words = new Uint32Array(rows * layout.stride);
  const floats = new Float32Array(words.buffer);
  for (let r = 0; r < rows; r++) {
    const row = r * layout.stride;
    for (let c = 0; c < columns; c++) {
      const at = row + Math.floor(c / perWord);
      words[at] = words[at]! | (from.code(r, c) << ((c % perWord) * bits));
    }
    for (let b = 0; b < layout.blocks; b++) {
      floats[row + layout.scales + b] = from.scale(r, b);
      if (zeros === 'floats') floats[row + layout.zeros + b] = from.zero(r, b);
      if (zeros === 'bytes') {
        const at = row + layout.zeros + Math.floor(b / 4);
        words[at] = words[at]! | (from.zero(r, b) << (8 * (b % 4)));
      }
    }
  }
  return words;
}

/** Conditions and constants of shaders that read this format through lib/quantised.wgsl. */
export const quantConditions = (format: QuantFormat | undefined): Record<string, boolean> => ({
  QUANT: format !== undefined,
  ZERO_BYTES: format?.zeros === 'bytes',
  ZERO_FLOATS: format?.zeros === 'floats',
});

export const quantConstants = (format: QuantFormat | undefined): Record<string, number> =>
  format ? { BITS: format.bits } : {};
/** The `vec4u` that those shaders take: stride, block, and where scales and zero points begin. */
export function quantParams(format: QuantFormat | undefined): number[] {
  if (!format) return [0, 0, 0, 0];
  const { stride, scales, zeros } = quantLayout(format);
  return [stride, format.block, scales, zeros];
}

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
