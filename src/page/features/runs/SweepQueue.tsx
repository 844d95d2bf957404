/** A sweep under way, stopped or over: the queue as it is worked off. */
import { say } from '../../../common.ts';
import { Action } from '../../parts/Action.tsx';
import { Fold } from '../../parts/Controls.tsx';
import { isUnderWay } from '../../stores.ts';
import { useRun } from '../../usePage.ts';
import { changedText } from './changes.ts';
import type { RunRow } from './rows.ts';
import { countOf, isOver, type Stop, type Sweep } from './sweep.ts';
import { MOST_FAILURES, type Sweeper } from './sweeper.ts';
import { sweepTitle } from './sweepName.ts';

const STOPPED = (): Readonly<Record<Stop, string>> => ({
  left: say`its run was reset or another begun`,
  failures: say`${MOST_FAILURES} runs in a row failed`,
  'no-source': say`its model and data have to be opened again`,
  lesson: say`the lesson that is open holds what it would change`,
});

const STATES = () =>
  ({ waiting: say`waits`, begun: say`begun`, done: say`done`, failed: say`failed` }) as const;

/** "seed 1 → 2: brave-otter failed, …" */
function itemText(what: string, name: string | undefined, state: string, why: string | null): string {
  const said = name === undefined ? say`${what}: ${state}` : say`${what}: ${name} ${state}`;
  return why === null ? said : say`${said}, ${why}`;
}

export function SweepQueue(props: {
  readonly sweeper: Sweeper;
  readonly sweep: Sweep;
  readonly rows: readonly RunRow[];
}) {
  const { sweeper, sweep, rows } = props;
  const run = useRun((s) => s.state);
  const { items, isStopped, reason } = sweep;
  const [done, bad] = [countOf(sweep, 'done'), countOf(sweep, 'failed')];
  const isDone = isOver(sweep);
  const words = isDone
    ? say`over`
    : isStopped
      ? say`stopped`
      : run === 'paused'
        ? say`waits for the paused run`
        : say`training`;
  const state =
    bad === 0
      ? say`${words}: ${done} of ${items.length} done`
      : say`${words}: ${done} of ${items.length} done, ${bad} failed`;
  return (
    <section className="stack sweep" aria-label={say`Sweep`}>
      <p className="row">
        <b>{sweepTitle(sweep.name)}</b>
        <span className="hint" role="status" data-testid="sweep-state">
          {reason === null ? state : say`${state} (${STOPPED()[reason]})`}
        </span>
        {isDone || isStopped ? null : (
          <Action text={say`Stop the sweep`} onPress={() => void sweeper.stop()} />
        )}
        {isStopped && !isDone ? (
          <Action
            kind="strong"
            text={say`Continue the sweep`}
            isDisabled={isUnderWay(run)}
            onPress={() => void sweeper.continue()}
          />
        ) : null}
        {isDone || isStopped ? (
          <Action kind="link" text={isDone ? say`close` : say`leave it`} onPress={() => sweeper.forget()} />
        ) : null}
      </p>
      <Fold summary={say`Its ${items.length} runs`} isOpen={items.length <= 8}>
        <ol className="sweep-items small">
          {items.map(({ link, what, state: of, key, reason: why }) => (
            <li key={link}>
              {itemText(
                changedText(what),
                rows.find(({ run }) => run.key === key)?.run.name,
                STATES()[of],
                of === 'failed' ? (why ?? say`the run ended`) : why,
              )}
            </li>
          ))}
        </ol>
      </Fold>
    </section>
  );
}
