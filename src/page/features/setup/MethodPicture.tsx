/** A method's small picture, as a drawing that scales. */
import { useMemo } from 'react';
import type { MethodId } from '../../../methods.ts';
import { pretty } from '../../format.ts';
import { methodPicture, type Panel, placed, SIDE } from './methodPicture.ts';

const CELL = 4;
const LABEL = 14;
const HEIGHT = SIDE * CELL;

export function MethodPicture({ method }: { readonly method: MethodId }) {
  const picture = useMemo(() => methodPicture(method), [method]);
  const { placed: parts, width } = placed(picture);
  return (
    <svg
      className="method-picture"
      viewBox={`-1 -1 ${width * CELL + 2} ${HEIGHT + LABEL + 2}`}
      style={{ width: width * CELL + 2 }}
      role="img"
      aria-label={picture.label}
    >
      {parts.map(({ part, x }) =>
        typeof part === 'string' ? (
          <text key={x} x={(x + 1.5) * CELL} y={HEIGHT / 2 + 5} className="method-sign">
            {part}
          </text>
        ) : (
          <Drawn key={x} panel={part} x={x * CELL} />
        ),
      )}
    </svg>
  );
}

/** One matrix, in the middle of the picture's height, with its letter below. */
function Drawn({ panel, x }: { readonly panel: Panel; readonly x: number }) {
  const { label, rows, columns, cells, isFrozen } = panel;
  const y = (HEIGHT - rows * CELL) / 2;
  const path = cells
    .map(
      ({ row, column, length }) =>
        `M${column * CELL} ${row * CELL}h${length * CELL}v${CELL}h${-length * CELL}z`,
    )
    .join('');
  return (
    <g transform={`translate(${x} ${y})`} className={isFrozen ? 'is-frozen' : undefined}>
      <rect width={columns * CELL} height={rows * CELL} />
      <path d={path} />
      <text x={(columns * CELL) / 2} y={rows * CELL + 11}>
        {pretty(label)}
      </text>
    </g>
  );
}
