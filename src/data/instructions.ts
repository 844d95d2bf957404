/** Prompts and answers, or whole conversations, in the model's chat format; the loss counts what the assistant says. */
import { PapilioError } from '../lib/errors.ts';
import { clause, say } from '../lib/say.ts';
import type { ChatFormat } from './chat.ts';
import type { Message } from './messages.ts';
import { type Drops, type Fault, type Origin, originList } from './notes.ts';
import { cutNote, type RowOptions, tokenDataset } from './rows.ts';
import type { Tokenizer } from './tokenizer.ts';
import { type Source, TokenRows } from './tokenRows.ts';
import type { InstructionDataset } from './types.ts';

export interface ChatRow extends Source {
  readonly messages: readonly Message[];
  /** What the dataset says of the tools that may be called. */
  readonly tools?: unknown;
}

interface Encoded {
  readonly ids: readonly number[];
  /** 1 for those that are learnt. */
  readonly learnt: readonly number[];
  readonly remarks: readonly string[];
}

/** Templates write the token that begins a text themselves; before a plain format's text it is put. */
const prefixOf = (format: ChatFormat, tokenizer: Tokenizer): readonly number[] =>
  format.kind === 'plain' ? tokenizer.prefix : [];

/** Encodes a conversation as transformers' `apply_chat_template` does: the whole rendering at once. */
export function encodeChat(
  format: ChatFormat,
  tokenizer: Tokenizer,
  messages: readonly Message[],
  tools?: unknown,
): Encoded {
  const { text, learnt, remarks } = format.render(messages, tools);
  const tokens = tokenizer.encodeSpans(text, learnt);
  const prefix = prefixOf(format, tokenizer);
  return {
    ids: [...prefix, ...tokens.ids],
    learnt: [...prefix.map(() => 0), ...tokens.inside],
    remarks,
  };
}

/** The ids that ask the model for an answer to `text`. */
export const promptIds = (format: ChatFormat, tokenizer: Tokenizer, text: string): number[] => [
  ...prefixOf(format, tokenizer),
  ...tokenizer.encode(format.prompt([{ role: 'user', content: text }])),
];

/** The ids that end an answer: the tokenizer's own, and the special tokens with which the format ends a turn. */
export function stopIds(format: ChatFormat, tokenizer: Tokenizer): Set<number> {
  const stop = new Set(tokenizer.eos === undefined ? [] : [tokenizer.eos]);
  try {
    const { text, learnt } = format.render([
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'a' },
    ]);
    const { ids, inside } = tokenizer.encodeSpans(
      text,
      learnt.map(({ mark, end }) => ({ start: mark, end })),
    );
    const first = ids.find((id, t) => inside[t] === 1 && tokenizer.specials.has(id));
    if (first !== undefined) stop.add(first);
  } catch (error) {
    if (!(error instanceof PapilioError)) throw error;
  }
  return stop;
}

/** What a sentence on a conversation or its text says of the row, and what it advises. */
function faultOf(sentence: string): Fault {
  const [what, ...advice] = clause(sentence.replace(/^The (conversation|text) /, '')).split(/; |；/);
  return { what: what!, advice: advice.length > 0 ? advice.join('; ') : say`mend or delete it` };
}

/**
 * Rows of messages → a dataset; rows of which nothing would be learnt are left out, beside what `drops` has of `total` rows already. Throws 'bad-data' when there is
 * nothing to hold.
 */
export function instructionDataset(
  name: string,
  rows: Iterable<ChatRow>,
  tokenizer: Tokenizer,
  format: ChatFormat,
  options: RowOptions & { readonly drops: Drops; readonly total: number },
  notes: string[] = [],
): InstructionDataset {
  const most = options.sequenceLength ?? Number.POSITIVE_INFINITY;
  const cut: Origin[] = [];
  const remarked = new Map<string, Origin[]>();
  const examples = new TokenRows((length) => new Uint8Array(length));
  let count = 0;
  for (const row of rows) {
    count++;
    let whole: Encoded;
    try {
      whole = encodeChat(format, tokenizer, row.messages, row.tools);
    } catch (error) {
      // What else is wrong is no fault of the row: a template or a tokenizer that cannot be used, or that costs too much.
      if (!(error instanceof PapilioError) || error.kind !== 'bad-data') throw error;
      options.drops.add(row.origin, faultOf(error.message));
      continue;
    }
    for (const remark of whole.remarks) remarked.set(remark, [...(remarked.get(remark) ?? []), row.origin]);
    const [ids, learnt] = [whole.ids.slice(0, most), whole.learnt.slice(0, most)];
    // The first token has nothing before it that it could be predicted from.
    if (!learnt.includes(1, 1)) {
      options.drops.add(row.origin, {
        what:
          ids.length < whole.ids.length
            ? say`has a prompt of ${most} tokens or more`
            : say`has no answer to be learnt`,
        advice: say`train with longer sequences, or shorten it`,
      });
      continue;
    }
    if (ids.length < whole.ids.length) cut.push(row.origin);
    examples.add(row, ids, learnt);
  }
  if (format.kind === 'plain')
    notes.push(
      say`The model has no chat template: a prompt is followed by a line break, the answer and the model's end token.`,
    );
  for (const [remark, origins] of remarked)
    notes.push(say`The model's chat template ${remark} (${originList(origins)}).`);
  notes.push(...cutNote(cut, count, most));
  notes.push(...options.drops.settle(options.total));
  const part = (members: Uint32Array) => {
    const { marks: learnt, ...base } = examples.part(members);
    return { ...base, learnt };
  };
  return {
    kind: 'instruction',
    prompt: (text) => promptIds(format, tokenizer, text),
    stop: stopIds(format, tokenizer),
    ...tokenDataset({ name, tokenizer, seed: options.seed }, examples.sources, null, part),
  };
}
