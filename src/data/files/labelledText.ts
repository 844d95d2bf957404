/**
 * Labelled texts that are no tables by name: lines of fastText (`__label__sport text`) and TREC (`LOC:city text`), tables under the name .txt, and
 * folders that name the class of the texts in them.
 */
import type { InputFile } from '../../lib/bytes.ts';
import { PapilioError } from '../../lib/errors.ts';
import { clause, say } from '../../lib/say.ts';
import { baseName, extension, linesOf, readText } from './bytes.ts';
import { type Draft, draftOf } from './delimited.ts';
import type { TableOptions } from './dialect.ts';
import type { Entry } from './rowsOf.ts';
import type { Assigned } from './splits.ts';
import type { Findings, Row, Table } from './table.ts';

const FASTTEXT = /^((?:__label__\S+[\s,]+)+)(.*)$/s;
const TREC = /^([A-Z]{2,12}):(\w+) +(\S.*)$/s;

/** Lines that hold something. */
function* numbered(text: string): Generator<{ readonly row: number; readonly line: string }> {
  let row = 0;
  for (const whole of linesOf(text, 'any')) {
    row++;
    const line = whole.trim();
    if (line !== '') yield { row, line };
  }
}

/** How lines begin with their label; null where they do not. */
function labelForm(text: string): 'fasttext' | 'trec' | null {
  const counts = { all: 0, fasttext: 0, trec: 0 };
  for (const { line } of numbered(text)) {
    counts.all++;
    if (/^__label__\S/.test(line)) counts.fasttext++;
    else if (TREC.test(line)) counts.trec++;
  }
  if (counts.fasttext >= 0.9 * counts.all) return 'fasttext';
  return counts.trec >= 0.9 * counts.all ? 'trec' : null;
}

/** Lines that begin with their label; null where they do not. */
export function readLabelledLines(
  text: string,
  path: string,
  { drops, notes, room }: Findings,
): Table | null {
  const form = labelForm(text);
  if (form === null) return null;
  const isFasttext = form === 'fasttext';
  const rows: Row[] = [];
  let total = 0;
  for (const { row, line } of numbered(text)) {
    room.take(1, path);
    total++;
    const values = isFasttext ? fromFasttext(line) : fromTrec(line);
    if (typeof values !== 'string') rows.push({ row, values });
    else drops.add({ file: path, row }, { what: values, advice: say`each line is a label and its text` });
  }
  notes.push(
    isFasttext
      ? say`${path} has fastText's lines: what follows __label__ is the label.`
      : say`${path} has lines as TREC writes them: the label is what stands before the colon, with what follows it in the column "fine_label".`,
  );
  const columns = isFasttext ? ['label', 'text'] : ['label', 'fine_label', 'text'];
  return { file: path, columns, rows, total, classNames: {} };
}

function fromFasttext(line: string): Record<string, string> | string {
  const [, labels, text] = FASTTEXT.exec(line) ?? [];
  if (labels === undefined || text === undefined || text.trim() === '') return say`has no label or no text`;
  const names = labels.split(/[\s,]+/).filter((word) => word !== '');
  if (names.length > 1) return say`has several labels`;
  return { label: names[0]!.replace('__label__', ''), text: text.trim() };
}

function fromTrec(line: string): Record<string, string> | string {
  const [, label, fine, text] = TREC.exec(line) ?? [];
  return label === undefined ? say`has no label` : { label, fine_label: `${label}:${fine}`, text: text! };
}

/** A table under the name of a text: null where the lines are not divided alike. */
export function tableInText(text: string, path: string, told: TableOptions): Draft | null {
  const draft = draftOf(text, path, 'tsv', told);
  const { delimiter, body, width } = draft.dialect;
  if (delimiter === null || body.length === 0) return null;
  if (told.delimiter !== undefined) return draft;
  const share = body.filter((row) => row.length === width).length / body.length;
  // Running text has commas too, with spaces behind them, and not as many in every line.
  const isProse = body.filter((row) => /^ /.test(row[1] ?? '')).length > body.length / 2;
  return share >= (delimiter === ',' ? 0.97 : 0.9) && !(isProse && delimiter !== '\t') ? draft : null;
}

/** Whether a text that is no table by its name has a label in each line. */
export function isLabelled(file: InputFile, told: TableOptions): boolean {
  if (!/^(txt|text|)$/.test(extension(file.name)) || file.bytes.length === 0) return false;
  try {
    const text = readText(file.bytes, file.name);
    return labelForm(text) !== null || tableInText(text, file.name, told) !== null;
  } catch (error) {
    if (error instanceof PapilioError) return false;
    throw error;
  }
}

/** Endings of texts; messages of newsgroups and mails are named by numbers alone. */
const isText = (file: InputFile): boolean => /^(txt|text|md|\d*)$/.test(extension(file.name));

export interface ClassFolders {
  readonly files: readonly { readonly file: InputFile; readonly label: string }[];
  readonly others: readonly InputFile[];
}

/**
 * Texts in folders that name their class, `pos/0_9.txt`; null where there are no two such folders.
 * @param isClass whether a folder's name can be a class, and is no split's
 */
export function classFolders(
  files: readonly InputFile[],
  isClass: (folder: string) => boolean,
): ClassFolders | null {
  const labelOf = (file: InputFile): string | undefined => {
    const folder = file.name.split('/').at(-2);
    return folder !== undefined && isText(file) && isClass(folder) ? folder : undefined;
  };
  const labels = new Map<string, number>();
  for (const file of files) {
    const label = labelOf(file);
    if (label !== undefined && baseName(file.name) !== label) labels.set(label, (labels.get(label) ?? 0) + 1);
  }
  // A folder with one file is a place to keep it.
  const classes = new Set([...labels].filter(([, count]) => count > 1).map(([label]) => label));
  if (classes.size < 2) return null;
  const labelled = files.flatMap((file) => {
    const label = labelOf(file);
    return label !== undefined && classes.has(label) ? [{ file, label }] : [];
  });
  const used = new Set(labelled.map(({ file }) => file));
  return { files: labelled, others: files.filter((file) => !used.has(file)) };
}

/** Texts of class folders as entries; those that cannot be read are left out and said. */
export function entriesOfFolders(
  { files }: ClassFolders,
  splits: Assigned,
  { drops, notes }: Findings,
): Entry[] {
  const own: string[] = [];
  const labels = new Map(files.map(({ file, label }) => [file, label]));
  const entries = splits.files.flatMap((file): Entry[] => {
    try {
      const text = readText(file.bytes, file.name, own);
      return [
        {
          origin: { file: file.name },
          split: splits.of(file.name),
          values: { text, label: labels.get(file) },
        },
      ];
    } catch (error) {
      if (!(error instanceof PapilioError)) throw error;
      drops.add(
        { file: file.name },
        {
          what: clause(error.message.replace(`${file.name} `, '')),
          advice: say`mend or delete it`,
        },
      );
      return [];
    }
  });
  // One line each would hide everything else.
  notes.push(...own.slice(0, 3));
  if (own.length > 3) notes.push(say`${own.length - 3} more files are not UTF-8 and were read as those.`);
  notes.push(say`Each file is a text, the folder that it lies in its class.`);
  return entries;
}
