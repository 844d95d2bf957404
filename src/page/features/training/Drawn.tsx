/** The runs that the charts draw: their lines, what differs from the run before, and how they stand. */
import { use } from 'react';
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import { duration, real, scoreText, whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Block, Table } from '../../parts/Facts.tsx';
import { usePage, useRun, useSeries } from '../../usePage.ts';
import { changedText, describeRun } from '../runs/changes.ts';
import { countOf, isOver } from '../runs/sweep.ts';
import { LineSample } from './LineSample.tsx';
import { drawnRuns, type RunRecord } from './runs.ts';

export function Drawn() {
  const page = usePage();
  const runs = useRun((s) => s.runs);
  const currentId = useRun((s) => s.current?.id ?? null);
  if (runs.length === 0) return null;
  return (
    <Block
      title={say`Runs`}
      beside={
        <Action
          kind="link"
          text={say`all ${whole(runs.length)}, to compare and keep`}
          onPress={() => page.ui.setState({ panel: 'see', seeTab: 'runs' })}
        />
      }
    >
      <Table
        words={[say`Run`, say`What changed`]}
        numbers={[say`Steps`, say`Loss`, say`Held out`, say`Time`]}
      >
        {drawnRuns(runs, currentId)
          .reverse()
          .map((run) => (
            <Row key={run.id} run={run} isCurrent={run.id === currentId} />
          ))}
      </Table>
      <SweepLine />
    </Block>
  );
}

/** The sweep that is not over, and the way to it. */
function SweepLine() {
  const page = usePage();
  const { sweeper } = use(page.keptRuns());
  const sweep = useStore(sweeper.view, (s) => s.sweep);
  if (sweep === null || isOver(sweep)) return null;
  return (
    <p className="row small">
      {sweep.isStopped
        ? say`Sweep of ${sweep.name}: ${countOf(sweep, 'done')} of ${sweep.items.length} done, stopped.`
        : say`Sweep of ${sweep.name}: ${countOf(sweep, 'done')} of ${sweep.items.length} done.`}
      <Action
        kind="link"
        text={sweep.isStopped ? say`continue or leave it` : say`see or stop it`}
        onPress={() => page.ui.setState({ panel: 'see', seeTab: 'runs' })}
      />
    </p>
  );
}

function Row({ run, isCurrent }: { readonly run: RunRecord; readonly isCurrent: boolean }) {
  useSeries(run.series);
  const { series, settings, outcome } = run;
  const last = series.evals.at(-1);
  const loss = series.column('loss').at(-1);
  const seconds = series.column('seconds').at(-1);
  return (
    <tr className={isCurrent ? 'is-current' : ''}>
      <th scope="row">
        <span className="run-name">
          <LineSample look={run.look} />
          <span className="run-word">{run.name}</span>
        </span>
      </th>
      <td className="run-what">
        {run.changed === null
          ? describeRun({ settings, figures: outcome?.figures ?? null })
          : changedText(run.changed)}
      </td>
      <td className="number">{whole(series.column('step').at(-1) ?? outcome?.figures.steps ?? 0)}</td>
      <td className="number">{loss === undefined ? '–' : real(loss)}</td>
      <td className="number">{last === undefined ? '–' : scoreText(last)}</td>
      <td className="number">{seconds === undefined ? '–' : duration(seconds)}</td>
    </tr>
  );
}
