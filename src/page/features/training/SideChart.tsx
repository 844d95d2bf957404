/** A small chart of the run on screen and of those drawn beside it; while none of them has a point, one sentence in its place. */
import { type ReactNode, useMemo, useSyncExternalStore } from 'react';
import { say } from '../../../common.ts';
import { Chart, type ChartLine, type ChartSpec } from '../../parts/Chart.tsx';
import { Block } from '../../parts/Facts.tsx';
import { useRun } from '../../usePage.ts';
import { drawnRuns, lineOf, type RunRecord } from './runs.ts';

/** Opacity of a run that is drawn beside the current one. */
export const BESIDE = 0.45;

const HEIGHT = 146;

/** What is drawn of one run. */
export interface Curve {
  /** Whether it has a point, without making any: asked at every step. */
  isIn(run: RunRecord): boolean;
  points(run: RunRecord): Pick<ChartLine, 'x' | 'y' | 'hasMarkers' | 'whole'>;
}

/** The runs that are drawn, in the order of their start, and which of them is on screen. */
export interface DrawnRuns {
  readonly shown: readonly RunRecord[];
  readonly current: RunRecord | null;
}

export function useDrawnRuns(): DrawnRuns {
  const current = useRun((s) => s.current);
  const runs = useRun((s) => s.runs);
  return useMemo(() => ({ shown: drawnRuns(runs, current?.id), current }), [runs, current]);
}

/** A line of every run that has points: the one on screen in full, the others faint, each in its own colour and dash. */
function sideLines({ shown, current }: DrawnRuns, curve: Curve): ChartLine[] {
  return shown
    .filter((run) => curve.isIn(run))
    .map((run) => ({
      name: run.name,
      ...curve.points(run),
      ...lineOf(run.look),
      width: run.id === current?.id ? 2 : 1.6,
      opacity: run.id === current?.id ? 1 : BESIDE,
    }));
}

/** What is found in these runs as they are; renders again when that is something else, and not at every step. */
export function useFound<T extends string | null | undefined>(runs: readonly RunRecord[], find: () => T): T {
  const subscribe = useMemo(
    () => (listener: () => void) => {
      const ends = runs.map(({ series }) => series.subscribe(listener));
      return () => {
        for (const end of ends) end();
      };
    },
    [runs],
  );
  return useSyncExternalStore(subscribe, find, find);
}

export function SideChart(props: {
  readonly title: string;
  /** What it is called where it is taken away. */
  readonly name?: string;
  /** How it was measured. */
  readonly how?: ReactNode;
  readonly axis: string;
  readonly curve: Curve;
  /** Lines that are of no run, below the others. */
  readonly against?: () => readonly ChartLine[];
  readonly form?: Pick<ChartSpec, 'isFromZero' | 'isShare'>;
  /** What will be drawn here; left out where something always is. */
  readonly nothing?: string;
  /** Why nothing will be, of these runs; null where it may still come. */
  readonly why?: (shown: readonly RunRecord[]) => string | null;
}) {
  const { title, name = title, how, axis, curve, against, form, nothing, why } = props;
  const drawn = useDrawnRuns();
  const { shown } = drawn;
  const sources = useMemo(() => shown.map(({ series }) => series), [shown]);
  const sentence = useFound(shown, () =>
    shown.some((run) => curve.isIn(run)) || (against?.().length ?? 0) > 0
      ? null
      : (why?.(shown) ?? nothing ?? null),
  );
  const spec = useMemo(
    () => (): ChartSpec => ({
      lines: [...(against?.() ?? []), ...sideLines(drawn, curve)],
      ...{ xTitle: '', yTitle: '', isLog: false, names: { x: 'step', y: axis } },
      ...form,
    }),
    [drawn, curve, against, axis, form],
  );
  return (
    <Block title={title} beside={how}>
      {sentence === null ? (
        <Chart
          spec={spec}
          sources={sources}
          name={name}
          label={say`${name}, figures in the table of the curves`}
          height={HEIGHT}
        />
      ) : (
        <div className="chart chart-empty" style={{ height: HEIGHT }}>
          <p>{sentence}</p>
        </div>
      )}
    </Block>
  );
}
