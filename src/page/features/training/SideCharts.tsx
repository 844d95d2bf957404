/** Held-out score, learning rate (planned and used) and gradient norm. */
import { useMemo } from 'react';
import type { RunRecord } from '../../../app/runs.ts';
import { thin } from '../../../app/series.ts';
import { runTraining } from '../../../app/settings.ts';
import { learningRateAt, type TrainingSettings } from '../../../training/settings.ts';
import { Chart, type ChartSpec } from '../../parts/Chart.tsx';
import { LINE_DASHES } from '../../parts/colors.ts';
import { useChoice, useRun } from '../../usePage.ts';

const NO_SOURCES: readonly RunRecord['series'][] = [];

function plannedRate(training: TrainingSettings, total: number): { x: number[]; y: number[] } {
  const points = Math.min(total, 200);
  const x = Array.from({ length: points }, (_, i) => Math.round((i * (total - 1)) / Math.max(1, points - 1)));
  return { x: x.map((step) => step + 1), y: x.map((step) => learningRateAt(training, step, total)) };
}

export function SideCharts() {
  const current = useRun((s) => s.current);
  const runs = useRun((s) => s.runs);
  const total = useRun((s) => s.open?.totalSteps ?? null);
  const chosen = useChoice((s) => s.settings);
  const settings = current?.settings ?? chosen;
  const opened = useRun((s) => s.open?.model ?? null);
  const described = useChoice((s) => s.report);
  const report = opened ?? described;
  const training = useMemo(() => runTraining(settings, report), [settings, report]);
  const sources = useMemo(() => (current === null ? NO_SOURCES : [current.series]), [current]);
  const all = useMemo(() => runs.map(({ series }) => series), [runs]);

  const score = useMemo(
    () => (): ChartSpec => ({
      lines: runs
        .filter((run) => run.isShown || run.id === current?.id)
        .map((run) => ({
          name: run.name,
          x: run.series.evals.map(({ step }) => step),
          y: run.series.evals.map(({ value }) => value),
          color: `--line-${run.look}`,
          width: 2,
          dash: LINE_DASHES[run.look]!,
          hasMarkers: true,
          opacity: run.id === current?.id ? 1 : 0.45,
        })),
      xTitle: '',
      yTitle: '',
      isLog: false,
      isShare: runs.some((run) => run.series.evals[0]?.metric === 'accuracy'),
    }),
    [runs, current],
  );
  const rate = useMemo(
    () => (): ChartSpec => {
      const planned = plannedRate(training, total ?? training.steps);
      const used = current?.series.column('learningRate') ?? new Float64Array();
      return {
        lines: [
          { name: 'planned', ...planned, color: '--ink-3', width: 1.2, dash: 'dot' },
          {
            name: 'used',
            x: current?.series.column('step') ?? [],
            y: used,
            color: `--line-${current?.look ?? 0}`,
            width: 2,
          },
        ],
        xTitle: '',
        yTitle: '',
        isLog: false,
      };
    },
    [training, current, total],
  );
  const norm = useMemo(
    () => (): ChartSpec => {
      const values = current?.series.column('gradNorm') ?? new Float64Array();
      const steps = current?.series.column('step') ?? new Float64Array();
      const places = thin(values);
      const clip = settings.training.maxGradNorm;
      const x = places.map((i) => steps[i]!);
      return {
        lines: [
          {
            name: 'before clipping',
            x,
            y: places.map((i) => values[i]!),
            color: `--line-${current?.look ?? 0}`,
            width: 1.6,
          },
          ...(clip > 0 && x.length > 1
            ? [
                {
                  name: 'clip',
                  x: [x[0]!, x.at(-1)!],
                  y: [clip, clip],
                  color: '--ink-3',
                  width: 1,
                  dash: 'dash' as const,
                },
              ]
            : []),
        ],
        xTitle: '',
        yTitle: '',
        isLog: false,
      };
    },
    [settings, current],
  );
  const metric = current?.series.evals[0]?.metric;
  const scoreTitle = metric === undefined ? 'Held-out score' : `Held-out ${metric}`;
  return (
    <div className="side-charts">
      <section className="block" aria-label={scoreTitle}>
        <h3>{scoreTitle}</h3>
        {runs.length === 0 ? (
          <Empty text="measured before, during and after" />
        ) : (
          <Chart spec={score} sources={all} label={scoreTitle} height={128} />
        )}
      </section>
      <section className="block" aria-label="Learning rate">
        <h3>Learning rate</h3>
        <Chart spec={rate} sources={sources} label="Learning rate by step" height={128} />
      </section>
      <section className="block" aria-label="Gradient norm">
        <h3>Gradient norm</h3>
        {current === null ? (
          <Empty text="before clipping, step by step" />
        ) : (
          <Chart spec={norm} sources={sources} label="Gradient norm by step" height={128} />
        )}
      </section>
    </div>
  );
}

function Empty({ text }: { readonly text: string }) {
  return (
    <div className="chart chart-empty" style={{ height: 128 }}>
      <p>{text}</p>
    </div>
  );
}
