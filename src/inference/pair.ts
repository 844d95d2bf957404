/**
 * Two files side by side in the inference worker, with the tokenizer and the chat template that came with them: what a stranger's files say
 * is read here, where it can be ended, and never in the page.
 */
import { type About, type Answer, answerOf, type Question, type Side, settingsOf } from './answers.ts';
import type { OrtSession } from './session.ts';
import { type WriteOptions, type Writing, writeBoth } from './writing.ts';

export type BothWriting = Readonly<Record<Side, Writing>>;

export interface PairWork {
  answer(question: Question): Promise<Answer>;
  /** Begins a text; the one before it is left where it is. */
  write(options: WriteOptions): void;
  /** How far both are after one more token of one of them; null at the end. */
  next(): Promise<BothWriting | null>;
}

/** @throws PapilioError where the small files cannot be read */
export function pairWork(sessions: Readonly<Record<Side, OrtSession>>, about: About): PairWork {
  const settings = settingsOf(about);
  let text: AsyncGenerator<BothWriting, void> | null = null;
  return {
    answer: (question) => answerOf(sessions, settings, question),
    write(options) {
      text = writeBoth(sessions, settings, options);
    },
    async next() {
      const now = await text?.next();
      return now?.value ?? null;
    },
  };
}
