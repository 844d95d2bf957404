/** Sweeps: what is tried, how many runs that is and how long they take; then the queue as it is worked off. */
import { useMemo, useState } from 'react';
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import { whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Check, Fold, TextField } from '../../parts/Controls.tsx';
import { Warnings } from '../../parts/Facts.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { Sentences } from '../../parts/Sentences.tsx';
import { isUnderWay } from '../../stores.ts';
import { useChoice, usePage, useRun, useUi } from '../../usePage.ts';
import { engineOf } from '../setup/choice.ts';
import { changedText } from './changes.ts';
import { costText, type Here } from './pace.ts';
import type { RunRow } from './rows.ts';
import {
  type AxisChoice,
  axisChoices,
  countOf,
  isOver,
  MOST_AXES,
  MOST_SWEPT,
  planSweep,
  type Sweep,
  valuesIn,
} from './sweep.ts';
import type { Sweeper } from './sweeper.ts';
import { sweepName, sweepTitle } from './sweepName.ts';

export function SweepPanel({
  sweeper,
  rows,
}: {
  readonly sweeper: Sweeper;
  readonly rows: readonly RunRow[];
}) {
  const sweep = useStore(sweeper.view, (s) => s.sweep);
  if (sweep !== null) return <Queue sweeper={sweeper} sweep={sweep} rows={rows} />;
  return (
    <Fold summary={say`Sweep: several runs in turn`}>
      <Wishes sweeper={sweeper} rows={rows} />
    </Fold>
  );
}

interface Wish {
  readonly field: string;
  readonly text: string;
}

const NOTHING = 'nothing';

/** A name that no sweep has yet. */
function nameOf(wishes: readonly Wish[], rows: readonly RunRow[]): string {
  const name = sweepName(wishes.map(({ field }) => field));
  const taken = new Set(rows.map(({ run }) => run.sweep));
  for (let n = 1; ; n++) {
    const one = n === 1 ? name : `${name}, ${n}`;
    if (!taken.has(one)) return one;
  }
}

/** How many somebody wants; null while that is no number of runs. */
function countIn(text: string): number | null {
  const count = Number(text);
  return Number.isInteger(count) && count > 0 ? count : null;
}

function Wishes({ sweeper, rows }: { readonly sweeper: Sweeper; readonly rows: readonly RunRow[] }) {
  const page = usePage();
  const settings = useChoice((s) => s.settings);
  const report = useChoice((s) => s.report);
  const isReady = useUi((s) => s.gpu !== null);
  const isBusy = useRun((s) => isUnderWay(s.state));
  const obstacle = useChoice(() => page.obstacle());
  const forecast = useStore(page.forecast.view, (s) => (s.isStale ? null : s.report));
  const here = useHere();
  const choices = useMemo(() => axisChoices(settings, report), [settings, report]);
  const [wishes, setWishes] = useState<readonly Wish[]>([]);
  const [isDrawn, setDrawn] = useState(false);
  const [countText, setCount] = useState('8');
  const known = useMemo(
    () => wishes.filter(({ field }) => choices.some((one) => one.field === field)),
    [wishes, choices],
  );
  const count = countIn(countText);
  const isUndecided = isDrawn && count === null;
  const plan = useMemo(
    () =>
      planSweep(
        settings,
        known.map(({ field, text }) => ({ field, values: valuesIn(text) })),
        report,
        isDrawn && count !== null ? { count, seed: settings.training.seed } : null,
      ),
    [settings, known, report, isDrawn, count],
  );
  const { runs, refused } = plan;
  const isTooMany = runs.length > MOST_SWEPT;
  const canStart =
    isReady &&
    !isBusy &&
    obstacle === null &&
    known.length > 0 &&
    runs.length > 0 &&
    !isTooMany &&
    !isUndecided;
  return (
    <div className="stack sweep">
      <p className="hint">{say`Every combination of the values is trained with the settings that are chosen now, one after the other.`}</p>
      <Axes choices={choices} wishes={known} onChange={setWishes} />
      <DrawnOnly isOn={isDrawn} onOn={setDrawn} text={countText} onText={setCount} />
      <Warnings of={refused.slice(0, 4).map((reason) => say`Left out: ${reason}`)} />
      <p className="row tools">
        <Action
          kind="strong"
          text={known.length === 0 ? say`Start the sweep` : say`Train ${whole(runs.length)} runs`}
          isDisabled={!canStart}
          onPress={() => void sweeper.start(nameOf(known, rows), runs)}
        />
        <span className="hint" data-testid="sweep-cost">
          <Sentences>
            {known.length === 0
              ? say`Choose what to try.`
              : isUndecided
                ? say`Say how many are to be drawn: 1 or more.`
                : isTooMany
                  ? say`${whole(runs.length)} runs are too many; ${MOST_SWEPT} at most.`
                  : costText(runs, rows, here, forecast)}
            {isBusy ? say`Pause the run that trains first.` : null}
          </Sentences>
        </span>
        {known.length === 0 ? null : <Measured of="sweep-time" about={say`time of the sweep`} />}
      </p>
    </div>
  );
}

/** That only some of the runs are trained, and how many. */
function DrawnOnly(props: {
  readonly isOn: boolean;
  readonly onOn: (isOn: boolean) => void;
  readonly text: string;
  readonly onText: (text: string) => void;
}) {
  const { isOn, onOn, text, onText } = props;
  return (
    <div className="row">
      <Check isOn={isOn} onChange={onOn}>{say`only some of them, drawn at random:`}</Check>
      <input
        className="box box-number sweep-count"
        inputMode="numeric"
        aria-label={say`Runs to draw`}
        disabled={!isOn}
        value={text}
        onChange={(event) => onText(event.target.value)}
      />
    </div>
  );
}

/** What is chosen, by its own names. */
function useHere(): Here {
  const page = usePage();
  const engine = useChoice((s) => engineOf(s).engine ?? null);
  const model = useChoice((s) => s.report?.name ?? null);
  const source = useChoice((s) => s.data);
  const read = useStore(page.data.view, (s) => s.preview?.report.name ?? null);
  const data = source?.kind === 'embedded' ? source.name : read;
  return { engine, model, data };
}

/** The settings to try, each with its values; an empty row waits for the next. */
function Axes(props: {
  readonly choices: readonly AxisChoice[];
  readonly wishes: readonly Wish[];
  readonly onChange: (wishes: readonly Wish[]) => void;
}) {
  const { choices, wishes, onChange } = props;
  const shown: readonly (Wish | null)[] = wishes.length < MOST_AXES ? [...wishes, null] : wishes;
  const pick = (at: number, field: string) => {
    const choice = choices.find((one) => one.field === field);
    const wish = choice && { field, text: choice.example };
    const rest = wishes.filter((_, i) => i !== at);
    onChange(wish === undefined ? rest : [...rest.slice(0, at), wish, ...rest.slice(at)]);
  };
  return shown.map((wish, at) => {
    const taken = new Set(wishes.filter((one) => one !== wish).map(({ field }) => field));
    const free = choices.filter(({ field }) => !taken.has(field));
    const title = choices.find(({ field }) => field === wish?.field)?.title;
    return (
      // biome-ignore lint/suspicious/noArrayIndexKey: a setting is its place.
      <div key={at} className="sweep-axis">
        <Picker
          label={say`Setting ${at + 1}`}
          value={wish?.field ?? NOTHING}
          items={[
            { id: NOTHING, title: '–' },
            ...free.map(({ field, title: name }) => ({ id: field, title: name })),
          ]}
          onChange={(field) => pick(at, field)}
        />
        {wish === null ? null : (
          <TextField
            label={say`Values of ${title ?? wish.field}`}
            value={wish.text}
            onText={(text) => onChange(wishes.map((one, i) => (i === at ? { ...one, text } : one)))}
          />
        )}
      </div>
    );
  });
}

const STATES = () =>
  ({ waiting: say`waits`, begun: say`begun`, done: say`done`, failed: say`failed` }) as const;

/** "seed 1 → 2: brave-otter failed, …" */
function itemText(what: string, name: string | undefined, state: string, why: string | null): string {
  const said = name === undefined ? say`${what}: ${state}` : say`${what}: ${name} ${state}`;
  return why === null ? said : say`${said}, ${why}`;
}

/** A sweep under way, stopped or over. */
function Queue(props: {
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
          {reason === null ? state : say`${state} (${reason})`}
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
                why,
              )}
            </li>
          ))}
        </ol>
      </Fold>
    </section>
  );
}
