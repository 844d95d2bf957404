/**
 * Words and tags one per line, sentences divided by blank lines, as CoNLL's shared tasks publish them: the first field is the word, the last its tag,
 * any other can be chosen. CoNLL-U is known by its ten fields and numbers of words.
 */
import { commonest } from '../../lib/numbers.ts';
import { say } from '../../lib/say.ts';
import { linesOf } from './bytes.ts';
import type { Findings, Row, Table } from './table.ts';

/** CoNLL-U's fields after the number. */
const UNIVERSAL = ['form', 'lemma', 'upos', 'xpos', 'feats', 'head', 'deprel', 'deps', 'misc'];
/** Lines that are looked at. */
const LOOKED = 2000;
/** So many words and tags take the memory that a row takes. */
const FIELDS_OF_A_ROW = 8;
const TAG = /^(O|[BIESLUMW][-_].+)$/;

interface Line {
  readonly row: number;
  readonly fields: readonly string[];
}

/** How the lines of a file are divided. */
interface Form {
  /** Fields of most lines. */
  readonly width: number;
  readonly split: (line: string) => string[];
  readonly isUniversal: boolean;
  /** Last fields of the lines that begin without #. */
  readonly tags: ReadonlySet<string>;
}

function formOf(lines: Iterable<string>): Form {
  const sample: string[] = [];
  for (const line of lines) {
    if (line.trim() !== '' && !line.startsWith('#')) sample.push(line);
    if (sample.length === LOOKED) break;
  }
  const byTab = sample.filter((line) => line.includes('\t')).length > sample.length * 0.9;
  const split = (line: string): string[] =>
    byTab ? line.split('\t').map((f) => f.trim()) : line.trim().split(/\s+/);
  const fields = sample.map(split);
  const tags = new Set(fields.map((f) => f.at(-1)!));
  const width = commonest(fields.map((f) => f.length)).value;
  const numbered = sample.filter((line) => /^\d+([-.]\d+)?\s/.test(line)).length;
  return { width, split, tags, isUniversal: width === 10 && numbered > sample.length * 0.9 };
}

/** A line that begins with # is the word #, or one that begins with it, where it has the fields of the others and a tag at its end. */
function isComment(line: string, { width, split, tags, isUniversal }: Form): boolean {
  if (!line.startsWith('#')) return false;
  if (isUniversal) return true;
  const fields = split(line);
  const last = fields.at(-1)!;
  return (
    fields.length !== width ||
    width < 2 ||
    fields[2] === '=' ||
    !(TAG.test(last) || tags.has(last) || width === 2)
  );
}

const isRowOfNames = (fields: readonly string[]): boolean =>
  /^(word|words|token|tokens|form)$/i.test(fields[0]!) &&
  /^(tags?|labels?|ner|ner_tags?|pos|iob|entity)$/i.test(fields.at(-1)!);

/** Whether text under another name has words and tags between tabs, one a line, and sentences between blank lines. */
export function isConllText(text: string): boolean {
  const sample = text
    .slice(0, 1 << 16)
    .replaceAll('\r\n', '\n')
    .split(/\n[ \t]*\n/);
  const lines = sample
    .join('\n')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const words = lines.filter((line) => line.includes('\t') && !/[[" ]/.test(line));
  return sample.length > 1 && lines.length > sample.length * 1.5 && words.length > lines.length * 0.9;
}

/** Row numbers are those of a sentence's first line. Lines without a tag are bad. */
export function readConll(text: string, path: string, { drops, notes, room }: Findings): Table {
  const lines = () => linesOf(text, 'any');
  const form = formOf(lines());
  const names = columnNames(form, lines());
  const rows: Row[] = [];
  const comments: number[] = [];
  const others = { ranges: 0, empty: 0 };
  let total = 0;
  let sentence: Line[] = [];
  const end = (): void => {
    if (sentence.length > 0) {
      room.take(1, path);
      total++;
      const row = sentence[0]!.row;
      if (sentence.some(({ fields }) => fields.length < 2 || fields[0] === '' || fields.at(-1) === ''))
        drops.add(
          { file: path, row },
          { what: say`has a word without a tag`, advice: say`each line is a word, white space, and its tag` },
        );
      else if (sentence.some(({ fields }) => fields.length < form.width))
        drops.add(
          { file: path, row },
          { what: say`has a word with too few fields`, advice: say`each line has ${form.width} fields` },
        );
      else rows.push({ row, values: valuesOf(sentence, names, form) });
    }
    sentence = [];
  };
  let i = -1;
  for (const line of lines()) {
    i++;
    if (line.trim() === '' || /^-DOCSTART-(\s|$)/.test(line)) end();
    else if (isComment(line, form)) comments.push(i + 1);
    else if (form.isUniversal && /^\d+-/.test(line)) others.ranges++;
    else if (form.isUniversal && /^\d+\./.test(line)) others.empty++;
    else if (i > 0 || !isRowOfNames(form.split(line))) {
      // Before it is kept: a sentence may have no end.
      room.take(form.width / FIELDS_OF_A_ROW, path);
      sentence.push({ row: i + 1, fields: form.split(line) });
    }
  }
  end();
  if (form.isUniversal)
    notes.push(
      others.ranges + others.empty === 0
        ? say`${path} is CoNLL-U: its words are read.`
        : say`${path} is CoNLL-U: its words are read without ${others.ranges} ranges of several words and ${others.empty} empty nodes.`,
    );
  else if (comments.length > 0)
    notes.push(
      comments.length === 1
        ? say`${path}: line ${comments[0]!} begins with # and is read as comments.`
        : say`${path}: ${comments.length} lines begin with # and are read as comments.`,
    );
  return { file: path, columns: names, rows, total, classNames: {} };
}

/** Columns by position, so that one can be chosen by its number. */
function columnNames({ width, isUniversal, split }: Form, lines: Iterable<string>): string[] {
  if (isUniversal) {
    // Some treebanks have the tags of their own language alone.
    let isUnfilled = true;
    for (const line of lines)
      if (/^\d+\t/.test(line) && split(line)[3] !== '_') {
        isUnfilled = false;
        break;
      }
    return ['id', ...UNIVERSAL.map((name) => (isUnfilled && name === 'upos' ? 'no upos' : name))];
  }
  const between = Array.from({ length: Math.max(0, width - 2) }, (_, i) => `column ${i + 2}`);
  return ['tokens', ...between, 'tags'];
}

function valuesOf(
  sentence: readonly Line[],
  names: readonly string[],
  { isUniversal }: Form,
): Record<string, readonly string[]> {
  const last = names.length - 1;
  // Where most lines have two fields, whatever stands between them is passed over.
  const at = (fields: readonly string[], c: number): string =>
    c === last && !isUniversal ? fields.at(-1)! : (fields[c] ?? '');
  return Object.fromEntries(names.map((name, c) => [name, sentence.map(({ fields }) => at(fields, c))]));
}
