/**
 * The training of `finetune` so that nothing is lost: a checkpoint after every part, and on Ctrl-C, divergence or a lost device what there is
 * goes to the output folder.
 */
import { join } from 'node:path';
import process from 'node:process';
import { PapilioError } from '../lib/errors.ts';
import { metricsCsv } from '../training/evaluation.ts';
import type { Session } from '../training/session.ts';
import { writeBytes } from './runtime.ts';

/** Steps between checkpoints where evaluations do not say it. */
const PART = 100;
/** What a shell gives for a process that Ctrl-C ended. */
const INTERRUPTED = 130;

export type Ended =
  | { readonly kind: 'finished' }
  | {
      readonly kind: 'interrupted' | 'failed';
      /** Null only when the very first part failed without a device to read from. */
      readonly checkpoint: Uint8Array | null;
      readonly error: PapilioError | null;
    };

/** Plays the run to its end, part by part. Errors that are not {@link PapilioError} are thrown on. */
export async function trainInParts(session: Session, evalEvery: number): Promise<Ended> {
  const part = evalEvery > 0 ? evalEvery : PART;
  let checkpoint: Uint8Array | null = null;
  let interrupted = false;
  const onSignal = (): void => {
    interrupted = true;
    void session.pause();
  };
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  try {
    while (!interrupted && session.position().step < session.position().total) {
      await session.play(part - (session.position().step % part));
      checkpoint = await session.checkpoint();
    }
    const finished = session.position().step >= session.position().total;
    return finished ? { kind: 'finished' } : { kind: 'interrupted', checkpoint, error: null };
  } catch (error) {
    if (!(error instanceof PapilioError) || error.kind === 'internal') throw error;
    // A diverged run still has its device, and there the weights from before the update that was left out.
    checkpoint = await session.checkpoint().catch(() => checkpoint);
    return { kind: 'failed', checkpoint, error };
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

/**
 * Writes checkpoint, curve, run.json and, if the device still answers, the adapter.
 * @returns the exit code of an interrupted run
 * @throws PapilioError the one that ended the run, with where things are
 */
export async function saveUnfinished(
  session: Session,
  ended: Exclude<Ended, { kind: 'finished' }>,
  out: string,
  record: Readonly<Record<string, unknown>>,
): Promise<number> {
  const { checkpoint, error } = ended;
  const { step, total } = session.position();
  const adapter = await session.exportAdapter().catch(() => null);
  if (adapter) {
    await writeBytes(join(out, 'adapter_config.json'), adapter['adapter_config.json']);
    await writeBytes(join(out, 'adapter_model.safetensors'), adapter['adapter_model.safetensors']);
  }
  const kept = join(out, 'checkpoint.safetensors');
  if (checkpoint) await writeBytes(kept, checkpoint);
  await writeBytes(join(out, 'metrics.csv'), metricsCsv(session.history.steps, session.history.evals));
  const run = {
    ...record,
    steps: step,
    stepsWanted: total,
    loss: { curve: session.history.steps.map((s) => s.loss) },
    error: error ? { kind: error.kind, message: error.message } : null,
  };
  await writeBytes(join(out, 'run.json'), `${JSON.stringify(run, null, 2)}\n`);
  const where = checkpoint
    ? `What was trained so far is in ${out}; the same command with --resume ${kept} goes on from there.`
    : `No step was done; the curve is in ${out}.`;
  // What the error says of a lost device speaks of pages.
  const what = error?.kind === 'device-lost' ? 'The GPU device was lost.' : error?.message;
  if (error) throw new PapilioError(error.kind, `${what} ${where}`, error.details);
  process.stderr.write(`Stopped after step ${step} of ${total}. ${where}\n`);
  return INTERRUPTED;
}
