/**
 * The page's side of a worker: started when first needed, a new one after a crash; what it rejects with is a PapilioError again. A worker that
 * does not answer is ended when its user has gone on to something else, and only then: whatever it still works for is waited for, and so is one that
 * is still being loaded.
 */
import { type Remote, wrap } from 'comlink';
import { type ErrorKind, PapilioError } from '../lib/errors.ts';

/** How long a worker may leave those waiting who have gone on to something else. */
export const PATIENCE_MS = 3000;

/** The reason of an abort by which a question only gives way to the same one with other numbers: nobody looks for a way out of a hang. */
export const ASKED_ANEW = 'asked anew';

interface AskOptions {
  /**
   * Aborted when what is asked for is wanted no longer: the caller hears at once, and a worker that hangs in it is ended, unless the reason is
   * {@link ASKED_ANEW}.
   */
  readonly signal?: AbortSignal | undefined;
  /** Asked again of the next worker if this one is ended, which whoever asks need not know of. */
  readonly isRepeatable?: boolean;
}

export interface WorkerClient<Api> {
  readonly isRunning: boolean;
  /** @throws PapilioError of the worker, 'internal' when it breaks before it has answered, 'aborted' when it was ended or left */
  ask<T>(call: (api: Remote<Api>) => Promise<unknown>, options?: AskOptions): Promise<T>;
  /** Asks for what ends its work. A worker that has not done it in time is ended. @throws PapilioError as {@link ask} */
  askToEnd<T>(call: (api: Remote<Api>) => Promise<unknown>): Promise<T>;
  /** Ends the worker unless it answers, or `settled` settles, in time. */
  endUnless(settled?: Promise<unknown>): Promise<void>;
}

interface Listeners {
  /** The worker broke; calls under way have been rejected. */
  readonly onCrash?: (message: string) => void;
  /** It did not answer and was ended; calls under way have been rejected. */
  readonly onEnd?: (message: string) => void;
}

/** A call that has not been answered, oldest first. */
interface Call {
  readonly settled: Promise<unknown>;
  isLeft: boolean;
}

/** What crossed the worker's boundary, as an error with its kind. */
export function asPapilioError(reason: unknown): PapilioError {
  if (reason instanceof PapilioError) return reason;
  const given = (reason ?? {}) as { kind?: ErrorKind; message?: string; details?: Record<string, unknown> };
  const message = given.message ?? String(reason);
  return new PapilioError(given.kind ?? 'internal', message, given.details ?? {});
}

/** Whether an error says that a worker was ended since it did not answer. */
export const isEnded = (error: unknown): boolean => asPapilioError(error).details.ended === true;

/** Whether a task settles, either way, within so many milliseconds. */
export async function settlesWithin(task: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([task.then(...both(true)), late]);
  } finally {
    clearTimeout(timer);
  }
}
const both = <T>(value: T): [() => T, () => T] => [() => value, () => value];

class Running<Api> {
  readonly api: Remote<Api>;
  readonly calls = new Set<Call>();
  /** Rejects when the worker breaks or is ended; one that is gone never answers by itself. */
  readonly over: Promise<never>;
  readonly worker: Worker;
  /** Settles when it is loaded: until then it hangs in nothing. */
  readonly loaded: Promise<unknown>;
  private reject: (error: PapilioError) => void = () => {};

  constructor(worker: Worker) {
    this.worker = worker;
    this.api = wrap<Api>(worker);
    this.over = new Promise<never>((_, no) => {
      this.reject = no;
    });
    this.over.catch(() => {});
    this.loaded = this.answers();
  }

  finish(error: PapilioError): void {
    this.worker.terminate();
    this.reject(error);
  }

  /** Settles when the worker gets to its next message: comlink answers for a name that there is not, too. */
  answers(): Promise<unknown> {
    return (async () => await (this.api as { readonly isThere?: unknown }).isThere)();
  }
}

/**
 * @param what "The training worker": how a sentence on its end begins
 * @param details of the error that calls under way are rejected with
 */
export function workerClient<Api>(
  start: () => Worker,
  what: string,
  details: Readonly<Record<string, unknown>>,
  { onCrash = () => {}, onEnd = () => {} }: Listeners = {},
): WorkerClient<Api> {
  let running: Running<Api> | undefined;

  function ensure(): Running<Api> {
    if (running !== undefined) return running;
    const started = new Running<Api>(start());
    started.worker.addEventListener('error', (event) => {
      const message = `${what} stopped: ${event.message || 'it could not be loaded'}.`;
      if (running === started) running = undefined;
      started.finish(new PapilioError('internal', message, { ...details }));
      onCrash(message);
    });
    running = started;
    return started;
  }

  function end(ended: Running<Api>): PapilioError {
    const message = `${what} did not answer for ${PATIENCE_MS / 1000} seconds and was ended.`;
    const error = new PapilioError('aborted', message, { ...details, ended: true });
    if (running !== ended) return error;
    running = undefined;
    ended.finish(error);
    onEnd(message);
    return error;
  }

  /** Ends a worker that hangs in a call which nobody wants any longer; older ones that are wanted come first. */
  async function watch(inside: Running<Api>, left: Call): Promise<void> {
    const calls = [...inside.calls];
    for (const older of calls.slice(0, calls.indexOf(left)))
      if (!older.isLeft) await Promise.race([older.settled, left.settled].map((one) => one.then(...both(0))));
    await Promise.race([inside.loaded, left.settled].map((one) => one.then(...both(0))));
    if (!inside.calls.has(left)) return;
    if (!(await settlesWithin(Promise.race([inside.answers(), left.settled]), PATIENCE_MS))) end(inside);
  }

  async function ask<T>(
    call: (api: Remote<Api>) => Promise<unknown>,
    { signal, isRepeatable = false }: AskOptions = {},
  ): Promise<T> {
    const asked = ensure();
    const answer = Promise.race([call(asked.api), asked.over]);
    const entry: Call = { settled: answer, isLeft: false };
    asked.calls.add(entry);
    answer.then(...both(undefined)).then(() => asked.calls.delete(entry));
    const heard = new AbortController();
    const leaving = new Promise<never>((_, reject) => {
      const leave = () => {
        entry.isLeft = true;
        reject(new PapilioError('aborted', 'Something else was asked for.', { left: true }));
        if (signal?.reason !== ASKED_ANEW) void watch(asked, entry);
      };
      signal?.addEventListener('abort', leave, { signal: heard.signal });
    });
    leaving.catch(() => {});
    try {
      return (await Promise.race([answer, leaving])) as T;
    } catch (error) {
      if (isRepeatable && !entry.isLeft && isEnded(error)) return ask(call, { signal, isRepeatable });
      throw asPapilioError(error);
    } finally {
      heard.abort();
    }
  }

  return {
    get isRunning() {
      return running !== undefined;
    },
    ask,
    async askToEnd(call) {
      const asked = ensure();
      const answer = ask(call);
      answer.catch(() => {});
      if (await settlesWithin(answer, PATIENCE_MS)) return answer as Promise<never>;
      throw end(asked);
    },
    async endUnless(settled) {
      const asked = running;
      if (asked === undefined) return;
      if (!(await settlesWithin(settled ?? asked.answers(), PATIENCE_MS))) end(asked);
    },
  };
}
