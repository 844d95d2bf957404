/** The page's side of a worker: started when first needed, a new one after a crash; what it rejects with is a PapilioError again. */
import { type Remote, wrap } from 'comlink';
import { type ErrorKind, PapilioError } from '../lib/errors.ts';

export interface WorkerClient<Api> {
  readonly isRunning: boolean;
  /** @throws PapilioError of the worker, or 'internal' when it breaks before it has answered */
  ask<T>(call: (api: Remote<Api>) => Promise<unknown>): Promise<T>;
}

/** What crossed the worker's boundary, as an error with its kind. */
export function asPapilioError(reason: unknown): PapilioError {
  if (reason instanceof PapilioError) return reason;
  const given = (reason ?? {}) as { kind?: ErrorKind; message?: string; details?: Record<string, unknown> };
  const message = given.message ?? String(reason);
  return new PapilioError(given.kind ?? 'internal', message, given.details ?? {});
}

/**
 * @param what "The training worker": how a sentence on its end begins
 * @param details of the error that calls under way are rejected with
 * @param onCrash hears of it after they have been
 */
export function workerClient<Api>(
  start: () => Worker,
  what: string,
  details: Readonly<Record<string, unknown>>,
  onCrash: (message: string) => void = () => {},
): WorkerClient<Api> {
  let running: { readonly api: Remote<Api>; readonly over: Promise<never> } | undefined;

  function ensure() {
    if (running !== undefined) return running;
    const worker = start();
    let reject: (error: PapilioError) => void = () => {};
    const over = new Promise<never>((_, no) => {
      reject = no;
    });
    over.catch(() => {});
    const started = { api: wrap<Api>(worker), over };
    worker.addEventListener('error', (event) => {
      const message = `${what} stopped: ${event.message || 'it could not be loaded'}.`;
      worker.terminate();
      if (running === started) running = undefined;
      reject(new PapilioError('internal', message, { ...details }));
      onCrash(message);
    });
    running = started;
    return started;
  }

  return {
    get isRunning() {
      return running !== undefined;
    },
    async ask<T>(call: (api: Remote<Api>) => Promise<unknown>): Promise<T> {
      const { api, over } = ensure();
      try {
        return (await Promise.race([call(api), over])) as T;
      } catch (error) {
        throw asPapilioError(error);
      }
    },
  };
}
