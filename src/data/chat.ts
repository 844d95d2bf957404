/**
 * The model's own chat format: Hugging Face's Jinja template renders the messages, and what the assistant says in them is told from what it only
 * reads. A model without a template gets a plain one, which is said.
 */
import { Template } from '@huggingface/jinja';
import { fail } from '../lib/errors.ts';

export interface Message {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
}

/** A piece of a rendered conversation; `learnt` is what the assistant says, with the sign that ends it. */
export interface Segment {
  readonly text: string;
  readonly learnt: boolean;
}

export interface ChatFormat {
  /** `template` = the model's own. */
  readonly kind: 'template' | 'plain';
  /** The conversation in order. @throws PapilioError 'bad-data' when the template refuses it */
  segments(messages: readonly Message[]): Segment[];
  /** The text up to where the assistant begins to speak. */
  prompt(messages: readonly Message[]): string;
}

/** Texts of the model's special tokens, as templates name them. */
export interface SpecialTokens {
  readonly bos: string;
  readonly eos: string;
}

type TokenEntry = string | { readonly content?: string } | null | undefined;
const tokenText = (entry: unknown): string => {
  const value = entry as TokenEntry;
  return typeof value === 'string' ? value : (value?.content ?? '');
};

/**
 * The format of a model.
 * @param config tokenizer_config.json's value; its chat_template is a text or a list of named ones
 * @param template chat_template.jinja's text, which goes before
 * @throws PapilioError 'malformed-file' for a template that is no Jinja
 */
export function chatFormat(
  config: Readonly<Record<string, unknown>>,
  template: string | null = null,
): ChatFormat {
  const specials = { bos: tokenText(config.bos_token), eos: tokenText(config.eos_token) };
  const source = template ?? templateOf(config.chat_template);
  return source === null ? plainFormat(specials) : templateFormat(source, specials);
}

function templateOf(entry: unknown): string | null {
  if (typeof entry === 'string') return entry;
  if (!Array.isArray(entry)) return null;
  const named = entry as readonly { readonly name?: string; readonly template?: string }[];
  return (named.find(({ name }) => name === 'default') ?? named[0])?.template ?? null;
}

function templateFormat(source: string, { bos, eos }: SpecialTokens): ChatFormat {
  const compiled = (() => {
    try {
      return new Template(source);
    } catch (cause) {
      return fail(
        'malformed-file',
        `The model's chat template cannot be read (${(cause as Error).message}); take tokenizer_config.json anew from where the model came from.`,
      );
    }
  })();
  const render = (messages: readonly Message[], begins: boolean): string => {
    try {
      return compiled.render({
        messages: messages.map((m) => ({ ...m })),
        add_generation_prompt: begins,
        bos_token: bos,
        eos_token: eos,
      });
    } catch (cause) {
      return fail(
        'bad-data',
        `The conversation is refused by the model's chat template (${(cause as Error).message})`,
      );
    }
  };
  return {
    kind: 'template',
    prompt: (messages) => render(messages, true),
    segments(messages) {
      const whole = render(messages, false);
      const segments: Segment[] = [];
      let at = 0;
      const add = (to: number, learnt: boolean): void => {
        if (to > at) segments.push({ text: whole.slice(at, to), learnt });
        at = Math.max(at, to);
      };
      messages.forEach((message, k) => {
        if (message.role !== 'assistant') return;
        const before = render(messages.slice(0, k), true);
        const after = k + 1 === messages.length ? whole : render(messages.slice(0, k + 1), false);
        if (whole.startsWith(before) && whole.startsWith(after) && after.length > before.length) {
          add(before.length, false);
          add(after.length, true);
          return;
        }
        // Templates that rewrite earlier turns, or begin the answer with what it then leaves out: look for the words themselves.
        const found = whole.indexOf(message.content.trim(), at);
        if (found < 0)
          fail('bad-data', "The conversation has an answer that the model's chat template changes");
        add(found, false);
        const next = messages[k + 1];
        const end = next
          ? whole.indexOf(next.content.trim(), found + message.content.trim().length)
          : whole.length;
        const said = found + message.content.trim().length;
        const close = eos !== '' && whole.startsWith(eos, said) ? said + eos.length : said;
        add(next && end >= 0 ? close : whole.length, true);
      });
      add(whole.length, false);
      return segments;
    },
  };
}

const TITLES: Readonly<Record<Message['role'], string>> = {
  system: '',
  user: 'User: ',
  assistant: 'Assistant: ',
  tool: 'Tool: ',
};

/** A pair as prompt, line break, answer; longer conversations with the speakers' names. */
function plainFormat({ eos }: SpecialTokens): ChatFormat {
  const isPair = (messages: readonly Message[]): boolean =>
    messages.filter((m) => m.role === 'user').length <= 1 && messages.every((m) => m.role !== 'tool');
  const line = (message: Message, named: boolean): string =>
    `${named ? TITLES[message.role] : ''}${message.content}\n`;
  return {
    kind: 'plain',
    segments(messages) {
      const named = !isPair(messages);
      return messages.flatMap((message): Segment[] =>
        message.role === 'assistant'
          ? [
              ...(named ? [{ text: TITLES.assistant, learnt: false }] : []),
              { text: `${message.content}${eos === '' ? '\n' : eos}`, learnt: true },
            ]
          : [{ text: line(message, named), learnt: false }],
      );
    },
    prompt(messages) {
      const named = !isPair(messages);
      return `${messages.map((m) => line(m, named)).join('')}${named ? TITLES.assistant : ''}`;
    },
  };
}

const ROLES: Readonly<Record<string, Message['role']>> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  human: 'user',
  prompter: 'user',
  assistant: 'assistant',
  gpt: 'assistant',
  model: 'assistant',
  bot: 'assistant',
  chatgpt: 'assistant',
  tool: 'tool',
  function: 'tool',
};

/** A conversation as datasets have it: `{role, content}` or `{from, value}`, also as JSON text; null if it is none. */
export function readMessages(value: unknown): Message[] | null {
  if (typeof value === 'string') {
    try {
      return readMessages(JSON.parse(value));
    } catch {
      return null;
    }
  }
  if (!Array.isArray(value) || value.length === 0) return null;
  const messages = value.map((entry: unknown): Message | null => {
    if (typeof entry !== 'object' || entry === null) return null;
    const { role, from, content, value: said } = entry as Readonly<Record<string, unknown>>;
    const who = ROLES[String(role ?? from).toLowerCase()];
    const what = content ?? said;
    return who && typeof what === 'string' ? { role: who, content: what } : null;
  });
  return messages.includes(null) ? null : (messages as Message[]);
}
