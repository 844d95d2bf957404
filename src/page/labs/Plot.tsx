/** A plot of a few lines in SVG: drawn with the page, so that it prints, and small. Points beyond its axes stand at the edge, which it says. */
import { useEffect, useRef, useState } from 'react';
import { say } from '../../common.ts';

export interface PlotLine {
  readonly id: string;
  readonly name: string;
  /** A variable of the style sheet. */
  readonly color: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly dash?: string;
  /** A mark at each point; colour alone tells no line from another. */
  readonly mark?: 'circle' | 'square' | 'diamond';
  readonly hasLine?: boolean;
  /** Where the line goes, if not from mark to mark. */
  readonly along?: PlotLine['points'];
}

interface Axis {
  readonly title: string;
  readonly isLog: boolean;
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
  readonly format: (value: number) => string;
}

const MARGIN = { left: 46, right: 14, top: 10, bottom: 43 } as const;

/** The width of an element, as it is now. */
function useWidth() {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(560);
  useEffect(() => {
    const element = ref.current!;
    const watch = new ResizeObserver(() => setWidth(Math.max(260, element.clientWidth)));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  return { ref, width };
}

const placeOf = ({ isLog, low, high }: Axis, from: number, to: number) => {
  const of = (value: number): number => (isLog ? Math.log(Math.max(value, low)) : value);
  return (value: number): number => {
    const share = (of(Math.min(Math.max(value, low), high)) - of(low)) / (of(high) - of(low));
    return from + share * (to - from);
  };
};

const isWithin = ({ low, high }: Axis, value: number): boolean => value >= low && value <= high;

/** That some points are not where their numbers are; null where all are. */
function beyondText(lines: readonly PlotLine[], x: Axis, y: Axis): string | null {
  const points = lines.flatMap((line) => line.points);
  const beyond = points.filter(([atX, atY]) => !isWithin(x, atX) || !isWithin(y, atY)).length;
  if (beyond === 0) return null;
  return beyond === 1
    ? say`One point lies beyond the axes and is drawn at the edge; its number is in the table.`
    : say`${beyond} points lie beyond the axes and are drawn at the edge; their numbers are in the table.`;
}

export function Plot(props: {
  readonly label: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly PlotLine[];
  readonly height?: number;
  /** A point that is meant: ringed. */
  readonly picked?: readonly [x: number, y: number] | undefined;
}) {
  const { label, x, y, lines, height = 300, picked } = props;
  const { ref, width } = useWidth();
  const atX = placeOf(x, MARGIN.left, width - MARGIN.right);
  const atY = placeOf(y, height - MARGIN.bottom, MARGIN.top);
  const beyond = beyondText(lines, x, y);
  return (
    <div ref={ref} className="lab-plot">
      <svg viewBox={`0 0 ${width} ${height}`} width={width} height={height} role="img" aria-label={label}>
        {y.ticks.map((tick) => (
          <g key={tick}>
            <path className="lab-grid" d={`M${MARGIN.left} ${atY(tick)}H${width - MARGIN.right}`} />
            <text className="lab-tick" x={MARGIN.left - 6} y={atY(tick) + 4} textAnchor="end">
              {y.format(tick)}
            </text>
          </g>
        ))}
        {x.ticks.map((tick) => (
          <text
            key={tick}
            className="lab-tick"
            x={atX(tick)}
            y={height - MARGIN.bottom + 21}
            textAnchor="middle"
          >
            {x.format(tick)}
          </text>
        ))}
        <text className="lab-axis" x={(MARGIN.left + width) / 2} y={height - 4} textAnchor="middle">
          {x.title}
        </text>
        {lines.map((line) => (
          <Line key={line.id} line={line} atX={atX} atY={atY} />
        ))}
        {picked === undefined ? null : (
          <circle className="lab-picked" cx={atX(picked[0])} cy={atY(picked[1])} r="9" />
        )}
      </svg>
      <ul className="lab-legend">
        {lines.map(({ id, name, color, dash, mark, hasLine = true }) => (
          <li key={id}>
            <svg width="30" height="12" viewBox="0 0 30 12" aria-hidden="true">
              {hasLine ? (
                <path d="M1 6H29" stroke={`var(${color})`} strokeWidth="2" strokeDasharray={dash} />
              ) : null}
              {mark === undefined ? null : <Mark mark={mark} x={15} y={6} color={color} />}
            </svg>
            {name}
          </li>
        ))}
      </ul>
      {beyond === null ? null : <p className="hint">{beyond}</p>}
    </div>
  );
}

function Line(props: {
  readonly line: PlotLine;
  readonly atX: (value: number) => number;
  readonly atY: (value: number) => number;
}) {
  const { line, atX, atY } = props;
  const { points, color, dash, mark, hasLine = true, along = points } = line;
  const placed = (some: PlotLine['points']) => some.map(([x, y]) => [atX(x), atY(y)] as const);
  const [places, way] = [placed(points), placed(along)];
  return (
    <g>
      {hasLine && way.length > 1 ? (
        <path
          d={`M${way.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join('L')}`}
          {...{ fill: 'none', stroke: `var(${color})`, strokeWidth: 2, strokeDasharray: dash }}
        />
      ) : null}
      {mark === undefined
        ? null
        : // biome-ignore lint/suspicious/noArrayIndexKey: a point is its place in the line.
          places.map(([x, y], i) => <Mark key={i} mark={mark} x={x} y={y} color={color} />)}
    </g>
  );
}

function Mark(props: {
  readonly mark: 'circle' | 'square' | 'diamond';
  readonly x: number;
  readonly y: number;
  readonly color: string;
}) {
  const { mark, x, y, color } = props;
  const fill = `var(${color})`;
  if (mark === 'circle') return <circle cx={x} cy={y} r="4" fill={fill} />;
  if (mark === 'square') return <rect x={x - 4} y={y - 4} width="8" height="8" fill={fill} />;
  return <path d={`M${x} ${y - 5.5}l5.5 5.5-5.500 5.500-5.500-5.500z`} fill={fill} />;
}
