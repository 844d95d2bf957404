/** Tables in JSON: a list of objects, an object of lists, either under the names of splits, or one object per line (JSONL). */
import { type Budget, within } from '../../lib/budget.ts';
import { fail, passOn } from '../../lib/errors.ts';
import { jsonBudget, jsonOf, plainWords } from '../../lib/json.ts';
import { type NamedSplit, splitInName } from '../../lib/names.ts';
import { greatest, least } from '../../lib/numbers.ts';
import { say } from '../../lib/say.ts';
import { type Fault, rowList } from '../notes.ts';
import type { SplitName } from '../types.ts';
import { linesOf } from './bytes.ts';
import { isRecord, parseJson, readLiteral } from './cells.ts';
import { headerScore } from './dialect.ts';
import { splitNamed } from './splits.ts';
import type { Findings, Row, Table } from './table.ts';

type Values = Readonly<Record<string, unknown>>;

function columnsOf(rows: readonly Row[], file: string): string[] {
  const columns = new Set<string>();
  for (const { values } of rows) {
    for (const name of Object.keys(values)) columns.add(name);
    within('columns', columns.size, file);
  }
  return [...columns];
}

const table = (file: string, rows: readonly Row[], total: number): Table => ({
  file,
  columns: columnsOf(rows, file),
  rows,
  total,
  classNames: {},
});

/** What a JSON text has that is read as something else. */
interface Found {
  nothings: boolean;
  large: boolean;
  readonly path: string;
  /** Of the whole file, however many texts it has. */
  readonly budget: Budget;
  /** What its values take. */
  bytes: number;
}

function nothingFound(path: string, text: string): Found {
  const budget = jsonBudget(text.length);
  const found: Found = {
    ...{ nothings: false, large: false, path, bytes: 0 },
    budget: {
      take(count, where) {
        budget.take(count, where);
        found.bytes += count;
      },
    },
  };
  return found;
}

function noteFound({ nothings, large, bytes }: Found, path: string, { notes, json }: Findings): void {
  json.take(bytes, path);
  if (nothings) notes.push(say`${path}: NaN and Infinity in it are read as nothing.`);
  if (large) notes.push(say`${path}: whole numbers beyond 2^53 are read as text, digit for digit.`);
}

/** Values of a JSON text, also with Python's NaN and Infinity, which say that there is nothing; undefined where it is none. */
function parsed(text: string, found: Found): unknown {
  const onLarge = () => {
    found.large = true;
  };
  try {
    return parseJson(text, onLarge, found.path, found.budget);
  } catch (cause) {
    passOn(cause);
    if (!/NaN|Infinity/.test(text)) return undefined;
  }
  try {
    const value = parseJson(
      text.replace(/"(?:[^"\\]|\\.?)*"?|-?\b(?:NaN|Infinity)\b/gs, (m) => (m.startsWith('"') ? m : 'null')),
      onLarge,
      found.path,
      found.budget,
    );
    found.nothings = true;
    return value;
  } catch (cause) {
    passOn(cause);
    return undefined;
  }
}

/** A row that is no object; `each` line or entry should be one. */
const noObject = (each: 'line' | 'entry'): Fault => ({
  what: say`holds no object`,
  advice: `each ${each} is {"text": …, "label": …}`,
});

/** One JSON object per line; a row is a line. */
export function readJsonl(text: string, path: string, findings: Findings): Table {
  const { drops, notes, room } = findings;
  const rows: Row[] = [];
  const cells: { readonly row: number; readonly cells: readonly unknown[] }[] = [];
  const found = nothingFound(path, text);
  let total = 0;
  let dicts = 0;
  let i = -1;
  for (const line of linesOf(text)) {
    i++;
    const entry = line.trim().replace(/,$/, '');
    if (entry === '') continue;
    room.take(1, path);
    total++;
    const row = i + 1;
    let values = parsed(entry, found);
    if (values === undefined && /^\{.*\}$/.test(entry)) {
      values = readLiteral(entry);
      if (values !== undefined) dicts++;
    }
    if (isRecord(values)) rows.push({ row, values: unwrapped(values) });
    else if (values === undefined)
      drops.add({ file: path, row }, { what: say`is not JSON`, advice: say`mend or delete the line` });
    else if (Array.isArray(values) && rows.length === 0) cells.push({ row, cells: values as unknown[] });
    else drops.add({ file: path, row }, noObject('line'));
  }
  noteFound(found, path, findings);
  if (dicts > 0) notes.push(say`${path} has Python's dicts for JSON in ${dicts} lines: read as such.`);
  if (rows.length === 0 && cells.length > 0) return matrix(path, cells, null, total, notes);
  for (const { row } of cells) drops.add({ file: path, row }, noObject('line'));
  return table(path, rows, total);
}

/** The datasets server wraps each row: `{"row_idx": 0, "row": {…}}`. */
const unwrapped = (values: Values): Values =>
  'row_idx' in values && isRecord(values.row) ? values.row : values;

/** Rows that are lists: the first one is their header where it looks like one. */
function matrix(
  file: string,
  given: readonly { readonly row: number; readonly cells: readonly unknown[]; readonly split?: SplitName }[],
  header: readonly string[] | null,
  total: number,
  notes: string[],
): Table {
  const asText = (cells: readonly unknown[]) =>
    cells.map((cell) => (isColumn(cell) ? '[]' : plainWords(cell ?? '')));
  const texts = given.slice(0, 300).map(({ cells }) => asText(cells));
  const isHeader = header === null && given.length > 1 && headerScore(texts[0]!, texts.slice(1)) > 0;
  const names = header ?? (isHeader ? texts[0]! : []);
  const width = within(
    'columns',
    given.reduce((most, { cells }) => Math.max(most, cells.length), 0),
    file,
  );
  // Where one row is far longer than the others, all would be.
  const there = given.reduce((sum, { cells }) => sum + cells.length, 0);
  within('tableCells', width * given.length, file, there);
  const columns = Array.from({ length: width }, (_, c) => names[c] ?? `column ${c + 1}`);
  const rows = (isHeader ? given.slice(1) : given).map(
    ({ row, cells, split }): Row => ({
      row,
      values: Object.fromEntries(columns.map((name, c) => [name, cells[c]])),
      ...(split ? { split } : {}),
    }),
  );
  if (isHeader) notes.push(say`${file}: row 1 (${names.slice(0, 4).join(', ')}) is taken as the header.`);
  return {
    file,
    columns,
    rows,
    total: isHeader ? total - 1 : total,
    classNames: {},
  };
}

/** A JSON file; rows are counted from 1 in the order of the list. @throws PapilioError 'bad-data' */
export function readJson(text: string, path: string, findings: Findings): Table {
  const found = nothingFound(path, text);
  const value = parsed(text, found);
  if (value === undefined) return readConcatenated(text, path, findings);
  noteFound(found, path, findings);
  return tableOf(value, path, findings);
}

/** What is not one JSON value: several, one after the other, on a line each or not. @throws PapilioError 'bad-data' */
function readConcatenated(text: string, path: string, findings: Findings): Table {
  const begins = /\S.*/.exec(text)?.[0].trim() ?? '';
  if (text.trim() !== begins && /^[{[].*[}\]],?$/.test(begins)) {
    findings.notes.push(say`${path} has one JSON object per line and was read as JSONL.`);
    return readJsonl(text, path, findings);
  }
  const found = nothingFound(path, text);
  const values = severalValues(text, found);
  if (values && values.length > 1) {
    findings.notes.push(
      say`${path} has several JSON values, one after the other, and was read as their list.`,
    );
    noteFound(found, path, findings);
    return tableOf(values, path, findings);
  }
  try {
    jsonOf(text, path);
  } catch (cause) {
    passOn(cause);
    fail('bad-data', say`${path} is not JSON (${(cause as Error).message}).`);
  }
  return fail('bad-data', say`${path} is not JSON.`);
}

/** JSON objects written one after the other; null where the text is anything else. */
function severalValues(text: string, found: Found): unknown[] | null {
  const values: unknown[] = [];
  let depth = 0;
  let from = -1;
  const marks = /"(?:[^"\\]|\\.?)*"?|[{}]/gs;
  for (let m = marks.exec(text); m; m = marks.exec(text)) {
    if (m[0] === '{' && depth++ === 0) from = m.index;
    if (m[0] !== '}' || --depth !== 0) continue;
    const value = parsed(text.slice(from, m.index + 1), found);
    if (value === undefined) return null;
    values.push(value);
  }
  return depth === 0 ? values : null;
}

function tableOf(whole: unknown, path: string, findings: Findings): Table {
  const { drops, notes, room } = findings;
  const rows: Row[] = [];
  const cells: { row: number; cells: readonly unknown[]; split?: SplitName }[] = [];
  let total = 0;
  const take = (part: unknown, split: SplitName | undefined, where: string): void => {
    const list = Array.isArray(part) ? part : isRecord(part) ? fromColumns(part, path) : null;
    if (!list)
      fail(
        'bad-data',
        say`${path} holds ${where} neither a list of objects nor an object of lists of equal length.`,
      );
    room.take(list!.length, path);
    for (const entry of list!) {
      total++;
      const at = { row: total, ...(split ? { split } : {}) };
      if (isRecord(entry)) rows.push({ ...at, values: unwrapped(entry) });
      else if (Array.isArray(entry) && entry.length > 1 && rows.length === 0)
        cells.push({ ...at, cells: entry });
      else drops.add({ file: path, row: total }, noObject('entry'));
    }
  };
  if (isRecord(whole)) requireFewKeys(whole, path);
  const value = isRecord(whole) ? (squadRows(whole) ?? byIndex(whole) ?? whole) : whole;
  const framed = isRecord(value) ? frameOf(value) : null;
  if (framed) {
    room.take(framed.data.length, path);
    return matrix(
      path,
      framed.data.map((row, i) => ({ row: i + 1, cells: row })),
      framed.columns,
      framed.data.length,
      notes,
    );
  }
  const parts = isRecord(value) ? partsOf(value) : null;
  if (isRecord(value) && !parts && !Object.values(value).every(isColumn)) {
    const keys = Object.keys(value);
    fail(
      'bad-data',
      say`${path} is an object (${keys.slice(0, 6).join(', ')}) but no table; give a list of objects or an object of lists.`,
    );
  }
  if (parts) {
    for (const [key, part] of withoutTests(parts, path, notes)) take(part, splitNamed(key), `under "${key}"`);
    if (parts.length < Object.keys(value as Values).length)
      notes.push(say`${path}: the rows are those under "${parts.map(([key]) => key).join('", "')}".`);
  } else take(value, undefined, 'there');
  if (rows.length === 0 && cells.length > 0) return matrix(path, cells, null, total, notes);
  for (const { row } of cells) drops.add({ file: path, row }, noObject('entry'));
  return table(path, rows, total);
}

/** Keys are splits or columns, but for rows by their numbers. */
function requireFewKeys(value: Values, path: string): void {
  const keys = Object.keys(value);
  if (!keys.every((key) => /^\d+$/.test(key))) within('columns', keys.length, path);
}

const isColumn = (value: unknown): boolean => Array.isArray(value) || isRecord(value);
const isRowList = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && (value as unknown[]).every(isRecord);
const isRows = (value: unknown): boolean =>
  isRowList(value) ||
  (Array.isArray(value) && value.length > 0 && (value as unknown[]).every((row) => Array.isArray(row)));

/**
 * The entries of `{"train": […], "test": […]}`, or the one list of rows beside other facts: `{"version": 2, "data": […]}`; null for an object of
 * columns.
 */
function partsOf(value: Values): [string, unknown][] | null {
  const entries = Object.entries(value);
  const splits = entries.filter(([key, part]) => splitNamed(key) !== undefined && isColumn(part));
  if (splits.length > 0 && splits.length === entries.length) return entries;
  if (splits.length > 1 && splits.every(([, part]) => isRows(part))) return splits;
  const served = entries.find(
    ([key, part]) => key === 'rows' && isRowList(part) && 'row_idx' in (part as Values[])[0]!,
  );
  if (served) return [served];
  const lists = entries.filter(([, part]) => isRowList(part));
  const [list] = lists;
  if (lists.length !== 1 || !list) return null;
  // A list of the same length beside it is another column.
  const length = (list[1] as unknown[]).length;
  const isBeside = entries.every(
    (entry) =>
      entry === list || !Array.isArray(entry[1]) || (entry[1].length !== length && !isRows(entry[1])),
  );
  return isBeside ? lists : null;
}

/** Of validation and test rows the validation rows are measured on, the others left out. */
function withoutTests(
  parts: readonly [string, unknown][],
  path: string,
  notes: string[],
): readonly [string, unknown][] {
  const saying = (split: NamedSplit) => parts.filter(([key]) => splitInName(key) === split);
  const tests = saying('test');
  if (tests.length === 0 || saying('validation').length === 0) return parts;
  notes.push(
    say`Quality is measured on the validation split; "${tests.map(([key]) => key).join('", "')}" of ${path} is left out.`,
  );
  return parts.filter((part) => !tests.includes(part));
}

/** pandas' `orient="split"`: `{"columns": […], "index": […], "data": [[…], …]}`. */
function frameOf({ columns, data }: Values): { columns: string[]; data: unknown[][] } | null {
  if (!Array.isArray(columns) || !Array.isArray(data)) return null;
  const isFrame = (data as unknown[]).every((row) => Array.isArray(row) && row.length === columns.length);
  return isFrame ? { columns: columns.map(plainWords), data: data as unknown[][] } : null;
}

/** pandas' `orient="index"`: rows by their numbers. */
function byIndex(value: Values): unknown[] | null {
  const entries = Object.entries(value);
  const areRows = entries.length > 0 && entries.every(([key, row]) => /^\d+$/.test(key) && isRecord(row));
  return areRows ? entries.map(([, row]) => row) : null;
}

/** SQuAD as it is published: articles of paragraphs of questions. */
function squadRows({ data }: Values): unknown[] | null {
  if (!isRowList(data)) return null;
  const articles = data as Values[];
  if (!articles.every(({ paragraphs }) => isRowList(paragraphs))) return null;
  return articles.flatMap(({ paragraphs }) =>
    (paragraphs as Values[]).flatMap(({ context, qas }) =>
      (Array.isArray(qas) ? (qas as Values[]) : []).map(({ question, answers }) => ({
        question,
        context,
        answers,
      })),
    ),
  );
}

/** Rows of `{"text": [a, b], "label": [0, 1]}`, or of pandas' `{"text": {"0": a, "1": b}, …}`. */
function fromColumns(value: Values, path: string): Values[] | null {
  const columns = Object.entries(value).map(([name, column]) => [
    name,
    Array.isArray(column) ? (column as unknown[]) : isRecord(column) ? Object.values(column) : null,
  ]) as [string, unknown[] | null][];
  if (columns.length === 0 || columns.some(([, list]) => list === null)) return null;
  within('columns', columns.length, path);
  const lengths = columns.map(([, list]) => list!.length);
  const [most, fewest] = [greatest(lengths), least(lengths)];
  if (most !== fewest)
    fail(
      'bad-data',
      say`${path} has columns of different lengths (${columns.map(([name, list]) => `"${name}" ${list!.length}`).join(', ')}), so ${rowList([fewest + 1])} on cannot be read; give each the same number of values.`,
    );
  return Array.from({ length: most }, (_, i) =>
    Object.fromEntries(columns.map(([name, list]) => [name, list![i]])),
  );
}
