/** What the small files beside a model say of its special tokens and its chat template. */
import { fail, passOn } from '../lib/errors.ts';
import { jsonOf } from '../lib/json.ts';

/** The text of a special token as configurations have it: a text, an object with `content`, or nothing (''). */
export const tokenText = (entry: unknown): string => {
  if (typeof entry === 'string') return entry;
  const content = (entry as { readonly content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' ? content : '';
};

type Json = Readonly<Record<string, unknown>>;

export interface TokenizerSettings {
  /** tokenizer_config.json, with what only special_tokens_map.json names. */
  readonly config: Json;
  /** The chat template that lies in a file of its own; null where there is none. */
  readonly template: string | null;
}

/**
 * Reads them as transformers does: special_tokens_map.json where tokenizer_config.json is silent, chat_template.jinja before
 * chat_template.json before the configuration's own.
 * @param text a file's text by its name, null where it is missing
 */
export function tokenizerSettings(text: (name: string) => string | null): TokenizerSettings {
  const json = (name: string): Json => {
    const content = text(name);
    if (content === null) return {};
    try {
      const value: unknown = jsonOf(content, name);
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
    } catch (cause) {
      passOn(cause);
    }
    return fail('malformed-file', `${name} is no JSON object; take it anew from where the model came from.`);
  };
  const config: Record<string, unknown> = { ...json('tokenizer_config.json') };
  for (const [key, value] of Object.entries(json('special_tokens_map.json'))) config[key] ??= value;
  const { chat_template } = json('chat_template.json');
  return {
    config,
    template: text('chat_template.jinja') ?? (typeof chat_template === 'string' ? chat_template : null),
  };
}
