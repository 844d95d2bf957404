/** Tables with one word a row, sentences told apart by a column of their numbers: the words and tags of each sentence become one row. */

import { plainWords } from '../../lib/json.ts';
import { isNothing } from './cells.ts';
import type { Row, Table } from './table.ts';

const SENTENCE = /^(sentence ?#|sentence|sent|sentence[_ ](id|idx|no|number)|sent[_ ](id|idx)|sentence#)$/i;
const WORD = /^(word|words|token|tokens|form)$/i;

/** The table itself where its rows are whole sentences. */
export function sentencesOf(table: Table, notes: string[]): Table {
  const number = table.columns.find((column) => SENTENCE.test(column.trim()));
  const word = table.columns.find((column) => WORD.test(column.trim()));
  if (number === undefined || word === undefined || table.rows.length === 0) return table;
  const isOneWord = table.rows.every(({ values }) => !/\s/.test(plainWords(values[word] ?? '').trim()));
  if (!isOneWord) return table;
  const sentences: Row[][] = [];
  let current: unknown;
  for (const row of table.rows) {
    const of = row.values[number];
    // Some write the number in the sentence's first row alone.
    if (sentences.length === 0 || (!isNothing(of) && of !== current)) sentences.push([]);
    if (!isNothing(of)) current = of;
    sentences.at(-1)!.push(row);
  }
  const others = table.columns.filter(
    (column) => column !== number && column !== word && column !== table.index,
  );
  const name = (column: string) =>
    /^(tag|tags|ner|ner_tag|label|labels)$/i.test(column.trim()) ? 'tags' : column;
  const columns = ['tokens', ...others.map(name)];
  notes.push(
    `${table.file} has a word a row: the column "${number}" tells its ${sentences.length} sentences apart.`,
  );
  const rows = sentences.map(
    (sentence): Row => ({
      row: sentence[0]!.row,
      values: Object.fromEntries([
        ['tokens', sentence.map(({ values }) => values[word])],
        ...others.map((column) => [name(column), sentence.map(({ values }) => values[column])]),
      ]),
    }),
  );
  // Bad rows were words; what is left out is counted in sentences.
  return { ...table, columns, rows, total: rows.length + (table.total - table.rows.length) };
}
