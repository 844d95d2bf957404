/**
 * The factors of a method: a strip of them and the product of the first k with how full it is, or, where the method does not rotate, the
 * product that they form, drawn to one scale.
 */
import { useMemo } from 'react';
import {
  composedPattern,
  drawnRows,
  type Factor,
  factorNonZeros,
  factorSize,
  type Pattern,
} from '../../../methods.ts';
import type { Inspection } from '../../../protocol.ts';
import { percent, whole } from '../../format.ts';
import { Block } from '../../parts/Facts.tsx';
import { Range } from '../../parts/Range.tsx';
import { usePage, useUi } from '../../usePage.ts';
import { MatrixCanvas, Scale } from './MatrixCanvas.tsx';
import { composedPainter, factorPainter, learntFactorPainter, pretty, useMapColors } from './painters.ts';

const FACTOR_LIMIT = 0.2;

export function Factors({
  pattern,
  inspection,
}: {
  readonly pattern: Pattern;
  readonly inspection: Inspection | null;
}) {
  const colors = useMapColors();
  const asShapes = isEquation(pattern);
  const live = inspection?.factors?.length === pattern.factors.length ? inspection.factors : null;
  const painters = useMemo(
    () =>
      pattern.factors.map((factor, i) => {
        const values = live?.[i];
        return values === undefined
          ? factorPainter(factor, colors)
          : learntFactorPainter(factor, values.data, FACTOR_LIMIT, colors);
      }),
    [pattern, live, colors],
  );
  return (
    <Block
      title={pattern.factors.length === 1 ? 'The factor' : `${pattern.factors.length} factors`}
      label="Factors"
      beside={
        live === null ? (
          <span className="hint">{asShapes ? 'drawn to scale' : 'where it can differ from zero'}</span>
        ) : (
          <span className="hint">
            learnt part, B − I <Scale limit={FACTOR_LIMIT} />
          </span>
        )
      }
    >
      {asShapes ? <Equation pattern={pattern} /> : null}
      <div hidden={asShapes} className={`strip strip-${Math.min(4, pattern.factors.length)}`}>
        {(asShapes ? [] : pattern.factors).map((factor, i) => {
          const [rows, columns] = factorSize(factor);
          const filled = factorNonZeros(factor);
          return (
            <MatrixCanvas
              // biome-ignore lint/suspicious/noArrayIndexKey: a factor is its index.
              key={i}
              painter={painters[i]!}
              label={`Factor ${factor.label}, ${rows} by ${columns}, ${whole(filled)} entries`}
              caption={`${pretty(factor.label)} · ${rows} × ${columns} · ${whole(filled)} entries, ${percent(filled / (rows * columns))}`}
            />
          );
        })}
      </div>
      {pattern.role === 'rotation' && pattern.factors.length > 1 ? <Composed pattern={pattern} /> : null}
      {pattern.role === 'rotation' && pattern.factors.length === 1 ? <Alone pattern={pattern} /> : null}
    </Block>
  );
}

function Composed({ pattern }: { readonly pattern: Pattern }) {
  const page = usePage();
  const colors = useMapColors();
  const wanted = useUi((s) => s.factors);
  const m = pattern.factors.length;
  const k = Math.min(m, wanted ?? m);
  const size = factorSize(pattern.factors[0]!)[0];
  const { every, picked } = useMemo(() => drawnRows(size), [size]);
  const composed = useMemo(() => composedPattern(pattern, k, picked), [pattern, k, picked]);
  const denseAt = useMemo(() => {
    const some = drawnRows(size, 16 * size).picked;
    for (let n = 1; n <= m; n++) if (composedPattern(pattern, n, some).fill === 1) return n;
    return null;
  }, [pattern, m, size]);
  const painter = useMemo(
    () => composedPainter(composed, every, size, colors),
    [composed, every, size, colors],
  );
  const reach = composed.rows[0]?.length ?? 0;
  const first = pattern.factors
    .slice(0, k)
    .map(({ label }) => pretty(label))
    .reverse()
    .join(' ');
  return (
    <div className="composed">
      <MatrixCanvas
        painter={painter}
        label={`Product of ${k} factors, ${percent(composed.fill)} filled`}
        caption={`${first} · ${percent(composed.fill)} filled`}
      />
      <div className="composed-text">
        <h4>Their product</h4>
        <Range
          label="Factors multiplied"
          value={k}
          min={1}
          max={m}
          step={1}
          onChange={(value) => page.ui.setState({ factors: value })}
        />
        <p>
          Each input reaches <b>{reach}</b> of <b>{size}</b> outputs; <b>{percent(composed.fill)}</b> of the
          product can differ from zero.
        </p>
        <p className="hint">
          {denseAt === null
            ? 'Not dense: more factors would let every input reach every output.'
            : `Dense from ${denseAt} factors on.`}
        </p>
      </div>
    </div>
  );
}

/** A single factor is its own product. */
function Alone({ pattern }: { readonly pattern: Pattern }) {
  const size = factorSize(pattern.factors[0]!)[0];
  const { rows, fill } = composedPattern(pattern, 1, drawnRows(size).picked);
  return (
    <p className="hint">
      Each input reaches <b>{rows[0]?.length ?? 0}</b> of <b>{size}</b> outputs ({percent(fill)}): one factor
      mixes inputs within a block only. Butterfly factors reach further.
    </p>
  );
}

/** The longest side, and the shortest that can still be seen. */
const LONGEST = 96;
const SHORTEST = 5;

interface Shape {
  readonly label: string;
  readonly rows: number;
  readonly columns: number;
  /** Only the diagonal is kept. */
  readonly isDiagonal?: boolean;
  readonly isFrozen?: boolean;
  /** Tiles along rows and columns, each a copy of the stamp. */
  readonly tiles?: readonly [number, number];
}

type Part = Shape | '·' | '∘' | '⊗' | '=' | '⊙';

const shapeOf = (factor: Factor): Shape => {
  const [rows, columns] = factorSize(factor);
  const isDiagonal = factor.kind === 'points' || (factor.kind === 'blocks' && factor.block === 1);
  const isFrozen = factor.kind === 'dense' && factor.frozen === true;
  return { label: pretty(factor.label), rows, columns, isDiagonal, isFrozen };
};

function partsOf({ role, factors }: Pattern): Part[] {
  const shapes = factors.map(shapeOf);
  const [a, b, c, d] = shapes;
  if (role === 'hadamard' && a && b && c && d) {
    return [a, '·', b, '∘', c, '·', d, '=', { label: 'ΔW', rows: a.rows, columns: b.columns }];
  }
  if (role === 'kronecker' && a && b) {
    const whole = { label: 'ΔW', rows: a.rows * b.rows, columns: a.columns * b.columns };
    return [a, '⊗', b, '=', { ...whole, tiles: [a.rows, a.columns] }];
  }
  if (role === 'scaling' && a)
    return [
      { ...a, columns: 1, isDiagonal: false },
      '⊙',
      { label: 'W', rows: a.rows, columns: a.rows, isFrozen: true },
    ];
  const product = shapes.flatMap((shape, i): Part[] => (i === 0 ? [shape] : ['·', shape]));
  const last = shapes.at(-1)!;
  return [...product, '=', { label: 'ΔW', rows: shapes[0]!.rows, columns: last.columns }];
}

/** Whether the factors are better drawn as shapes than entry by entry. */
const isEquation = ({ role, factors }: Pattern): boolean =>
  role === 'hadamard' ||
  role === 'kronecker' ||
  role === 'scaling' ||
  (role === 'update' && factors.length > 1);

/** The product that the factors form: low rank, entry by entry, Kronecker, scales. Drawn is the shape; frozen factors are pale. */
function Equation({ pattern }: { readonly pattern: Pattern }) {
  const parts = partsOf(pattern);
  const shapes = parts.filter((part): part is Shape => typeof part !== 'string');
  const scale = LONGEST / Math.max(...shapes.flatMap(({ rows, columns }) => [rows, columns]));
  return (
    <>
      <div className="row equation">
        {parts.map((part, i) => {
          const key = `${i} ${typeof part === 'string' ? part : part.label}`;
          return typeof part === 'string' ? (
            <span key={key} className="equation-sign">
              {part}
            </span>
          ) : (
            <Box key={key} shape={part} scale={scale} />
          );
        })}
      </div>
      <ul className="equation-list">
        {pattern.factors.map((factor) => {
          const [rows, columns] = factorSize(factor);
          const isFrozen = factor.kind === 'dense' && factor.frozen === true;
          return (
            <li key={factor.label}>
              <b>{pretty(factor.label)}</b> {rows} × {columns}, {whole(factorNonZeros(factor))}{' '}
              {isFrozen ? 'frozen and shared by all layers' : 'learned'}
            </li>
          );
        })}
      </ul>
    </>
  );
}

function Box({ shape, scale }: { readonly shape: Shape; readonly scale: number }) {
  const { label, rows, columns, isDiagonal = false, isFrozen = false, tiles } = shape;
  const width = Math.max(SHORTEST, columns * scale);
  const height = Math.max(SHORTEST, rows * scale);
  // Lines closer than this would be one grey.
  const isFine = tiles !== undefined && Math.min(height / tiles[0], width / tiles[1]) < 2;
  const lines =
    tiles && !isFine
      ? [
          ...Array.from({ length: tiles[0] - 1 }, (_, i) => `M0 ${((i + 1) * height) / tiles[0]}H${width}`),
          ...Array.from({ length: tiles[1] - 1 }, (_, i) => `M${((i + 1) * width) / tiles[1]} 0V${height}`),
        ].join('')
      : '';
  return (
    <figure className="equation-box">
      <svg
        width={width}
        height={height}
        role="img"
        aria-label={`${label}, ${rows} by ${columns}${isDiagonal ? ', its diagonal alone' : ''}${isFrozen ? ', frozen' : ''}`}
      >
        <rect
          width={width}
          height={height}
          fill={`var(--map-${isDiagonal ? 'zero' : isFrozen ? 'still' : 'tone-a'})`}
          stroke={isDiagonal ? 'var(--line-strong)' : 'none'}
        />
        {isDiagonal ? (
          <path d={`M0 0L${width} ${height}`} stroke="var(--map-tone-a)" strokeWidth="2.5" />
        ) : null}
        {lines === '' ? null : <path d={lines} stroke="var(--paper)" />}
      </svg>
      <figcaption>{label}</figcaption>
    </figure>
  );
}
