/** What a rotation does to the plane of the first two inputs: a letter and the axes before, pale, and after; for larger blocks where each axis points. */

const SIDE = 260;
const UNIT = 92;
/** An F: it shows turning, and a mirror if there were one. */
const LETTER: readonly (readonly [number, number])[] = [
  ...([
    [0.15, 0.1],
    [0.15, 0.8],
    [0.65, 0.8],
    [0.65, 0.65],
    [0.32, 0.65],
    [0.32, 0.52],
  ] as const),
  ...([
    [0.55, 0.52],
    [0.55, 0.38],
    [0.32, 0.38],
    [0.32, 0.1],
  ] as const),
];
const AXES = ['--line-0', '--line-1', '--line-2', '--line-3'] as const;

const place = ([x, y]: readonly [number, number]): string =>
  `${(SIDE / 2 + UNIT * x).toFixed(2)} ${(SIDE / 2 - UNIT * y).toFixed(2)}`;

/** @param r rotation b × b, row by row */
export function Plane({
  label,
  b,
  r,
}: {
  readonly label: string;
  readonly b: number;
  readonly r: readonly number[];
}) {
  const turned = ([x, y]: readonly [number, number]): readonly [number, number] => [
    r[0]! * x + r[1]! * y,
    r[b]! * x + r[b + 1]! * y,
  ];
  const outline = (points: readonly (readonly [number, number])[]) => `M${points.map(place).join('L')}Z`;
  return (
    <svg
      className="lab-plane"
      viewBox={`0 0 ${SIDE} ${SIDE}`}
      width={SIDE}
      height={SIDE}
      role="img"
      aria-label={label}
    >
      <circle className="lab-grid" cx={SIDE / 2} cy={SIDE / 2} r={UNIT} fill="none" />
      <path className="lab-grid" d={`M0 ${SIDE / 2}H${SIDE}M${SIDE / 2} 0V${SIDE}`} />
      {b > 2 ? null : (
        <>
          <path className="lab-before" d={outline(LETTER)} />
          <path className="lab-after" d={outline(LETTER.map(turned))} />
        </>
      )}
      {Array.from({ length: b }, (_, axis) => {
        const end = [r[axis]!, r[b + axis]!] as const;
        const far = [end[0] * 1.16, end[1] * 1.16] as const;
        const [x, y] = place(far).split(' ');
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: an axis is its number.
          <g key={axis}>
            <path d={`M${place([0, 0])}L${place(end)}`} stroke={`var(${AXES[axis]})`} strokeWidth="2.5" />
            <circle
              cx={place(end).split(' ')[0]}
              cy={place(end).split(' ')[1]}
              r="4"
              fill={`var(${AXES[axis]})`}
            />
            <text className="lab-axis-name" x={x} y={Number(y) + 4} textAnchor="middle">
              {axis + 1}
            </text>
          </g>
        );
      })}
    </svg>
  );
}
