/**
 * Texts with classes that are no tables: one file a text in a folder of its class (`train/pos/0_9.txt`), or one text a line behind its class
 * (fastText's `__label__pos`, TREC's `NUM:dist`), or lines divided into cells.
 */
import { fail } from '../../lib/errors.ts';
import type { DataFile } from './bytes.ts';
import { readText } from './encoding.ts';
import { splitNamed } from './splits.ts';
import type { Findings, Row, Table } from './table.ts';

const FASTTEXT = /^__label__(\S+)\s+(?:__label__\S+\s+)*(\S.*)$/;
const CODED = /^([A-Z][A-Za-z_]{1,15}(?::[a-z]\w{0,15})?)[ \t]+(\S.*)$/;
/** Lines that tell the form. */
const LOOKED_AT = 60;

const classFolder = (path: string): string | undefined => {
  const folder = path.split('/').at(-2);
  return folder !== undefined && splitNamed(folder) === undefined ? folder : undefined;
};

const areInFolders = (files: readonly DataFile[]): boolean =>
  files.length > 1 &&
  files.every(({ path }) => classFolder(path) !== undefined) &&
  new Set(files.map(({ path }) => classFolder(path))).size > 1;

const linesOf = (file: DataFile): string[] =>
  new TextDecoder()
    .decode(file.bytes.subarray(0, 20_000))
    .split(/\r?\n/)
    .slice(0, LOOKED_AT)
    .filter((line) => line.trim() !== '');

/** How the lines of these files carry their class; null where they do not. */
function formOf(files: readonly DataFile[]): RegExp | null {
  const lines = files.flatMap(linesOf);
  const fits = (form: RegExp) =>
    lines.length > 1 && lines.filter((line) => form.test(line)).length > 0.95 * lines.length;
  if (fits(FASTTEXT)) return FASTTEXT;
  // Classes come again; the first words of sentences seldom do.
  const classes = new Set(lines.map((line) => CODED.exec(line)?.[1]));
  return fits(CODED) && lines.some((line) => line.includes(':')) && classes.size <= lines.length / 2
    ? CODED
    : null;
}

/** Whether text files say a class with each text. */
export const isLabelledTexts = (files: readonly DataFile[]): boolean =>
  files.length > 0 && (areInFolders(files) || formOf(files) !== null);

/** One table of all files, with the columns text and label. @throws PapilioError 'bad-data' */
export function readLabelledTexts(files: readonly DataFile[], { drops, notes }: Findings): Table {
  const first = files[0]!.path;
  const table = (rows: readonly Row[], total: number): Table => ({
    ...{ file: first, columns: ['text', 'label'], rows, total, classNames: {} },
  });
  if (areInFolders(files)) {
    notes.push('Each file is a text, the folder that it lies in its class.');
    const rows = files.map((file, i): Row => {
      const values = { text: readText(file.bytes, file.path, notes), label: classFolder(file.path)! };
      return { row: i + 1, values, file: file.path };
    });
    return table(rows, rows.length);
  }
  const form = formOf(files);
  if (!form) return fail('bad-data', `${first} has no classes; give rows of text and label.`);
  notes.push(
    `${first} has a text a line, its class in front (${form === FASTTEXT ? '__label__' : 'CLASS:sub'}).`,
  );
  let total = 0;
  const rows = files.flatMap((file) =>
    readText(file.bytes, file.path, notes)
      .split(/\r?\n/)
      .flatMap((line, i): Row[] => {
        if (line.trim() === '') return [];
        total++;
        const [, label, text] = form.exec(line) ?? [];
        if (label !== undefined && text !== undefined)
          return [{ row: i + 1, values: { text, label }, file: file.path }];
        drops.add(
          { file: file.path, row: i + 1 },
          { what: 'has no class in front', advice: 'mend or delete the line' },
        );
        return [];
      }),
  );
  return table(rows, total);
}
