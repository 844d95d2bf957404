/** The list of runs: sorted by any column, drawn or not, held against a baseline. */
import { memo, useMemo, useState } from 'react';
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import { Action } from '../../parts/Action.tsx';
import { Table } from '../../parts/Facts.tsx';
import { IconButton } from '../../parts/Icon.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { useRun } from '../../usePage.ts';
import { LineSample } from '../training/LineSample.tsx';
import { drawnRuns, ELSEWHERE } from '../training/runs.ts';
import type { RunBook } from './book.ts';
import { changedText, describeChange } from './changes.ts';
import { toldOf } from './keeping.ts';
import { bestText, NUMBER_COLUMNS, QUALITY, RUN_COLUMN, type RunRow, sorted } from './rows.ts';
import { sweepTitle } from './sweepName.ts';

/** Rows that are there unasked. */
const FIRST_ROWS = 30;

export function RunsTable({ book, rows }: { readonly book: RunBook; readonly rows: readonly RunRow[] }) {
  const [by, setBy] = useState<string>(RUN_COLUMN);
  const [isDown, setDown] = useState(true);
  const [isWhole, setWhole] = useState(false);
  const baselineKey = useStore(book.view, (s) => s.baseline);
  const currentId = useRun((s) => s.current?.id ?? null);
  const baseline = rows.find(({ run }) => run.key === baselineKey) ?? null;
  const drawn = useMemo(
    () =>
      new Set(
        drawnRuns(
          rows.map(({ run }) => run),
          currentId,
        ).map(({ id }) => id),
      ),
    [rows, currentId],
  );
  const all = useMemo(() => sorted(rows, by, isDown), [rows, by, isDown]);
  const onSort = (title: string) => {
    setDown(title === by ? !isDown : true);
    setBy(title);
  };
  return (
    <section aria-label={say`All runs`} className="all-runs">
      <p className="hint">
        <Sentences>
          {baseline === null
            ? say`Press a heading to sort by it.`
            : rich`Held against ${<b>{baseline.run.name}</b>}: what changed, and every difference, is from it.`}
          <Measured of="kept-runs" about={say`figures of the runs`} />
        </Sentences>
      </p>
      <Table
        words={[RUN_COLUMN()]}
        numbers={NUMBER_COLUMNS.map(({ title }) => title())}
        sorting={{ by, isDown, onSort }}
      >
        {(isWhole ? all : all.slice(0, FIRST_ROWS)).map((row) => (
          <Row
            key={row.run.id}
            book={book}
            row={row}
            baseline={baseline}
            isDrawn={drawn.has(row.run.id)}
            isCurrent={row.run.id === currentId}
          />
        ))}
      </Table>
      {isWhole || all.length <= FIRST_ROWS ? null : (
        <Action kind="link" text={say`show all ${all.length}`} onPress={() => setWhole(true)} />
      )}
    </section>
  );
}

/** Drawn again when it has changed, not with every step of the run under way. */
const Row = memo(function Row(props: {
  readonly book: RunBook;
  readonly row: RunRow;
  readonly baseline: RunRow | null;
  readonly isDrawn: boolean;
  readonly isCurrent: boolean;
}) {
  const { book, row, baseline, isDrawn, isCurrent } = props;
  const { run, figures } = row;
  const isSelected = useStore(book.view, (s) => s.selected === run.key);
  const isBaseline = baseline?.run.key === run.key;
  const from = isBaseline ? null : (baseline?.figures ?? null);
  const changed =
    baseline === null || isBaseline
      ? run.changed === null
        ? say`just begun`
        : changedText(run.changed)
      : describeChange(toldOf(baseline.run), toldOf(run));
  const best = figures && bestText(figures);
  return (
    <tr className={isSelected ? 'is-selected' : isCurrent ? 'is-current' : ''}>
      <th scope="row">
        <span className="run-name">
          <input
            type="checkbox"
            checked={isDrawn}
            disabled={isCurrent}
            aria-label={say`Draw ${run.name}`}
            onChange={(event) => book.draw(run.key, event.target.checked)}
          />
          <LineSample look={run.look} />
          <button
            type="button"
            className="run-pick"
            aria-pressed={isSelected}
            onClick={() => book.select(isSelected ? null : run.key)}
          >
            {run.name}
          </button>
          {run.id === ELSEWHERE || figures === null ? null : (
            <IconButton
              icon="pin"
              label={
                isBaseline
                  ? say`${run.name} is the baseline; hold nothing against it`
                  : say`Hold others against ${run.name}`
              }
              className={isBaseline ? 'is-on' : ''}
              onPress={() => book.setBaseline(isBaseline ? null : run.key)}
            />
          )}
        </span>
        <span className="run-changed">{changed}</span>
        {run.note === '' ? null : <span className="run-note fine">{run.note}</span>}
        <RunState row={row} isCurrent={isCurrent} />
      </th>
      {NUMBER_COLUMNS.map((column) => {
        const difference = figures && from ? column.difference(figures, from) : '';
        return (
          <td key={column.title()} className="number">
            {figures === null ? '–' : column.text(figures)}
            {column === QUALITY && best ? <span className="run-second fine">{best}</span> : null}
            {difference === '' ? null : <span className="run-second fine">{difference}</span>}
          </td>
        );
      })}
    </tr>
  );
});

const ENDS = () =>
  ({
    running: say`training`,
    paused: say`paused`,
    finished: '',
    stopped: say`stopped`,
    failed: say`stopped by an error`,
  }) as const;

/** How far it came, where that is not to the end, and the sweep that it belongs to. */
function RunState({
  row: { run, figures },
  isCurrent,
}: {
  readonly row: RunRow;
  readonly isCurrent: boolean;
}) {
  const end = ENDS()[run.outcome?.end ?? 'running'];
  const isWhole = figures !== null && figures.steps >= figures.totalSteps;
  const words = [
    ...(run.sweep === null ? [] : [say`sweep of ${sweepTitle(run.sweep)}`]),
    ...(isCurrent ? [say`on screen`] : end === '' ? [] : [end]),
    ...(figures === null || isWhole ? [] : [say`step ${figures.steps} of ${figures.totalSteps}`]),
  ];
  return words.length === 0 ? null : <span className="run-second fine">{words.join(', ')}</span>;
}
