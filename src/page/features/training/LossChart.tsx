/** Loss, raw and smoothed, of the current run and of those beside it, with held-out points; and what the chart can be told. */
import { useMemo } from 'react';
import { Switch } from 'react-aria-components';
import type { RunRecord } from '../../../app/runs.ts';
import { smooth, thin } from '../../../app/series.ts';
import type { XAxis } from '../../../app/stores.ts';
import { Chart, type ChartLine, type ChartSpec } from '../../parts/Chart.tsx';
import { LINE_DASHES } from '../../parts/colors.ts';
import { Picker } from '../../parts/Picker.tsx';
import { Range } from '../../parts/Range.tsx';
import { Tip } from '../../parts/Tip.tsx';
import { usePage, useRun, useUi } from '../../usePage.ts';
import { CurveTable } from './CurveTable.tsx';

const X_TITLES: Readonly<Record<XAxis, string>> = { step: 'step', examples: 'examples', seconds: 'seconds' };

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
  const color = `--line-${run.look}`;
  const opacity = isCurrent ? 1 : 0.45;
  const dash = LINE_DASHES[run.look]!;
  const rawPlaces = thin(loss);
  const smoothPlaces = thin(smoothed);
  const evals = run.series.evals;
  const name = run.name;
  return [
    ...(isCurrent && beta > 0
      ? [
          {
            name: `${name} raw`,
            x: pick(x, rawPlaces),
            y: pick(loss, rawPlaces),
            color,
            width: 1,
            opacity: 0.28,
            isQuiet: true,
          },
        ]
      : []),
    { name, x: pick(x, smoothPlaces), y: pick(smoothed, smoothPlaces), color, width: 2.4, opacity, dash },
    ...(evals.length > 0
      ? [
          {
            name: `${name} held out`,
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

export function LossChart() {
  const page = usePage();
  const runs = useRun((s) => s.runs);
  const currentId = useRun((s) => s.current?.id ?? null);
  const smoothing = useUi((s) => s.smoothing);
  const isLogY = useUi((s) => s.isLogY);
  const xAxis = useUi((s) => s.xAxis);
  const shown = useMemo(() => runs.filter((run) => run.isShown || run.id === currentId), [runs, currentId]);
  const sources = useMemo(() => shown.map((run) => run.series), [shown]);
  const spec = useMemo(
    () => (): ChartSpec => ({
      lines: shown.flatMap((run) => linesOf(run, run.id === currentId, smoothing, xAxis)),
      xTitle: X_TITLES[xAxis],
      yTitle: '',
      isLog: isLogY,
    }),
    [shown, currentId, smoothing, xAxis, isLogY],
  );
  return (
    <section className="block" aria-label="Loss">
      <div className="block-head">
        <h3>Loss</h3>
        <span className="legend">
          <i className="legend-raw" /> each step
          <i className="legend-smooth" /> smoothed
          <i className="legend-dots" /> held out
        </span>
      </div>
      {shown.length === 0 ? (
        <div className="chart chart-empty" style={{ height: 260 }}>
          <p>
            The loss is drawn here from the first step on: faint as measured, bold as smoothed, dots on
            examples the model never learns from.
          </p>
        </div>
      ) : (
        <Chart
          spec={spec}
          sources={sources}
          label="Loss by step, see the table below for figures"
          height={260}
        />
      )}
      <div className="chart-controls">
        <Range
          label="Smoothing"
          value={smoothing}
          min={0}
          max={0.99}
          step={0.01}
          format={(value) => value.toFixed(2)}
          tip={
            <Tip about="smoothing">
              De-biased exponential moving average: sₜ = β sₜ₋₁ + (1−β) xₜ, drawn as sₜ / (1−βᵗ). It depends
              on the values before a point only, never on the length of the run.
            </Tip>
          }
          onChange={(value) => page.ui.setState({ smoothing: value })}
        />
        <Picker
          label="Horizontal axis"
          isLabelHidden
          value={xAxis}
          items={Object.entries(X_TITLES).map(([id, title]) => ({ id, title: `by ${title}` }))}
          onChange={(id) => page.ui.setState({ xAxis: id as XAxis })}
        />
        <Switch
          className="switch"
          isSelected={isLogY}
          onChange={(value) => page.ui.setState({ isLogY: value })}
        >
          <span className="switch-track" />
          log scale
        </Switch>
      </div>
      <CurveTable />
    </section>
  );
}
