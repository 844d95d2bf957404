/** Which column is what: guessed by the names that people and published datasets use, or told by the user. */
import { fail } from '../../lib/errors.ts';

/** Names by role, the likeliest first; compared without case. */
const NAMES = {
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
  tokens: ['tokens', 'words'],
  tags: ['tags', 'ner_tags', 'labels', 'pos_tags', 'upos', 'label', 'chunk_tags', 'ner'],
  image: ['image', 'img', 'file_name', 'picture', 'image_path', 'path', 'filename', 'image_file', 'file'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Role = keyof typeof NAMES;

const COLUMN_NAMES: ReadonlySet<string> = new Set([
  ...Object.values(NAMES).flat(),
  ...['id', 'split', 'name', 'title', 'date', 'user', 'language', 'lang', 'url'],
]);
/** A column by role, by its name or by its number from 1; '' for an optional role that no column has, whatever its name. */
export type ColumnMapping = { readonly [R in Role]?: string | number };
/** Columns that the table has. */
export type FoundColumns = { readonly [R in Role]?: string };

const ROLES = Object.keys(NAMES) as Role[];

/** A mapping from outside. @throws PapilioError 'bad-argument' naming the roles there are */
export function checkMapping(value: unknown): ColumnMapping {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return fail(
      'bad-argument',
      'A column mapping is an object such as {"text": "review", "label": "stars"}.',
    );
  for (const [role, column] of Object.entries(value)) {
    if (!ROLES.includes(role as Role))
      fail('bad-argument', `A column cannot be mapped to "${role}"; choose among ${ROLES.join(', ')}.`);
    if (typeof column !== 'string' && !(Number.isInteger(column) && (column as number) >= 1))
      fail(
        'bad-argument',
        `The column for "${role}" must be its name, or its number from 1, not ${JSON.stringify(column)}.`,
      );
  }
  return value as ColumnMapping;
}

const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ');

/** What roles can be guessed by where names say nothing. */
export interface Content {
  /** Some rows of the table, by column. */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly hasHeader: boolean;
}

/** Names that say nothing are those that a program made up. */
const NAMELESS = /^(column \d+|Unnamed: \d+|v\d+|x\d+|col(umn)?[_ ]?\d+|_c\d+|field[_ ]?\d+|\d+)$/i;

/** Whether tables commonly have a column of this name. */
export function isColumnName(cell: string): boolean {
  const name = cell.trim().toLowerCase();
  return COLUMN_NAMES.has(name) || /^(.+_)?(id|idx|index|text|label)$|^unnamed: \d+$/.test(name);
}

/** The column that someone named, or counted from 1. @throws PapilioError 'bad-data' naming the columns that the file has */
function columnTold(file: string, columns: readonly string[], told: string | number): string {
  const byName = columns.find((column) => column === String(told));
  if (byName !== undefined) return byName;
  const number = typeof told === 'number' ? told : /^[1-9]\d*$/.test(told) ? Number(told) : null;
  const byNumber = number === null ? undefined : columns[number - 1];
  return (
    byNumber ??
    fail(
      'bad-data',
      number === null
        ? `${file} has no column "${told}"; it has ${quoted(columns)}.`
        : `${file} has no column ${number}; it has ${columns.length}: ${quoted(columns)}.`,
    )
  );
}

/**
 * The columns for `needed` and, where there are any, `optional` roles: as told, else by their names, else by what they hold. A column serves one
 * role only.
 * @throws PapilioError 'bad-data' naming the columns that the file has
 */
export function mapColumns(
  file: string,
  columns: readonly string[],
  given: ColumnMapping,
  roles: { readonly needed: readonly Role[]; readonly optional?: readonly Role[] },
  content?: Content,
): FoundColumns {
  const found: Partial<Record<Role, string>> = {};
  for (const [role, told] of Object.entries(given) as [Role, string | number][]) {
    if (!roles.needed.includes(role) && !roles.optional?.includes(role)) continue;
    if (told !== '') found[role] = columnTold(file, columns, told);
  }
  const taken = new Set(Object.values(found));
  const take = (role: Role, column: string) => {
    found[role] = column;
    taken.add(column);
  };
  for (const role of [...roles.needed, ...(roles.optional ?? [])]) {
    if (found[role] !== undefined || (given[role] === '' && !roles.needed.includes(role))) continue;
    const guess = guessColumn(columns, role, taken);
    if (guess !== undefined) take(role, guess);
  }
  if (content)
    guessByContent(columns, roles.needed, content, taken, (role) => found[role] !== undefined, take);
  const missing = roles.needed.find((role) => found[role] === undefined);
  if (missing !== undefined) {
    const what =
      missing === 'label' || missing === 'value' ? 'no labels: no column "label"' : `no column "${missing}"`;
    fail(
      'bad-data',
      `${file} has ${what}; it has ${quoted(columns)}. Say which column it is with the column mapping, by its name or its number.`,
      { role: missing, columns },
    );
  }
  return found;
}

function guessColumn(columns: readonly string[], role: Role, taken: ReadonlySet<string>): string | undefined {
  for (const name of NAMES[role]) {
    const column = columns.find((c) => c.trim().toLowerCase() === name && !taken.has(c));
    if (column !== undefined) return column;
  }
  return undefined;
}

/** Words of a column's cells on average, how many different ones there are, and whether all are numbers. */
function profile(values: readonly unknown[]) {
  const texts = values.filter((v) => v !== null && v !== undefined && v !== '').map(String);
  const words = texts.reduce((n, text) => n + text.trim().split(/\s+/).length, 0) / Math.max(1, texts.length);
  const distinct = new Set(texts).size;
  return {
    words,
    length: texts.reduce((n, text) => n + text.length, 0) / Math.max(1, texts.length),
    isClass: distinct > 1 && words < 4 && distinct <= Math.max(2, texts.length / 2),
    isNumber: texts.length > 0 && texts.every((text) => /^\s*[-+]?[\d.,]*\d([eE][-+]?\d+)?\s*$/.test(text)),
    isPicture: texts.length > 0 && texts.every((text) => /\.(png|jpe?g|webp|gif|bmp)$/i.test(text.trim())),
  };
}

/**
 * Roles that no name answers, where only one column can be meant: the longest texts are the text, a column of few values the label, one of
 * numbers the value.
 */
function guessByContent(
  columns: readonly string[],
  needed: readonly Role[],
  { rows, hasHeader }: Content,
  taken: ReadonlySet<string>,
  isFound: (role: Role) => boolean,
  take: (role: Role, column: string) => void,
): void {
  const free = () => columns.filter((column) => !taken.has(column));
  const profiles = new Map(columns.map((column) => [column, profile(rows.map((row) => row[column]))]));
  const where = (test: (p: ReturnType<typeof profile>) => boolean) =>
    free().filter((column) => test(profiles.get(column)!));
  const longest = (among: readonly string[]) =>
    [...among].sort((a, b) => profiles.get(b)!.length - profiles.get(a)!.length)[0];
  const only = (role: Role, among: readonly string[]) => {
    // With several candidates a guess would be a coin toss; names that say something were chosen by somebody for something else.
    const able = hasHeader && free().length > 2 ? among.filter((column) => NAMELESS.test(column)) : among;
    if (able.length === 1) take(role, able[0]!);
  };
  const wants = (role: Role) => needed.includes(role) && !isFound(role);
  const asText = (p: ReturnType<typeof profile>) => !p.isNumber && !p.isClass && !p.isPicture;
  if (wants('image'))
    only(
      'image',
      where((p) => p.isPicture),
    );
  if (wants('text')) {
    const texts = where(asText);
    const column = texts.length > 0 ? longest(texts) : undefined;
    if (column !== undefined) only('text', [column]);
  }
  if (wants('label'))
    only(
      'label',
      where((p) => p.isClass && !p.isPicture),
    );
  if (wants('value'))
    only(
      'value',
      where((p) => p.isNumber),
    );
  if (wants('prompt') && wants('answer')) {
    const pair = where(asText);
    if (pair.length === 2) {
      take('prompt', pair[0]!);
      take('answer', pair[1]!);
    }
  }
}

/** Whether every role has a column, told or guessed by its name. */
export function hasColumns(
  columns: readonly string[],
  given: ColumnMapping,
  roles: readonly Role[],
): boolean {
  return roles.every((role) => (given[role] ?? guessColumn(columns, role, new Set()) ?? '') !== '');
}

/** `"review" as text and "stars" as label`; columns without names by number. */
export const describeMapping = (mapping: FoundColumns): string =>
  Object.entries(mapping)
    .map(([role, column]) => `${/^column \d+$/.test(column) ? column : `"${column}"`} as ${role}`)
    .join(', ');
