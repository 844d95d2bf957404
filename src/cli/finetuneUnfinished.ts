/** What `finetune` leaves of a run that did not come to its end, and what it says of it. */
import { PapilioError } from '../lib/errors.ts';
import { metricsCsv } from '../training/evaluation.ts';
import type { Session } from '../training/session.ts';
import type { Ended, Keeper } from './finetuneParts.ts';
import { writeInto } from './runtime.ts';
import { note } from './terminal.ts';

/** What a shell gives for a process that Ctrl-C ended. */
const INTERRUPTED = 130;

/** What of the run lies in its folder, and how it goes on. */
export function whatIsKept(keeper: Keeper, out: string): string {
  const step = keeper.step();
  return step === null
    ? `No checkpoint is in ${out}.`
    : `The checkpoint of step ${step} is in ${out}; the same command with --resume goes on from there.`;
}

/**
 * Writes checkpoint, curve, run.json and, if the device still answers, the adapter; what cannot be written keeps nothing else from it.
 *
 * @returns the exit code of an interrupted run
 * @throws PapilioError the one that ended the run, or the disk's, with what is kept
 */
export async function saveUnfinished(
  session: Session,
  keeper: Keeper,
  ended: Exclude<Ended, { kind: 'finished' }>,
  out: string,
  record: Readonly<Record<string, unknown>>,
): Promise<number> {
  const error = ended.kind === 'failed' ? ended.error : null;
  const { step, total } = session.position();
  const adapter = await session.exportAdapter().catch(() => null);
  const run = {
    ...record,
    steps: step,
    stepsWanted: total,
    loss: { curve: session.history.steps.map((s) => s.loss) },
    error: error ? { kind: error.kind, message: error.message } : null,
  };
  const refused = await eachWritten([
    () => keeper.retry(),
    async () => {
      if (!adapter) return;
      await writeInto(out, 'adapter_config.json', adapter['adapter_config.json']);
      await writeInto(out, 'adapter_model.safetensors', adapter['adapter_model.safetensors']);
    },
    () => writeInto(out, 'metrics.csv', metricsCsv(session.history.steps, session.history.evals)),
    () => writeInto(out, 'run.json', `${JSON.stringify(run, null, 2)}\n`),
  ]);
  // What the error says of a lost device speaks of pages.
  const what = error?.kind === 'device-lost' ? 'The GPU device was lost.' : error?.message;
  const words = [
    what ?? `Stopped after step ${step} of ${total}.`,
    refused?.message,
    whatIsKept(keeper, out),
  ];
  const said = words.filter((sentence) => sentence !== undefined).join(' ');
  const cause = error ?? refused;
  if (cause) throw new PapilioError(cause.kind, said, cause.details);
  note(`${said}\n`);
  return INTERRUPTED;
}

/** @returns the first refusal */
async function eachWritten(tasks: readonly (() => Promise<void>)[]): Promise<PapilioError | null> {
  let first: PapilioError | null = null;
  for (const task of tasks) {
    try {
      await task();
    } catch (error) {
      if (!(error instanceof PapilioError)) throw error;
      first ??= error;
    }
  }
  return first;
}
