/** Further curves: how fast a run is, how far its adapter has taken the weights, and how near to rotations its rotations stay. */
import { type ReactNode, useMemo } from 'react';
import { say } from '../../../common.ts';
import { METHODS } from '../../../methods.ts';
import { Chart, type ChartLine, type ChartSpec } from '../../parts/Chart.tsx';
import { Block } from '../../parts/Facts.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { useRun } from '../../usePage.ts';
import { drawnRuns, lineOf, type RunRecord } from './runs.ts';
import { pacesOf, thin, unitOf } from './series.ts';
import { BESIDE, byStep, Empty, inTable, SIDE_HEIGHT } from './sideChart.tsx';

/** Points of one run; none where it has not measured them. */
type Points = (run: RunRecord) => Pick<ChartLine, 'x' | 'y' | 'hasMarkers'>;

const atEvaluations =
  (name: string): Points =>
  ({ series }) => {
    const evals = series.evals.filter(({ others }) => others?.[name] !== undefined);
    return {
      x: evals.map(({ step }) => step),
      y: evals.map(({ others }) => others![name]!),
      hasMarkers: true,
    };
  };

const paceIn =
  (unit: 'tokens' | 'examples'): Points =>
  ({ series }) => {
    const paces = pacesOf(series, unit);
    const steps = series.column('step');
    const places = thin(paces).filter((i) => Number.isFinite(paces[i]!));
    return { x: places.map((i) => steps[i]!), y: places.map((i) => paces[i]!) };
  };

const PACES = { tokens: paceIn('tokens'), examples: paceIn('examples') };
const RATIO = '‖ΔW‖ / ‖W‖';
const DISTANCE = '‖RᵀR − I‖';

const CHANGE = atEvaluations('relativeChange');
const DEFECT = atEvaluations('orthogonality');

export function FurtherCharts() {
  const current = useRun((s) => s.current);
  const unit = useRun((s) => unitOf(s.open));
  const isTokens = unit === 'tokens';
  const paceTitle = isTokens ? say`Tokens a second` : say`Examples a second`;
  const turns = current === null || METHODS[current.settings.method].family === 'rotation';
  return (
    <>
      <Further
        title={paceTitle}
        how={<Measured of="pace-curve" about={paceTitle} />}
        axis={isTokens ? 'tokens/s' : 'examples/s'}
        points={PACES[unit]}
        nothing={say`from the second step on`}
      />
      <Further
        title={RATIO}
        how={<Measured of="change-curve" about={say`the change of the weights`} />}
        axis={RATIO}
        points={CHANGE}
        nothing={say`‖ΔW‖ / ‖W‖ at every evaluation`}
      />
      {turns ? (
        <Further
          title={DISTANCE}
          how={<Measured of="orthogonality-curve" about={say`how far from a rotation`} />}
          axis={DISTANCE}
          points={DEFECT}
          nothing={say`‖RᵀR − I‖ at every evaluation`}
        />
      ) : null}
    </>
  );
}

/** One such curve of the run on screen and of those drawn beside it. */
function Further(props: {
  readonly title: string;
  /** How it was measured. */
  readonly how: ReactNode;
  readonly axis: string;
  readonly points: Points;
  readonly nothing: string;
}) {
  const { title, how, axis, points, nothing } = props;
  const current = useRun((s) => s.current);
  const runs = useRun((s) => s.runs);
  const shown = useMemo(() => drawnRuns(runs, current?.id), [runs, current]);
  const sources = useMemo(() => shown.map(({ series }) => series), [shown]);
  const spec = useMemo(
    () => (): ChartSpec => ({
      lines: shown.map((run) => ({
        name: run.name,
        ...points(run),
        ...lineOf(run.look),
        width: run.id === current?.id ? 2 : 1.6,
        opacity: run.id === current?.id ? 1 : BESIDE,
      })),
      ...byStep(axis),
      isFromZero: true,
    }),
    [shown, current, points, axis],
  );
  return (
    <Block title={title} beside={how}>
      {shown.length === 0 ? (
        <Empty text={nothing} />
      ) : (
        <Chart spec={spec} sources={sources} name={title} label={inTable(title)} height={SIDE_HEIGHT} />
      )}
    </Block>
  );
}
