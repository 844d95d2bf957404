/**
 * Parquet files, with every codec of the format, lists and structs, and the class names that Hugging Face's datasets keep in the footer. Footer and
 * pages are read first for what they will take, since the library that reads them believes them.
 */
import { Decompress } from 'fzstd';
import {
  type ColumnMetaData,
  type Compressors,
  type FileMetaData,
  type PageHeader,
  parquetMetadata,
  parquetReadObjects,
  parquetSchema,
  type SchemaTree,
} from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { decompressPage } from 'hyparquet/src/datapage.js';
import { deltaBinaryUnpack } from 'hyparquet/src/delta.js';
import {
  getMaxDefinitionLevel,
  getMaxRepetitionLevel,
  getTreePath,
  isFlatColumn,
} from 'hyparquet/src/schema.js';
import { compressors as codecs } from 'hyparquet-compressors';
import { type Budget, createBudget, within } from '../../lib/budget.ts';
import type { InputFile } from '../../lib/bytes.ts';
import { fail, PapilioError } from '../../lib/errors.ts';
import { say } from '../../lib/say.ts';
import { type Names, namesInJson } from './card.ts';
import type { Findings, Table } from './table.ts';

/** @throws PapilioError 'bad-data' naming the file */
export async function readParquet(
  { name: path, bytes }: InputFile,
  { room }: Pick<Findings, 'room'>,
): Promise<Table> {
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  if (bytes.length === 0) fail('bad-data', say`${path} is empty.`);
  let metadata: FileMetaData;
  let columns: string[];
  let schema: SchemaTree;
  try {
    checkFooter(file);
    // Its search for columns of places goes on for ever where a schema has no end.
    metadata = parquetMetadata(file, { geoparquet: false });
    checkSchema(metadata, path);
    schema = parquetSchema(metadata);
    columns = schema.children.map((child) => child.element.name);
    checkColumns(metadata, schema);
    room.take(Number(metadata.num_rows), path);
  } catch (cause) {
    if (cause instanceof PapilioError) throw cause;
    return fail(
      'bad-data',
      say`${path} is no readable Parquet file (${(cause as Error).message}); download it again.`,
    );
  }
  const total = Number(metadata.num_rows);
  let rows: Record<string, unknown>[];
  try {
    checkPages(file, metadata, schema, path);
    rows = await parquetReadObjects({ file, metadata, compressors, utf8: false });
  } catch (cause) {
    if (cause instanceof PapilioError) throw cause;
    const codecs = [...new Set(metadata.row_groups.flatMap((g) => g.columns.map((c) => c.meta_data?.codec)))];
    return fail(
      'bad-data',
      say`${path} (codec ${codecs.join(', ')}) cannot be read (${(cause as Error).message}); write it again with snappy, zstd or no compression.`,
    );
  }
  if (rows.length !== total)
    fail('bad-data', say`${path} should hold ${total} rows but has ${rows.length}; download it again.`);
  return {
    file: path,
    columns,
    rows: rows.map((values, i) => ({ row: i + 1, values: madePlain(values) })),
    total,
    classNames: classNamesOf(metadata),
  };
}

/** The columns of every part must be those of the schema; the reader would start on others and never wait for them. */
function checkColumns(metadata: FileMetaData, schema: SchemaTree): void {
  const leaves = (tree: SchemaTree): string[] =>
    tree.children.length === 0 ? [tree.path.join('.')] : tree.children.flatMap(leaves);
  const wanted = leaves(schema).join('\n');
  for (const { columns } of metadata.row_groups) {
    if (columns.map((c) => c.meta_data?.path_in_schema.join('.')).join('\n') !== wanted)
      throw new Error('its columns are not those of its schema');
  }
}

/** The same object: rows are many. */
function madePlain(values: Record<string, unknown>): Record<string, unknown> {
  for (const name of Object.keys(values)) values[name] = plain(values[name]);
  return values;
}

const plainValues = (values: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, plain(value)]));

/** 64-bit numbers as numbers where they fit, typed lists as lists; bytes stay bytes. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint')
    return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (value instanceof Uint8Array || value instanceof Date) return value;
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, plain);
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === 'object' && value !== null ? plainValues(value as Record<string, unknown>) : value;
}

/** Class names that Hugging Face's datasets keep in the footer. */
function classNamesOf(metadata: FileMetaData): Names {
  const text = metadata.key_value_metadata?.find(({ key }) => key === 'huggingface')?.value;
  return text === undefined ? {} : namesInJson(text);
}

// What a Parquet file says of itself, held against its bytes before it is read: rows, columns and values are counted, every page lies in
// its column, unpacks to no more than it may, and its runs have no more values than the page. The library that reads it believes all
// of that, and a run of two thousand million values ends the process.

/** Far deeper than lists of structs of lists. */
const DEEPEST = 32;

const bad = (why: string): never => {
  throw new Error(why);
};

const whole = (value: unknown, what: string): number => {
  const n = Number(value ?? Number.NaN);
  return Number.isSafeInteger(n) && n >= 0 ? n : bad(`its ${what} is ${value}`);
};

/** The footer can be read without taking more than it has. @throws an error that says why not */
function checkFooter(file: ArrayBuffer): void {
  const view = new DataView(file);
  if (file.byteLength < 12) bad(say`it is too short`);
  const length = view.getUint32(file.byteLength - 8, true);
  if (length > file.byteLength - 8) bad(say`its footer does not fit into it`);
  skipStruct({ view: new DataView(file, file.byteLength - 8 - length, length), at: 0 });
}

/** The schema is a tree that is no deeper than one is. */
function checkSchema({ schema }: FileMetaData, name: string): void {
  const open: number[] = [];
  for (const { num_children: children = 0 } of schema) {
    while (open.at(-1) === 0) open.pop();
    if (open.length > 0) open[open.length - 1]!--;
    if (whole(children, say`number of columns`) > 0) open.push(children);
    if (open.length > DEEPEST) bad(say`its columns are nested too deeply`);
  }
  if (open.some((left) => left > 0)) bad(say`its schema has fewer columns than it says`);
  within('columns', schema.length - 1, name);
}

/** What is counted together over a file. */
interface Counts {
  readonly file: ArrayBuffer;
  readonly name: string;
  readonly values: Budget;
  readonly unpacked: Budget;
}

/**
 * Every page of every column, before any of them is read.
 *
 * @throws PapilioError 'too-large'; other errors that say what does not fit together
 */
function checkPages(file: ArrayBuffer, metadata: FileMetaData, schema: SchemaTree, name: string): void {
  const bytes = file.byteLength;
  const counts: Counts = {
    file,
    name,
    values: createBudget('tableCells', bytes),
    unpacked: createBudget('unpackedBytes', bytes),
  };
  const rows = metadata.row_groups.map(({ num_rows }) => whole(num_rows, say`number of rows in a part`));
  const total = rows.reduce((a, b) => a + b, 0);
  if (total !== whole(metadata.num_rows, 'number of rows')) bad(say`its parts have ${total} rows together`);
  within('tableCells', total * Math.max(1, schema.children.length), name, bytes);
  metadata.row_groups.forEach(({ columns }, i) => {
    for (const { meta_data: meta } of columns) {
      if (!meta) bad(say`a column is not described`);
      checkColumn(counts, meta!, getTreePath(schema, meta!.path_in_schema), rows[i]!);
    }
  });
}

function checkColumn(counts: Counts, meta: ColumnMetaData, path: SchemaTree[], rows: number): void {
  const start = whole(meta.dictionary_page_offset || meta.data_page_offset, say`place of a column`);
  const size = whole(meta.total_compressed_size, say`size of a column`);
  if (start + size > counts.file.byteLength) bad(say`a column does not lie in it`);
  const c: Cursor = { view: new DataView(counts.file, start, size), at: 0 };
  const isFlat = isFlatColumn(path);
  // As the library goes through them.
  for (let seen = 0; c.at < size - 1 && (!isFlat || seen < rows); ) {
    const from = c.at;
    skipStruct(c);
    const header = parquetHeader({ view: c.view, offset: from });
    const length = whole(header.compressed_page_size, say`size of a page`);
    const packed = new Uint8Array(counts.file, start + c.at, Math.min(length, size - c.at));
    skip(c, length);
    seen += checkPage(counts, meta, path, header, packed);
  }
}

/** @returns how many values the page gives */
function checkPage(
  counts: Counts,
  meta: ColumnMetaData,
  path: SchemaTree[],
  header: PageHeader,
  packed: Uint8Array,
): number {
  const kind = { type: meta.type, width: path.at(-1)!.element.type_length };
  const { dictionary_page_header: dictionary, data_page_header: first, data_page_header_v2: second } = header;
  const size = whole(header.uncompressed_page_size, say`size of an unpacked page`);
  counts.unpacked.take(size, counts.name);
  const unpack = (bytes: Uint8Array, length: number): Uint8Array =>
    decompressPage(bytes, length, meta.codec, compressors);
  const counted = (value: unknown): number => {
    const n = whole(value, say`number of values in a page`);
    counts.values.take(n, counts.name);
    return n;
  };
  const levels = [getMaxRepetitionLevel(path), getMaxDefinitionLevel(path)] as const;
  if (header.type === 'DICTIONARY_PAGE') {
    if (!dictionary) return bad(say`a dictionary is not described`);
    plainFits(counted(dictionary.num_values), unpack(packed, size));
    return 0;
  }
  if (header.type === 'DATA_PAGE') {
    if (!first) return bad(say`a page is not described`);
    const n = counted(first.num_values);
    const page = cursorOf(unpack(packed, size));
    if (levels[0] > 0) runs(page, bits(levels[0]), n);
    const there = levels[1] > 0 ? runs(page, bits(levels[1]), n, { equal: levels[1] }) : n;
    checkValues(counts, page, first.encoding, { ...kind, n: there, isFirst: true });
    return n;
  }
  if (!second) return header.type === 'DATA_PAGE_V2' ? bad(say`a page is not described`) : 0;
  const n = counted(second.num_values);
  const nulls = whole(second.num_nulls, say`number of nulls in a page`);
  const lengths = [second.repetition_levels_byte_length, second.definition_levels_byte_length] as const;
  const [repetition, definition] = lengths.map((v) => whole(v, say`size of levels`)) as [number, number];
  if (nulls > n || repetition + definition > Math.min(size, packed.length))
    bad(say`a page does not fit together`);
  const level = cursorOf(packed.subarray(0, repetition + definition));
  if (levels[0] > 0) runs(level, bits(levels[0]), n, { length: repetition });
  level.at = repetition;
  if (levels[1] > 0) runs(level, bits(levels[1]), n, { length: definition });
  const rest = packed.subarray(repetition + definition);
  const page = second.is_compressed === false ? rest : unpack(rest, size - repetition - definition);
  checkValues(counts, cursorOf(page), second.encoding, { ...kind, n: n - nulls, isFirst: false });
  return n;
}

const cursorOf = (bytes: Uint8Array): Cursor => ({
  view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  at: 0,
});

const bits = (level: number): number => 32 - Math.clz32(level);

/** Eight truth values are a byte; nothing is smaller. */
function plainFits(n: number, { byteLength }: { readonly byteLength: number }): void {
  if (n > 8 * byteLength) bad(say`${n} values do not fit into a page of ${byteLength} bytes`);
}

/** Values of a bit-packed run may be followed by some that fill it up. */
const FILLING = 1024;

/**
 * Goes through runs and bit-packed groups of `n` values of `width` bits.
 *
 * @param options.length of the runs in bytes; unless given it stands before them
 * @param options.equal which value is counted
 * @returns how many of that value there are
 */
function runs(
  c: Cursor,
  width: number,
  n: number,
  options: { readonly length?: number; readonly equal?: number } = {},
): number {
  if (width > 32) bad(say`values have more than 32 bits`);
  let { length } = options;
  if (length === undefined) {
    const at = c.at;
    skip(c, 4);
    length = c.view.getUint32(at, true);
  }
  const end = c.at + length;
  let found = 0;
  for (let seen = 0; seen < n; ) {
    const header = varint(c);
    const left = n - seen;
    if (header % 2 === 0) {
      const count = header / 2;
      if (count > left) bad(say`a run has more values than its page`);
      let value = 0;
      for (let i = 0; i < width; i += 8) value += byteAt(c) * 2 ** i;
      if (value === options.equal) found += count;
      seen += count;
      continue;
    }
    const count = ((header - 1) / 2) * 8;
    if (count > left + FILLING) bad(say`a run has more values than its page`);
    if (options.equal !== undefined) found += countPacked(c, width, Math.min(count, left), options.equal);
    // The last group may be cut short.
    c.at = Math.min(c.view.byteLength, c.at + (count * width) / 8);
    seen += count;
  }
  c.at = end;
  return found;
}

/** How many of the next `n` values of `width` bits are `wanted`; the place stays. */
function countPacked({ view, at }: Cursor, width: number, n: number, wanted: number): number {
  let found = 0;
  for (let i = 0; i < n; i++) {
    let value = 0;
    for (let b = 0; b < width; b++) {
      const bit = i * width + b;
      const byte = at + (bit >> 3);
      if (byte < view.byteLength && view.getUint8(byte) & (1 << (bit & 7))) value += 2 ** b;
    }
    if (value === wanted) found++;
  }
  return found;
}

interface Values {
  readonly type: ColumnMetaData['type'];
  readonly n: number;
  /** Bytes of a value of fixed length. */
  readonly width: number | undefined;
  /** In a page of the format's first version. */
  readonly isFirst: boolean;
}

function checkValues(counts: Counts, c: Cursor, encoding: string, values: Values): void {
  const { type, n, width = 1, isFirst } = values;
  const left = { byteLength: c.view.byteLength - c.at };
  if (n === 0) return;
  if (encoding === 'PLAIN') plainFits(n, left);
  else if (encoding === 'BYTE_STREAM_SPLIT') {
    const bytes = type === 'FIXED_LEN_BYTE_ARRAY' ? width : type === 'INT32' || type === 'FLOAT' ? 4 : 8;
    plainFits(n * bytes * 8, left);
  } else if (encoding === 'DELTA_BYTE_ARRAY') checkPrefixes(counts, c, n);
  else if (encoding.startsWith('DELTA')) deltas(c, n);
  else if (isFirst ? type === 'BOOLEAN' : encoding === 'RLE') runs(c, 1, n);
  else {
    const bitWidth = byteAt(c);
    // In pages of the first kind no bits are no runs.
    if (bitWidth > 0 || !isFirst) runs(c, bitWidth, n, { length: c.view.byteLength - c.at });
  }
}

/** Goes through numbers that are kept as differences. */
function deltas(c: Cursor, n: number): void {
  const [block, parts] = [varint(c), varint(c)];
  if (parts < 1 || parts > 1024 || block < 1 || block > 2 ** 20 || block % parts !== 0)
    bad(say`the blocks of a page have no size that can be`);
  skipVarint(c);
  skipVarint(c);
  const size = block / parts;
  for (let seen = 1; seen < n; ) {
    skipVarint(c);
    const widths = c.at;
    skip(c, parts);
    for (let i = 0; i < parts && seen < n; i++) {
      const width = c.view.getUint8(widths + i);
      if (width > 64) bad(say`values have more than 64 bits`);
      c.at = Math.min(c.view.byteLength, c.at + Math.ceil((size * width) / 8));
      seen += size;
    }
  }
}

/** Texts that begin as the one before: what they come to is counted. */
function checkPrefixes(counts: Counts, c: Cursor, n: number): void {
  const reader = { view: c.view, offset: c.at };
  const [prefixes, lengths] = [new Int32Array(n), new Int32Array(n)];
  for (const into of [prefixes, lengths]) {
    deltas({ view: c.view, at: reader.offset }, n);
    deltaBinaryUnpack(reader, n, into);
  }
  let before = 0;
  for (let i = 0; i < n; i++) {
    const [prefix, more] = [prefixes[i]!, lengths[i]!];
    if (prefix < 0 || more < 0 || prefix > before) bad(say`a text begins as none before it`);
    before = prefix + more;
    if (prefix > 0) counts.unpacked.take(before, counts.name);
  }
}

// A walk over what Parquet keeps in Thrift's compact form, its footer and the headers of its pages: the library that reads them believes
// every length, makes a list before it has its entries, and a number goes on as long as its bytes say so.

/** Bytes with a place in them. */
export interface Cursor {
  readonly view: DataView;
  at: number;
}

/** Deeper than any header of the format. */
const DEEPEST_HEADER = 16;

function byteAt(c: Cursor): number {
  if (c.at >= c.view.byteLength) throw new Error('it ends too early');
  return c.view.getUint8(c.at++);
}

/** A number of up to 32 bits without its sign. */
function varint(c: Cursor): number {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = byteAt(c);
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) break;
    if (shift >= 28) throw new Error('a number is longer than it can be');
  }
  if (value > 0xffffffff) throw new Error('a number is larger than it can be');
  return value;
}

/** Skips a number of up to 64 bits. */
function skipVarint(c: Cursor): void {
  for (let i = 0; i < 10; i++) if (byteAt(c) < 128) return;
  throw new Error('a number is longer than it can be');
}

function skip(c: Cursor, bytes: number): void {
  if (!(bytes <= c.view.byteLength - c.at)) throw new Error('it ends too early');
  c.at += bytes;
}

/** Goes to the end of a struct. @throws where it cannot be one */
function skipStruct(c: Cursor, depth = 0): void {
  if (depth > DEEPEST_HEADER) throw new Error('it is nested too deeply');
  for (;;) {
    const field = byteAt(c);
    const type = field & 15;
    if (type === 0) return;
    if (field >> 4 === 0) skipVarint(c);
    // A truth value is in its type.
    if (type > 2) skipElement(c, type, depth);
  }
}

function skipElement(c: Cursor, type: number, depth: number): void {
  if (type <= 3) skip(c, 1);
  else if (type <= 6) skipVarint(c);
  else if (type === 7) skip(c, 8);
  else if (type === 8) skip(c, varint(c));
  else if (type === 12) skipStruct(c, depth + 1);
  else if (type === 9) {
    if (depth > DEEPEST_HEADER) throw new Error('it is nested too deeply');
    const head = byteAt(c);
    const size = head >> 4 === 15 ? varint(c) : head >> 4;
    // Every entry takes a byte at least.
    if (size > c.view.byteLength - c.at) throw new Error(`a list of ${size} entries does not fit into it`);
    // A truth value in a list is a byte.
    for (let i = 0; i < size; i++) skipElement(c, Math.max(3, head & 15), depth + 1);
  } else throw new Error('there is a field of a kind that the format does not have');
}

// The codecs of Parquet, none of which gives more than the page has: zstd is unpacked as a stream, which is left at the first byte too many.

const compressors: Compressors = { ...codecs, ZSTD: unpackZstd };

/** Windows of the highest levels have 8 MiB; larger ones are asked for by hand. */
const MOST_WINDOW = 2 ** 25;

function unpackZstd(packed: Uint8Array, length: number): Uint8Array {
  checkFrame(packed, length);
  const out = new Uint8Array(length);
  let at = 0;
  const stream = new Decompress((part) => {
    if (at + part.length > length) throw new Error('a page unpacks to more than it should');
    out.set(part, at);
    at += part.length;
  });
  stream.push(packed, true);
  return at === length ? out : out.subarray(0, at);
}

/** The memory that a frame asks for before it is unpacked: its window, or its size where it has one. */
function checkFrame(packed: Uint8Array, length: number): void {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  if (packed.length < 6 || view.getUint32(0, true) !== 0xfd2fb528) throw new Error('invalid zstd data');
  const descriptor = packed[4]!;
  const isSingle = (descriptor & 32) !== 0;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const at = 5 + (isSingle ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  if (at + sizeBytes > packed.length) throw new Error('invalid zstd data');
  let size = 0;
  for (let i = 0; i < sizeBytes; i++) size += packed[at + i]! * 256 ** i;
  if (sizeBytes === 2) size += 256;
  if (sizeBytes > 0 && size !== length) throw new Error('a page says two sizes of itself');
  const window = 2 ** (10 + (packed[5]! >> 3)) * (1 + (packed[5]! & 7) / 8);
  if (!isSingle && window > MOST_WINDOW) throw new Error('zstd with a window of more than 32 MiB');
}
