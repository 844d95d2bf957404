/** The runs of this sitting side by side: what differs, how they ended, which are drawn. */
import { duration, real, scoreText } from '../../format.ts';
import { LINE_DASHES } from '../../parts/Chart.tsx';
import { Block, Table } from '../../parts/Facts.tsx';
import { IconButton } from '../../parts/Icon.tsx';
import { usePage, useRun, useSeries } from '../../usePage.ts';
import { describeRun, type RunRecord } from './runs.ts';

const DASH_ARRAYS = {
  solid: '',
  dash: '6 4',
  dot: '1.500 3',
  dashdot: '6 3 1.500 3',
  longdash: '10 4',
} as const;

export function Runs() {
  const runs = useRun((s) => s.runs);
  const currentId = useRun((s) => s.current?.id ?? null);
  if (runs.length === 0) return null;
  return (
    <Block title="Runs">
      <Table words={['Run', 'What it is']} numbers={['Steps', 'Loss', 'Held out', 'Time']} buttons="Keep">
        {[...runs].reverse().map((run) => (
          <Row key={run.id} run={run} isCurrent={run.id === currentId} />
        ))}
      </Table>
    </Block>
  );
}

function Row({ run, isCurrent }: { readonly run: RunRecord; readonly isCurrent: boolean }) {
  const page = usePage();
  useSeries(run.series);
  const { series } = run;
  const change = (patch: Partial<RunRecord>) =>
    page.run.setState((s) => ({
      runs: s.runs.map((one) => (one.id === run.id ? { ...one, ...patch } : one)),
    }));
  const last = series.evals.at(-1);
  const loss = series.column('loss').at(-1);
  const dash = DASH_ARRAYS[LINE_DASHES[run.look]!];
  return (
    <tr className={isCurrent ? 'is-current' : ''}>
      <th scope="row">
        <label className="run-name">
          <input
            type="checkbox"
            checked={run.isShown || isCurrent}
            disabled={isCurrent}
            aria-label={`Draw ${run.name}`}
            onChange={(event) => change({ isShown: event.target.checked })}
          />
          <svg width="22" height="8" aria-hidden="true">
            <line
              x1="1"
              y1="4"
              x2="21"
              y2="4"
              style={{ stroke: `var(--line-${run.look})` }}
              strokeWidth="2.5"
              strokeDasharray={dash}
            />
          </svg>
          {run.name}
        </label>
      </th>
      <td className="run-what">{describeRun(run.settings)}</td>
      <td className="number">{series.column('step').at(-1) ?? 0}</td>
      <td className="number">{loss === undefined ? '–' : real(loss)}</td>
      <td className="number">{last === undefined ? '–' : scoreText(last)}</td>
      <td className="number">{series.length === 0 ? '–' : duration(series.column('seconds').at(-1)!)}</td>
      <td className="run-actions">
        <IconButton
          icon="pin"
          label={
            run.isPinned ? `Unpin ${run.name}` : `Pin ${run.name}, so that newer runs do not push it out`
          }
          className={run.isPinned ? 'is-on' : ''}
          onPress={() => change({ isPinned: !run.isPinned })}
        />
        {isCurrent ? null : (
          <IconButton
            icon="trash"
            label={`Remove ${run.name}`}
            onPress={() => page.run.setState((s) => ({ runs: s.runs.filter(({ id }) => id !== run.id) }))}
          />
        )}
      </td>
    </tr>
  );
}
