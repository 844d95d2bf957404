/**
 * Conversations as datasets have them → messages: OpenAI's and TRL's `{role, content}`, ShareGPT's `{from, value}`, content in parts, tool calls
 * and their results. What cannot be read is a sentence's end, never left out.
 */
import { jsonOf, plainWords } from '../lib/json.ts';
import { say } from '../lib/say.ts';
import { isRecord, structured } from './files/cells.ts';

export interface TextPart {
  readonly type: 'text';
  readonly text: string;
}

/** Names of the thinking that templates know. */
export const THOUGHTS = ['reasoning_content', 'reasoning', 'thinking'] as const;
export type ThoughtName = (typeof THOUGHTS)[number];

export interface Message {
  readonly role: 'system' | 'developer' | 'user' | 'assistant' | 'tool';
  /** null where a message only calls tools. */
  readonly content: string | null | readonly TextPart[];
  /** What the assistant thought before it spoke, under the name that the dataset has for it. */
  readonly thought?: { readonly name: ThoughtName; readonly text: string };
  readonly tool_calls?: readonly unknown[];
  /** The calls as words, where the dataset has them so (ShareGPT). */
  readonly callWords?: string;
  /** False for an answer that is only read, such as one in a prompt. */
  readonly isLearnt?: boolean;
  /** What else the dataset says of the message, for the template: a tool's name and the like. */
  readonly more?: Readonly<Record<string, unknown>>;
}

const ROLES: Readonly<Record<string, Message['role']>> = {
  system: 'system',
  developer: 'developer',
  user: 'user',
  human: 'user',
  prompter: 'user',
  assistant: 'assistant',
  gpt: 'assistant',
  model: 'assistant',
  bot: 'assistant',
  chatgpt: 'assistant',
  function_call: 'assistant',
  tool_call: 'assistant',
  tool: 'tool',
  function: 'tool',
  observation: 'tool',
  function_response: 'tool',
  tool_response: 'tool',
  ipython: 'tool',
};

/** ShareGPT's speakers whose words are a call, as JSON. */
const CALLS = ['function_call', 'tool_call'];

type Fields = Readonly<Record<string, unknown>>;

function parsed(text: string): unknown {
  try {
    return jsonOf(text);
  } catch {
    return undefined;
  }
}

/** A list, also as the text that a program made of it; null for anything else. */
export function listOfMessages(value: unknown): readonly unknown[] | null {
  const list = structured(value);
  return Array.isArray(list) && list.length > 0 ? (list as unknown[]) : null;
}

/** A conversation, or after "has" what is wrong with it. */
export function readMessages(value: unknown): Message[] | string {
  const list = listOfMessages(value);
  if (list === null) return say`has no conversation of {role, content}`;
  const messages: Message[] = [];
  for (const entry of list) {
    const message = readMessage(entry);
    if (typeof message === 'string') return message;
    messages.push(message);
  }
  return messages;
}

function readMessage(entry: unknown): Message | string {
  if (!isRecord(entry)) return say`has no conversation of {role, content}`;
  const { role, from, content, value, tool_calls, weight, ...rest } = entry;
  const speaker = plainWords(role ?? from);
  const spoken = speaker.toLowerCase();
  const who = Object.hasOwn(ROLES, spoken) ? ROLES[spoken] : undefined;
  if (!who) return say`has a message of "${speaker}" in its conversation, a role that is not known`;
  const said = readContent(content ?? value);
  if (said !== null && isFault(said)) return said.fault;
  const given = Array.isArray(tool_calls) && tool_calls.length > 0 ? (tool_calls as unknown[]) : null;
  const calls = given === null ? callsOf(speaker, said) : null;
  if (said === null && given === null)
    return say`has a message of the ${who} without content in its conversation`;
  const name = THOUGHTS.find((key) => typeof rest[key] === 'string');
  const known: readonly string[] = THOUGHTS;
  const more = withoutNulls(Object.fromEntries(Object.entries(rest).filter(([key]) => !known.includes(key))));
  return {
    role: who,
    content: calls === null ? said : null,
    ...(name ? { thought: { name, text: rest[name] as string } } : {}),
    ...(given ? { tool_calls: withoutNulls(given) as unknown[] } : {}),
    ...(calls ? { tool_calls: calls, callWords: said as string } : {}),
    ...(weight === 0 || weight === false ? { isLearnt: false } : {}),
    ...(Object.keys(more as Fields).length > 0 ? { more: more as Fields } : {}),
  };
}

/** Tables with one column for all messages fill what a message has not with null; a call's arguments may mean it. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) =>
      item === null || item === undefined ? [] : [[key, key === 'arguments' ? item : withoutNulls(item)]],
    ),
  );
}

interface Fault {
  readonly fault: string;
}
const isFault = (said: string | readonly TextPart[] | Fault): said is Fault =>
  typeof said !== 'string' && 'fault' in said;

/** Text, or a list of parts that are all text. */
function readContent(content: unknown): string | readonly TextPart[] | null | Fault {
  if (content === null || content === undefined) return null;
  if (typeof content === 'string') return content;
  if (!Array.isArray(content))
    return { fault: say`has a message in its conversation whose content is no text` };
  const parts: TextPart[] = [];
  for (const part of content as unknown[]) {
    const { type, text } = isRecord(part) ? part : { type: 'text', text: part };
    const kind = plainWords(type ?? 'text');
    if (!/^(input_|output_)?text$/.test(kind))
      return {
        fault: /image|picture/.test(kind)
          ? say`has a picture in its conversation, and only text can be learnt`
          : say`has a part of type "${kind}" in its conversation, and only text can be learnt`,
      };
    if (typeof text !== 'string') return { fault: say`has a part without text in its conversation` };
    parts.push({ type: 'text', text });
  }
  return parts;
}

/** The calls of a ShareGPT `function_call`, whose words are JSON; null where they are not, and the words stay words. */
function callsOf(speaker: string, said: string | readonly TextPart[] | null): unknown[] | null {
  if (!CALLS.includes(speaker.toLowerCase()) || typeof said !== 'string') return null;
  const value = parsed(said);
  const calls = Array.isArray(value) ? (value as unknown[]) : [value];
  return calls.every((call): call is Fields => isRecord(call) && typeof call.name === 'string')
    ? calls.map((call) => ({
        type: 'function',
        function: { name: call.name, arguments: call.arguments ?? call.parameters ?? {} },
      }))
    : null;
}

/** The words of a message as one text. */
export const wordsOf = ({ content }: Message): string =>
  content === null ? '' : typeof content === 'string' ? content : content.map((part) => part.text).join('\n');
