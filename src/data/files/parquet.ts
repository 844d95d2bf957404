/** Parquet files, with every codec of the format, lists and structs, and the class names that Hugging Face's datasets keep in the footer. */
import {
  type FileMetaData,
  parquetMetadata,
  parquetReadObjects,
  parquetSchema,
  type SchemaTree,
} from 'hyparquet';
import { fail, PapilioError } from '../../lib/errors.ts';
import type { DataFile } from './bytes.ts';
import { type Names, namesInJson } from './card.ts';
import { compressors } from './parquetCodecs.ts';
import { checkFooter, checkPages, checkSchema } from './parquetPages.ts';
import type { Findings, Table } from './table.ts';

/** @throws PapilioError 'bad-data' naming the file */
export async function readParquet(
  { path, bytes }: DataFile,
  { room }: Pick<Findings, 'room'>,
): Promise<Table> {
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  if (bytes.length === 0) fail('bad-data', `${path} is empty.`);
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
      `${path} is no readable Parquet file (${(cause as Error).message}); download it again.`,
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
      `${path} (codec ${codecs.join(', ')}) cannot be read (${(cause as Error).message}); write it again with snappy, zstd or no compression.`,
    );
  }
  if (rows.length !== total)
    fail('bad-data', `${path} should hold ${total} rows but has ${rows.length}; download it again.`);
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
