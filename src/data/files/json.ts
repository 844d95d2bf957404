/** Tables in JSON: a list of objects, an object of lists, either under the names of splits, or one object per line (JSONL). */
import { fail } from '../../lib/errors.ts';
import { rowList } from '../notes.ts';
import type { SplitName } from '../types.ts';
import { parseJson } from './cells.ts';
import { splitNamed } from './splits.ts';
import type { Findings, Row, Table } from './table.ts';

type Values = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const columnsOf = (rows: readonly Row[]): string[] => [
  ...new Set(rows.flatMap((row) => Object.keys(row.values))),
];

const table = (file: string, rows: readonly Row[], total: number): Table => ({
  file,
  columns: columnsOf(rows),
  rows,
  total,
  classNames: {},
});

/** One JSON object per line; a row is a line. */
export function readJsonl(text: string, path: string, { drops }: Findings): Table {
  const rows: Row[] = [];
  let total = 0;
  for (const [i, line] of text
    .replace(/^\ufeff/, '')
    .split('\n')
    .entries()) {
    if (line.trim() === '') continue;
    total++;
    const row = i + 1;
    const values = (() => {
      try {
        return parseJson(line);
      } catch {
        return undefined;
      }
    })();
    if (isObject(values)) rows.push({ row, values });
    else if (values === undefined)
      drops.add({ file: path, row }, { what: 'is not JSON', advice: 'mend or delete the line' });
    else
      drops.add(
        { file: path, row },
        { what: 'holds no object', advice: 'each line is {"text": …, "label": …}' },
      );
  }
  return table(path, rows, total);
}

/** A JSON file; rows are counted from 1 in the order of the list. @throws PapilioError 'bad-data' */
export function readJson(text: string, path: string, findings: Findings): Table {
  let value: unknown;
  try {
    value = parseJson(text.replace(/^\ufeff/, ''));
  } catch (cause) {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    if (lines.length > 1 && lines[0]!.trim().startsWith('{') && lines[0]!.trim().endsWith('}')) {
      findings.notes.push(`${path} has one JSON object per line and was read as JSONL.`);
      return readJsonl(text, path, findings);
    }
    return fail('bad-data', `${path} is not JSON (${(cause as Error).message}).`);
  }
  const rows: Row[] = [];
  let total = 0;
  const take = (part: unknown, split: SplitName | undefined, where: string): void => {
    const list = Array.isArray(part) ? part : isObject(part) ? fromColumns(part, path) : null;
    if (!list)
      fail(
        'bad-data',
        `${path} holds ${where} neither a list of objects nor an object of lists of equal length.`,
      );
    for (const entry of list!) {
      total++;
      if (isObject(entry)) rows.push({ row: total, values: entry, ...(split ? { split } : {}) });
      else
        findings.drops.add(
          { file: path, row: total },
          { what: 'holds no object', advice: 'each entry is {"text": …, "label": …}' },
        );
    }
  };
  if (isObject(value) && !Object.values(value).every(isColumn)) {
    const keys = Object.keys(value);
    fail(
      'bad-data',
      `${path} is an object (${keys.slice(0, 6).join(', ')}) but no table; give a list of objects or an object of lists.`,
    );
  }
  const parts = isObject(value) ? partsOf(value) : null;
  if (parts) for (const [key, part] of parts) take(part, splitNamed(key), `under "${key}"`);
  else take(value, undefined, 'there');
  return table(path, rows, total);
}

const isColumn = (value: unknown): boolean => Array.isArray(value) || isObject(value);

/** The entries of `{"train": […], "test": […]}` or `{"data": […]}`; null for an object of columns. */
function partsOf(value: Values): [string, unknown][] | null {
  const entries = Object.entries(value);
  const holdRows = entries.every(([, v]) => Array.isArray(v) && v.length > 0 && v.every(isObject));
  const areSplits = entries.every(([key]) => splitNamed(key) !== undefined);
  const isWrapped = entries.length === 1 && holdRows;
  return entries.length > 0 && (areSplits || isWrapped) ? entries : null;
}

/** Rows of `{"text": [a, b], "label": [0, 1]}`, or of pandas' `{"text": {"0": a, "1": b}, …}`. */
function fromColumns(value: Values, path: string): Values[] | null {
  const columns = Object.entries(value).map(([name, column]) => [
    name,
    Array.isArray(column) ? (column as unknown[]) : isObject(column) ? Object.values(column) : null,
  ]) as [string, unknown[] | null][];
  if (columns.length === 0 || columns.some(([, list]) => list === null)) return null;
  const lengths = columns.map(([, list]) => list!.length);
  const [most, least] = [Math.max(...lengths), Math.min(...lengths)];
  if (most !== least)
    fail(
      'bad-data',
      `${path} has columns of different lengths (${columns.map(([name, list]) => `"${name}" ${list!.length}`).join(', ')}), so ${rowList([least + 1])} on cannot be read; give each the same number of values.`,
    );
  return Array.from({ length: most }, (_, i) =>
    Object.fromEntries(columns.map(([name, list]) => [name, list![i]])),
  );
}
