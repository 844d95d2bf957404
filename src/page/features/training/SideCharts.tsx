/**
 * Curves beside the loss: held-out score, learning rate, gradient norm, pace, how far the adapter has taken the weights, and how near to rotations
 * its rotations stay. All are of the run on screen and of those drawn beside it.
 */
import { type ReactNode, useMemo } from 'react';
import { say } from '../../../common.ts';
import { METHODS } from '../../../methods.ts';
import { learningRateAt, type TrainingSettings } from '../../../protocol.ts';
import { metricText } from '../../format.ts';
import type { ChartLine } from '../../parts/Chart.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { useChoice, useRun } from '../../usePage.ts';
import { runTraining } from '../setup/settings.ts';
import { baselinesOf } from './baselines.ts';
import type { RunRecord } from './runs.ts';
import { type Curve, SideChart, useDrawnRuns, useFound } from './SideChart.tsx';
import { pacesOf, type Series, thin, unitOf } from './series.ts';

/** Values of every step, drawn with fewer points. */
function thinned({ column }: Series, values: Float64Array): Pick<ChartLine, 'x' | 'y'> {
  const steps = column('step');
  const places = thin(values);
  return { x: places.map((i) => steps[i]!), y: places.map((i) => values[i]!) };
}

const ofSteps = (name: 'learningRate' | 'gradNorm'): Curve => ({
  isIn: ({ series }) => series.length > 0,
  points({ series }) {
    const values = series.column(name);
    return { ...thinned(series, values), whole: { x: series.column('step'), y: values } };
  },
});

const paceIn = (unit: 'tokens' | 'examples'): Curve => ({
  // A pace is of the time between two steps.
  isIn: ({ series }) => series.length > 1,
  points: ({ series }) => thinned(series, pacesOf(series, unit)),
});

const ofAdapter = (name: 'relativeChange' | 'orthogonality'): Curve => ({
  isIn: ({ series }) => series.evals.some(({ others }) => others?.[name] !== undefined),
  points({ series }) {
    const evals = series.evals.filter(({ others }) => others?.[name] !== undefined);
    return {
      x: evals.map(({ step }) => step),
      y: evals.map(({ others }) => others![name]!),
      hasMarkers: true,
    };
  },
});

const RATE = ofSteps('learningRate');
const NORM = ofSteps('gradNorm');
const PACES = { tokens: paceIn('tokens'), examples: paceIn('examples') };
const CHANGE = ofAdapter('relativeChange');
const DEFECT = ofAdapter('orthogonality');
const RATIO = '‖ΔW‖ / ‖W‖';
const DISTANCE = '‖RᵀR − I‖';
const FROM_ZERO = { isFromZero: true } as const;

const familyOf = ({ settings }: RunRecord) => METHODS[settings.method].family;

export function SideCharts() {
  const { shown } = useDrawnRuns();
  const chosen = useChoice((s) => s.settings.method);
  const families = shown.length > 0 ? shown.map(familyOf) : [METHODS[chosen].family];
  return (
    <div className="side-charts">
      <ScoreChart />
      <RateChart />
      <NormChart />
      <PaceChart />
      <AdapterChart
        of={RATIO}
        curve={CHANGE}
        how={<Measured of="change-curve" about={say`the change of the weights`} />}
        nothing={say`‖ΔW‖ / ‖W‖ at every evaluation`}
      />
      {families.includes('rotation') ? (
        <AdapterChart
          of={DISTANCE}
          curve={DEFECT}
          how={<Measured of="orthogonality-curve" about={say`how far from a rotation`} />}
          nothing={say`‖RᵀR − I‖ at every evaluation`}
        />
      ) : null}
    </div>
  );
}

/** What is measured of an adapter at every evaluation, from zero. */
const AdapterChart = (props: {
  readonly of: string;
  readonly curve: Curve;
  readonly how: ReactNode;
  readonly nothing: string;
}) => (
  <SideChart
    title={props.of}
    axis={props.of}
    form={FROM_ZERO}
    why={whyUnmeasured}
    {...{ curve: props.curve, how: props.how, nothing: props.nothing }}
  />
);

/** Why none of these runs says how far an adapter has taken its weights; null where one still may. */
function whyUnmeasured(shown: readonly RunRecord[]): string | null {
  const adapting = shown.filter((run) => familyOf(run) !== 'baseline');
  if (shown.length > 0 && adapting.length === 0)
    return say`There is nothing to draw: the runs drawn here train no adapter but the weights themselves.`;
  const isOver =
    adapting.length > 0 && adapting.every(({ series }) => series.evals.some(({ step }) => step > 0));
  return isOver
    ? say`Not measured in the runs drawn here: they are older than this figure, their modules are too large, or memory was short.`
    : null;
}

/** Held-out score. */
function ScoreChart() {
  const { shown, current } = useDrawnRuns();
  const runs = useRun((s) => s.runs);
  // A perplexity and a share are not drawn on one axis.
  const metric = useFound(shown, () => (current ?? shown.at(-1))?.series.evals[0]?.metric);
  const curve = useMemo(
    (): Curve => ({
      isIn: ({ series }) => series.evals.length > 0 && series.evals[0]!.metric === metric,
      points: ({ series }) => ({
        x: series.evals.map(({ step }) => step),
        y: series.evals.map(({ value }) => value),
        hasMarkers: true,
      }),
    }),
    [metric],
  );
  const against = useMemo(
    () => (): ChartLine[] => {
      const end = Math.max(0, ...shown.filter(curve.isIn).map(({ series }) => series.evals.at(-1)!.step));
      if (end === 0) return [];
      return baselinesOf(current, runs).map(({ name, value }, i) => ({
        ...{ name, x: [0, end], y: [value, value], color: '--ink-3', width: 1 },
        dash: i === 0 ? 'dot' : 'dash',
      }));
    },
    [shown, current, runs, curve],
  );
  const form = useMemo(() => ({ isShare: metric === 'accuracy' }), [metric]);
  return (
    <SideChart
      title={metric === undefined ? say`Held-out score` : say`Held-out ${metricText(metric)}`}
      axis={metric ?? 'score'}
      curve={curve}
      against={against}
      form={form}
      nothing={say`measured before, during and after`}
    />
  );
}

function plannedRate(training: TrainingSettings, total: number): { x: number[]; y: number[] } {
  const points = Math.min(total, 200);
  const x = Array.from({ length: points }, (_, i) => Math.round((i * (total - 1)) / Math.max(1, points - 1)));
  return { x: x.map((step) => step + 1), y: x.map((step) => learningRateAt(training, step, total)) };
}

/** Learning rate, planned and used. */
function RateChart() {
  const current = useRun((s) => s.current);
  const total = useRun((s) => s.open?.totalSteps ?? null);
  const chosen = useChoice((s) => s.settings);
  const settings = current?.settings ?? chosen;
  const opened = useRun((s) => s.open?.model ?? null);
  const described = useChoice((s) => s.report);
  const report = opened ?? described;
  const training = useMemo(() => runTraining(settings, report), [settings, report]);
  const against = useMemo(
    () => (): ChartLine[] => [
      {
        ...{ name: say`planned`, ...plannedRate(training, total ?? training.steps) },
        ...{ color: '--ink-3', width: 1.2, dash: 'dot' },
      },
    ],
    [training, total],
  );
  return (
    <SideChart
      title={say`Learning rate`}
      name={say`Learning rate by step`}
      axis={say`learning rate`}
      curve={RATE}
      against={against}
    />
  );
}

/** Gradient norm, and where that of the run on screen is clipped. */
function NormChart() {
  const current = useRun((s) => s.current);
  const against = useMemo(
    () => (): ChartLine[] => {
      const clip = current?.settings.training.maxGradNorm ?? 0;
      const steps = current?.series.column('step') ?? [];
      if (clip <= 0 || steps.length < 2) return [];
      const x = [steps[0]!, steps.at(-1)!];
      return [
        { name: say`clipped above this`, x, y: [clip, clip], color: '--ink-3', width: 1, dash: 'dash' },
      ];
    },
    [current],
  );
  return (
    <SideChart
      title={say`Gradient norm`}
      name={say`Gradient norm by step`}
      axis={say`gradient norm before clipping`}
      curve={NORM}
      against={against}
      nothing={say`before clipping, step by step`}
    />
  );
}

/** How fast the runs are. */
function PaceChart() {
  const unit = useRun((s) => unitOf(s.open));
  const title = unit === 'tokens' ? say`Tokens a second` : say`Examples a second`;
  return (
    <SideChart
      title={title}
      how={<Measured of="pace-curve" about={title} />}
      axis={unit === 'tokens' ? 'tokens/s' : 'examples/s'}
      curve={PACES[unit]}
      form={FROM_ZERO}
      nothing={say`from the second step on`}
    />
  );
}
