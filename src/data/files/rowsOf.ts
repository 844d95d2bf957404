/** Rows of tables as examples of a task: texts with classes or numbers, words with tags, conversations, documents. What a row lacks is noted. */
import { type Message, readMessages } from '../chat.ts';
import type { ChatRow } from '../instructions.ts';
import { readLabels } from '../labels.ts';
import type { Drops, Origin } from '../notes.ts';
import type { Source } from '../rows.ts';
import type { ClassRow, TextRow, ValueRow } from '../text-classes.ts';
import type { TaggedRow } from '../token-classes.ts';
import { type ColumnMapping, hasColumns, type Role } from './columns.ts';

/** A row with its origin; `values` by role. */
export interface Entry extends Source {
  readonly values: { readonly [R in Role]?: unknown };
  /** Names of numbered classes of the label or tag column, where the file keeps them. */
  readonly names?: readonly string[];
}

export interface Reading {
  readonly drops: Drops;
  readonly notes: string[];
  /** The model's own classes. */
  readonly labels?: readonly string[];
  readonly keepClasses?: boolean;
}

const INCOMPLETE = 'fill or delete what is incomplete';

/** A text, also from bytes; null where there is none. */
function textOf(value: unknown): string | null {
  const text = value instanceof Uint8Array ? new TextDecoder().decode(value) : value;
  return typeof text === 'string' && text.trim() !== '' ? text : null;
}

/** Those rows for which `make` gives something; a text is what it says is missing. */
function keep<T>(
  entries: readonly Entry[],
  drops: Drops,
  make: (entry: Entry) => T | string,
  advice = INCOMPLETE,
): { readonly entry: Entry; readonly made: T }[] {
  return entries.flatMap((entry) => {
    const made = make(entry);
    if (typeof made !== 'string') return [{ entry, made }];
    drops.add(entry.origin, { what: made, advice });
    return [];
  });
}

const readText = ({ values, origin, split }: Entry): TextRow | string => {
  const text = textOf(values.text);
  if (text === null) return 'has no text';
  const pair = values.pair === undefined ? null : textOf(values.pair);
  if (values.pair !== undefined && pair === null) return 'has no second text';
  return { text, ...(pair === null ? {} : { pair }), origin, split };
};

export function classRows(entries: readonly Entry[], reading: Reading): ClassRow[] {
  const texts = keep(entries, reading.drops, readText);
  const labels = labelsOf(
    texts.map(({ entry }) => entry),
    texts.map(({ entry }) => entry.values.label),
    texts.map(({ entry }) => entry.origin),
    reading,
  );
  return texts.flatMap(({ made }, i) => (labels[i] === null ? [] : [{ ...made, label: labels[i]! }]));
}

/** The label of each value, null where the row is dropped. */
export function labelsOf(
  entries: readonly Entry[],
  values: readonly unknown[],
  origins: readonly Origin[],
  { drops, notes, labels, keepClasses }: Reading,
): (string | null)[] {
  const names = entries.find((entry) => entry.names)?.names;
  return readLabels(
    values,
    origins,
    {
      ...(labels ? { known: labels } : {}),
      ...(names ? { names } : {}),
      ...(keepClasses ? { keepClasses } : {}),
    },
    drops,
    notes,
  );
}

export function valueRows(entries: readonly Entry[], { drops }: Reading): ValueRow[] {
  const made = keep(entries, drops, (entry): ValueRow | string => {
    const text = readText(entry);
    if (typeof text === 'string') return text;
    const given = entry.values.value;
    const value = typeof given === 'string' && given.trim() !== '' ? Number(given) : given;
    if (typeof value !== 'number' || !Number.isFinite(value)) return 'has no number to be predicted';
    return { ...text, value };
  });
  return made.map((m) => m.made);
}

/** A list, also as JSON text, or as words between spaces. */
function listOf(value: unknown): unknown[] | null {
  if (Array.isArray(value)) return value as unknown[];
  if (typeof value !== 'string' || value.trim() === '') return null;
  if (/^\s*\[/.test(value)) {
    try {
      // Python writes its lists with single quotes.
      const text = value.includes('"') ? value : value.replaceAll("'", '"');
      const list: unknown = JSON.parse(text);
      return Array.isArray(list) ? (list as unknown[]) : null;
    } catch {
      return null;
    }
  }
  return value.trim().split(/\s+/);
}

export function taggedRows(entries: readonly Entry[], reading: Reading): TaggedRow[] {
  const made = keep(
    entries,
    reading.drops,
    ({ values }) => {
      const words = listOf(values.tokens)?.map(String);
      const tags = listOf(values.tags);
      if (!words || words.length === 0) return 'has no words';
      if (!tags) return 'has no tags';
      return words.length === tags.length ? { words, tags } : 'has another number of tags than of words';
    },
    'each word needs one tag',
  );
  // All tags together, so that numbers are recognised as such.
  const all = made.flatMap(({ entry, made: { tags } }) => tags.map((tag) => ({ tag, entry })));
  const named = labelsOf(
    all.map(({ entry }) => entry),
    all.map(({ tag }) => tag),
    all.map(({ entry }) => entry.origin),
    reading,
  );
  let at = 0;
  return made.flatMap(({ entry, made: { words } }) => {
    const tags = named.slice(at, at + words.length);
    at += words.length;
    const { origin, split } = entry;
    return tags.includes(null) ? [] : [{ words, tags: tags as string[], origin, split }];
  });
}

/** Whether the columns hold prompts with answers, or conversations. */
export const holdsChats = (columns: readonly string[], given: ColumnMapping): boolean =>
  !given.text &&
  (hasColumns(columns, given, ['messages']) || hasColumns(columns, given, ['prompt', 'answer']));

export const chatRoles = (
  columns: readonly string[],
  given: ColumnMapping,
): { needed: Role[]; optional: Role[] } =>
  hasColumns(columns, given, ['messages']) && !given.prompt
    ? { needed: ['messages'], optional: [] }
    : { needed: ['prompt', 'answer'], optional: ['context', 'system'] };

export function chatRows(entries: readonly Entry[], { drops }: Reading): ChatRow[] {
  const made = keep(entries, drops, ({ values, origin, split }): ChatRow | string => {
    if ('messages' in values) {
      const messages = readMessages(values.messages);
      if (!messages) return 'has no conversation of {role, content}';
      if (!messages.some((m) => m.role === 'assistant')) return 'has no answer in its conversation';
      return { messages, origin, split };
    }
    const prompt = textOf(values.prompt);
    // Some datasets keep several right answers; the first is learnt.
    const first = Array.isArray(values.answer) ? values.answer[0] : values.answer;
    const answer = textOf(first);
    if (prompt === null) return 'has no prompt';
    if (answer === null) return 'has no answer';
    const system = textOf(values.system);
    const context = textOf(values.context);
    const asked: Message[] = [
      ...(system === null ? [] : [{ role: 'system' as const, content: system }]),
      { role: 'user', content: context === null ? prompt : `${prompt}\n\n${context}` },
    ];
    return { messages: [...asked, { role: 'assistant', content: answer }], origin, split };
  });
  return made.map((m) => m.made);
}

export const documentRows = (entries: readonly Entry[], { drops }: Reading): TextRow[] =>
  keep(entries, drops, readText).map((m) => m.made);
