/** The run as curves: its loss, with what that chart can be told, and as a table; the others come beside it. */
import { useMemo } from 'react';
import { greatest, least, say } from '../../../common.ts';
import { fixed } from '../../format.ts';
import { Chart, type ChartLine, type ChartSpec } from '../../parts/Chart.tsx';
import { Toggle } from '../../parts/Controls.tsx';
import { Block } from '../../parts/Facts.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { Range } from '../../parts/Range.tsx';
import { Sentences } from '../../parts/Sentences.tsx';
import { Tip } from '../../parts/Tip.tsx';
import type { XAxis } from '../../stores.ts';
import { usePage, useRun, useSeries, useUi } from '../../usePage.ts';
import { CurveTable } from './CurveTable.tsx';
import { drawnRuns, lineOf, type RunRecord } from './runs.ts';
import { BESIDE } from './SideChart.tsx';
import { SideCharts } from './SideCharts.tsx';
import { smooth, smoothFormula, thin, undrawn, undrawnText } from './series.ts';

const X_TITLES = (): Readonly<Record<XAxis, string>> => ({
  step: say`step`,
  examples: say`examples`,
  seconds: say`seconds`,
});

function pick(values: Float64Array, places: readonly number[]): Float64Array {
  return Float64Array.from(places, (i) => values[i]!);
}

/** x of an evaluation: that of its step, interpolated where the axis is not the step. */
function evalX(run: RunRecord, step: number, axis: XAxis): number {
  if (axis === 'step') return step;
  const steps = run.series.column('step');
  const i = steps.indexOf(step);
  return i < 0 ? 0 : run.series.column(axis)[i]!;
}

function linesOf(run: RunRecord, isCurrent: boolean, beta: number, axis: XAxis): ChartLine[] {
  const loss = run.series.column('loss');
  const x = run.series.column(axis);
  const smoothed = smooth(loss, beta);
  const { color, dash } = lineOf(run.look);
  const opacity = isCurrent ? 1 : BESIDE;
  const rawPlaces = thin(loss);
  const smoothPlaces = thin(smoothed);
  const evals = run.series.evals;
  const name = run.name;
  return [
    ...(isCurrent && beta > 0
      ? [
          {
            name: say`${name} raw`,
            x: pick(x, rawPlaces),
            y: pick(loss, rawPlaces),
            color,
            width: 1,
            opacity: 0.28,
            isQuiet: true,
          },
        ]
      : []),
    {
      ...{
        name,
        x: pick(x, smoothPlaces),
        y: pick(smoothed, smoothPlaces),
        color,
        width: 2.4,
        opacity,
        dash,
      },
      whole: {
        ...{ x, y: loss },
        ...(beta > 0 ? { smoothed: { y: smoothed, formula: smoothFormula(beta) } } : {}),
      },
    },
    ...(evals.length > 0
      ? [
          {
            name: say`${name} held out`,
            x: evals.map((e) => evalX(run, e.step, axis)),
            y: evals.map((e) => e.loss),
            color,
            width: 1.2,
            dash: 'dot' as const,
            hasMarkers: true,
            opacity,
          },
        ]
      : []),
  ];
}

/** An upright line where the next update was no number, as high as the losses before it. */
export function divergedAt({ series }: RunRecord, axis: XAxis): ChartLine[] {
  const losses = series.column('loss').filter(Number.isFinite);
  const last = series.column(axis).at(-1);
  if (last === undefined || losses.length === 0) return [];
  const at = axis === 'step' ? last + 1 : last;
  return [
    {
      name: say`diverged here, after step ${series.column('step').at(-1)!}`,
      x: [at, at],
      y: [least(losses), greatest(losses)],
      ...{ color: '--red', width: 2, dash: 'dash' },
    },
  ];
}

export function Charts() {
  return (
    <>
      <LossChart />
      <SideCharts />
    </>
  );
}

/** Loss, raw and smoothed, of the current run and of those beside it, with held-out points. */
function LossChart() {
  const runs = useRun((s) => s.runs);
  const currentId = useRun((s) => s.current?.id ?? null);
  const smoothing = useUi((s) => s.smoothing);
  const isLogY = useUi((s) => s.isLogY);
  const xAxis = useUi((s) => s.xAxis);
  const shown = useMemo(() => drawnRuns(runs, currentId), [runs, currentId]);
  const sources = useMemo(() => shown.map((run) => run.series), [shown]);
  const isDiverged = useRun((s) => s.error?.report.kind === 'non-finite');
  const spec = useMemo(
    () => (): ChartSpec => ({
      lines: [
        ...shown.flatMap((run) => linesOf(run, run.id === currentId, smoothing, xAxis)),
        ...shown.flatMap((run) => (isDiverged && run.id === currentId ? divergedAt(run, xAxis) : [])),
      ],
      xTitle: X_TITLES()[xAxis],
      yTitle: '',
      names: { x: X_TITLES()[xAxis], y: 'loss' },
      isLog: isLogY,
    }),
    [shown, currentId, smoothing, xAxis, isLogY, isDiverged],
  );
  return (
    <Block
      title={say`Loss`}
      beside={
        <span className="row legend small">
          <i /> {say`each step`}
          <i className="legend-smooth" /> {say`smoothed`}
          <i className="legend-dots" /> {say`held out`}
        </span>
      }
    >
      {shown.length === 0 ? (
        <div className="chart chart-empty" style={{ height: 260 }}>
          <p>{say`The loss is drawn here from the first step on: faint as measured, bold as smoothed, dots on examples the model never learns from.`}</p>
        </div>
      ) : (
        <Chart
          spec={spec}
          sources={sources}
          name={say`Loss by step`}
          label={say`Loss by step, see the table below for figures`}
          height={260}
        />
      )}
      <OffScale runs={shown} isLog={isLogY} />
      <LossControls />
      <CurveTable />
    </Block>
  );
}

/** How many points of the losses the chart does not have, and why. */
function OffScale({ runs, isLog }: { readonly runs: readonly RunRecord[]; readonly isLog: boolean }) {
  const current = useRun((s) => s.current);
  useSeries(current?.series ?? null);
  const counts = runs.map(({ series }) => undrawn(series, isLog));
  const texts = undrawnText({
    broken: counts.reduce((sum, { broken }) => sum + broken, 0),
    offScale: counts.reduce((sum, { offScale }) => sum + offScale, 0),
  });
  if (texts.length === 0) return null;
  return (
    <p className="hint" data-testid="off-scale">
      <Sentences>{texts}</Sentences>
    </p>
  );
}

/** What the chart of the loss can be told. */
function LossControls() {
  const page = usePage();
  const smoothing = useUi((s) => s.smoothing);
  const isLogY = useUi((s) => s.isLogY);
  const xAxis = useUi((s) => s.xAxis);
  return (
    <div className="row chart-controls">
      <Range
        label={say`Smoothing`}
        value={smoothing}
        min={0}
        max={0.99}
        step={0.01}
        format={(value) => fixed(value, 2)}
        tip={
          <Tip
            about={say`smoothing`}
          >{say`De-biased exponential moving average: sₜ = β sₜ₋₁ + (1−β) xₜ, drawn as sₜ / (1−βᵗ). It depends on the values before a point only, never on the length of the run.`}</Tip>
        }
        onChange={(value) => page.ui.setState({ smoothing: value })}
      />
      <Picker
        label={say`Horizontal axis`}
        isLabelHidden
        value={xAxis}
        items={Object.entries(X_TITLES()).map(([id, title]) => ({ id, title: say`by ${title}` }))}
        onChange={(id) => page.ui.setState({ xAxis: id as XAxis })}
      />
      <Toggle isOn={isLogY} onChange={(isOn) => page.ui.setState({ isLogY: isOn })}>{say`log scale`}</Toggle>
    </div>
  );
}
