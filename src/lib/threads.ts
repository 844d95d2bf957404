/**
 * How onnxruntime's threads begin: workers of a worker. In Firefox some never came, and whoever opened a session waited for good, for two reasons.
 *
 * Firefox collects a worker that only its own handlers refer to, even while a promise waits for what they do. A thread is such a worker until it has
 * loaded: a reference is kept until then.
 *
 * And the file of a worker that is begun while a service worker fetches the page's files, or begins to answer for them, is now and then never given to it. A
 * thread begins from a copy in memory, which nothing has to fetch.
 */

type Begin = typeof globalThis.Worker;

/** A build of onnxruntime: the page's own says which file its threads begin with (vite.config.ts). */
export interface Threaded {
  readonly threadFile?: string;
}

const held = new Set<InstanceType<Begin>>();
const copies = new Map<string, string>();
let opening = 0;
let begin: Begin | undefined;

/** Has a file in memory, once; one that cannot be read stays where it is. */
async function copy(file: string): Promise<void> {
  if (copies.has(file)) return;
  const text = await fetch(file)
    .then((response) => (response.ok ? response.text() : null))
    .catch(() => null);
  if (text !== null) copies.set(file, URL.createObjectURL(new Blob([text], { type: 'text/javascript' })));
}

/** Holds every worker that is begun until `work` has settled; several may be at work at once. */
async function holdingWorkers<T>(work: () => Promise<T>): Promise<T> {
  if (opening++ === 0) {
    begin = globalThis.Worker;
    globalThis.Worker = class extends begin {
      constructor(file: string | URL, options?: WorkerOptions) {
        super(copies.get(String(file)) ?? file, options);
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
  const { threadFile } = ort as Threaded;
  if (threadFile !== undefined) await copy(threadFile);
  return holdingWorkers(work);
}
