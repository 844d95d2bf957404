/** Three clocks, never one spinner: download, compile, train. */
import { bytes, whole } from '../../../app/format.ts';
import type { Progress } from '../../../training/protocol.ts';
import { useRun } from '../../usePage.ts';
import { useSeries } from './useSeries.ts';

const NAMES = { download: 'Download', compile: 'Compile', train: 'Train' } as const;

function share(progress: Progress): number {
  if (progress.clock === 'download')
    return progress.totalBytes > 0 ? progress.doneBytes / progress.totalBytes : 1;
  return progress.total > 0 ? progress.done / progress.total : 1;
}

function text(progress: Progress): string {
  if (progress.clock === 'download') return `${bytes(progress.doneBytes)} of ${bytes(progress.totalBytes)}`;
  const what = progress.clock === 'compile' ? 'pipelines' : 'steps';
  return `${whole(progress.done)} of ${whole(progress.total)} ${what}`;
}

export function Clocks() {
  const progress = useRun((s) => s.progress);
  const current = useRun((s) => s.current);
  const total = useRun((s) => s.open?.totalSteps ?? null);
  useSeries(current?.series ?? null);
  const step = current?.series.column('step').at(-1) ?? 0;
  const train: Progress | undefined = total === null ? undefined : { clock: 'train', done: step, total };
  return (
    <div className="clocks" data-testid="clocks">
      {(['download', 'compile', 'train'] as const).map((clock) => {
        const now = clock === 'train' ? train : progress[clock];
        const done = now === undefined ? 0 : share(now);
        return (
          <div
            key={clock}
            className={`clock ${now === undefined ? 'is-idle' : done >= 1 ? 'is-done' : 'is-on'}`}
          >
            <span className="clock-name">{NAMES[clock]}</span>
            <span
              className="clock-bar"
              role="progressbar"
              aria-label={NAMES[clock]}
              aria-valuemin={0}
              aria-valuemax={100}
              aria-valuenow={Math.round(done * 100)}
              aria-valuetext={now === undefined ? 'not begun' : text(now)}
            >
              <span style={{ transform: `scaleX(${done})` }} />
            </span>
            <span className="clock-text">{now === undefined ? '' : text(now)}</span>
          </div>
        );
      })}
    </div>
  );
}
