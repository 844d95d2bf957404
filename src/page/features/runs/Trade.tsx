/** What quality costs: every run at its score and its parameters, time or memory, with those that no other beats in both. */
import { useCallback, useMemo, useState } from 'react';
import { useStore } from 'zustand';
import { facts, say } from '../../../common.ts';
import { ENGINE_TITLES, isMoreBetter } from '../../../protocol.ts';
import { metricText } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Chart, type ChartLine, type ChartSpec } from '../../parts/Chart.tsx';
import { Block, Warnings } from '../../parts/Facts.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { Sentences } from '../../parts/Sentences.tsx';
import { isUnderWay } from '../../stores.ts';
import { useRun } from '../../usePage.ts';
import { lineOf } from '../training/runs.ts';
import type { RunBook } from './book.ts';
import type { RunFigures } from './figures.ts';
import { isMeasuredApart, type MemoryMeter } from './memory.ts';
import { paretoFront } from './pareto.ts';
import { COSTS, isAlike, QUALITY, type RunRow } from './rows.ts';

type Cost = keyof typeof COSTS;
/** More names than these hide the points. */
const MOST_NAMES = 12;

interface Placed {
  readonly row: RunRow;
  readonly figures: RunFigures;
  readonly cost: number;
  readonly quality: number;
}

/** Whether runs of two engines can be set against each other: memory is buffers of a GPU, or WebAssembly's with onnxruntime in it. */
const isOfOneKind = (a: RunFigures, b: RunFigures, cost: Cost): boolean =>
  isAlike(a, b) && (cost !== 'memory' || a.engine === b.engine);

/** The runs of one task that have a score and this cost. */
function placed(rows: readonly RunRow[], of: RunFigures, cost: Cost): Placed[] {
  return rows.flatMap((row) => {
    const { figures } = row;
    if (figures === null || !isOfOneKind(figures, of, cost)) return [];
    const [x, y] = [COSTS[cost].of.value(figures), figures.last?.value ?? null];
    return x === null || y === null || !Number.isFinite(y)
      ? []
      : [{ row, figures, cost: x / COSTS[cost].unit, quality: y }];
  });
}

function linesOf(points: readonly Placed[], front: readonly number[], selected: string | null): ChartLine[] {
  const onFront = new Set(front);
  const costs = points.map(({ cost }) => cost);
  const middle = (Math.min(...costs) + Math.max(...costs)) / 2;
  return [
    {
      name: 'front',
      x: front.map((i) => points[i]!.cost),
      y: front.map((i) => points[i]!.quality),
      color: '--ink-3',
      width: 1.2,
      dash: 'dot',
      isQuiet: true,
    },
    ...points.map(({ row: { run }, cost, quality }, i) => ({
      id: run.key,
      name: run.name,
      x: [cost],
      y: [quality],
      color: lineOf(run.look).color,
      width: 0,
      hasMarkers: true,
      opacity: onFront.has(i) || run.key === selected ? 1 : 0.45,
      ...(points.length <= MOST_NAMES || run.key === selected
        ? { text: run.name, textSide: cost > middle ? ('left' as const) : ('right' as const) }
        : {}),
    })),
  ];
}

const frontText = (
  front: readonly { readonly row: RunRow; readonly figures: RunFigures }[],
  cost: Cost,
): string =>
  facts(
    front.map(
      ({ row, figures }) => `${row.run.name} (${QUALITY.text(figures)}, ${COSTS[cost].of.text(figures)})`,
    ),
  );

/** Measures what has not been measured of the memory of runs on the processor. */
function Measure({ meter, rows }: { readonly meter: MemoryMeter; readonly rows: readonly RunRow[] }) {
  const { busy, error } = useStore(meter.view);
  const isTraining = useRun(({ state }) => isUnderWay(state));
  const runs = rows.flatMap(({ run, figures }) =>
    figures !== null && run.outcome !== null && isMeasuredApart(figures) && figures.peakBytes === null
      ? [run]
      : [],
  );
  if (runs.length === 0 && error === null) return null;
  return (
    <>
      {runs.length === 0 ? null : (
        <p className="row hint" role="status" data-testid="memory">
          <span>
            {busy ??
              (runs.length === 1
                ? say`The memory of ${runs[0]!.name}, which the processor trained, is measured when you ask: its first two steps are made again.`
                : say`The memory of ${runs.length} runs that the processor trained is measured when you ask: their first two steps are made again.`)}
          </span>
          <Action
            kind="link"
            text={say`Measure it`}
            isDisabled={busy !== null || isTraining}
            onPress={() => void meter.measure(runs)}
          />
          <Measured of="processor-memory" about={say`memory on the processor`} />
        </p>
      )}
      <Warnings of={error === null ? [] : [error.message]} role="alert" />
    </>
  );
}

export function Trade(props: {
  readonly book: RunBook;
  readonly meter: MemoryMeter;
  readonly rows: readonly RunRow[];
}) {
  const { book, meter, rows } = props;
  const [cost, setCost] = useState<Cost>('parameters');
  const selected = useStore(book.view, (s) => s.selected);
  const pick = useCallback((key: string) => book.select(key), [book]);
  const newest = rows.findLast(({ figures }) => figures?.last)?.figures ?? null;
  const of = rows.find(({ run }) => run.key === selected)?.figures ?? newest;
  const points = useMemo(() => (of === null ? [] : placed(rows, of, cost)), [rows, of, cost]);
  const front = useMemo(() => paretoFront(points, isMoreBetter(of?.metric ?? null)), [points, of]);
  const spec = useMemo(
    () => (): ChartSpec => ({
      lines: linesOf(points, front, selected),
      xTitle: COSTS[cost].title(),
      yTitle: '',
      names: {
        x: COSTS[cost].title(),
        y: of?.metric == null ? say`held-out score` : say`held-out ${metricText(of.metric)}`,
      },
      isLog: false,
      isShare: of?.metric === 'accuracy',
    }),
    [points, front, selected, cost, of],
  );
  if (of === null || of.metric === null) return null;
  return (
    <Block
      title={say`Held-out ${metricText(of.metric)} against what it takes`}
      label={say`Quality against what it takes`}
      beside={
        <Picker
          label={say`What it takes`}
          isLabelHidden
          value={cost}
          items={Object.entries(COSTS).map(([id, { title }]) => ({ id, title: title() }))}
          onChange={(id) => setCost(id as Cost)}
        />
      }
    >
      {points.length < 2 ? (
        <p className="hint">
          {points.length === 0
            ? say`None of these runs has a figure for it.`
            : say`One run of ${of.model} on ${of.data} has a figure for it; from two on they are set against each other here.`}
        </p>
      ) : (
        <>
          <Chart
            spec={spec}
            sources={NONE}
            name={say`Held-out ${metricText(of.metric)} against ${COSTS[cost].title()}`}
            label={say`Held-out ${metricText(of.metric)} against ${COSTS[cost].title()}, figures in the table above`}
            height={220}
            onPick={pick}
          />
          <p className="hint" data-testid="front">
            <Sentences>
              {say`${of.model} on ${of.data}. Not beaten in both by any other: ${frontText(
                front.map((i) => points[i]!),
                cost,
              )}.`}
              {cost === 'memory'
                ? say`Runs by ${ENGINE_TITLES[of.engine]} alone: what another engine takes is counted in another way.`
                : ''}
            </Sentences>
          </p>
        </>
      )}
      {cost === 'memory' ? (
        <Measure
          meter={meter}
          rows={rows.filter(({ figures }) => figures !== null && isOfOneKind(figures, of, cost))}
        />
      ) : null}
    </Block>
  );
}

const NONE = [] as const;
