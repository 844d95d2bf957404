/** Rows of text and label from .csv, .tsv and .jsonl, with the row number in every complaint. */
import Papa from 'papaparse';
import { fail } from '../../lib/errors.ts';
import { type DataFile, extension, readText } from './bytes.ts';

export interface TableRow {
  readonly text: string;
  /** Absent only where `needLabels` is false. */
  readonly label?: string;
}

export interface TableOptions {
  /** Column or key names; default: the first known one, such as text, sentence, content and label, class, category. */
  readonly textColumn?: string;
  readonly labelColumn?: string;
  readonly needLabels: boolean;
}

const TEXT_NAMES = ['text', 'sentence', 'content', 'review', 'document', 'input'];
const LABEL_NAMES = ['label', 'class', 'category', 'target', 'sentiment', 'topic'];

interface Numbered {
  readonly row: number;
  readonly values: Readonly<Record<string, unknown>>;
}

const numbers = (rows: readonly number[]): string =>
  `${rows.length === 1 ? 'row' : 'rows'} ${rows.slice(0, 5).join(', ')}${rows.length > 5 ? ` and ${rows.length - 5} more` : ''}`;

/** Reads one file. Throws 'bad-data' with the row numbers (a CSV's header is row 1; a JSONL's rows are its lines). */
export function readTable(file: DataFile, options: TableOptions): TableRow[] {
  const text = readText(file.bytes, file.path);
  const { columns, rows } =
    extension(file.path) === 'jsonl' ? readJsonl(text, file.path) : readCsv(text, file.path);
  if (rows.length === 0) fail('bad-data', `${file.path} has a header but no rows.`);
  const find = (asked: string | undefined, known: readonly string[]): string | undefined =>
    asked === undefined
      ? known.map((name) => columns.find((c) => c.trim().toLowerCase() === name)).find((c) => c !== undefined)
      : columns.find((c) => c === asked);
  const has = `it has ${columns.map((c) => `"${c}"`).join(', ')}`;
  const textColumn = find(options.textColumn, TEXT_NAMES);
  const labelColumn = find(options.labelColumn, LABEL_NAMES);
  if (textColumn === undefined)
    fail('bad-data', `${file.path} has no column "${options.textColumn ?? 'text'}"; ${has}.`);
  if (labelColumn === undefined && options.needLabels)
    fail('bad-data', `${file.path} has no labels: no column "${options.labelColumn ?? 'label'}"; ${has}.`);

  const noText: number[] = [];
  const noLabel: number[] = [];
  const out = rows.map(({ row, values }): TableRow => {
    const body = values[textColumn!];
    const label = labelColumn === undefined ? undefined : values[labelColumn];
    if (typeof body !== 'string' || body.trim() === '') noText.push(row);
    const scalar = typeof label === 'string' || typeof label === 'number' || typeof label === 'boolean';
    const name = scalar ? String(label).trim() : '';
    if (options.needLabels && name === '') noLabel.push(row);
    return name === '' ? { text: String(body) } : { text: String(body), label: name };
  });
  for (const [what, missing] of [
    ['text', noText],
    ['label', noLabel],
  ] as const) {
    if (missing.length > 0)
      fail(
        'bad-data',
        `${file.path} has no ${what} in ${numbers(missing)}; fill or delete what is incomplete.`,
        { rows: missing },
      );
  }
  return out;
}

function readCsv(text: string, path: string): { columns: string[]; rows: Numbered[] } {
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
  const wrong: number[] = [];
  const rows = body.flatMap((cells, i): Numbered[] => {
    if (cells.every((cell) => cell.trim() === '')) return [];
    if (cells.length !== columns.length) wrong.push(i + 2);
    return [{ row: i + 2, values: Object.fromEntries(columns.map((name, k) => [name, cells[k] ?? ''])) }];
  });
  if (wrong.length > 0)
    fail(
      'bad-data',
      `${path} has ${columns.length} columns but another number of cells in ${numbers(wrong)}; put quotation marks around texts with commas.`,
      { rows: wrong },
    );
  return { columns, rows };
}

function readJsonl(text: string, path: string): { columns: string[]; rows: Numbered[] } {
  const columns = new Set<string>();
  const rows: Numbered[] = [];
  for (const [i, line] of text
    .replace(/^\ufeff/, '')
    .split('\n')
    .entries()) {
    if (line.trim() === '') continue;
    const row = i + 1;
    let values: unknown;
    try {
      values = JSON.parse(line);
    } catch (cause) {
      fail('bad-data', `${path} is not JSON in row ${row} (${(cause as Error).message}).`, { rows: [row] });
    }
    if (typeof values !== 'object' || values === null || Array.isArray(values))
      fail('bad-data', `${path} holds no object in row ${row}; each line is {"text": …, "label": …}.`, {
        rows: [row],
      });
    for (const key of Object.keys(values as object)) columns.add(key);
    rows.push({ row, values: values as Record<string, unknown> });
  }
  return { columns: [...columns], rows };
}
