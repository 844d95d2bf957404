/** Neurons of two inputs as arrows in the plane: before, pale, and after. */

const SIDE = 300;
const UNIT = 96;

const at = (value: number): string => value.toFixed(1);

/** @param before, after [n, 2], of lengths up to 1.4 */
export function NeuronPlane(props: {
  readonly label: string;
  readonly before: readonly number[];
  readonly after: readonly number[];
}) {
  const { label, before, after } = props;
  const count = before.length / 2;
  const end = (of: readonly number[], i: number, far = 1): readonly [number, number] => [
    SIDE / 2 + UNIT * far * of[2 * i]!,
    SIDE / 2 - UNIT * far * of[2 * i + 1]!,
  ];
  return (
    <svg
      className="lab-plane"
      viewBox={`0 0 ${SIDE} ${SIDE}`}
      width={SIDE}
      height={SIDE}
      role="img"
      aria-label={label}
    >
      <circle className="lab-grid" cx={SIDE / 2} cy={SIDE / 2} r={UNIT} />
      <path className="lab-grid" d={`M0 ${SIDE / 2}H${SIDE}M${SIDE / 2} 0V${SIDE}`} />
      {[before, after].map((of, side) => (
        <g
          key={side === 0 ? 'before' : 'after'}
          className={side === 0 ? 'lab-arrows is-before' : 'lab-arrows sym-Wnew'}
        >
          {Array.from({ length: count }, (_, i) => {
            const [x, y] = end(of, i);
            const length = Math.hypot(of[2 * i]!, of[2 * i + 1]!) || 1;
            const [nameX, nameY] = end(of, i, (length + 0.15) / length);
            return (
              // biome-ignore lint/suspicious/noArrayIndexKey: a neuron is its number.
              <g key={i}>
                <path d={`M${SIDE / 2} ${SIDE / 2}L${at(x)} ${at(y)}`} />
                <circle cx={at(x)} cy={at(y)} r="4" />
                {side === 0 ? null : (
                  <text className="lab-axis-name" x={at(nameX)} y={at(nameY + 4)} textAnchor="middle">
                    {i + 1}
                  </text>
                )}
              </g>
            );
          })}
        </g>
      ))}
    </svg>
  );
}
