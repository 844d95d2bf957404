/** Longer looks at the open run, beside its training: other weights for the length of a question, weights before and after, what is forgotten. */
import { PapilioError } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import type { Breathe } from '../lib/singular.ts';
import type { Backend } from './backend.ts';
import { measureForgetting, trainedOf } from './forgetting.ts';
import type { Host } from './openModel.ts';
import type { Session } from './session.ts';
import type { LooksApi } from './views.ts';
import { weightReport } from './weights.ts';
import { askWhatIf } from './whatIf.ts';

/** The open run. */
interface OpenRun {
  /** @throws PapilioError 'bad-argument' where none is open */
  readonly session: Session;
  readonly ownBackend: () => Promise<Backend>;
}

/** Works for so long before others may go first. */
const SLICE_MS = 20;

/** Lets messages in between slices; throws once the signal is aborted. */
export function breather(signal: AbortSignal): Breathe {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < SLICE_MS) return;
    await new Promise((resolve) => setTimeout(resolve));
    if (signal.aborted) throw new PapilioError('aborted', say`Something else was asked for.`, { left: true });
    since = performance.now();
  };
}

export function createLooks(run: OpenRun, host: Host): LooksApi {
  let working = new AbortController();
  return {
    whatIf: async (request) => run.session.atStep((session) => askWhatIf(session, request)),
    async weights(module) {
      working.abort();
      working = new AbortController();
      const breathe = breather(working.signal);
      const { session } = run;
      // The weights are those of one step; what follows from them is worked out while the run goes on.
      const { step, value } = await session.atStep((one) => one.inspect(module));
      return { step, value: await weightReport(session, value, breathe) };
    },
    async forgetting() {
      const { session } = run;
      const on = await run.ownBackend();
      const { step, value } = await session.atStep(trainedOf);
      return { step, value: await measureForgetting(value, on, host) };
    },
    stopLooking: async () => working.abort(),
  };
}
