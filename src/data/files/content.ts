/** Which column is what: the roles there are, and what the columns hold that tells (long texts, few values that come again, numbers, lists of equal lengths). */
import { plainWords } from '../../lib/json.ts';
import { greatest, mean } from '../../lib/numbers.ts';
import { PICTURES } from './bytes.ts';
import { isNothing, listOf, numberOf, withoutPercent } from './cells.ts';

/** Rows that are looked at, from all over the table. */
const LOOKED = 2000;
const LOOKED_CELLS = 1 << 19;
/** Fewer rows say nothing. */
const FEWEST = 4;
const PICTURE = new RegExp(`\\.(${PICTURES.join('|')})$|^data:image/`, 'i');

type Rows = readonly { readonly values: Readonly<Record<string, unknown>> }[];

interface Profile {
  readonly column: string;
  /** Where it stands, from 0. */
  readonly at: number;
  readonly values: readonly unknown[];
  /** Values that hold something. */
  readonly given: readonly unknown[];
  readonly distinct: number;
  readonly length: number;
  readonly words: number;
  readonly isNumeric: boolean;
  readonly isWhole: boolean;
  /** Whether it only counts the rows. */
  readonly isIndex: boolean;
}

/** Whether numbers go up by one from row to row, as pandas' index does. */
export function countsRows(values: readonly unknown[]): boolean {
  const numbers = values.map((v) => numberOf(v));
  const [first] = numbers;
  return (
    numbers.length >= 2 &&
    (first === 0 || first === 1) &&
    numbers.every((n, i) => n !== null && n === first + i)
  );
}

function profileOf(
  column: string,
  at: number,
  values: readonly unknown[],
  head: readonly unknown[],
): Profile {
  const given = values.filter((value) => !isNothing(value));
  const texts = given.map((value) => plainWords(value));
  const numbers = given.map(withoutPercent).map((value) => numberOf(value) ?? numberOf(value, 'comma'));
  const isNumeric = given.length > 0 && numbers.filter((n) => n === null).length <= given.length * 0.05;
  return {
    column,
    at,
    values,
    given,
    distinct: new Set(texts).size,
    length: mean(texts.map((text) => text.length)),
    words: mean(texts.map((text) => text.trim().split(/\s+/).length)),
    isNumeric,
    isWhole: isNumeric && numbers.every((n) => n === null || Number.isInteger(n)),
    isIndex: isNumeric && countsRows(head),
  };
}

function profiles(columns: readonly string[], rows: Rows): Profile[] {
  // Fewer rows where there are very many columns.
  const most = Math.max(FEWEST, Math.min(LOOKED, Math.floor(LOOKED_CELLS / columns.length)));
  const stride = Math.max(1, Math.ceil(rows.length / most));
  const looked = stride === 1 ? rows : rows.filter((_, i) => i % stride === 0);
  // Row by row, since that is how they lie in a file.
  const cellsOf = (list: Rows) => list.map(({ values }) => columns.map((column) => values[column]));
  const cells = cellsOf(looked);
  const head = stride === 1 ? cells : cellsOf(rows.slice(0, most));
  return columns
    .map((column, at) =>
      profileOf(
        column,
        at,
        cells.map((row) => row[at]),
        head.map((row) => row[at]),
      ),
    )
    .filter(({ given }) => given.length > looked.length / 2);
}

const best = (list: readonly Profile[], score: (p: Profile) => number): Profile | undefined =>
  list.reduce<Profile | undefined>(
    (top, p) => (top === undefined || score(p) > score(top) ? p : top),
    undefined,
  );

const isScalar = (p: Profile): boolean => p.given.every((v) => typeof v !== 'object');

/** A few short values, each of which comes again. */
const isLabel = (p: Profile): boolean =>
  isScalar(p) &&
  p.distinct >= 2 &&
  p.distinct <= p.given.length / 2 &&
  p.length <= 60 &&
  (!p.isNumeric || p.isWhole) &&
  !p.isIndex &&
  !p.given.every((v) => DATE.test(plainWords(v).trim()));

/** Names that say a class without being one of the usual names. */
const LABELLING =
  /label|class|categor|sentiment|polarity|rating|stars?\b|target|topic|genre|type|intent|emotion|verdict/i;
const DATE = /^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|^\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}/;

/** The likeliest label: few values, at an end of the table, counted from 0 or 1, or called so. */
function guessLabel(list: readonly Profile[]): Profile | undefined {
  const last = greatest(list.map(({ at }) => at));
  const isCounted = ({ isWhole, given, distinct }: Profile) => {
    const numbers = isWhole ? given.map((v) => numberOf(v) ?? -1) : [-1];
    const least = numbers.reduce((a, b) => Math.min(a, b));
    return (least === 0 || least === 1) && numbers.reduce((a, b) => Math.max(a, b)) === least + distinct - 1;
  };
  return best(
    list.filter(isLabel),
    (p) =>
      -Math.log2(p.distinct) +
      (p.at === 0 || p.at === last ? 1 : 0) +
      (isCounted(p) ? 1.5 : 0) +
      (LABELLING.test(p.column) ? 4 : 0),
  );
}

/** Pictures themselves, or the names of their files. */
const holdsPictures = ({ given }: Profile): boolean =>
  given.every(
    (value) => value instanceof Uint8Array || (typeof value === 'string' && PICTURE.test(value.trim())),
  );

function guessText(list: readonly Profile[]): Profile | undefined {
  const texts = list.filter(
    (p) => isScalar(p) && !p.isNumeric && !holdsPictures(p) && p.given.some((v) => typeof v === 'string'),
  );
  const running = texts.filter((p) => p.words >= 2);
  return running.length > 0 ? best(running, (p) => p.length) : texts.length === 1 ? texts[0] : undefined;
}

/** Numbers that are neither an index nor numbers of persons or things: the last column of them. */
function guessValue(list: readonly Profile[]): Profile | undefined {
  const numbers = list.filter((p) => p.isNumeric && !p.isIndex && p.distinct >= 2);
  const fractions = numbers.filter((p) => !p.isWhole);
  return (fractions.length > 0 ? fractions : numbers.filter((p) => p.distinct < p.given.length)).at(-1);
}

/** Two columns of lists of equal lengths; the one with fewer different entries holds the tags. */
function guessTagged(list: readonly Profile[]): [Profile, Profile] | undefined {
  const lists = list
    .map((p) => ({ p, lists: p.values.map(listOf) }))
    .filter(({ lists: l }) => l.filter((entry) => entry !== null && entry.length > 1).length > l.length / 2)
    .map((entry) => ({ ...entry, distinct: new Set(entry.lists.flat().map(plainWords)).size }))
    .toSorted((a, b) => a.distinct - b.distinct);
  for (const tags of lists) {
    const words = lists.findLast(
      (other) =>
        other !== tags &&
        other.distinct > tags.distinct &&
        other.lists.filter((l, i) => l?.length === tags.lists[i]?.length).length >= other.lists.length * 0.9,
    );
    if (words) return [words.p, tags.p];
  }
  return undefined;
}

/** Columns for the roles that are missing, as far as what they hold tells. */
export function guessByContent(
  columns: readonly string[],
  rows: Rows,
  taken: ReadonlySet<string>,
  missing: readonly Role[],
): [Role, string][] {
  if (rows.length < FEWEST) return [];
  let left = profiles(columns, rows).filter(({ column }) => !taken.has(column));
  const found: [Role, string][] = [];
  const take = (role: Role, profile: Profile | undefined): void => {
    if (!missing.includes(role) || profile === undefined) return;
    found.push([role, profile.column]);
    left = left.filter((p) => p !== profile);
  };
  if (missing.includes('tokens') && missing.includes('tags')) {
    const tagged = guessTagged(left);
    take('tokens', tagged?.[0]);
    take('tags', tagged?.[1]);
  }
  take('image', left.find(holdsPictures));
  if (missing.includes('label')) take('label', guessLabel(left));
  if (missing.includes('value')) take('value', guessValue(left));
  take('text', guessText(left));
  return found;
}

/** A column of numbers that are no classes. */
export function numbersIn(columns: readonly string[], rows: Rows): string | undefined {
  if (rows.length === 0) return undefined;
  return profiles(columns, rows).find((p) => p.isNumeric && !p.isIndex && (!p.isWhole || p.distinct > 2))
    ?.column;
}

// What a column of a table may be for, and the names it usually goes by, the likeliest first.

export const NAMES = {
  text: [
    'text',
    'sentence',
    'content',
    'review',
    'document',
    'input',
    'body',
    'comment',
    'sentence1',
    'premise',
    'text_a',
    'question1',
    'story',
    'abstract',
    'article',
    'tweet',
    'message',
    'headline',
    'utterance',
    'post',
    'description',
    'title',
  ],
  /** A second text that is read together with the first. */
  pair: ['sentence2', 'hypothesis', 'text_b', 'text2', 'question2', 'text_pair'],
  label: [
    'label',
    'class',
    'category',
    'target',
    'sentiment',
    'topic',
    'labels',
    'fine_label',
    'intent',
    'emotion',
  ],
  /** A number to be predicted. */
  value: ['label', 'score', 'value', 'target', 'rating', 'stars', 'similarity', 'similarity_score', 'y'],
  prompt: ['prompt', 'instruction', 'question', 'query', 'input', 'source', 'human', 'user'],
  /** What the prompt is about, put below it. */
  context: ['context', 'input'],
  answer: ['answer', 'response', 'completion', 'output', 'target', 'assistant', 'chosen', 'answers', 'reply'],
  system: ['system', 'system_prompt'],
  messages: ['messages', 'conversations', 'conversation', 'chat', 'dialog'],
  /** What is said of the tools that a conversation may call. */
  tools: ['tools'],
  /** The answer that was liked less. */
  rejected: ['rejected'],
  tokens: ['tokens', 'words', 'form'],
  tags: ['tags', 'ner_tags', 'labels', 'pos_tags', 'upos', 'label', 'chunk_tags', 'ner', 'xpos'],
  image: ['image', 'img', 'file_name', 'picture', 'image_path', 'path', 'filename', 'image_file', 'file'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Role = keyof typeof NAMES;
