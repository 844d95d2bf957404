/**
 * How onnxruntime's threads begin: workers of a worker. In Firefox some never came, and whoever opened a session waited for good, for two reasons.
 *
 * Firefox takes a worker back that nothing but its own handlers, and what waits for those, refers to; that somebody waits does not count. A thread is such
 * a worker until it has loaded. So it is held meanwhile.
 *
 * And the file of a worker that is begun while a service worker fetches the page's files is now and then never answered. So the two take turns.
 */

type Begin = typeof globalThis.Worker;

/** Of all workers, service workers and tabs of the page. */
const TURN = 'papilio-threads-or-files';
/** A turn that somebody keeps from the others for longer is passed over. */
const PATIENCE_MS = 15_000;

const held = new Set<InstanceType<Begin>>();
let opening = 0;
let begin: Begin | undefined;

/** Holds every worker that is begun until `work` has settled; several may be at work at once. */
async function holdingWorkers<T>(work: () => Promise<T>): Promise<T> {
  if (opening++ === 0) {
    begin = globalThis.Worker;
    globalThis.Worker = class extends begin {
      constructor(...of: ConstructorParameters<Begin>) {
        super(...of);
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

/** Does what may begin threads, each of which then comes; where there are no workers, just does it. */
export async function beginningThreads<T>(work: () => Promise<T>): Promise<T> {
  if (globalThis.Worker === undefined) return work();
  const locks: LockManager | undefined = globalThis.navigator?.locks;
  if (locks === undefined) return holdingWorkers(work);
  let isBegun = false;
  const inTurn = () => {
    isBegun = true;
    return holdingWorkers(work);
  };
  try {
    return await locks.request(TURN, { mode: 'shared', signal: AbortSignal.timeout(PATIENCE_MS) }, inTurn);
  } catch (error) {
    if (isBegun) throw error;
    return holdingWorkers(work);
  }
}

/** Does what fetches the page's files, while no thread begins; where there are no locks, just does it. */
export async function whileNoThreadBegins<T>(work: () => Promise<T>): Promise<T> {
  const locks: LockManager | undefined = globalThis.navigator?.locks;
  return locks === undefined ? work() : locks.request(TURN, work);
}
