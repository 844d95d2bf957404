/** Words and tags one per line, sentences divided by blank lines, as CoNLL's shared tasks publish them: the first field is the word, the last its tag. */
import type { Findings, Row, Table } from './table.ts';

export const CONLL = ['conll', 'bio', 'iob', 'iob2'];

/** Row numbers are those of a sentence's first line. Lines without a tag are bad. */
export function readConll(text: string, path: string, { drops }: Findings): Table {
  const rows: Row[] = [];
  let total = 0;
  let words: string[] = [];
  let tags: string[] = [];
  let begun = 0;
  let isBad = false;
  const end = (): void => {
    if (words.length > 0) {
      total++;
      if (isBad)
        drops.add(
          { file: path, row: begun },
          { what: 'has a word without a tag', advice: 'each line is a word, white space, and its tag' },
        );
      else rows.push({ row: begun, values: { tokens: words, tags } });
    }
    words = [];
    tags = [];
    isBad = false;
  };
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const fields = line.trim().split(/\s+/);
    if (line.trim() === '' || fields[0] === '-DOCSTART-') {
      end();
      continue;
    }
    if (line.startsWith('#') && fields.length !== 2) continue;
    if (words.length === 0) begun = i + 1;
    if (fields.length < 2) isBad = true;
    words.push(fields[0]!);
    tags.push(fields.at(-1)!);
  }
  end();
  return { file: path, columns: ['tokens', 'tags'], rows, total, classNames: {} };
}
