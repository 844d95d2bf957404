/**
 * How onnxruntime's threads begin: workers of a worker. In Firefox some never came, and whoever opened a session waited for good, for two reasons.
 *
 * Firefox collects a worker that only its own handlers refer to, even while a promise waits for what they do. A thread is such a worker until it has
 * loaded: a reference is kept until then.
 *
 * And the file of a worker that is begun while a service worker fetches the page's files is now and then never answered: the two take turns.
 */

type Begin = typeof globalThis.Worker;

/** Of all workers, service workers and tabs of the page. */
const TURN = 'papilio-threads-or-files';
/** Whoever waits longer for a turn begins without one. */
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

/** Does `work` in a turn, or without one where there are no locks, or none comes in time. */
async function inTurn<T>(mode: LockMode, work: () => Promise<T>): Promise<T> {
  const locks: LockManager | undefined = globalThis.navigator?.locks;
  if (locks === undefined) return work();
  let isBegun = false;
  const begun = () => {
    isBegun = true;
    return work();
  };
  try {
    return await locks.request(TURN, { mode, signal: AbortSignal.timeout(PATIENCE_MS) }, begun);
  } catch (error) {
    if (isBegun) throw error;
    return work();
  }
}

/** Does what may begin threads, each of which then comes; where there are no workers, just does it. */
export const beginningThreads = <T>(work: () => Promise<T>): Promise<T> =>
  globalThis.Worker === undefined ? work() : inTurn('shared', () => holdingWorkers(work));

/** Does what fetches the page's files, while no thread begins. */
export const whileNoThreadBegins = <T>(work: () => Promise<T>): Promise<T> => inTurn('exclusive', work);
