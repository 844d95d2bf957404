/** Tables: columns and numbered rows, from .csv, .tsv and their like, .jsonl, .json and .parquet, with the row number in every complaint. */
import type { Budget } from '../../lib/budget.ts';
import type { InputFile } from '../../lib/bytes.ts';
import { fail } from '../../lib/errors.ts';
import { say } from '../../lib/say.ts';
import type { Drops } from '../notes.ts';
import type { SplitName } from '../types.ts';
import { baseName } from './bytes.ts';
import type { DecimalMark } from './cells.ts';

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
  /** A column that only counts the rows. */
  readonly index?: string;
  readonly rows: readonly Row[];
  /** Rows of the file, bad ones included. */
  readonly total: number;
  /** Class names by column, where the file keeps them beside numbers (Hugging Face's Parquet). */
  readonly classNames: Readonly<Record<string, readonly string[]>>;
  /** Of delimited text: whether its first row was read as a header. False where columns are called `column 1`, `column 2` …. */
  readonly hasHeader?: boolean;
  /** Of delimited text: what a comma in a number is where the numbers do not tell. */
  readonly decimal?: DecimalMark;
}

/** What reading hears of besides rows. */
export interface Findings {
  readonly drops: Drops;
  readonly notes: string[];
  /** Rows of all files together are counted before they are made. */
  readonly room: Budget;
  /** What JSON of all files together takes, counted when a file has been read. */
  readonly json: Budget;
}

/** Files that tell of a model, a dataset or a program, and are no data. */
const ABOUT =
  /^((tokenizer|preprocessor|processor|generation|adapter|sentence_bert|quantize)_config|config(_sentence_transformers)?|tokenizer|special_tokens_map|added_tokens|vocab|chat_template|dataset_infos?|dataset_dict|state|trainer_state|package|package-lock|tsconfig|croissant|run|card|modules)\.json$|^(readme|licen[cs]e|changelog|notice|citation|requirements|merges|vocab)(\.(md|txt|rst|html))?$/i;

export const isAbout = ({ name: path }: InputFile): boolean => ABOUT.test(baseName(path));

/** @throws PapilioError 'bad-data' for a table without rows */
export function filled(table: Table): Table {
  if (table.total === 0) fail('bad-data', say`${table.file} has a header but no rows.`);
  return table;
}
