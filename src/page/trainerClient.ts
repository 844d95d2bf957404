/** The page's trainer: {@link TrainerApi} in a worker that starts when needed, and the ways out of a run whose worker hangs. */
import { isEnded, say, WorkerHost } from '../common.ts';
import type { TrainerApi } from '../protocol.ts';

/** A run's ending, as it is wanted. */
interface Leave {
  readonly isRunning: boolean;
  readonly takesCheckpoint: boolean;
}

export interface TrainerClient
  extends TrainerApi,
    Pick<WorkerHost<TrainerApi>, 'end' | 'endUnless' | 'onCrash' | 'onEnd'> {
  /**
   * Pauses the run, takes its checkpoint and closes it, as far as wanted. A worker that does not answer one of these in three seconds is
   * ended, and whatever it held with it.
   *
   * @returns the checkpoint; null where none was wanted, or none came
   */
  leave(how: Leave): Promise<Uint8Array | null>;
}

const startWorker = (): Worker =>
  new Worker(new URL('../training/worker.ts', import.meta.url), { type: 'module', name: 'trainer' });

export function trainerClient(start: () => Worker = startWorker): TrainerClient {
  const host = new WorkerHost<TrainerApi>(start, {
    what: () => say`The training worker`,
    details: { crashed: true },
    repeatable: ['describe', 'preview', 'forecast', 'speed'],
  });

  /** Whether the worker is still there to be asked more; a run that cannot do what is asked is left all the same. */
  async function done(task: (api: TrainerApi) => Promise<unknown>): Promise<boolean> {
    if (!host.isRunning) return false;
    try {
      await host.askToEnd(task);
    } catch (error) {
      return !isEnded(error);
    }
    return true;
  }

  async function leave({ isRunning, takesCheckpoint }: Leave): Promise<Uint8Array | null> {
    let bytes: Uint8Array | null = null;
    if (isRunning && !(await done((api) => api.pause()))) return null;
    const isThere =
      !takesCheckpoint ||
      (await done(async (api) => {
        bytes = await api.checkpoint();
      }));
    if (isThere) await done((api) => api.close());
    return bytes;
  }

  const { end, endUnless, onCrash, onEnd } = host;
  return host.extended({ leave, end, endUnless, onCrash, onEnd });
}
