/** Tables from .csv, .tsv, .jsonl, .json and .parquet: columns and numbered rows, with the row number in every complaint. */
import { fail } from '../../lib/errors.ts';
import type { Drops } from '../notes.ts';
import type { SplitName } from '../types.ts';
import { type DataFile, extension } from './bytes.ts';
import { type Delimited, readDelimited, tableOf } from './delimited.ts';
import type { DialectChoice } from './dialect.ts';
import { readText } from './encoding.ts';
import { readJson, readJsonl } from './json.ts';
import { readParquet } from './parquet.ts';

export interface Row {
  readonly row: number;
  readonly values: Readonly<Record<string, unknown>>;
  /** Where the file itself says it. */
  readonly split?: SplitName;
  /** Of a table made of several files: the row's own. */
  readonly file?: string;
}

export interface Table {
  readonly file: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** Rows of the file, bad ones included. */
  readonly total: number;
  /** Class names by column, where the file keeps them beside numbers (Hugging Face's Parquet). */
  readonly classNames: Readonly<Record<string, readonly string[]>>;
  /** False where the columns have no names of their own but `column 1`, `column 2` …. */
  readonly hasHeader?: boolean;
}

/** What reading hears of besides rows. */
export interface Findings {
  readonly drops: Drops;
  readonly notes: string[];
}

export const TABLES = ['csv', 'tsv', 'tab', 'jsonl', 'ndjson', 'json', 'parquet'];

const DELIMITED = ['csv', 'tsv', 'tab'];

/** Reads files of one set. @throws PapilioError 'bad-data' where one is no table at all */
export async function readTables(
  files: readonly DataFile[],
  findings: Findings,
  choice: DialectChoice = {},
): Promise<Table[]> {
  const delimited = new Map<DataFile, Delimited>();
  for (const file of files) {
    if (!DELIMITED.includes(extension(file.path))) continue;
    const text = readText(file.bytes, file.path, findings.notes);
    delimited.set(file, readDelimited(text, file.path, choice, findings.notes));
  }
  const hasHeader = choice.header ?? agreedHeader([...delimited.values()]);
  const tables: Table[] = [];
  for (const file of files) {
    const read = delimited.get(file);
    const table = read ? tableOf(read, file.path, hasHeader, findings) : await readOther(file, findings);
    if (table.total === 0) fail('bad-data', `${file.path} has a header but no rows.`);
    tables.push(table);
  }
  return tables;
}

/** Files of one set are alike: the same first row in all names the columns, different ones are data where any looks so. */
function agreedHeader(read: readonly Delimited[]): boolean {
  const evidence = read.map((one) => one.evidence);
  if (read.length < 2) return (evidence[0] ?? 0) >= 0;
  const firsts = new Set(read.map(({ records }) => JSON.stringify(records[0]?.cells)));
  if (firsts.size === 1) return evidence.reduce((a, b) => a + b, 0) >= -3;
  return firsts.size < read.length || Math.min(...evidence) >= 0;
}

async function readOther(file: DataFile, findings: Findings): Promise<Table> {
  if (extension(file.path) === 'parquet') return readParquet(file);
  const text = readText(file.bytes, file.path, findings.notes);
  return extension(file.path) === 'json'
    ? readJson(text, file.path, findings)
    : readJsonl(text, file.path, findings);
}
