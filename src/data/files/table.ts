/** Tables from .csv, .tsv, .jsonl, .json and .parquet: columns and numbered rows, with the row number in every complaint. */
import Papa from 'papaparse';
import { fail } from '../../lib/errors.ts';
import type { Drops } from '../notes.ts';
import type { SplitName } from '../types.ts';
import { type DataFile, extension } from './bytes.ts';
import { readText } from './encoding.ts';
import { readJson, readJsonl } from './json.ts';
import { readParquet } from './parquet.ts';

export interface Row {
  readonly row: number;
  readonly values: Readonly<Record<string, unknown>>;
  /** Where the file itself says it. */
  readonly split?: SplitName;
}

export interface Table {
  readonly file: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** Rows of the file, bad ones included. */
  readonly total: number;
  /** Class names by column, where the file keeps them beside numbers (Hugging Face's Parquet). */
  readonly classNames: Readonly<Record<string, readonly string[]>>;
}

/** What reading hears of besides rows. */
export interface Findings {
  readonly drops: Drops;
  readonly notes: string[];
}

export const TABLES = ['csv', 'tsv', 'jsonl', 'ndjson', 'json', 'parquet'];

/** Reads one file. @throws PapilioError 'bad-data' where it is no table at all */
export async function readTable(file: DataFile, findings: Findings): Promise<Table> {
  const kind = extension(file.path);
  const table =
    kind === 'parquet'
      ? await readParquet(file)
      : readers[kind]!(readText(file.bytes, file.path, findings.notes), file.path, findings);
  if (table.total === 0) fail('bad-data', `${file.path} has a header but no rows.`);
  return table;
}

const readers: Readonly<Record<string, (text: string, path: string, findings: Findings) => Table>> = {
  csv: readCsv,
  tsv: readCsv,
  jsonl: readJsonl,
  ndjson: readJsonl,
  json: readJson,
};

function readCsv(text: string, path: string, { drops }: Findings): Table {
  // The header tells the delimiter: a guess from the rows is led astray by what the texts contain.
  const header = text.slice(0, text.search(/[\r\n]|$/));
  const count = (mark: string): number => header.split(mark).length;
  const delimiter = [',', ';', '\t'].reduce((best, mark) => (count(mark) > count(best) ? mark : best));
  const parsed = Papa.parse<string[]>(text.replace(/^\ufeff/, ''), { delimiter, skipEmptyLines: false });
  const unquoted = parsed.errors.find((error) => error.type === 'Quotes');
  if (unquoted)
    fail(
      'bad-data',
      `${path} has a quotation mark that is not closed or misplaced in row ${(unquoted.row ?? 0) + 1}.`,
      { rows: [(unquoted.row ?? 0) + 1] },
    );
  const [columns = [], ...body] = parsed.data;
  const twice = columns.find((name, i) => columns.indexOf(name) !== i);
  if (twice !== undefined) fail('bad-data', `${path} has the column "${twice}" twice; rename one.`);
  let total = 0;
  const rows = body.flatMap((cells, i): Row[] => {
    if (cells.every((cell) => cell.trim() === '')) return [];
    total++;
    if (cells.length !== columns.length) {
      drops.add(
        { file: path, row: i + 2 },
        {
          what: `has ${columns.length} columns but another number of cells`,
          advice: 'put quotation marks around texts with commas',
        },
      );
      return [];
    }
    return [{ row: i + 2, values: Object.fromEntries(columns.map((name, k) => [name, cells[k] ?? ''])) }];
  });
  return { file: path, columns, rows, total, classNames: {} };
}
