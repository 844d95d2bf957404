/** A changed weight back in the codes of its file: the same layout and types, scales and zero points chosen anew block by block. */
import { fail } from '../../lib/errors.ts';
import { float32ToHalf, halfToFloat32 } from '../../lib/half.ts';
import type { OnnxTensor } from '../../onnx/types.ts';
import { numbersToRaw, tensorToF32 } from '../../onnx/values.ts';
import {
  asymmetricStep,
  codeReader,
  dequantised,
  isSigned,
  matrixOf,
  type QuantSource,
  usualZero,
  zeroValues,
} from './quant.ts';

export interface Requantised {
  /** Raw contents by the name of the tensor: codes, scales, zero points. */
  readonly tensors: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  /** The numbers that the file then stands for. */
  readonly values: Float32Array;
}

/** Codes that are used, counted from the lowest one there is. */
interface CodeRange {
  readonly low: number;
  readonly high: number;
}

/**
 * Integer products of processors without VNNI overflow where weights use all 8 bits, so onnxruntime's quantiser can leave one free
 * (reduce_range): codes within ±64, or 0 … 127 without a sign. A file that does so goes on doing so.
 */
function codeRange(source: QuantSource): CodeRange {
  const top = 2 ** source.bits - 1;
  if (source.form !== 'integer' || source.bits !== 8) return { low: 0, high: top };
  const reduced = isSigned(source) ? { low: 64, high: 192 } : { low: 0, high: 127 };
  const [rows, columns] = matrixOf(source.shape);
  const code = codeReader(source);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const c = code(i, j);
      if (c < reduced.low || c > reduced.high) return { low: 0, high: top };
    }
  }
  return reduced;
}

interface Step {
  scale: number;
  /** Counted from the lowest code. */
  zero: number;
}

/**
 * @param data row-major as the graph sees the matrix
 * @throws PapilioError('unsupported-onnx') where several zero points share a scale
 */
export function requantise(source: QuantSource, data: ArrayLike<number>): Requantised {
  const { scales, zeros, codes } = source;
  const [rows, columns] = matrixOf(source.shape);
  const count = scales?.size ?? 1;
  if (!scales || (zeros && !source.zerosByRow && zeros.size !== count && zeros.size !== 1))
    return fail(
      'unsupported-onnx',
      `The scales of ${codes.name} cannot be chosen anew; write its layer as a float product instead.`,
      { name: codes.name },
    );
  const blockRows = Math.ceil(rows / source.block[0]);
  const groups = blockRows * source.blockColumns;
  const groupOf = (i: number, j: number): number =>
    count === 1 ? 0 : Math.floor(i / source.block[0]) * source.blockColumns + Math.floor(j / source.block[1]);
  const low = new Float64Array(groups);
  const high = new Float64Array(groups);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const v = data[i * columns + j]!;
      const k = groupOf(i, j);
      if (v < low[k]!) low[k] = v;
      if (v > high[k]!) high[k] = v;
    }
  }

  const old = zeroValues(source);
  const anew = old !== null && writesZeros(source, old);
  const range = codeRange(source);
  const given = tensorToF32(scales);
  const steps = Array.from({ length: count }, (_, k) => {
    const zero = old === null ? null : old[old.length === 1 ? 0 : k]!;
    // A bias in 32 bits has the scale of its layer's input times its weight's, and room enough.
    if (source.bits === 32) return { scale: given[k]!, zero: zero ?? usualZero(source) };
    return anew
      ? freeStep(source, low[k]!, high[k]!, range)
      : fixedStep(source, low[k]!, high[k]!, zero, range);
  });
  if (scales.dtype === 'float16') {
    for (const step of steps) step.scale = halfToFloat32(float32ToHalf([step.scale]))[0]! || 2 ** -24;
  }
  const bytes = new Uint8Array(codes.byteLength);
  const put = codeWriter(source, bytes);
  if (source.form === 'nbits') fillPadding(source, bytes);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const { scale, zero } = steps[groupOf(i, j)]!;
      put(i, j, Math.min(range.high, Math.max(range.low, Math.round(data[i * columns + j]! / scale + zero))));
    }
  }
  const tensors = new Map<string, Uint8Array<ArrayBuffer>>([[codes.name, bytes]]);
  tensors.set(
    scales.name,
    numbersToRaw(
      scales.dtype,
      steps.map((s) => s.scale),
    ),
  );
  let written: QuantSource = {
    ...source,
    codes: { ...codes, bytes: () => bytes },
    scales: { ...scales, bytes: () => tensors.get(scales.name)! },
  };
  if (zeros && anew) {
    const raw = zeroBytes(source, steps);
    tensors.set(zeros.name, raw);
    written = { ...written, zeros: { ...zeros, bytes: () => raw } };
  }
  return { tensors, values: dequantised(written, new Float32Array(rows * columns)) };
}

/** Zero points that are all the middle (or that one number gives for all) are the file's choice of symmetric codes and stay. */
function writesZeros(source: QuantSource, zeros: ArrayLike<number>): boolean {
  if (source.bits === 32 || zeros.length !== source.scales?.size) return false;
  return !isSigned(source) || Array.prototype.some.call(zeros, (z: number) => z !== 2 ** (source.bits - 1));
}

/** Scale and zero point that fit the block's numbers. */
function freeStep(source: QuantSource, low: number, high: number, range: CodeRange): Step {
  const { scale, zero } = asymmetricStep(low, high, range.high - range.low);
  return { scale, zero: range.low + (isFloatTensor(source.zeros!) ? -Math.min(low, 0) / scale : zero) };
}

/** The scale that fits where the zero point is given. */
function fixedStep(
  source: QuantSource,
  low: number,
  high: number,
  given: number | null,
  range: CodeRange,
): Step {
  const half = 2 ** (source.bits - 1);
  if (given === null && source.form === 'nbits') {
    // The end with one code more takes the larger magnitude, as onnxruntime's own quantiser has it.
    const largest = -low > high ? low : high;
    return { scale: largest === 0 ? 1 : Math.fround(largest / -half), zero: half };
  }
  const zero = given ?? usualZero(source);
  const scale = Math.max(
    zero > range.low ? -low / (zero - range.low) : 0,
    range.high > zero ? high / (range.high - zero) : 0,
  );
  return { scale: scale > 0 ? Math.fround(scale) : 1, zero };
}

const isFloatTensor = ({ dtype }: OnnxTensor): boolean =>
  dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16';

function codeWriter(
  source: QuantSource,
  bytes: Uint8Array,
): (row: number, column: number, code: number) => void {
  const { bits, rowCodes } = source;
  const flip = isSigned(source) ? 2 ** (bits - 1) : 0;
  if (bits === 32) {
    const view = new DataView(bytes.buffer);
    return (r, c, code) => view.setInt32((r * rowCodes + c) * 4, code - flip, true);
  }
  if (bits === 8) {
    return (r, c, code) => {
      bytes[r * rowCodes + c] = code ^ flip;
    };
  }
  return (r, c, code) => {
    const at = r * rowCodes + c;
    const shift = (at & 1) * 4;
    bytes[at >> 1] = (bytes[at >> 1]! & ~(15 << shift)) | ((code ^ flip) << shift);
  };
}

/** Columns beyond the matrix keep the codes they had. */
function fillPadding(source: QuantSource, bytes: Uint8Array): void {
  const [rows, columns] = matrixOf(source.shape);
  const code = codeReader(source);
  const put = codeWriter(source, bytes);
  for (let r = 0; r < rows; r++) for (let c = columns; c < source.rowCodes; c++) put(r, c, code(r, c));
}

/** Zero points in the layout of the file. */
function zeroBytes(source: QuantSource, steps: readonly Step[]): Uint8Array<ArrayBuffer> {
  const { bits, zerosByRow, blockColumns } = source;
  const zeros = source.zeros!;
  if (isFloatTensor(zeros))
    return numbersToRaw(
      zeros.dtype,
      steps.map((s) => s.zero),
    );
  const out = new Uint8Array(zeros.byteLength);
  const flip = isSigned(source) ? 2 ** (bits - 1) : 0;
  const perByte = 8 / bits;
  const rowBytes = Math.ceil(blockColumns / perByte);
  steps.forEach(({ zero }, k) => {
    const column = zerosByRow ? k % blockColumns : k;
    const at = (zerosByRow ? Math.floor(k / blockColumns) * rowBytes : 0) + Math.floor(column / perByte);
    out[at] = out[at]! | ((zero ^ flip) << ((column % perByte) * bits));
  });
  return out;
}
