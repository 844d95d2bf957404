/** The flags that say how data is read. */
import { checkMapping } from '../data/files/columns.ts';
import { fail } from '../lib/errors.ts';
import type { DataOptions } from '../training/protocol.ts';
import { checkTask } from '../training/tasks.ts';
import type { OptionTable, Values } from './options.ts';

export const dataTable = {
  columns: {
    type: 'string',
    value: 'JSON',
    about:
      'which column is what, by name or by number from 1, where it is not guessed: \'{"text": "review", "label": 3}\' (text, pair, label, value, prompt, context, answer, system, messages, tokens, tags, image)',
    group: 'Data',
  },
  header: {
    type: 'string',
    choices: ['yes', 'no'],
    about: 'whether the first row of a .csv or .tsv names its columns',
    otherwise: 'guessed from the rows, and said',
    group: 'Data',
  },
  delimiter: {
    type: 'string',
    choices: ['comma', 'semicolon', 'tab', 'bar'],
    about: 'what divides the cells of a .csv or .tsv',
    otherwise: 'guessed from the rows, and said',
    group: 'Data',
  },
  quotes: {
    type: 'string',
    choices: ['yes', 'no'],
    about: 'whether quotation marks wrap the cells of a .csv or .tsv, or are characters like others',
    otherwise: 'guessed from the rows, and said',
    group: 'Data',
  },
  decimal: {
    type: 'string',
    choices: ['point', 'comma'],
    about: 'what stands before the decimals of a number to be predicted',
    otherwise: 'guessed from the numbers, and said',
    group: 'Data',
  },
  task: {
    type: 'string',
    value: 'NAME',
    about:
      'text-classification, token-classification, regression, image-classification, masked-lm or causal-lm',
    otherwise: 'what the model is made for',
    group: 'Data',
  },
  'keep-classes': {
    type: 'boolean',
    about: 'labels that the model does not have are errors, instead of reason for a new classifier',
    group: 'Data',
  },
  padding: {
    type: 'string',
    choices: ['length', 'longest'],
    about: 'short rows are batched with short ones, or all are padded alike',
    otherwise: 'length',
    group: 'Data',
  },
} as const satisfies OptionTable;

const DELIMITERS = { comma: ',', semicolon: ';', tab: '\t', bar: '|' } as const;

/** @throws PapilioError 'bad-argument' */
export function dataOptions(values: Values<typeof dataTable>): { readonly options?: DataOptions } {
  const { columns, header, delimiter, quotes, decimal, task, padding } = values;
  const options: DataOptions = {
    ...(columns === undefined ? {} : { mapping: checkMapping(parse(columns)) }),
    ...(header === undefined ? {} : { header: header === 'yes' }),
    ...(delimiter === undefined ? {} : { delimiter: DELIMITERS[delimiter] }),
    ...(quotes === undefined ? {} : { quotes: quotes === 'yes' }),
    ...(decimal === undefined ? {} : { decimal }),
    ...(task === undefined ? {} : { task: checkTask(task) }),
    ...(values['keep-classes'] ? { keepClasses: true } : {}),
    ...(padding === undefined ? {} : { padding }),
  };
  return Object.keys(options).length > 0 ? { options } : {};
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return fail(
      'bad-argument',
      `--columns is no JSON (${(error as Error).message}); give an object such as {"text": "review", "label": "stars"}.`,
    );
  }
}

/** What stands below the options. */
export const DATA_NOTES: readonly string[] = [
  'Data files:',
  '  .txt .md                          running text',
  '  .csv .tsv .json .jsonl .parquet   tables',
  '  .txt                              also lines with their label, and folders of texts by class',
  '  .conll .conllu .bio .iob          words and tags, one per line',
  '  pictures                          one folder per class, or named by a table',
  '  idx files                         as MNIST has them',
  'Files and folders with train, validation or test in their names are split as they say, others by --seed.',
];
