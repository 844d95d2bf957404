/**
 * Words and tags one per line, sentences divided by blank lines: as CoNLL's shared tasks publish them (the first field is the word, the last
 * its tag), and CoNLL-U (ten fields between tabs; word 2, the tag is UPOS).
 */
import type { Findings, Row, Table } from './table.ts';

export const CONLL = ['conll', 'conllu', 'bio', 'iob', 'iob2'];

/** Numbers of CoNLL-U's tokens: 3, a range 3-4 of words written as one, an empty node 3.1. */
const TOKEN = /^\d+(-\d+|\.\d+)?$/;
const FIELDS = 10;

const fieldsOf = (line: string): string[] => line.trim().split(/\s+/);

/** CoNLL-U by what it looks like, since its files are called .conll too. */
function isConllu(lines: readonly string[]): boolean {
  const rows = lines.filter((line) => line.trim() !== '' && !line.startsWith('#')).slice(0, 50);
  return (
    rows.length > 0 &&
    rows.every((line) => line.split('\t').length === FIELDS && TOKEN.test(line.split('\t')[0]!))
  );
}

/** Fields that a line of words and tags has in this file. */
function usualFields(lines: readonly string[]): number {
  const counts = new Map<number, number>();
  for (const line of lines) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const n = fieldsOf(line).length;
    counts.set(n, (counts.get(n) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 2;
}

/** Word and tag of a line; null for what is none of the sentence's words, 'bad' for a word without a tag. */
type Read = (line: string) => { readonly word: string; readonly tag: string } | 'bad' | null;

const readConlluLine: Read = (line) => {
  if (line.startsWith('#')) return null;
  const fields = line.split('\t');
  // A range repeats the words that follow it, an empty node is none that was written.
  if (!/^\d+$/.test(fields[0]!)) return null;
  const [word, tag] = [fields[1] ?? '', fields[3] ?? ''];
  return word === '' || tag === '' ? 'bad' : { word, tag };
};

const readConllLine =
  (usual: number): Read =>
  (line) => {
    const fields = fieldsOf(line);
    // "# text = …" is a comment; a "#" with as many fields as the other words is the number sign.
    if (line.startsWith('#') && !(fields[0] === '#' && fields.length === usual) && fields.length !== usual)
      return null;
    if (fields.length < 2) return line.startsWith('#') ? null : 'bad';
    return { word: fields[0]!, tag: fields.at(-1)! };
  };

/** Row numbers are those of a sentence's first line. Lines without a tag are bad. */
export function readConll(text: string, path: string, { drops, notes }: Findings): Table {
  const lines = text.split(/\r?\n/);
  const isU = isConllu(lines);
  if (isU) notes.push(`${path} is CoNLL-U: the words of column 2 with the tags of column 4 (UPOS).`);
  const read = isU ? readConlluLine : readConllLine(usualFields(lines));
  const rows: Row[] = [];
  let total = 0;
  let sentence: { begun: number; tokens: string[]; tags: string[]; isBad: boolean } | null = null;
  const end = (): void => {
    if (sentence) {
      total++;
      const { begun, tokens, tags, isBad } = sentence;
      if (isBad)
        drops.add(
          { file: path, row: begun },
          { what: 'has a word without a tag', advice: 'each line is a word, white space, and its tag' },
        );
      else rows.push({ row: begun, values: { tokens, tags } });
    }
    sentence = null;
  };
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '' || fieldsOf(line)[0] === '-DOCSTART-') {
      end();
      continue;
    }
    const found = read(line);
    if (found === null) continue;
    sentence ??= { begun: i + 1, tokens: [], tags: [], isBad: false };
    if (found === 'bad') sentence.isBad = true;
    else {
      sentence.tokens.push(found.word);
      sentence.tags.push(found.tag);
    }
  }
  end();
  return { file: path, columns: ['tokens', 'tags'], rows, total, classNames: {} };
}
