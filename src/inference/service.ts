/** What the page and the inference worker say to each other. Errors travel as values, since a thrown one loses its kind on the way. */
import { type ErrorKind, PapilioError } from '../lib/errors.ts';
import type { About, Question, Answer as Said } from './answers.ts';
import type { BothWriting } from './pair.ts';
import type { OpenOptions, OrtSession } from './session.ts';
import type { FeedTensor, HostTensor } from './tensor.ts';
import type { WriteOptions } from './writing.ts';

export type SessionFacts = Pick<OrtSession, 'provider' | 'inputs' | 'outputs' | 'inputNames' | 'outputNames'>;

export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false;
      readonly kind: ErrorKind;
      readonly message: string;
      readonly details: Readonly<Record<string, unknown>>;
    };

export interface InferenceService {
  open(
    model: Uint8Array | Blob,
    options: OpenOptions,
  ): Promise<Answer<SessionFacts & { readonly id: number }>>;
  run(
    id: number,
    feeds: Readonly<Record<string, FeedTensor>>,
    outputs: readonly string[] | undefined,
  ): Promise<Answer<Record<string, HostTensor>>>;
  release(id: number): Promise<Answer<null>>;
  /** Two opened files are asked side by side from now on. */
  pair(before: number, after: number, about: About): Promise<Answer<null>>;
  pairAnswer(question: Question): Promise<Answer<Said>>;
  pairWrite(options: WriteOptions): Promise<Answer<null>>;
  pairNext(): Promise<Answer<BothWriting | null>>;
}

/** The outcome of `task` as a value; an error that is not ours becomes 'internal'. */
export async function answer<T>(task: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { ok: true, value: await task() };
  } catch (error) {
    if (error instanceof PapilioError) {
      return { ok: false, kind: error.kind, message: error.message, details: error.details };
    }
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, kind: 'internal', message, details: {} };
  }
}

/** The value of an answer, or its error thrown again with its kind. */
export function unwrap<T>(result: Answer<T>): T {
  if (result.ok) return result.value;
  throw new PapilioError(result.kind, result.message, result.details);
}
