/**
 * Quantised matrices as ONNX files keep them: MatMulNBits' rows of blobs, and the tensors of DequantizeLinear and the integer products
 * with one scale, one per row or column, or one per block. One description for all of them, read number by number, so that packing for
 * the device, dequantising and writing back each exist once.
 */
import { sizeOf } from '../../graph/shape.ts';
import { fail } from '../../lib/errors.ts';
import { float32ToHalf, halfToFloat32 } from '../../lib/half.ts';
import { say } from '../../lib/say.ts';
import { numbersToRaw, tensorToF32 } from '../../onnx/tensor.ts';
import { isFloat, type OnnxDType, type OnnxTensor } from '../../onnx/types.ts';
import { packMatrix, type QuantFormat, quantLayout } from '../../ops/quantised.ts';
import { checkedSize, here } from './importBudget.ts';

/** How the file reads the matrix, which is how it is written back. */
type QuantForm = 'nbits' | 'linear' | 'gather' | 'integer';

export interface QuantSource {
  readonly form: QuantForm;
  /** As the graph sees it. */
  readonly shape: readonly number[];
  readonly codes: OnnxTensor;
  /** Null: 1 everywhere. */
  readonly scales: OnnxTensor | null;
  readonly zeros: OnnxTensor | null;
  readonly bits: 4 | 8 | 32;
  /** Codes per stored row, filled-up ones included. */
  readonly rowCodes: number;
  /** Rows and columns that share a scale, and scales per row of blocks. */
  readonly block: readonly [rows: number, columns: number];
  readonly blockColumns: number;
  /** Zero points lie packed row by row, each row filled up to a byte. */
  readonly zerosByRow: boolean;
}

const BITS: Partial<Record<OnnxDType, 4 | 8 | 32>> = { int4: 4, uint4: 4, int8: 8, uint8: 8, int32: 32 };

/** Bits of a code of this element type, or null for one that holds no codes. */
export const codeBits = (dtype: OnnxDType): 4 | 8 | 32 | null => BITS[dtype] ?? null;

/** Whether codes and zero points of the file count from below 0. */
const isSigned = ({ codes }: QuantSource): boolean => codes.dtype.startsWith('int');

/** Rows and columns of the tensor seen as a matrix. */
export function matrixOf(shape: readonly number[]): readonly [number, number] {
  return shape.length < 2 ? [1, sizeOf(shape)] : [shape[0]!, sizeOf(shape.slice(1))];
}

/** Signed codes count from the lowest one, as unsigned ones do. */
const unsignedOffset = (source: QuantSource): number => (isSigned(source) ? 2 ** (source.bits - 1) : 0);

const scaleCount = (source: QuantSource): number => {
  const [rows] = matrixOf(source.shape);
  return Math.ceil(rows / source.block[0]) * source.blockColumns;
};

/** Index of the scale that element (row, column) has. */
const scaleAt = (source: QuantSource, row: number, column: number): number =>
  Math.floor(row / source.block[0]) * source.blockColumns + Math.floor(column / source.block[1]);

/**
 * That the tensors of the file hold as many codes, scales and zero points as the node says.
 * @throws PapilioError 'malformed-onnx'
 */
export function checkCodes(source: QuantSource): void {
  const { shape, codes, scales, zeros, bits, rowCodes, block, blockColumns, zerosByRow } = source;
  const lacks = (what: string): never =>
    fail(
      'malformed-onnx',
      say`${here()} has fewer ${what} than a matrix [${shape.join(', ')}] takes; the file is damaged.`,
    );
  if (scales && !isFloat(scales.dtype))
    fail(
      'malformed-onnx',
      say`${here()} has scales of type ${scales.dtype}, which are float in every format; the file is damaged.`,
    );
  checkedSize(shape);
  const [rows] = matrixOf(shape);
  if (!block.every((size) => size >= 1)) lacks(say`numbers in a block`);
  if (!((rows * rowCodes * bits) / 8 <= codes.byteLength)) lacks(say`codes`);
  const count = scaleCount(source);
  if (scales && scales.size !== 1 && !(scales.size >= count)) lacks(say`scales`);
  if (!zeros) return;
  const packed = zerosByRow && /int/.test(zeros.dtype);
  const enough = packed
    ? (count / blockColumns) * Math.ceil((blockColumns * bits) / 8) <= zeros.byteLength
    : zeros.size === 1 || zeros.size >= count;
  if (!enough) lacks(say`zero points`);
}

/** Reads the codes as counted from the lowest one. */
function codeReader(source: QuantSource): (row: number, column: number) => number {
  const { bits, codes, rowCodes } = source;
  const bytes = codes.bytes();
  const offset = unsignedOffset(source);
  if (bits === 32) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return (r, c) => view.getInt32((r * rowCodes + c) * 4, true) + offset;
  }
  const flip = offset;
  if (bits === 8) return (r, c) => bytes[r * rowCodes + c]! ^ flip;
  return (r, c) => {
    const at = r * rowCodes + c;
    return ((bytes[at >> 1]! >> ((at & 1) * 4)) & 15) ^ flip;
  };
}

/** Zero points as counted from the lowest code, one per scale. */
function zeroValues(source: QuantSource): ArrayLike<number> | null {
  const { zeros, bits, zerosByRow, blockColumns } = source;
  if (!zeros) return null;
  if (zeros.dtype === 'float32' || zeros.dtype === 'float16' || zeros.dtype === 'bfloat16')
    return tensorToF32(zeros);
  const count = zerosByRow ? scaleCount(source) : zeros.size;
  const offset = unsignedOffset(source);
  const bytes = zeros.bytes();
  if (bits === 32) return tensorToF32(zeros).map((z) => z + offset);
  const perByte = 8 / bits;
  const rowBytes = Math.ceil(blockColumns / perByte);
  const out = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const [byte, slot] = zerosByRow
      ? [
          Math.floor(i / blockColumns) * rowBytes + Math.floor((i % blockColumns) / perByte),
          (i % blockColumns) % perByte,
        ]
      : [Math.floor(i / perByte), i % perByte];
    out[i] = ((bytes[byte]! >> (slot * bits)) & (2 ** bits - 1)) ^ offset;
  }
  return out;
}

/** Without zero points, bytes that hold packed codes mean the middle, and typed codes mean 0. */
const usualZero = (source: QuantSource): number =>
  source.form === 'nbits' || (source.form === 'gather' && source.codes.dtype === 'uint8')
    ? 2 ** (source.bits - 1)
    : unsignedOffset(source);

interface Steps {
  scale(row: number, column: number): number;
  /** Counted from the lowest code, like the codes. */
  zero(row: number, column: number): number;
  readonly wholeZeros: boolean;
  /** Every zero point is the middle code. */
  readonly middle: boolean;
}

/** Scale and zero point by element. */
function stepsOf(source: QuantSource): Steps {
  const scales = source.scales ? tensorToF32(source.scales) : null;
  const zeros = zeroValues(source);
  const half = 2 ** (source.bits - 1);
  const otherwise = usualZero(source);
  // One scale may serve many zero points, and the other way round.
  const of = (values: ArrayLike<number>, i: number, j: number): number =>
    values[values.length === 1 ? 0 : scaleAt(source, i, j)]!;
  const every = (test: (z: number) => boolean): boolean =>
    zeros ? Array.prototype.every.call(zeros, test) : test(otherwise);
  return {
    scale: (i, j) => (scales ? of(scales, i, j) : 1),
    zero: (i, j) => (zeros ? of(zeros, i, j) : otherwise),
    wholeZeros: every(Number.isInteger),
    middle: every((z) => z === half),
  };
}

/** The matrix in numbers, row-major as the graph sees it. */
export function dequantised(source: QuantSource, out: Float32Array): Float32Array {
  const [rows, columns] = matrixOf(source.shape);
  const code = codeReader(source);
  const { scale, zero } = stepsOf(source);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++)
      out[i * columns + j] = Math.fround((code(i, j) - zero(i, j)) * scale(i, j));
  }
  return out;
}

/** How the device would keep the matrix or its transpose, or null where blocks do not lie along its rows. */
export function packedFormat(source: QuantSource, transposed: boolean): QuantFormat | null {
  const { bits } = source;
  if (bits === 32 || source.shape.length < 2) return null;
  const [d0, d1] = matrixOf(source.shape);
  const [columns, along] = transposed ? [d0, source.block[0]] : [d1, source.block[1]];
  const block = along >= columns ? Math.ceil(columns / 4) * 4 : along;
  if (block % 4 !== 0) return null;
  const { middle, wholeZeros } = stepsOf(source);
  return { bits, columns, block, zeros: middle ? 'middle' : wholeZeros ? 'bytes' : 'floats' };
}

/** The matrix (or its transpose) as the device keeps it; codes are moved, never rounded. */
export function packed(
  source: QuantSource,
  format: QuantFormat,
  transposed: boolean,
): Uint32Array<ArrayBuffer> {
  const [d0, d1] = matrixOf(source.shape);
  const code = codeReader(source);
  const { scale, zero } = stepsOf(source);
  const at = (row: number, column: number): [number, number] => (transposed ? [column, row] : [row, column]);
  const first = (block: number): number => block * format.block;
  return packMatrix(transposed ? d1 : d0, format, {
    code: (r, c) => code(...at(r, c)),
    scale: (r, b) => scale(...at(r, first(b))),
    zero: (r, b) => zero(...at(r, first(b))),
  });
}

/** Columns that share a scale in a matrix that is rounded to 4 bits while loading; MatMulNBits' usual block. */
const LOAD_BLOCK = 32;

export const loadFormat = (columns: number): QuantFormat => ({
  bits: 4,
  columns,
  block: LOAD_BLOCK,
  zeros: 'bytes',
});

/** Scale and zero point that put [low, high] and 0 on the codes 0 … top. */
function asymmetricStep(low: number, high: number, top: number): { scale: number; zero: number } {
  const from = Math.min(low, 0);
  const scale = Math.fround((Math.max(high, 0) - from) / top);
  return scale > 0 ? { scale, zero: Math.round(-from / scale) } : { scale: 1, zero: 0 };
}

/** Rounds a float matrix [rows, columns] to {@link loadFormat}, block by block between its least and largest number. */
export function quantiseMatrix(
  data: ArrayLike<number>,
  rows: number,
  columns: number,
): Uint32Array<ArrayBuffer> {
  const format = loadFormat(columns);
  const { blocks } = quantLayout(format);
  const steps = Array.from({ length: rows * blocks }, (_, i) => {
    const row = Math.floor(i / blocks) * columns;
    const first = (i % blocks) * LOAD_BLOCK;
    let low = 0;
    let high = 0;
    for (let c = first; c < Math.min(columns, first + LOAD_BLOCK); c++) {
      low = Math.min(low, data[row + c]!);
      high = Math.max(high, data[row + c]!);
    }
    return asymmetricStep(low, high, 15);
  });
  const step = (row: number, block: number) => steps[row * blocks + block]!;
  return packMatrix(rows, format, {
    code: (r, c) => {
      const { scale, zero } = step(r, Math.floor(c / LOAD_BLOCK));
      return Math.min(15, Math.max(0, Math.round(data[r * columns + c]! / scale) + zero));
    },
    scale: (r, b) => step(r, b).scale,
    zero: (r, b) => step(r, b).zero,
  });
}

/** Some rows of a matrix whose codes, scales and zero points lie row by row, each filled up to a byte; null for other forms. */
export function partOfCodes(
  source: QuantSource,
  { axis, from, size }: { readonly axis: number; readonly from: number; readonly size: number },
): QuantSource | null {
  if (source.form !== 'nbits' || axis !== 0) return null;
  const rows = source.shape[0]!;
  const cut = (tensor: OnnxTensor): OnnxTensor => {
    const bytes = tensor.byteLength / rows;
    return {
      ...tensor,
      dims: [size, tensor.size / rows],
      size: (tensor.size / rows) * size,
      byteLength: bytes * size,
      bytes: () => tensor.bytes().subarray(from * bytes, (from + size) * bytes),
    };
  };
  return {
    ...source,
    shape: [size, source.shape[1]!],
    codes: cut(source.codes),
    scales: source.scales && cut(source.scales),
    zeros: source.zeros && cut(source.zeros),
  };
}

// A changed weight back in the codes of its file: the same layout and types, scales and zero points chosen anew block by block.

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
      say`The scales of ${codes.name} cannot be chosen anew; write its layer as a float product instead.`,
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
  const oldScales = tensorToF32(scales);
  const steps = Array.from({ length: count }, (_, k) => {
    const zero = old === null ? null : old[old.length === 1 ? 0 : k]!;
    // A bias in 32 bits has the scale of its layer's input times its weight's, and room enough.
    if (source.bits === 32) return { scale: oldScales[k]!, zero: zero ?? usualZero(source) };
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

/** The scale that fits for a fixed zero point. */
function fixedStep(
  source: QuantSource,
  low: number,
  high: number,
  zeroPoint: number | null,
  range: CodeRange,
): Step {
  const half = 2 ** (source.bits - 1);
  if (zeroPoint === null && source.form === 'nbits') {
    // The end with one code more takes the larger magnitude, as onnxruntime's own quantiser has it.
    const largest = -low > high ? low : high;
    return { scale: largest === 0 ? 1 : Math.fround(largest / -half), zero: half };
  }
  const zero = zeroPoint ?? usualZero(source);
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
