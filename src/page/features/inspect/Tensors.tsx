/** The numbers that a module's adapter holds, as they are: matrices on a diverging scale, vectors as bars. */
import { useMemo } from 'react';
import { real } from '../../../app/format.ts';
import { greatest, least } from '../../../lib/statistics.ts';
import type { Inspection } from '../../../training/protocol.ts';
import { MatrixCanvas } from './MatrixCanvas.tsx';
import { valuePainter } from './painters.ts';
import { Scale } from './Scale.tsx';
import { useMapColors } from './useMapColors.ts';

type Tensor = NonNullable<Inspection['tensors']>[number];

const largest = (data: Float32Array): number =>
  data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

export function Tensors({ tensors }: { readonly tensors: readonly Tensor[] }) {
  return (
    <div className="tensors">
      {tensors.map((tensor) =>
        tensor.rows === 1 || tensor.columns === 1 ? (
          <Vector key={tensor.name} tensor={tensor} />
        ) : (
          <Matrix key={tensor.name} tensor={tensor} />
        ),
      )}
    </div>
  );
}

/** A wide picture of it: a tall matrix lies on its side, and says so. */
function Matrix({ tensor }: { readonly tensor: Tensor }) {
  const colors = useMapColors();
  const { name, rows, columns, data } = tensor;
  const isTurned = rows > columns;
  const limit = largest(data) || 1;
  const painter = useMemo(() => {
    const upright = valuePainter(data, rows, columns, limit, colors);
    return isTurned
      ? {
          ...upright,
          rows: columns,
          columns: rows,
          color: (r: number, c: number) => upright.color(c, r),
          weight: (r: number, c: number) => upright.weight(c, r),
          describe: (r: number, c: number) => upright.describe(c, r),
        }
      : upright;
  }, [data, rows, columns, limit, colors, isTurned]);
  const caption = `${name} · ${rows} × ${columns}${isTurned ? ', on its side' : ''}`;
  return (
    <div className="tensor">
      <MatrixCanvas painter={painter} label={caption} caption={caption} />
      <Scale limit={limit} />
    </div>
  );
}

const HEIGHT = 44;

/** A bar from zero for every number. */
function Vector({ tensor }: { readonly tensor: Tensor }) {
  const { name, data } = tensor;
  const low = Math.min(0, least(data));
  const high = Math.max(0, greatest(data));
  const span = high - low || 1;
  const zero = (high / span) * HEIGHT;
  const path = Array.from(data, (value, i) => {
    const y = ((high - value) / span) * HEIGHT;
    return `M${i + 0.5} ${zero.toFixed(2)}V${y.toFixed(2)}`;
  }).join('');
  const caption = `${name} · ${data.length} numbers, ${real(least(data))} to ${real(greatest(data))}`;
  return (
    <figure className="tensor matrix">
      <svg
        viewBox={`0 0 ${data.length} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={caption}
      >
        <path d={path} />
      </svg>
      <figcaption>{caption}</figcaption>
    </figure>
  );
}
