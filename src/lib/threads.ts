/**
 * How onnxruntime's threads begin: workers of a worker. In Firefox some never came, and whoever opened a session waited for good, for two reasons.
 *
 * Firefox collects a worker that only its own handlers refer to, even while a promise waits for what they do. A thread is such a worker until it has
 * loaded: a reference is kept until then.
 *
 * And a file that has been loaded before, asked for again by a worker while a service worker begins, now and then never comes to its end: the thread's own file
 * is such a one. A thread begins from a text in memory, which nothing has to fetch.
 */

type Begin = typeof globalThis.Worker;

/** A build of onnxruntime: that of the page says which file its threads would begin with, and has the text that they begin with (vite.config.ts). */
interface Threaded {
  readonly threadFile?: string;
  readonly threadText?: string;
}

const held = new Set<InstanceType<Begin>>();
/** Where the text of a thread lies in memory, by the file in whose place it is. */
const texts = new Map<string, string>();
let opening = 0;
let begin: Begin | undefined;

/** Holds every worker that is begun until `work` has settled; several may be at work at once. */
async function holdingWorkers<T>(work: () => Promise<T>): Promise<T> {
  if (opening++ === 0) {
    begin = globalThis.Worker;
    globalThis.Worker = class extends begin {
      constructor(file: string | URL, options?: WorkerOptions) {
        super(texts.get(String(file)) ?? file, options);
        held.add(this);
      }
    };
  }
  try {
    return await work();
  } finally {
    if (--opening === 0) {
      globalThis.Worker = begin!;
      held.clear();
    }
  }
}

/** Does what may begin threads of `ort`, each of which then comes; where there are no workers, just does it. */
export async function beginningThreads<T>(ort: object, work: () => Promise<T>): Promise<T> {
  if (globalThis.Worker === undefined) return work();
  const { threadFile, threadText } = ort as Threaded;
  if (threadFile !== undefined && threadText !== undefined && !texts.has(threadFile))
    texts.set(threadFile, URL.createObjectURL(new Blob([threadText], { type: 'text/javascript' })));
  return holdingWorkers(work);
}
