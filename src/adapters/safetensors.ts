/**
 * The safetensors container: an 8-byte little-endian header length, a JSON header `{name: {dtype, shape, data_offsets}}`, then one
 * buffer that the tensors fill without gap or overlap. Reading gives views into the file and allocates nothing of the file's size.
 *
 * Source: the format description of huggingface/safetensors.
 */
import { createBudget } from '../lib/budget.ts';
import { plainBytes } from '../lib/bytes.ts';
import { fail, passOn } from '../lib/errors.ts';
import { bfloat16ToFloat32, float32ToBfloat16, float32ToHalf, halfToFloat32 } from '../lib/half.ts';
import { jsonOf } from '../lib/json.ts';
import { say } from '../lib/say.ts';
import type { AdapterTensor } from './types.ts';

const ELEMENT_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
} as const;

export type SafetensorsDtype = keyof typeof ELEMENT_BYTES;

export interface StoredTensor {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** View into the file. */
  readonly bytes: Uint8Array;
}

export interface SafetensorsFile {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** The format's own limit on the header. */
const MAX_HEADER_BYTES = 100_000_000;

function malformed(what: string): never {
  return fail('malformed-adapter', say`This is not a valid safetensors file: ${what}.`);
}

/**
 * Reads the container.
 *
 * @throws PapilioError 'malformed-adapter' for anything the format forbids: header beyond the file, no JSON, unknown dtype, byte
 * counts that do not fit the shape, tensors that overlap, leave gaps or end outside the file.
 */
export function readSafetensors(given: Uint8Array): SafetensorsFile {
  const file = plainBytes(given);
  if (file.length < 8) malformed(say`it has ${file.length} bytes, fewer than the 8 of its header length`);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const headerBytes = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (headerBytes > MAX_HEADER_BYTES || headerBytes > file.length - 8) {
    malformed(say`its header is said to have ${headerBytes} bytes, but only ${file.length - 8} follow`);
  }
  const body = file.subarray(8 + headerBytes);
  const metadata = new Map<string, string>();
  const tensors = new Map<string, StoredTensor>();
  const spans: { name: string; begin: number; end: number }[] = [];
  const header = parseHeader(file.subarray(8, 8 + headerBytes));
  // Not by pairs: of a damaged header's hundred thousand entries they would take as much again as the entries do.
  for (const name of Object.keys(header)) {
    const entry = header[name];
    if (!isRecord(entry)) malformed(say`the header entry ${JSON.stringify(name)} is not an object`);
    if (name === '__metadata__') {
      for (const [key, value] of Object.entries(entry)) {
        if (typeof value !== 'string')
          malformed(say`the metadata value of ${JSON.stringify(key)} is not a text`);
        metadata.set(key, value);
      }
      continue;
    }
    const { dtype, shape, begin, end } = readEntry(name, entry, body.length);
    spans.push({ name, begin, end });
    tensors.set(name, { dtype, shape, bytes: body.subarray(begin, end) });
  }
  checkSpans(spans, body.length);
  return { metadata, tensors };
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let header: unknown;
  try {
    header = jsonOf(
      new TextDecoder('utf-8', { fatal: true }).decode(bytes),
      say`The header of a safetensors file`,
      createBudget('settingsBytes', bytes.length),
    );
  } catch (cause) {
    passOn(cause);
    malformed(say`its header is not JSON text`);
  }
  if (!isRecord(header)) malformed(say`its header is not a JSON object`);
  return header;
}

function readEntry(name: string, entry: Readonly<Record<string, unknown>>, available: number) {
  const { dtype, shape, data_offsets: offsets } = entry;
  const quoted = JSON.stringify(name);
  if (typeof dtype !== 'string' || !Object.hasOwn(ELEMENT_BYTES, dtype)) {
    malformed(say`${quoted} has the unknown dtype ${JSON.stringify(dtype)}`);
  }
  if (!Array.isArray(shape) || !shape.every(isSize))
    malformed(say`the shape of ${quoted} is not a list of sizes`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    malformed(say`the data_offsets of ${quoted} are not two positions`);
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > available) {
    malformed(say`${quoted} lies at bytes ${begin} to ${end} of a buffer of ${available}`);
  }
  const needed = ELEMENT_BYTES[dtype as SafetensorsDtype] * elementCount(shape);
  if (needed !== end - begin) {
    malformed(
      say`${quoted} is ${dtype} [${shape.slice(0, 8).join(', ')}], which needs ${needed} bytes, but has ${end - begin}`,
    );
  }
  return { dtype: dtype as SafetensorsDtype, shape: shape as number[], begin, end };
}

/** The tensors must tile the buffer. */
function checkSpans(spans: { name: string; begin: number; end: number }[], available: number): void {
  spans.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { name, begin, end } of spans) {
    if (begin < at) malformed(say`${JSON.stringify(name)} overlaps the tensor before it`);
    if (begin > at) malformed(say`there is a gap of ${begin - at} bytes before ${JSON.stringify(name)}`);
    at = end;
  }
  if (at !== available) malformed(say`${available - at} bytes after the last tensor belong to none`);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function elementCount(shape: readonly number[]): number {
  return shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1);
}

/**
 * A tensor's numbers as float32. F32 is a view where the file's alignment allows it, F16 and BF16 are widened, F64 is rounded.
 *
 * @throws PapilioError 'malformed-adapter' for other dtypes.
 */
export function tensorFloats(name: string, tensor: StoredTensor): Float32Array {
  const { dtype, bytes } = tensor;
  const size = ELEMENT_BYTES[dtype];
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const count = bytes.length / size;
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer, byteOffset, count);
    // As PEFT copies it into its F32 parameters.
    case 'F64':
      return Float32Array.from(new Float64Array(buffer, byteOffset, count));
    case 'F16':
      return halfToFloat32(new Uint16Array(buffer, byteOffset, count));
    case 'BF16':
      return bfloat16ToFloat32(new Uint16Array(buffer, byteOffset, count));
    default:
      return fail(
        'malformed-adapter',
        say`The tensor ${name} is stored as ${dtype}; adapters hold F32, F16, BF16 or F64.`,
        { name, dtype },
      );
  }
}

/**
 * A stored tensor with its numbers; a narrow type is remembered, so that it can be written as it was.
 *
 * @throws PapilioError as {@link tensorFloats}.
 */
export function adapterTensor(name: string, tensor: StoredTensor): AdapterTensor {
  const { dtype, shape } = tensor;
  const data = tensorFloats(name, tensor);
  return dtype === 'F16' || dtype === 'BF16' ? { shape, data, dtype } : { shape, data };
}

/**
 * Writes tensors in the order of their names, data aligned to 8 bytes; F32 unless a tensor says otherwise.
 *
 * @throws PapilioError 'shape' if a tensor's data does not fill its shape.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, AdapterTensor>,
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): Uint8Array<ArrayBuffer> {
  const names = [...tensors.keys()].sort();
  const header: [string, unknown][] = [['__metadata__', metadata]];
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const name of names) {
    const tensor = tensors.get(name)!;
    const { shape, data, dtype = 'F32' } = tensor;
    if (elementCount(shape) !== data.length) {
      fail('shape', say`The tensor ${name} of shape [${shape.join(', ')}] has ${data.length} numbers.`, {
        name,
      });
    }
    const part = storedBytes(tensor);
    header.push([name, { dtype, shape, data_offsets: [at, at + part.length] }]);
    parts.push(part);
    at += part.length;
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const headerBytes = Math.ceil(text.length / 8) * 8;
  const file = new Uint8Array(8 + headerBytes + at).fill(0x20, 8, 8 + headerBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.set(text, 8);
  let cursor = 8 + headerBytes;
  for (const part of parts) {
    file.set(part, cursor);
    cursor += part.length;
  }
  return file;
}

function storedBytes({ data, dtype }: AdapterTensor): Uint8Array {
  const stored = dtype === 'F16' ? float32ToHalf(data) : dtype === 'BF16' ? float32ToBfloat16(data) : data;
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}
