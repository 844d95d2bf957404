/**
 * How onnxruntime's threads begin. By itself it begins them as nested workers, of the worker that it runs in. In Firefox, on a busy machine, one of some thirty
 * never began, and whoever opened a session waited for good. The page's builds of onnxruntime therefore carry the text of a thread
 * (vite.config.ts): the worker asks its page to begin it, and talks to it through a channel.
 *
 * Elsewhere, in pages of others, onnxruntime begins them itself. Firefox collects a worker that only its own handlers refer to, even while a promise waits for
 * what they do, as a thread is until it has loaded: a reference is kept until then.
 */

type Begin = typeof globalThis.Worker;

/** What a worker asks of its page. */
type Asked =
  | { readonly thread: 'begin'; readonly id: number; readonly text: string; readonly name: string }
  | { readonly thread: 'end'; readonly id: number };

/** What a page tells its worker of a thread. */
interface Failed {
  readonly thread: 'failed';
  readonly id: number;
  readonly message: string;
}

const isOf = <T extends { readonly thread: string }>(data: unknown): data is T =>
  typeof data === 'object' && data !== null && 'thread' in data && 'id' in data;

/** A thread's side of the channel, as text in front of its own: what comes through it is heard as a worker's messages are, and answered likewise. */
function listen(): void {
  addEventListener(
    'message',
    (first) => {
      first.stopImmediatePropagation();
      const channel = first.data as MessagePort;
      self.postMessage = (message: unknown, moved?: unknown) =>
        channel.postMessage(message, moved as Transferable[]);
      channel.onmessage = (event) => self.onmessage?.(event);
    },
    { once: true },
  );
}

let lastId = 0;

/** A thread that the page begins, as onnxruntime uses a worker. */
class BorrowedThread {
  private readonly id = lastId++;
  private tell: ((error: Failed) => void) | null = null;
  /** What nobody has heard yet. */
  private failure: Failed | null = null;
  private readonly channel: MessagePort;
  private readonly ended = new AbortController();

  constructor(text: string, name: string) {
    const { port1, port2 } = new MessageChannel();
    this.channel = port1;
    addEventListener(
      'message',
      ({ data }) => {
        if (!isOf<Failed>(data) || data.id !== this.id) return;
        if (this.tell === null) this.failure = data;
        else this.tell(data);
      },
      { signal: this.ended.signal },
    );
    const asked: Asked = { thread: 'begin', id: this.id, text, name };
    globalThis.postMessage(asked, { transfer: [port2] } as WindowPostMessageOptions);
  }

  set onerror(tell: (error: Failed) => void) {
    this.tell = tell;
    const { failure } = this;
    this.failure = null;
    if (failure !== null) queueMicrotask(() => tell(failure));
  }

  set onmessage(hear: (event: MessageEvent) => void) {
    this.channel.onmessage = hear;
  }

  postMessage(message: unknown, moved: Transferable[] = []): void {
    this.channel.postMessage(message, moved);
  }

  terminate(): void {
    this.ended.abort();
    this.channel.close();
    const asked: Asked = { thread: 'end', id: this.id };
    globalThis.postMessage(asked);
  }
}

/** Where each text lies that threads were begun with. */
const places = new Map<string, string>();

function placeOf(text: string): string {
  const place =
    places.get(text) ??
    URL.createObjectURL(new Blob([`(${listen})();\n`, text], { type: 'text/javascript' }));
  places.set(text, place);
  return place;
}

/**
 * The page's side: begins what threads a worker of its own asks for.
 * @returns what ends them all, with their worker
 */
export function lendThreads(worker: Worker): () => void {
  const threads = new Map<number, Worker>();
  const end = (id: number): void => {
    threads.get(id)?.terminate();
    threads.delete(id);
  };
  const ended = new AbortController();
  const begin = (id: number, text: string, name: string, channel: MessagePort): void => {
    const fail = (message: string) => {
      const failed: Failed = { thread: 'failed', id, message };
      worker.postMessage(failed);
    };
    try {
      const thread = new Worker(placeOf(text), { type: 'module', name });
      threads.set(id, thread);
      thread.addEventListener('error', ({ message }) => fail(message));
      thread.postMessage(channel, [channel]);
    } catch (error) {
      fail(String(error));
    }
  };
  worker.addEventListener(
    'message',
    ({ data, ports }) => {
      if (!isOf<Asked>(data)) return;
      if (data.thread === 'end') end(data.id);
      else begin(data.id, data.text, data.name, ports[0]!);
    },
    { signal: ended.signal },
  );
  return () => {
    ended.abort();
    for (const id of threads.keys()) end(id);
  };
}

const held = new Set<object>();

/** While `work` is at work, a new worker is `Begun`. */
async function beginningAs<T>(Begun: (own: Begin) => Begin, work: () => Promise<T>): Promise<T> {
  const own = globalThis.Worker;
  globalThis.Worker = Begun(own);
  try {
    return await work();
  } finally {
    globalThis.Worker = own;
    held.clear();
  }
}

const holding = (own: Begin): Begin =>
  class extends own {
    constructor(...of: ConstructorParameters<Begin>) {
      super(...of);
      held.add(this);
    }
  };

const borrowing = (text: string): Begin =>
  class {
    constructor(_: string | URL, options?: WorkerOptions) {
      // biome-ignore lint/correctness/noConstructorReturn: whoever begins a worker gets a thread.
      return new BorrowedThread(text, options?.name ?? '');
    }
  } as unknown as Begin;

let turn: Promise<unknown> = Promise.resolve();

/**
 * Does what may begin threads of a build of onnxruntime, one opening after the other; each thread then comes. Where there are no workers, just does it.
 * @param ort the page's builds have `threadText`
 */
export function beginningThreads<T>(ort: object, work: () => Promise<T>): Promise<T> {
  if (globalThis.Worker === undefined) return work();
  const begun = turn.then(() =>
    beginningAs((own) => ('threadText' in ort ? borrowing(String(ort.threadText)) : holding(own)), work),
  );
  turn = begun.catch(() => {});
  return begun;
}
