/** Matrices as squares, one colour a sign; those that belong to a symbol light up with it, and wrong ones are crossed out. */
import type { KeyboardEvent, PointerEvent } from 'react';
import { cellsOf, greatestOf, type Matrices, type ShaderPart } from '../../../labs.ts';

const LARGEST = 26;
/** Of the picture, in which three stand side by side. */
const WIDEST = 360;
const STRENGTHS = 12;

const sideOf = ({ columns, count }: Matrices): number =>
  Math.min(LARGEST, Math.floor(WIDEST / (columns * Math.min(3, count))));

export interface CellAt {
  readonly matrix: number;
  readonly row: number;
  readonly column: number;
}

const STEPS: Readonly<Record<string, readonly [rows: number, columns: number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** The cell that a key leads to from another, within a matrix; null where the key means nothing. From nowhere it is the first. */
export function cellByKey(
  key: string,
  from: Pick<CellAt, 'row' | 'column'> | null,
  { rows, columns }: Pick<Matrices, 'rows' | 'columns'>,
): Pick<CellAt, 'row' | 'column'> | null {
  const step = STEPS[key];
  if (step === undefined) return null;
  if (from === null) return { row: 0, column: 0 };
  const within = (at: number, of: number) => Math.max(0, Math.min(of - 1, at));
  return { row: within(from.row + step[0], rows), column: within(from.column + step[1], columns) };
}

/** @param values one of the matrices; what is no finite number has no colour and is a dot */
export function Cells(props: {
  readonly label: string;
  readonly of: Matrices;
  readonly index: number;
  readonly values: readonly (number | null)[];
  readonly full: number;
  readonly parts: readonly ShaderPart[];
  /** Numbers of the cells that are wrong. */
  readonly wrong?: readonly number[];
  /** The cell that is looked at, ringed. */
  readonly at?: CellAt | null;
  readonly onCell?: (cell: CellAt | null) => void;
}) {
  const { label, of, index, values, full, parts, wrong = [], at: looked = null, onCell } = props;
  const { rows, columns } = of;
  const side = sideOf(of);
  const square = (at: number): string =>
    `M${(at % columns) * side} ${Math.floor(at / columns) * side}h${side}v${side}h${-side}z`;
  const paths = pathsOf(values, full, square);
  const none = values.flatMap((value, at) => (value === null || !Number.isFinite(value) ? [at] : []));
  const pointed = ({ currentTarget, clientX, clientY }: PointerEvent<SVGSVGElement>) => {
    const { left, top, width, height } = currentTarget.getBoundingClientRect();
    const row = Math.floor(((clientY - top) / height) * rows);
    const column = Math.floor(((clientX - left) / width) * columns);
    onCell?.(
      row >= 0 && row < rows && column >= 0 && column < columns ? { matrix: index, row, column } : null,
    );
  };
  const own = looked?.matrix === index ? looked : null;
  const pressed = (event: KeyboardEvent) => {
    const next = cellByKey(event.key, own, of);
    if (next === null || onCell === undefined) return;
    event.preventDefault();
    onCell({ matrix: index, ...next });
  };
  return (
    <svg
      className="shader-cells"
      viewBox={`0 0 ${columns * side} ${rows * side}`}
      width={columns * side}
      height={rows * side}
      role={onCell === undefined ? 'img' : 'application'}
      aria-label={label}
      onPointerMove={pointed}
      onPointerLeave={() => onCell?.(null)}
      {...(onCell === undefined ? {} : { tabIndex: 0, onKeyDown: pressed, onBlur: () => onCell(null) })}
    >
      {[...paths].map(([strength, d]) => (
        <path
          key={strength}
          d={d}
          fill={strength < 0 ? 'var(--map-low)' : 'var(--map-high)'}
          fillOpacity={Math.abs(strength) / STRENGTHS}
        />
      ))}
      <path className="shader-grid" d={gridOf(rows, columns, side)} />
      {none.map((at) => (
        <circle
          key={at}
          className="shader-none"
          cx={((at % columns) + 0.5) * side}
          cy={(Math.floor(at / columns) + 0.5) * side}
          r={side / 6}
        />
      ))}
      {wrong.length === 0 ? null : (
        <path className="shader-wrong" d={wrong.map((at) => crossed(at, columns, side)).join('')} />
      )}
      <Lit of={of} parts={parts} square={square} />
      {own === null ? null : <path className="shader-at" d={square(own.row * columns + own.column)} />}
    </svg>
  );
}

/** Squares by the strength of their colour, below zero for the other one. */
function pathsOf(
  values: readonly (number | null)[],
  full: number,
  square: (at: number) => string,
): ReadonlyMap<number, string> {
  const paths = new Map<number, string>();
  values.forEach((value, at) => {
    if (value === null || !Number.isFinite(value)) return;
    const strength = Math.round(Math.max(-1, Math.min(1, value / full)) * STRENGTHS);
    if (strength !== 0) paths.set(strength, `${paths.get(strength) ?? ''}${square(at)}`);
  });
  return paths;
}

/** The cells of each symbol: those that are its own when they are pointed at, and all that light up with it. */
function Lit(props: {
  readonly of: Matrices;
  readonly parts: readonly ShaderPart[];
  readonly square: (at: number) => string;
}) {
  const { of, parts, square } = props;
  const owned = new Set<number>();
  return parts.map((part) => {
    const cells = cellsOf(part, of);
    if (cells.length === 0) return null;
    const first = cells.filter((at) => !owned.has(at));
    for (const at of first) owned.add(at);
    return (
      <g key={part.symbol} className={`shader-lit sym-${part.symbol}`}>
        <path className="shader-own" d={first.map(square).join('')} />
        <path className="shader-all" d={cells.map(square).join('')} />
      </g>
    );
  });
}

function gridOf(rows: number, columns: number, side: number): string {
  let d = '';
  for (let row = 0; row <= rows; row++) d += `M0 ${row * side}h${columns * side}`;
  for (let column = 0; column <= columns; column++) d += `M${column * side} 0v${rows * side}`;
  return d;
}

/** A square with a cross in it: a wrong cell is known by its shape, too. */
function crossed(at: number, columns: number, side: number): string {
  const inset = Math.max(1, side / 10);
  const [x, y, s] = [
    (at % columns) * side + inset,
    Math.floor(at / columns) * side + inset,
    side - 2 * inset,
  ];
  return `M${x} ${y}h${s}v${s}h${-s}zM${x} ${y}l${s} ${s}M${x + s} ${y}l${-s} ${s}`;
}

/** The largest number of matrices, which has the full colour. */
export const fullOf = (of: Matrices): number => greatestOf(of) || 1;
