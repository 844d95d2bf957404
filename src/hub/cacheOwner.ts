/** One tab at a time writes what the browser keeps of models and data: a Web Lock held while anything is fetched or freed. */
import { fail } from '../lib/errors.ts';

const CACHE = 'papilio.cache';

/**
 * Runs tasks side by side that write, none of them beside another tab's.
 * @throws PapilioError 'bad-argument' while another tab writes, and whatever the task throws
 */
export type CacheOwner = <T>(task: () => Promise<T>) => Promise<T>;

export function cacheOwner(locks: Pick<LockManager, 'request'> | undefined): CacheOwner {
  let writing = 0;
  let owning: Promise<() => void> | null = null;

  const own = (held: Pick<LockManager, 'request'>): Promise<() => void> =>
    new Promise((resolve, reject) => {
      held
        .request(CACHE, { ifAvailable: true }, (lock) => {
          if (lock === null)
            return fail(
              'bad-argument',
              'Another tab of Papilio is fetching or freeing what the browser keeps; wait until it has ended.',
              { way: 'resume' },
            );
          return new Promise<void>((free) => resolve(free));
        })
        .catch(reject);
    });

  return async (task) => {
    if (locks === undefined) return task();
    writing++;
    try {
      owning ??= own(locks);
      await owning;
      return await task();
    } finally {
      writing--;
      if (writing === 0) {
        const ended = owning;
        owning = null;
        ended?.then(
          (free) => free(),
          () => {},
        );
      }
    }
  };
}
