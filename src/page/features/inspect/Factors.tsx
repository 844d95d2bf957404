/** The factors of a method that does not rotate: each where it can differ from zero, or the product that they form, drawn to one scale. */
import { useMemo } from 'react';
import { facts, say } from '../../../common.ts';
import { type Factor, factorNonZeros, factorSize, type Pattern } from '../../../methods.ts';
import { percent, pretty, whole } from '../../format.ts';
import { Block } from '../../parts/Facts.tsx';
import { factorPainter } from './factorPainters.ts';
import { MatrixCanvas } from './MatrixCanvas.tsx';
import { useMapColors } from './painters.ts';

export function Factors({ pattern }: { readonly pattern: Pattern }) {
  const colors = useMapColors();
  const asShapes = isEquation(pattern);
  const painters = useMemo(
    () => (asShapes ? [] : pattern.factors.map((factor) => factorPainter(factor, colors))),
    [pattern, asShapes, colors],
  );
  return (
    <Block
      title={pattern.factors.length === 1 ? say`The factor` : say`${pattern.factors.length} factors`}
      label={say`What its factors are`}
      beside={
        <span className="hint">{asShapes ? say`drawn to scale` : say`where it can differ from zero`}</span>
      }
    >
      {asShapes ? <Equation pattern={pattern} /> : null}
      <div hidden={asShapes} className={`strip strip-${Math.min(4, pattern.factors.length)}`}>
        {painters.map((painter, i) => {
          const factor = pattern.factors[i]!;
          const [rows, columns] = factorSize(factor);
          const filled = factorNonZeros(factor);
          return (
            <MatrixCanvas
              key={factor.label}
              painter={painter}
              label={say`Factor ${factor.label}, ${rows} by ${columns}, ${whole(filled)} entries`}
              caption={say`${pretty(factor.label)} · ${rows} × ${columns} · ${whole(filled)} entries, ${percent(filled / (rows * columns))}`}
            />
          );
        })}
      </div>
    </Block>
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
              {isFrozen ? say`frozen and shared by all layers` : say`learned`}
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
        aria-label={facts([
          say`${label}, ${rows} by ${columns}`,
          ...(isDiagonal ? [say`its diagonal alone`] : []),
          ...(isFrozen ? [say`frozen`] : []),
        ])}
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
