/** Rows of tables as examples of a task: texts with classes or numbers, words with tags, conversations, documents. What a row lacks is noted. */
import { BOUNDS } from '../../lib/budget.ts';
import { plainWords } from '../../lib/json.ts';
import { say, whole } from '../../lib/say.ts';
import type { ClassRow, TaggedRow, TextRow, ValueRow } from '../classes.ts';
import type { ChatRow } from '../instructions.ts';
import { readLabels } from '../labels.ts';
import { listOfMessages, type Message, readMessages } from '../messages.ts';
import { type Drops, type Fault, type Origin, originList } from '../notes.ts';
import { longestStretch } from '../text.ts';
import type { Source } from '../tokenRows.ts';
import { isBrokenList, isNothing, isSquad, listOf, numberOf, squadAnswer, withoutPercent } from './cells.ts';
import { type ColumnMapping, hasColumns } from './columns.ts';
import type { Role } from './content.ts';
import type { Findings } from './table.ts';

/** A row with its origin; `values` by role. */
export interface Entry extends Source {
  readonly values: { readonly [R in Role]?: unknown };
  /** Names of numbered classes of the label or tag column, where the file keeps them. */
  readonly names?: readonly string[];
}

/** What reading hears of, and what it knows of the model. */
export interface Reading extends Findings {
  /** The model's own classes. */
  readonly labels?: readonly string[];
  readonly keepClasses?: boolean;
}

const fillIt = (): string => say`fill or delete what is incomplete`;

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
  advice = fillIt(),
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
  if (text === null) return say`has no text`;
  const pair = values.pair === undefined ? null : textOf(values.pair);
  if (values.pair !== undefined && pair === null) return say`has no second text`;
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
  return keep(entries, drops, readText).flatMap(({ entry, made }) => {
    const value = numberOf(entry.values.value);
    if (value !== null) return [{ ...made, value }];
    drops.add(entry.origin, noNumber(entry.values.value));
    return [];
  });
}

/** Why a cell gives no number. */
function noNumber(value: unknown): Fault {
  if (isNothing(value)) return { what: say`has no number to be predicted`, advice: fillIt() };
  if (withoutPercent(value) !== value)
    return {
      what: say`has a percent sign (%) behind some of the numbers to be predicted and not behind others`,
      advice: say`write all of them alike`,
    };
  const shown = plainWords(value).slice(0, 40);
  return {
    what: say`has something else than a plain number to be predicted`,
    advice: say`write a number such as 12.5 instead of ${JSON.stringify(shown)}`,
  };
}

/** Why a cell gives no list. */
const noList = (value: unknown, what: string): string =>
  isBrokenList(value)
    ? say`has a list of ${what} that cannot be read (write it as JSON: ["a", "b"])`
    : say`has no ${what}`;

export function taggedRows(entries: readonly Entry[], reading: Reading): TaggedRow[] {
  const made = keep(
    entries,
    reading.drops,
    ({ values }) => {
      const words = listOf(values.tokens)?.map((word) => (word === null ? '' : plainWords(word)));
      const tags = listOf(values.tags);
      if (!words || words.length === 0) return noList(values.tokens, 'words');
      if (!tags) return noList(values.tags, 'tags');
      return words.length === tags.length ? { words, tags } : say`has another number of tags than of words`;
    },
    say`each word needs one tag`,
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
  (hasColumns(columns, given, ['messages']) ||
    hasColumns(columns, given, ['prompt', 'answer']) ||
    hasColumns(columns, given, ['answer', 'rejected']));

export function chatRoles(
  columns: readonly string[],
  given: ColumnMapping,
): { needed: Role[]; optional: Role[] } {
  if (hasColumns(columns, given, ['messages']) && !given.prompt)
    return { needed: ['messages'], optional: ['system', 'tools'] };
  const optional: Role[] = ['context', 'system', 'tools', 'rejected'];
  return hasColumns(columns, given, ['prompt', 'answer'])
    ? { needed: ['prompt', 'answer'], optional }
    : { needed: ['answer'], optional };
}

/** One after the other: messages take much more than the tokens that become of them. */
export function* chatRows(entries: readonly Entry[], { drops, notes }: Reading): Generator<ChatRow> {
  if (entries.some(({ values }) => values.rejected !== undefined))
    notes.push(say`Of two answers the chosen one is learnt; the rejected one is not used.`);
  for (const entry of entries) {
    const row = chatRow(entry);
    if (typeof row === 'string') drops.add(entry.origin, { what: row, advice: fillIt() });
    else yield row;
  }
}

function chatRow({ values, origin, split }: Entry): ChatRow | string {
  const messages = 'messages' in values ? conversationOf(values) : pairOf(values);
  if (typeof messages === 'string') return messages;
  if (!messages.some((m) => m.role === 'assistant' && m.isLearnt !== false))
    return say`has no answer in its conversation`;
  const tools = toolsOf(values.tools);
  return { messages, ...(tools === null ? {} : { tools }), origin, split };
}

/** A list of tools, also as JSON text; null where there are none. */
function toolsOf(value: unknown): readonly unknown[] | null {
  const list = listOfMessages(value);
  return list && typeof list[0] === 'object' ? list : null;
}

const systemTurn = (value: unknown): Message[] => {
  const system = textOf(value);
  return system === null ? [] : [{ role: 'system', content: system }];
};

function conversationOf({ messages, system }: Entry['values']): Message[] | string {
  const read = readMessages(messages);
  if (typeof read === 'string') return read;
  return read[0]!.role === 'system' ? read : [...systemTurn(system), ...read];
}

const isMessageList = (value: unknown): boolean => {
  const first = listOfMessages(value)?.[0];
  return typeof first === 'object' && first !== null && ('role' in first || 'from' in first);
};

/** All answers are only read, but those that `isLearnt` names. */
const onlyRead = (messages: readonly Message[], isLearnt: (k: number) => boolean = () => false): Message[] =>
  messages.map((m, k) => (m.role === 'assistant' && !isLearnt(k) ? { ...m, isLearnt: false } : m));

/**
 * Some datasets keep several right answers, of which the first is learnt: as a list, or as SQuAD does, {text: […], answer_start: […]}; in a table
 * also as the text that Python made of it. Any other text is the answer as it stands, were it JSON.
 */
function firstAnswer(value: unknown): unknown {
  if (isMessageList(value)) return value;
  if (isSquad(value)) return squadAnswer(value);
  const read = Array.isArray(value) ? (value as unknown[]) : null;
  return read === null ? value : firstAnswer(read[0]);
}

/** Rows of questions that have no answer in the text they are asked of, as SQuAD 2 has them: they are no fault, and not learnt. */
export function withoutUnanswerable(entries: readonly Entry[], notes: string[]): readonly Entry[] {
  const isEmpty = (value: unknown) =>
    (Array.isArray(value) && value.length === 0) || (isSquad(value) && squadAnswer(value) === null);
  const empty = entries.filter(({ values }) => 'answer' in values && isEmpty(values.answer));
  if (empty.length === 0 || empty.length === entries.length) return entries;
  notes.push(
    say`${empty.length} of ${entries.length} questions have no answer and are left out: ${originList(empty.map(({ origin }) => origin))}.`,
  );
  const left = new Set(empty);
  return entries.filter((entry) => !left.has(entry));
}

/** A prompt and an answer, each a text or a list of messages; what stands in the prompt is not learnt. */
function pairOf(values: Entry['values']): Message[] | string {
  const asked = promptOf(values);
  if (typeof asked === 'string') return asked;
  const first = firstAnswer(values.answer);
  if (!isMessageList(first)) {
    const text = textOf(first);
    if (text === null) return say`has no answer`;
    return asked.length === 0 ? say`has no prompt` : [...asked, { role: 'assistant', content: text }];
  }
  const said = readMessages(first);
  if (typeof said === 'string') return said;
  if (said[0]!.role === 'assistant' || said[0]!.role === 'tool') return [...asked, ...said];
  // A chosen conversation holds its prompt; what it shares with the rejected one is all but its last answer.
  const system = said[0]!.role === 'system' ? [] : asked.filter((m) => m.role === 'system');
  return [...system, ...onlyRead(said, (k) => k === said.length - 1)];
}

function promptOf({ prompt, context, system }: Entry['values']): Message[] | string {
  if (prompt === undefined) return [];
  if (isMessageList(prompt)) {
    const read = readMessages(prompt);
    if (typeof read === 'string') return read;
    return onlyRead(read[0]!.role === 'system' ? read : [...systemTurn(system), ...read]);
  }
  const text = textOf(prompt);
  if (text === null) return say`has no prompt`;
  const below = textOf(context);
  return [...systemTurn(system), { role: 'user', content: below === null ? text : `${text}\n\n${below}` }];
}

/** Texts to be read on from one to the next. One that no tokenizer could take in time is a fault of its row. */
export const documentRows = (entries: readonly Entry[], { drops }: Reading): TextRow[] =>
  keep(entries, drops, (entry) => {
    const row = readText(entry);
    return typeof row !== 'string' && longestStretch(row.text) > BOUNDS.unbrokenLetters.most
      ? say`has more than ${whole(BOUNDS.unbrokenLetters.most)} letters in one word or one white space`
      : row;
  }).map((m) => m.made);
