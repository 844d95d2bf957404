/** A matrix as a picture, a square an entry, as many rows as the values fill: one colour for each sign, stronger where the entry is larger. */
import type { ReactNode } from 'react';

const SIDE = 160;
const STRENGTHS = 12;

export function HeatMap(props: {
  readonly label: string;
  /** Columns. */
  readonly size: number;
  readonly values: readonly number[];
  /** The entry that has the full colour. */
  readonly full: number;
  /** Its width in pixels. */
  readonly side?: number;
  /** Entries with a dot on them. */
  readonly marks?: readonly number[];
  /** Drawn over it, in pixels. */
  readonly children?: ReactNode;
}) {
  const { label, size, values, full, side = SIDE, marks = [], children } = props;
  const cell = side / size;
  const height = (values.length / size) * cell;
  const placeOf = (at: number) => [(at % size) * cell, Math.floor(at / size) * cell] as const;
  /** One path for each strength of each sign: a few elements, however large the matrix. */
  const paths = new Map<number, string>();
  values.forEach((value, at) => {
    const strength = Math.round((Math.max(-1, Math.min(1, value / full)) || 0) * STRENGTHS);
    if (strength === 0) return;
    const [x, y] = placeOf(at);
    paths.set(strength, `${paths.get(strength) ?? ''}M${x} ${y}h${cell}v${cell}h${-cell}z`);
  });
  const dot = cell * 0.3;
  const dots = marks.map((at) => {
    const [x, y] = placeOf(at);
    return `M${x + (cell - dot) / 2} ${y + (cell - dot) / 2}h${dot}v${dot}h${-dot}z`;
  });
  return (
    <svg
      className="lab-heat"
      viewBox={`0 0 ${side} ${height}`}
      width={side}
      height={height}
      role="img"
      aria-label={label}
      shapeRendering="crispEdges"
    >
      {[...paths].map(([strength, path]) => (
        <path
          key={strength}
          d={path}
          fill={strength < 0 ? 'var(--map-low)' : 'var(--map-high)'}
          fillOpacity={Math.abs(strength) / STRENGTHS}
        />
      ))}
      {dots.length === 0 ? null : <path d={dots.join('')} fill="var(--ink)" />}
      {children}
    </svg>
  );
}
