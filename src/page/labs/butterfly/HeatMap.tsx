/** A matrix as a picture, a square an entry: one colour for each sign, stronger where the entry is larger. */

const SIDE = 160;

export function HeatMap(props: {
  readonly label: string;
  readonly size: number;
  readonly values: readonly number[];
  /** The entry that has the full colour. */
  readonly full: number;
}) {
  const { label, size, values, full } = props;
  const cell = SIDE / size;
  /** One path for each strength of each sign: a few elements, however large the matrix. */
  const paths = new Map<number, string>();
  values.forEach((value, at) => {
    const strength = Math.round((Math.max(-1, Math.min(1, value / full)) || 0) * STRENGTHS);
    if (strength === 0) return;
    const [x, y] = [(at % size) * cell, Math.floor(at / size) * cell];
    paths.set(strength, `${paths.get(strength) ?? ''}M${x} ${y}h${cell}v${cell}h${-cell}z`);
  });
  return (
    <svg
      className="lab-heat"
      viewBox={`0 0 ${SIDE} ${SIDE}`}
      width={SIDE}
      height={SIDE}
      role="img"
      aria-label={label}
    >
      {[...paths].map(([strength, path]) => (
        <path
          key={strength}
          d={path}
          fill={strength < 0 ? 'var(--map-low)' : 'var(--map-high)'}
          fillOpacity={Math.abs(strength) / STRENGTHS}
        />
      ))}
    </svg>
  );
}

const STRENGTHS = 12;
