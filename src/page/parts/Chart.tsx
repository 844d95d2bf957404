/**
 * Curves. Plotly arrives when there is something to draw and nobody presses anything; at most five drawings a second, none while the chart
 * cannot be seen. What is drawn comes from a function, so that no point ever passes through React. Every chart can be taken away as a picture
 * and in numbers.
 */
import { useEffect, useRef, useState } from 'react';
import { bytesOfBase64, say, visible } from '../../common.ts';
import { saveFile } from '../exports.ts';
import { useUi } from '../usePage.ts';
import { type ChartLine, type ChartSpec, type NumberTable, tableOf } from './chartNumbers.ts';
import { drawInTurn, endChart, nextDrawing, plotlyInPause } from './drawing.ts';
import { NumbersDialog } from './NumbersDialog.tsx';
import { fileStem } from './numberFiles.ts';
import { SaveMenu } from './SaveMenu.tsx';
import { tableItem } from './saveItems.ts';
import { watchSeen } from './seen.ts';

export type { ChartLine, ChartSpec };

/** The value of a CSS variable now: one set of variables drives page, canvases and charts. */
export function cssColor(variable: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}

interface Source {
  subscribe(listener: () => void): () => void;
}

const EVERY_MS = 200;
/** Who waits for a turn looks again after so long: it may have come nearer. */
const LOOK_AGAIN_MS = 1000;

function axis(title: string, grid: string, ticks: number): object {
  return {
    ...(title === '' ? {} : { title: { text: title, standoff: 6, font: { size: 11.5 } } }),
    gridcolor: grid,
    zeroline: false,
    linecolor: grid,
    ticks: '',
    automargin: true,
    // 29,722, and powers from a million on.
    exponentformat: 'power',
    minexponent: 5,
    separatethousands: true,
    nticks: ticks,
  };
}

/** How many times the least positive value the greatest is. */
function spanOf(lines: readonly ChartLine[]): number {
  let [low, high] = [Number.POSITIVE_INFINITY, 0];
  for (const { y } of lines)
    for (let i = 0; i < y.length; i++) {
      const value = y[i]!;
      if (value > 0 && value < low) low = value;
      if (value > high) high = value;
    }
  return high / low;
}

/** Beyond this an axis has powers of ten alone: what stands between them has no room. */
const WIDE = 50;

function toPlotly(
  spec: ChartSpec,
  isSmall: boolean,
  isPicked: boolean,
): {
  readonly data: object[];
  readonly layout: object;
} {
  const ink = cssColor('--ink-2');
  const grid = cssColor('--line');
  // Without a point there is no range: Plotly would write numbers of its own at the axes.
  const showticklabels = spec.lines.some(({ x }) => x.length > 0);
  return {
    data: spec.lines.map((line) => ({
      type: 'scatter',
      name: visible(line.name),
      meta: line.id,
      x: line.x,
      y: line.y,
      mode: `${line.width === 0 ? '' : 'lines+'}${line.hasMarkers ? 'markers' : ''}${line.text === undefined ? '' : '+text'}`.replace(
        /\+$/,
        '',
      ),
      ...(line.text === undefined
        ? {}
        : {
            text: visible(line.text),
            textposition: line.textSide === undefined ? 'top center' : `middle ${line.textSide}`,
            cliponaxis: false,
          }),
      opacity: line.opacity ?? 1,
      line: { color: cssColor(line.color), width: line.width, dash: line.dash ?? 'solid' },
      marker: { size: 6, color: cssColor(line.color) },
      hoverinfo: line.isQuiet ? 'skip' : 'all',
    })),
    layout: {
      uirevision: 'same',
      font: { family: getComputedStyle(document.body).fontFamily, size: isSmall ? 10.5 : 11.5, color: ink },
      paper_bgcolor: 'rgba(0,0,0,0)',
      plot_bgcolor: 'rgba(0,0,0,0)',
      // Above what is drawn, the button that saves it has room.
      margin: isSmall ? { l: 30, r: 6, t: 24, b: 18 } : { l: 38, r: 8, t: 26, b: 32 },
      showlegend: false,
      // One line is meant where one can be picked.
      hovermode: isPicked ? 'closest' : 'x unified',
      hoverlabel: {
        bgcolor: cssColor('--surface'),
        bordercolor: grid,
        font: { color: cssColor('--ink') },
        namelength: -1,
      },
      xaxis: { ...axis(spec.xTitle, grid, isSmall ? 4 : 8), showgrid: !isSmall, showticklabels },
      yaxis: {
        ...axis(spec.yTitle, grid, isSmall ? 4 : 6),
        showticklabels,
        type: spec.isLog ? 'log' : 'linear',
        ...(spec.isLog && spanOf(spec.lines) > WIDE ? { dtick: 1 } : {}),
        ...(spec.isFromZero ? { rangemode: 'tozero' } : {}),
        // No share is above one, even where a single point leaves the range open.
        ...(spec.isShare ? { tickformat: '.0%', autorangeoptions: { clipmin: 0, clipmax: 1.03 } } : {}),
      },
    },
  };
}

/** What Plotly makes of an element. */
type Plotted = HTMLDivElement & {
  on(event: 'plotly_click', listener: (event: { readonly points: readonly Picked[] }) => void): void;
  removeAllListeners(event: 'plotly_click'): void;
};
interface Picked {
  readonly data: { readonly meta?: unknown };
}

function listen(element: Plotted, onPick: (id: string) => void): void {
  element.removeAllListeners('plotly_click');
  element.on('plotly_click', ({ points }) => {
    const id = points[0]?.data.meta;
    if (typeof id === 'string') onPick(id);
  });
}

export function Chart(props: {
  readonly spec: () => ChartSpec;
  readonly sources: readonly Source[];
  /** What it is called where it is taken away. */
  readonly name: string;
  /** What is read out, where that is more than the name: where its figures stand in a table. */
  readonly label?: string;
  readonly height: number;
  /** Told the `id` of a line that somebody clicks on. */
  readonly onPick?: (id: string) => void;
}) {
  const { spec, sources, name, label = name, height, onPick } = props;
  const scheme = useUi((s) => s.scheme);
  const host = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new scheme changes the colours that drawing reads.
  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    let isSeen = false;
    let isAlive = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last = 0;
    const draw = async () => {
      timer = undefined;
      if (!isAlive || !isSeen || document.hidden) return;
      const plotly = await plotlyInPause();
      if (!isAlive) return;
      const isDrawn = await drawInTurn(async () => {
        last = performance.now();
        const { data, layout } = toPlotly(spec(), height < 200, onPick !== undefined);
        await plotly.react(element, data, layout, {
          displayModeBar: false,
          responsive: true,
          doubleClick: 'reset',
        });
        if (onPick !== undefined) listen(element as Plotted, onPick);
      });
      if (!isDrawn) wish();
    };
    const wish = () => {
      const due = Math.max(last + EVERY_MS, nextDrawing()) - performance.now();
      timer ??= setTimeout(() => void draw(), Math.min(LOOK_AGAIN_MS, Math.max(0, due)));
    };
    const endWatch = watchSeen(element, (now) => {
      isSeen = now;
      if (isSeen) wish();
    });
    document.addEventListener('visibilitychange', wish);
    const ends = sources.map((source) => source.subscribe(wish));
    return () => {
      isAlive = false;
      clearTimeout(timer);
      endWatch();
      document.removeEventListener('visibilitychange', wish);
      for (const end of ends) end();
    };
  }, [spec, sources, scheme, height, onPick]);
  useEffect(() => {
    const element = host.current!;
    return () => void endChart(element);
  }, []);
  return (
    <div className="chart-frame">
      <div ref={host} className="chart" style={{ height }} role="img" aria-label={label} />
      <ChartMenu spec={spec} name={name} />
    </div>
  );
}

/** Pixels of a saved picture, before it is drawn twice as fine. */
const PICTURE = { width: 1000, height: 600 } as const;

/** The chart as a file, with its name, the names of its lines and a ground of its own. */
async function pictureOf(spec: ChartSpec, label: string, format: 'png' | 'svg'): Promise<Blob> {
  const plotly = await plotlyInPause();
  const { data, layout } = toPlotly(spec, false, false);
  const whole = {
    ...layout,
    ...PICTURE,
    title: { text: visible(label), x: 0.02, font: { size: 16 } },
    margin: { l: 64, r: 24, t: 56, b: 64 },
    paper_bgcolor: cssColor('--surface'),
    showlegend: spec.lines.length > 1,
    legend: { orientation: 'h', y: -0.14 },
  };
  const url = await plotly.toImage(
    { data, layout: whole },
    { format, ...PICTURE, scale: format === 'png' ? 2 : 1 },
  );
  const [head = '', ...rest] = url.split(',');
  const text = rest.join(',');
  const type = format === 'png' ? 'image/png' : 'image/svg+xml';
  return head.endsWith(';base64')
    ? new Blob([bytesOfBase64(text)], { type })
    : new Blob([decodeURIComponent(text)], { type });
}

/** Picture, numbers, and the numbers as a table. */
function ChartMenu({ spec, name }: { readonly spec: () => ChartSpec; readonly name: string }) {
  const [table, setTable] = useState<NumberTable | null>(null);
  const save = (format: 'png' | 'svg') => async () =>
    saveFile(`${fileStem(name)}.${format}`, await pictureOf(spec(), name, format));
  return (
    <>
      <SaveMenu
        of={name}
        items={[
          { title: say`Show numbers as a table`, run: () => setTable(tableOf(spec())) },
          tableItem(name, () => tableOf(spec())),
          { title: say`Save picture (PNG)`, run: save('png') },
          { title: say`Save picture (SVG)`, run: save('svg') },
        ]}
      />
      {table === null ? null : <NumbersDialog title={name} table={table} onClose={() => setTable(null)} />}
    </>
  );
}
