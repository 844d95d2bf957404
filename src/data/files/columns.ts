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
/** A column by role; '' for an optional role that no column has, whatever its name. */
export type ColumnMapping = { readonly [R in Role]?: string };

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
    if (typeof column !== 'string')
      fail('bad-argument', `The column for "${role}" must be its name, not ${JSON.stringify(column)}.`);
  }
  return value as ColumnMapping;
}

const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ');

/**
 * The columns for `needed` and, where there are any, `optional` roles. A column serves one role only.
 * @throws PapilioError 'bad-data' naming the columns that the file has
 */
export function mapColumns(
  file: string,
  columns: readonly string[],
  given: ColumnMapping,
  roles: { readonly needed: readonly Role[]; readonly optional?: readonly Role[] },
): ColumnMapping {
  const has = `it has ${quoted(columns)}`;
  const found: Partial<Record<Role, string>> = {};
  for (const [role, name] of Object.entries(given) as [Role, string][]) {
    if (!roles.needed.includes(role) && !roles.optional?.includes(role)) continue;
    if (name === '') continue;
    if (!columns.includes(name)) fail('bad-data', `${file} has no column "${name}"; ${has}.`);
    found[role] = name;
  }
  const taken = new Set(Object.values(found));
  for (const role of [...roles.needed, ...(roles.optional ?? [])]) {
    if (found[role] !== undefined || (given[role] === '' && !roles.needed.includes(role))) continue;
    const guess = guessColumn(columns, role, taken);
    if (guess !== undefined) {
      found[role] = guess;
      taken.add(guess);
    } else if (roles.needed.includes(role)) {
      const what =
        role === 'label' || role === 'value' ? 'no labels: no column "label"' : `no column "${role}"`;
      fail('bad-data', `${file} has ${what}; ${has}. Say which column it is with the column mapping.`, {
        role,
        columns,
      });
    }
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

/** Whether every role has a column, told or guessed. */
export function hasColumns(
  columns: readonly string[],
  given: ColumnMapping,
  roles: readonly Role[],
): boolean {
  return roles.every((role) => (given[role] ?? guessColumn(columns, role, new Set()) ?? '') !== '');
}

/** `"review" as text and "stars" as label`. */
export const describeMapping = (mapping: ColumnMapping): string =>
  Object.entries(mapping)
    .map(([role, column]) => `"${column}" as ${role}`)
    .join(', ');
