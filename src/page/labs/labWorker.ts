/** The labs' worker as the page calls it; started when the first lab asks. */
import { type ErrorReport, errorReport, say, WorkerHost } from '../../common.ts';
import type { LabApi } from '../../labs.ts';
import { chosenEngine } from './EnginePicker.tsx';

let host: WorkerHost<LabApi> | undefined;

export function labWorker(): LabApi {
  host ??= new WorkerHost<LabApi>(
    () => new Worker(new URL('../../labs/worker.ts', import.meta.url), { type: 'module', name: 'labs' }),
    { what: () => say`The labs’ worker`, wayOn: () => say`move something to ask again` },
  );
  const engine = chosenEngine();
  if (engine !== null && !host.isRunning) host.api.computeOn(engine).catch(() => {});
  return host.api;
}

/** What went wrong, in a sentence. */
export const sentenceOf = (error: unknown): ErrorReport['message'] => errorReport(error).message;
