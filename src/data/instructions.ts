/** Prompts and answers, or whole conversations, in the model's chat format; the loss counts what the assistant says. */

import { PapilioError } from '../lib/errors.ts';
import type { ChatFormat, Message } from './chat.ts';
import type { Drops, Origin } from './notes.ts';
import { cutNote, type RowOptions, rowSplit, type Source } from './rows.ts';
import { chooseSplit } from './split.ts';
import type { Tokenizer } from './tokenizer.ts';
import type { InstructionDataset } from './types.ts';

export interface ChatRow extends Source {
  readonly messages: readonly Message[];
}

interface Encoded {
  readonly ids: Int32Array;
  readonly learnt: Uint8Array;
}

/**
 * Encodes a conversation piece by piece: the prompt's tokens are then those that the model sees when it is asked, whatever the answer.
 */
function encodeChat(format: ChatFormat, tokenizer: Tokenizer, messages: readonly Message[]): Encoded {
  const ids: number[] = format.kind === 'plain' ? [...tokenizer.prefix] : [];
  const learnt: number[] = ids.map(() => 0);
  format.segments(messages).forEach((segment, k) => {
    for (const id of tokenizer.encode(segment.text, { continues: k > 0 })) {
      ids.push(id);
      learnt.push(segment.learnt ? 1 : 0);
    }
  });
  return { ids: Int32Array.from(ids), learnt: Uint8Array.from(learnt) };
}

/**
 * Rows of messages → a dataset; rows of which nothing would be learnt are left out, beside what `drops` has of `total` rows already. Throws 'bad-data' when there is
 * nothing to hold.
 */
export function instructionDataset(
  name: string,
  rows: readonly ChatRow[],
  tokenizer: Tokenizer,
  format: ChatFormat,
  options: RowOptions & { readonly drops: Drops; readonly total: number },
  notes: string[] = [],
): InstructionDataset {
  const most = options.sequenceLength ?? Number.POSITIVE_INFINITY;
  const cut: Origin[] = [];
  const examples = rows.flatMap((row) => {
    let whole: Encoded;
    try {
      whole = encodeChat(format, tokenizer, row.messages);
    } catch (error) {
      if (!(error instanceof PapilioError)) throw error;
      options.drops.add(row.origin, {
        what: error.message.replace('The conversation ', ''),
        advice: 'mend or delete it',
      });
      return [];
    }
    const ids = whole.ids.subarray(0, Math.min(whole.ids.length, most));
    const learnt = whole.learnt.subarray(0, ids.length);
    // The first token has nothing before it that it could be predicted from.
    if (!learnt.subarray(1).includes(1)) {
      options.drops.add(row.origin, {
        what:
          ids.length < whole.ids.length ? `has a prompt of ${most} tokens or more` : 'has an empty answer',
        advice: 'train with longer sequences, or shorten it',
      });
      return [];
    }
    if (ids.length < whole.ids.length) cut.push(row.origin);
    return [{ ...row, ids, learnt }];
  });
  if (format.kind === 'plain')
    notes.push(
      "The model has no chat template: a prompt is followed by a line break, the answer and the model's end token.",
    );
  notes.push(...cutNote(cut, rows.length, most));
  notes.push(...options.drops.settle(options.total));
  const split = chooseSplit(
    examples.map((example) => example.split),
    null,
    options.seed,
    name,
  );
  const part = (members: Uint32Array) => {
    const base = rowSplit(examples, members);
    return { ...base, learnt: (i: number) => base.at(i).learnt };
  };
  return {
    kind: 'instruction',
    name,
    padId: tokenizer.pad,
    vocabSize: tokenizer.vocabSize,
    prompt: (text) => [
      ...(format.kind === 'plain' ? tokenizer.prefix : []),
      ...tokenizer.encode(format.prompt([{ role: 'user', content: text }])),
    ],
    train: part(split.train),
    held: part(split.held),
  };
}
