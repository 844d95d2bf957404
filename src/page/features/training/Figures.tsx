/** The run in figures: loss, held-out score before and now, pace, time left, and what it takes of the GPU. */
import { useShallow } from 'zustand/react/shallow';
import { say } from '../../../common.ts';
import { ENGINE_TITLES, type OpenReport } from '../../../protocol.ts';
import { bytes, duration, fixed, metricText, rate, real, scoredOn, scoreText, whole } from '../../format.ts';
import { Figure, Warnings } from '../../parts/Facts.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { useChoice, useRun, useSeries, useUi } from '../../usePage.ts';
import { deviceName } from '../runs/figures.ts';
import { ForecastBeside } from './Forecast.tsx';
import { remarksOf } from './runs.ts';
import { secondsPerStep, smooth, unitOf } from './series.ts';

/** What came of a run that has ended, where that is worth a word. */
function Remarks() {
  return <Warnings of={useRun(useShallow(remarksOf))} role="alert" />;
}

/** The engine, by name. */
const engineTag = ({ engine, isSoftware }: OpenReport['device']): string =>
  engine === 'webgpu' && isSoftware ? say`${ENGINE_TITLES[engine]}, software adapter` : ENGINE_TITLES[engine];

/** What it runs on, and what a step takes of it. */
function perStepText(dispatches: number, submits: number | null): string {
  if (submits === null) return say`${whole(dispatches)} dispatches a step`;
  return submits === 1
    ? say`${whole(dispatches)} dispatches, 1 submit a step`
    : say`${whole(dispatches)} dispatches, ${whole(submits)} submits a step`;
}

function Machine({ open: { device, counts } }: { readonly open: OpenReport }) {
  const submits = useRun((s) => s.submits);
  return (
    <p className="row machine small tabular" data-testid="machine">
      <span>{deviceName(device)}</span>
      <span className="tag">{engineTag(device)}</span>
      {counts.gpu && (
        <>
          <span>{say`${bytes(counts.gpu.bytes)} on the GPU`}</span>
          <span>{perStepText(counts.gpu.dispatchesPerStep, submits)}</span>
          <Measured of="machine" about={say`memory, dispatches, submits`} />
        </>
      )}
    </p>
  );
}

export function Figures() {
  const current = useRun((s) => s.current);
  const open = useRun((s) => s.open);
  const since = useRun((s) => s.since);
  const state = useRun((s) => s.state);
  const smoothing = useUi((s) => s.smoothing);
  const wanted = useChoice((s) => (s.report?.task.endsWith('-lm') ? 'perplexity' : 'accuracy'));
  useSeries(current?.series ?? null);
  const series = current?.series;
  const loss = series?.column('loss');
  const smoothed = loss && loss.length > 0 ? smooth(loss, smoothing).at(-1)! : null;
  const first = series?.evals[0];
  const now = series?.evals.at(-1);
  const pace = series ? secondsPerStep(series.column('seconds'), since) : null;
  const step = series?.column('step').at(-1) ?? 0;
  const total = open?.totalSteps ?? null;
  const left = pace !== null && total !== null && state === 'running' ? pace * (total - step) : null;
  const unit = unitOf(open);
  const done = series?.column(unit);
  const perStep = done && done.length > 1 ? done.at(-1)! - done.at(-2)! : 0;
  return (
    <>
      <dl className="figures" data-testid="figures">
        <Figure
          name={say`Loss`}
          how="loss"
          value={smoothed === null ? '–' : real(smoothed)}
          note={smoothed === null ? '' : say`smoothed`}
        />
        <Figure
          name={say`Held-out ${metricText(now?.metric ?? wanted)}`}
          how="held-out"
          value={now === undefined ? '–' : scoreText(now)}
          note={
            first !== undefined && now !== undefined && now !== first
              ? now.step === step
                ? say`was ${scoreText(first)}; ${scoredOn(now)}`
                : say`was ${scoreText(first)}; at step ${now.step}; ${scoredOn(now)}`
              : now
                ? scoredOn(now)
                : ''
          }
          isStrong
        />
        <Figure
          name={say`Pace`}
          how="pace"
          value={
            pace === null
              ? '–'
              : pace < 1
                ? say`${fixed(1 / pace, 1)} steps/s`
                : say`${fixed(pace, 1)} s/step`
          }
          note={
            pace === null
              ? state === 'running'
                ? say`after 10 steps`
                : ''
              : perStep > 0
                ? unit === 'examples'
                  ? say`${rate(perStep / pace)} examples/s`
                  : say`${rate(perStep / pace)} tokens/s`
                : ''
          }
        />
        <Figure
          name={say`Time left`}
          how="time-left"
          value={left === null ? '–' : duration(left)}
          note={total === null ? '' : say`step ${whole(step)} of ${whole(total)}`}
        />
      </dl>
      <Remarks />
      {open === null ? null : <Machine open={open} />}
      <ForecastBeside pace={pace} />
      <Warnings of={open?.warnings ?? []} />
    </>
  );
}
