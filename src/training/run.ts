/** One run, from its opening to its end. */
import { errorReport, fail, isFatal, PapilioError } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import type { EngineName, RunState, TrainerEvent } from './protocol.ts';
import type { Session } from './session.ts';

const left = (): PapilioError =>
  new PapilioError('aborted', say`The run was left before it was open.`, { left: true });

/** It has the one stream of events on it: after the end nothing more is said. */
export class Run {
  session: Session | null = null;
  readonly #events: (event: TrainerEvent) => unknown;
  #isCompiling = false;
  #why: unknown = null;
  #heard: Promise<unknown> = Promise.resolve();
  #playing: Promise<void> = Promise.resolve();

  constructor(
    events: (event: TrainerEvent) => unknown,
    readonly engine: EngineName | undefined,
  ) {
    this.#events = events;
  }

  /** What ended it: it was left, its device was lost, or it could not be opened; null while it goes on. */
  get why(): unknown {
    return this.#why;
  }

  /** @returns the session that it had */
  end(why: unknown): Session | null {
    const { session } = this;
    this.#why ??= why;
    this.session = null;
    return session;
  }

  /** @throws what ended it, where something did */
  requireWanted(): void {
    if (this.#why) throw this.#why;
  }

  emit(event: TrainerEvent): void {
    if (this.#why) return;
    this.#heard = (async () => this.#events(event))().catch(() => {});
  }

  state(state: RunState): void {
    this.emit({ type: 'state', state });
  }

  /** Said once. */
  compiling(): void {
    if (!this.#isCompiling) this.state('compiling');
    this.#isCompiling = true;
  }

  fail(error: unknown): void {
    const report = errorReport(error);
    this.emit({ type: 'error', error: report });
    this.state(isFatal(report.kind) ? 'failed' : 'paused');
  }

  /** Resolves when whoever listens has heard of all events so far. */
  heard(): Promise<unknown> {
    return this.#heard;
  }

  play(steps?: number): void {
    const { session } = requireOpen(this);
    this.state('running');
    this.#playing = session.play(steps).then(
      () => {
        const { step, total } = session.position();
        this.state(step >= total ? 'finished' : 'paused');
      },
      (error: unknown) => this.fail(error),
    );
  }

  async pause(): Promise<void> {
    await this.session?.pause();
    await this.#playing;
  }

  /** Ends it without a word: whoever leaves it knows. */
  async leave(): Promise<void> {
    const session = this.end(left());
    await session?.pause();
    await session?.close();
  }
}

/** @throws what ended the run, where something did; PapilioError 'bad-argument' where there is none */
export function requireOpen(run: Run | null): Run & { readonly session: Session } {
  run?.requireWanted();
  return run?.session
    ? (run as Run & { readonly session: Session })
    : fail('bad-argument', say`There is no open run; press Train to start one.`);
}
