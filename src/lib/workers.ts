/**
 * How page and workers call each other: comlink, with one way for errors to cross. A worker is started at the first call, a new one after a crash.
 * One that does not answer is ended when its caller has gone on to something else, and only then: whatever it still works for is waited for,
 * and so is one that is still being loaded.
 */
import { type Endpoint, expose, proxy, type Remote, transfer, transferHandlers, wrap } from 'comlink';
import { asPapilioError, type ErrorReport, errorReport, PapilioError } from './errors.ts';
import { heardAgain } from './heard.ts';
import { allAgain, type Language, language, onLanguage, rememberSaid, say, speak } from './say.ts';
import { lendThreads } from './threads.ts';

/** How long a worker may leave those waiting who have gone on to something else. */
export const PATIENCE_MS = 3000;

/** The reason of an abort by which a question only gives way to the same one with other numbers: nobody looks for a way out of a hang. */
export const ASKED_ANEW = 'asked-anew';

/** The method by which a worker hears which language its sentences are to be in; it answers with what it has said before. */
const SPEAK = 'speakFromNowOn';

// comlink's own handler drops an Error's fields.
transferHandlers.set('throw', {
  canHandle: transferHandlers.get('throw')!.canHandle,
  serialize: ({ value }: { readonly value: unknown }): [ErrorReport, Transferable[]] => [
    errorReport(value),
    [],
  ],
  deserialize: (report: ErrorReport) => {
    throw asPapilioError(report);
  },
});

/**
 * The worker's side: answers calls with the methods of `api`.
 * @param movedResults methods whose arrays are made for the caller alone, and move to it without a copy
 */
export function serve<Api extends object>(
  api: Api,
  movedResults: readonly (keyof Api & string)[] = [],
  endpoint?: Endpoint,
): void {
  rememberSaid();
  const moving = movedResults.map((name) => [
    name,
    async (...args: unknown[]) => {
      const result = await (api[name] as (...a: unknown[]) => Promise<object>)(...args);
      return transfer(result, buffersOf(result));
    },
  ]);
  const speakAndSayAgain = (spoken: Language) => {
    speak(spoken);
    return allAgain();
  };
  expose({ ...api, ...Object.fromEntries(moving), [SPEAK]: speakAndSayAgain }, endpoint);
}

/** Buffers that arrays in a value have to themselves. */
function buffersOf(value: unknown): Transferable[] {
  const found = new Set<Transferable>();
  const visit = (v: unknown, depth: number): void => {
    if (ArrayBuffer.isView(v)) {
      if (v.byteLength === v.buffer.byteLength) found.add(v.buffer as ArrayBuffer);
    } else if (typeof v === 'object' && v !== null && depth < 4) {
      for (const inner of Object.values(v)) visit(inner, depth + 1);
    }
  };
  visit(value, 0);
  return [...found];
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

/** A call that has not been answered, oldest first. */
interface Call {
  readonly settled: Promise<unknown>;
  isLeft: boolean;
}

/** One worker, from its start to its end. */
export class RunningWorker<Api> {
  /**
   * Calls the worker's methods; functions among the arguments are called back. A call rejects with the worker's PapilioError, or with the one
   * that the worker ended by. With an AbortSignal as last argument, which stays here, the caller is let go once it is aborted (kind 'aborted'),
   * and a worker that hangs in the call is ended, unless the reason is {@link ASKED_ANEW}.
   */
  readonly api: Api;
  /** Settles when it is loaded: until then it hangs in nothing. */
  private readonly loaded: Promise<unknown>;
  private readonly worker: Worker;
  private readonly remote: Remote<Api>;
  private readonly endThreads: () => void;
  private readonly hangs: () => void;
  private readonly calls = new Set<Call>();
  /** Rejects when the worker breaks or is ended; one that is gone never answers by itself. */
  private readonly over: Promise<never>;
  private reject: (error: PapilioError) => void = () => {};
  private isOver = false;

  /** @param hangs is called when it does not answer in time to a call that was let go */
  constructor(worker: Worker, hangs: (worker: RunningWorker<Api>) => void) {
    this.worker = worker;
    this.hangs = () => hangs(this);
    this.endThreads = lendThreads(worker);
    this.remote = wrap<Api>(worker);
    this.over = new Promise<never>((_, no) => {
      this.reject = no;
    });
    this.over.catch(() => {});
    this.api = methods<Api>((name, args) => this.call(name, args));
    // Messages keep their order: a call is answered in the language that was spoken when it was made.
    const tell = (spoken = language()) =>
      void this.send(SPEAK, [spoken])
        .then((again) => {
          // Another language may be spoken by now.
          if (spoken === language()) heardAgain(again as ReturnType<typeof allAgain>);
        })
        .catch(() => {});
    if (Object.keys(language().phrases).length > 0) tell();
    this.over.catch(onLanguage(tell));
    this.loaded = this.answers();
  }

  finish(error: PapilioError): void {
    this.isOver = true;
    this.worker.terminate();
    this.endThreads();
    this.reject(error);
  }

  /** Settles when the worker gets to its next message: comlink answers for a name that there is not, too. */
  answers(): Promise<unknown> {
    return (async () => await (this.remote as { readonly isThere?: unknown }).isThere)();
  }

  private async call(name: string, args: readonly unknown[]): Promise<unknown> {
    const last = args.at(-1);
    const signal = last instanceof AbortSignal ? last : undefined;
    const answer = Promise.race([this.send(name, signal ? args.slice(0, -1) : args), this.over]);
    const entry: Call = { settled: answer, isLeft: false };
    this.calls.add(entry);
    answer.then(...both(undefined)).then(() => this.calls.delete(entry));
    const heard = new AbortController();
    const leaving = new Promise<never>((_, reject) => {
      const leave = () => {
        entry.isLeft = true;
        reject(new PapilioError('aborted', say`Something else was asked for.`, { left: true }));
        if (signal?.reason !== ASKED_ANEW) void this.watch(entry);
      };
      signal?.addEventListener('abort', leave, { signal: heard.signal });
    });
    leaving.catch(() => {});
    try {
      return await Promise.race([answer, leaving]);
    } catch (error) {
      throw asPapilioError(error);
    } finally {
      heard.abort();
    }
  }

  private send(name: string, args: readonly unknown[]): Promise<unknown> {
    const sent = args.map((arg) =>
      typeof arg === 'function'
        ? proxy((...heard: unknown[]) => (this.isOver ? undefined : arg(...heard)))
        : arg,
    );
    return (this.remote as Record<string, (...a: unknown[]) => Promise<unknown>>)[name]!(...sent);
  }

  /** Whether the worker hangs in a call which nobody wants any longer; older ones that are wanted come first. */
  private async watch(left: Call): Promise<void> {
    const calls = [...this.calls];
    const first = (task: Promise<unknown>) =>
      Promise.race([task, left.settled].map((one) => one.then(...both(0))));
    for (const older of calls.slice(0, calls.indexOf(left))) if (!older.isLeft) await first(older.settled);
    await first(this.loaded);
    if (!this.calls.has(left)) return;
    if (!(await settlesWithin(Promise.race([this.answers(), left.settled]), PATIENCE_MS))) this.hangs();
  }
}

/** An object whose every method is `call` with its name, but for those in `own`. */
const methods = <Api, Own extends object = object>(
  call: (name: string, args: readonly unknown[]) => Promise<unknown>,
  own: Own = {} as Own,
): Api & Own =>
  new Proxy(own, {
    get(_, name) {
      if (name in own) return own[name as keyof Own];
      // What has a `then` would be waited for.
      return typeof name === 'symbol' || name === 'then'
        ? undefined
        : (...args: unknown[]) => call(name, args);
    },
  }) as Api & Own;

export interface WorkerOptions<Api> {
  /** "The training worker": how sentences on its end begin. */
  what(): string;
  /** How they go on: "open the model again". */
  wayOn?(): string;
  /** Of the errors that say so. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** Methods that change nothing: asked again of the next worker where one was ended, which whoever asks need not know of. */
  readonly repeatable?: readonly (keyof Api)[];
}

/** The page's side of one kind of worker, of which one runs at a time. */
export class WorkerHost<Api> {
  /** As {@link RunningWorker.api}, of a worker that is started when none runs. */
  readonly api: Api = methods<Api>((name, args) => this.call(name, args));
  private readonly start: () => Worker;
  private readonly options: WorkerOptions<Api>;
  private readonly crashListeners: ((message: string) => void)[] = [];
  private readonly endListeners: ((message: string) => void)[] = [];
  private current: RunningWorker<Api> | undefined;

  constructor(start: () => Worker, options: WorkerOptions<Api>) {
    this.start = start;
    this.options = options;
  }

  get isRunning(): boolean {
    return this.current !== undefined;
  }

  /** Hears of a worker that broke; calls under way have been rejected with 'internal'. */
  readonly onCrash = (listener: (message: string) => void): void => {
    this.crashListeners.push(listener);
  };

  /** Hears of a worker that was ended since it did not answer; calls under way have been rejected with 'aborted'. */
  readonly onEnd = (listener: (message: string) => void): void => {
    this.endListeners.push(listener);
  };

  /** The worker that runs, or a new one. */
  running(): RunningWorker<Api> {
    if (this.current !== undefined) return this.current;
    const worker = this.start();
    const started = new RunningWorker<Api>(worker, (hanging) => this.endHanging(hanging));
    worker.addEventListener('error', (event) => {
      const message = this.sentence(say`stopped: ${event.message || say`it could not be loaded`}`);
      if (this.current === started) this.current = undefined;
      started.finish(new PapilioError('internal', message, { ...this.options.details }));
      for (const listener of this.crashListeners) listener(message);
    });
    this.current = started;
    return started;
  }

  /** Makes a call that ends the worker's work. A worker that has not done it in time is ended. */
  async askToEnd<T>(call: (api: Api) => Promise<T>): Promise<T> {
    const asked = this.running();
    const answer = call(asked.api);
    answer.catch(() => {});
    if (await settlesWithin(answer, PATIENCE_MS)) return answer;
    throw this.endHanging(asked);
  }

  /** Ends the worker unless it answers, or `settled` settles, in time. */
  readonly endUnless = async (settled?: Promise<unknown>): Promise<void> => {
    const asked = this.current;
    if (asked === undefined) return;
    if (!(await settlesWithin(settled ?? asked.answers(), PATIENCE_MS))) this.endHanging(asked);
  };

  /** Ends the worker, which gives its memory back; calls under way, and later ones of it, reject with 'internal'. */
  readonly end = (): void => {
    this.current?.finish(new PapilioError('internal', this.sentence(say`was ended`)));
    this.current = undefined;
  };

  /** {@link api} with methods of the page's own, which go first. */
  extended<Own extends object>(own: Own): Api & Own {
    return methods<Api, Own>((name, args) => this.call(name, args), own);
  }

  private async call(name: string, args: readonly unknown[]): Promise<unknown> {
    const { api } = this.running();
    try {
      return await (api as Record<string, (...a: unknown[]) => Promise<unknown>>)[name]!(...args);
    } catch (error) {
      if (isEnded(error) && this.options.repeatable?.includes(name as keyof Api))
        return this.call(name, args);
      throw error;
    }
  }

  private endHanging(ended: RunningWorker<Api>): PapilioError {
    const message = this.sentence(say`did not answer for ${PATIENCE_MS / 1000} seconds and was ended`);
    const error = new PapilioError('aborted', message, { ...this.options.details, ended: true });
    if (this.current !== ended) return error;
    this.current = undefined;
    ended.finish(error);
    for (const listener of this.endListeners) listener(message);
    return error;
  }

  private sentence(end: string): string {
    const { what, wayOn } = this.options;
    return wayOn === undefined ? say`${what()} ${end}.` : say`${what()} ${end}; ${wayOn()}.`;
  }
}
