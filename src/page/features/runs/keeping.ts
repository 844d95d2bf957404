/** Keeps what the page's runs come to: at every checkpoint, pause and end, and when another run takes their place. */
import type { RunRequest, RunState } from '../../../protocol.ts';
import type { RunView, Stores } from '../../stores.ts';
import { besideOf, encodeHash } from '../setup/link.ts';
import { type PageSettings, runTraining } from '../setup/settings.ts';
import { ELSEWHERE, type RunRecord } from '../training/runs.ts';
import { changedFrom, type Told } from './changes.ts';
import { figuresOf, type RunOutcome } from './figures.ts';

/** What the page's link would say of a run. */
function linkOf(settings: PageSettings, request: RunRequest | null): string {
  if (request === null) return encodeHash(settings);
  const { model, data, engine = null, recompute = false } = request;
  const beside = besideOf({
    ...{ settings, model, data, engine, recompute, named: {} },
    reading: data.options ?? {},
    quantised: 'requantise',
  });
  return encodeHash(settings, beside);
}

function endOf(state: RunState): RunOutcome['end'] {
  if (state === 'finished' || state === 'failed' || state === 'paused') return state;
  return state === 'ready' ? 'paused' : 'running';
}

export const toldOf = ({ settings, outcome }: RunRecord): Told => ({
  settings,
  figures: outcome?.figures ?? null,
});

/** What a run of the page's has come to by now; null while nothing has been trained. */
export function outcomeNow(view: RunView, end = endOf(view.state)): RunOutcome | null {
  const { current, open, request, since } = view;
  if (current === null || open === null || current.series.length === 0) return null;
  const before = current.outcome?.figures ?? null;
  return {
    end,
    link: linkOf(current.settings, request),
    figures: figuresOf(
      current.series,
      open,
      runTraining(current.settings, open.model).learningRate,
      since,
      before,
    ),
  };
}

/** The run with its outcome, and what differs from the run that began before it. */
function completed(run: RunRecord, outcome: RunOutcome, runs: readonly RunRecord[]): RunRecord {
  const [before] = runs
    .filter((one) => one.key !== run.key && one.startedAt <= run.startedAt && one.outcome !== null)
    .sort((a, b) => b.startedAt - a.startedAt);
  const changed =
    run.changed ??
    changedFrom(before === undefined ? null : toldOf(before), {
      settings: run.settings,
      figures: outcome.figures,
    });
  return { ...run, outcome, changed };
}

/**
 * Follows the page's run.
 *
 * @param keep called with a run of the list whenever it has come to something new; a curve that has not changed is written again
 */
export function followRuns(run: Stores['run'], keep: (run: RunRecord) => void): () => void {
  /** Puts the outcome on the run in the list. */
  const note = ({ current }: RunView, outcome: RunOutcome | null): void => {
    if (current === null || outcome === null || current.id === ELSEWHERE) return;
    const { runs } = run.getState();
    const old = runs.find(({ key }) => key === current.key);
    if (old === undefined) return;
    const now = completed(old, outcome, runs);
    run.setState((s) => ({ runs: s.runs.map((one) => (one.id === now.id ? now : one)) }));
    keep(now);
  };
  /** A run that came to nothing is none. */
  const drop = (id: number): void =>
    run.setState((s) => ({ runs: s.runs.filter((one) => one.id !== id || one.outcome !== null) }));
  return run.subscribe((now, before) => {
    const isSame = now.current?.key === before.current?.key;
    if (!isSame && before.current !== null) {
      const { state, current } = before;
      const outcome = outcomeNow(before, state === 'finished' || state === 'failed' ? state : 'stopped');
      if (outcome === null) drop(current.id);
      else note(before, outcome);
    } else if (now.current !== null && now.current.id === before.current?.id) {
      const isSettled = now.state !== before.state && ['paused', 'finished', 'failed'].includes(now.state);
      if (isSettled || now.checkpoint !== before.checkpoint) note(now, outcomeNow(now));
    }
  });
}
