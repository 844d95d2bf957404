/** What a check asks, and how long it waits: a case with a question that gets no answer is named and left, and the next is asked. */
import type { Graph, Tensor } from '../graph/types.ts';
import { PapilioError } from '../lib/errors.ts';
import { say } from '../lib/say.ts';

/** What the cases are run on. */
export interface CheckEngine {
  /** Outputs and states of a graph after one run, by name. @throws PapilioError('unsupported-onnx') where the engine has no such op */
  run(
    graph: Graph,
    feeds: ReadonlyMap<string, Tensor>,
    states: readonly string[],
  ): Promise<Readonly<Record<string, ArrayLike<number>>>>;
  /** What its compiler has to say of a graph; null where nothing is compiled. */
  readonly messages: ((graph: Graph) => Promise<readonly string[]>) | null;
  /** Weights in fewer bits, and whole numbers that a case names, are part of the graph, as they are in a run. */
  readonly keepsWeights: boolean;
}

/** Of each question: on a processor in place of a GPU, with others at work on it, the longest case took 7 s with all of its own. */
const ANSWER_LIMIT_MS = 60_000;
/** After so many cases in a row without an answer the next would have none either. */
export const MOST_UNANSWERED = 3;

/** What a question ends with that got no answer in time. */
export class Unanswered extends Error {}

export interface Limit {
  /** For each question. */
  readonly limitMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Told that a question got no answer, and of every answer of a run, a late one too; what a compiler says of a graph is no sign of life of a device. */
  readonly heard?: (isAnswered: boolean) => void;
}

const compilerIsSilent = (seconds: number): string =>
  say`The shader compiler gave no answer in ${seconds} s; the rest of this case is left.`;
const engineIsSilent = (seconds: number): string =>
  say`The engine gave no answer in ${seconds} s; the rest of this case is left.`;

/**
 * The engine, whose questions end with {@link Unanswered} after the limit, and with PapilioError 'aborted' when the signal does; what it answers
 * later is let go.
 */
export function limited(engine: CheckEngine, limit: Limit): CheckEngine {
  const { limitMs = ANSWER_LIMIT_MS, signal, heard = () => {} } = limit;
  const asked = async <T>(sentence: (seconds: number) => string, answer: Promise<T>): Promise<T> => {
    const done = new AbortController();
    const ended = new Promise<never>((_, reject) => {
      const late = () => {
        heard(false);
        reject(new Unanswered(sentence(limitMs / 1000)));
      };
      const timer = setTimeout(late, limitMs);
      done.signal.addEventListener('abort', () => clearTimeout(timer));
      const stop = () => reject(new PapilioError('aborted', say`The check was stopped.`));
      signal?.addEventListener('abort', stop, { signal: done.signal });
      if (signal?.aborted) stop();
    });
    try {
      return await Promise.race([answer, ended]);
    } finally {
      done.abort();
    }
  };
  const { keepsWeights, messages } = engine;
  return {
    keepsWeights,
    messages: messages && ((graph) => asked(compilerIsSilent, messages(graph))),
    run: (...given) => {
      const answer = engine.run(...given);
      // An error is an answer too.
      const hear = () => heard(true);
      answer.then(hear, hear);
      return asked(engineIsSilent, answer);
    },
  };
}
