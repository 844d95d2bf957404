/** The graph of information transmission: a column of nodes before and after each factor, edges where entries can differ from zero, and the ways from one input. */
import { Fragment } from 'react';
import { reachedFrom, type Wires } from './wires.ts';

const COLUMN = 96;
/** All columns together: what a narrow window has room for without making the numbers small. */
const MOST_WIDTH = 280;
const SIDE = 24;

export function WireGraph(props: {
  readonly label: string;
  readonly wires: Wires;
  /** The input whose ways are lit, from 0 on. */
  readonly input: number;
}) {
  const { label, wires, input } = props;
  const { size, factors } = wires;
  const pitch = Math.max(9, Math.min(30, 220 / size));
  const between = Math.min(COLUMN, Math.floor(MOST_WIDTH / factors.length));
  const [width, height] = [2 * SIDE + between * factors.length, pitch * size + 16];
  const x = (at: number) => SIDE + between * at;
  const y = (node: number) => 8 + pitch * (node + 0.5);
  const lit = reachedFrom(wires, input);
  const line = (k: number, [from, to]: readonly [number, number]) =>
    `M${x(k)} ${y(from).toFixed(1)}L${x(k + 1)} ${y(to).toFixed(1)}`;
  return (
    <svg
      className="lab-wires"
      viewBox={`0 0 ${width} ${height}`}
      width={width}
      height={height}
      role="img"
      aria-label={label}
    >
      {factors.map((edges, k) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a factor is its number.
        <Fragment key={k}>
          <path className="lab-wire" d={edges.map((edge) => line(k, edge)).join('')} />
          <path
            className="lab-wire is-lit"
            d={edges
              .filter(([from]) => lit[k]![from] === 1)
              .map((edge) => line(k, edge))
              .join('')}
          />
        </Fragment>
      ))}
      {lit.map((column, k) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a column is its number.
        <g key={k}>
          {Array.from(column, (on, node) => (
            <circle
              // biome-ignore lint/suspicious/noArrayIndexKey: a node is its number.
              key={node}
              className={on === 1 ? 'lab-node is-lit' : 'lab-node'}
              cx={x(k)}
              cy={y(node)}
              r={Math.min(4.5, pitch / 2.6)}
            />
          ))}
        </g>
      ))}
      {pitch < 12
        ? null
        : Array.from({ length: size }, (_, node) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a node is its number.
            <Fragment key={node}>
              <text className="lab-tick" x={10} y={y(node) + 4} textAnchor="middle">
                {node + 1}
              </text>
              <text className="lab-tick" x={width - 10} y={y(node) + 4} textAnchor="middle">
                {node + 1}
              </text>
            </Fragment>
          ))}
    </svg>
  );
}
