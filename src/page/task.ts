/** Work that a store shows: what is being done, then what came of it, or why nothing did. */
import type { StoreApi } from 'zustand/vanilla';
import { asPapilioError, type ErrorReport, errorReport } from '../common.ts';

/** What every store has that shows work. */
export interface TaskView {
  /** What is being done. */
  readonly busy: string | null;
  /** Why the last came to nothing. */
  readonly error: ErrorReport | null;
}

/** An error as stores hold it. */
export const reportOf = (error: unknown): ErrorReport => errorReport(asPapilioError(error));

export interface Task<View extends TaskView> {
  /**
   * Leaves what is under way and begins `work`: its result goes into the store, or its error with `failed`.
   *
   * @param start shown from now on, with what is being done in `busy`
   * @returns whether the result is shown; neither that nor an error is once something else was begun
   */
  run(
    start: Partial<View>,
    work: (signal: AbortSignal) => Promise<Partial<View>>,
    failed?: Partial<View>,
  ): Promise<boolean>;
  /** Aborts what is under way, for a reason that the worker's client may know; nothing is shown of it any more. */
  leave(reason?: unknown): void;
}

export function createTask<View extends TaskView>(view: Pick<StoreApi<View>, 'setState'>): Task<View> {
  let current = new AbortController();
  const show = (change: Partial<View>, ended: TaskView) => view.setState({ ...change, ...ended });
  return {
    async run(start, work, failed = {}) {
      current.abort();
      current = new AbortController();
      const { signal } = current;
      view.setState(start);
      try {
        const result = await work(signal);
        if (!signal.aborted) show(result, { busy: null, error: null });
        return !signal.aborted;
      } catch (error) {
        if (!signal.aborted) show(failed, { busy: null, error: reportOf(error) });
        return false;
      }
    },
    leave: (reason) => current.abort(reason),
  };
}
