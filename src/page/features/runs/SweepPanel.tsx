/** Sweeps: what is tried, how many runs that is and how long they take. */
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
import { holdOfField } from '../setup/holds.ts';
import { costText, type Here } from './pace.ts';
import type { RunRow } from './rows.ts';
import { SweepQueue } from './SweepQueue.tsx';
import { type AxisChoice, axisChoices, MOST_AXES, MOST_SWEPT, planSweep, valuesIn } from './sweep.ts';
import type { Sweeper } from './sweeper.ts';
import { sweepName } from './sweepName.ts';

export function SweepPanel({
  sweeper,
  rows,
}: {
  readonly sweeper: Sweeper;
  readonly rows: readonly RunRow[];
}) {
  const sweep = useStore(sweeper.view, (s) => s.sweep);
  if (sweep !== null) return <SweepQueue sweeper={sweeper} sweep={sweep} rows={rows} />;
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
  const lesson = useUi((s) => s.lesson);
  const choices = useMemo(
    () => axisChoices(settings, report).filter(({ field }) => holdOfField(lesson, field) === null),
    [settings, report, lesson],
  );
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
