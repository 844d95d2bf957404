/**
 * The training of `finetune` part by part: after each a checkpoint goes to the output folder, so that a run which is killed goes on at most
 * one part behind; and what it leaves of a run that did not come to its end.
 */
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { fail, PapilioError } from '../common.ts';
import { metricsCsv, type Session } from '../trainer.ts';
import { writeInto } from './runtime.ts';
import { note } from './terminal.ts';

/** Where a run keeps its checkpoint. */
export const checkpointIn = (out: string): string => join(out, 'checkpoint.safetensors');

/** A part ends at the next multiple of its steps, or when its time is over, whichever comes first. */
export interface Part {
  readonly steps: number;
  readonly ms: number;
}

/** @param every steps that somebody chose; those have no clock */
export function partOf(every: number | undefined): Part {
  if (every === undefined) return { steps: 100, ms: 20_000 };
  if (Number.isInteger(every) && every > 0) return { steps: every, ms: Number.POSITIVE_INFINITY };
  return fail('bad-argument', `--checkpoint-every takes a whole number of steps from 1, not "${every}".`);
}

/** The checkpoint on disk. One that cannot be written is held in memory, while an older one stays where it is. */
export interface Keeper {
  /** Writes the run as it stands. What the disk refuses is a warning; the next part tries again. */
  keep(): Promise<void>;
  /** Tries once more to write what the disk refused. @throws PapilioError as writing does */
  retry(): Promise<void>;
  /** The step of the checkpoint on disk, or null. */
  readonly step: () => number | null;
}

type Kept = Pick<Session, 'checkpoint' | 'position'>;

/**
 * @param path of the checkpoint
 * @param there the step of the run's checkpoint that lies there already
 */
export function createKeeper(
  session: Kept,
  path: string,
  there: number | null,
  warn: (sentence: string) => void,
): Keeper {
  let written = there;
  let refused: { readonly step: number; readonly bytes: Uint8Array } | null = null;
  let isWarned = false;
  const write = async (step: number, bytes: Uint8Array): Promise<void> => {
    refused = { step, bytes };
    await writeInto(dirname(path), basename(path), bytes);
    refused = null;
    written = step;
  };
  return {
    async keep() {
      const { step } = session.position();
      if (written === step) return;
      const bytes = await session.checkpoint();
      try {
        await write(step, bytes);
      } catch (error) {
        if (!(error instanceof PapilioError)) throw error;
        const older = written === null ? '' : ` the one of step ${written} stays,`;
        if (!isWarned)
          warn(`${error.message} The checkpoint of step ${step} is not kept:${older} training goes on.`);
        isWarned = true;
      }
    },
    async retry() {
      if (refused) await write(refused.step, refused.bytes);
    },
    step: () => written,
  };
}

export type Ended =
  | { readonly kind: 'finished' | 'interrupted' }
  | { readonly kind: 'failed'; readonly error: PapilioError };

/**
 * Plays the run to its end, part by part.
 *
 * @throws whatever is no {@link PapilioError}
 */
export async function trainInParts(
  session: Pick<Session, 'play' | 'pause' | 'position'>,
  keeper: Keeper,
  part: Part,
): Promise<Ended> {
  let interrupted = false;
  const onSignal = (): void => {
    interrupted = true;
    void session.pause();
  };
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  const isOver = () => session.position().step >= session.position().total;
  try {
    await keeper.keep();
    while (!interrupted && !isOver()) {
      await playPart(session, part);
      await keeper.keep();
    }
    return { kind: isOver() ? 'finished' : 'interrupted' };
  } catch (error) {
    if (!(error instanceof PapilioError) || error.kind === 'internal') throw error;
    // A diverged run still has its device, and there the weights from before the update that was left out; a lost one has nothing more to give.
    await keeper.keep().catch(() => {});
    return { kind: 'failed', error };
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

async function playPart(
  session: Pick<Session, 'play' | 'pause' | 'position'>,
  { steps, ms }: Part,
): Promise<void> {
  const late = Number.isFinite(ms) ? setTimeout(() => void session.pause(), ms) : undefined;
  try {
    await session.play(steps - (session.position().step % steps));
  } finally {
    clearTimeout(late);
  }
}

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
  // Where the checkpoint of a run is that lost its device, and how it goes on, is said below.
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
