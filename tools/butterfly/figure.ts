/** The figure of docs/butterfly.md as SVG: error by free numbers, the mean over targets, with a bar from the least to the greatest. */
import type { FitRecord, FittedShape } from './fits.ts';

export const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

interface Curve {
  readonly name: string;
  readonly color: string;
  readonly dash: string;
  readonly isSquare: boolean;
  readonly shapes: readonly FittedShape[];
}

const [WIDTH, HEIGHT] = [720, 400];
const MARGIN = { left: 52, right: 18, top: 34, bottom: 108 } as const;
const COLOURS = ['#2b6cb0', '#b7791f', '#2f855a', '#805ad5', '#c53030'] as const;
const DASHES = ['none', '7 4', '2 4', '9 3 2 3', '4 4'] as const;
const BLOCKS = { color: '#333333', dash: 'none', isSquare: true } as const;

function curvesOf({ shapes, d }: FitRecord): Curve[] {
  const sizes = [...new Set(shapes.map(({ b }) => b))].filter((b) => b < d);
  const ofSize = (b: number, i: number): Curve => ({
    name: `butterfly, blocks of ${b}`,
    color: COLOURS[i % COLOURS.length]!,
    dash: DASHES[i % DASHES.length]!,
    isSquare: false,
    shapes: shapes.filter((shape) => shape.b === b),
  });
  const blocks = shapes.filter(({ m }) => m === 1);
  return [
    ...sizes.map(ofSize).filter((curve) => curve.shapes.length > 1),
    { name: 'block-diagonal (m = 1)', ...BLOCKS, shapes: blocks },
  ];
}

/** Axes that hold every point: numbers by their logarithm, errors from a step of 0.1 below the least. */
function scalesOf(shapes: readonly FittedShape[]) {
  const numbers = shapes.map((shape) => Math.log(shape.numbers));
  const errors = shapes.flatMap((shape) => shape.errors);
  const [left, right] = [Math.min(...numbers) - 0.15, Math.max(...numbers) + 0.15];
  const [low, high] = [Math.floor(Math.min(...errors) * 10) / 10, Math.ceil(Math.max(...errors) * 10) / 10];
  const x = (value: number) =>
    MARGIN.left + ((Math.log(value) - left) / (right - left)) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (value: number) =>
    HEIGHT - MARGIN.bottom - ((value - low) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const ticks = Array.from({ length: Math.round((high - low) * 10) + 1 }, (_, i) => low + i / 10);
  return { x, y, ticks };
}

const n = (value: number): string => value.toFixed(1);

function drawn({ color, dash, isSquare, shapes }: Curve, { x, y }: ReturnType<typeof scalesOf>): string {
  const points = shapes.map((shape) => ({ at: x(shape.numbers), shape }));
  const line = points.map(({ at, shape }) => `${n(at)} ${n(y(mean(shape.errors)))}`).join('L');
  const marks = points.map(({ at, shape }) => {
    const [middle, top, foot] = [
      y(mean(shape.errors)),
      y(Math.max(...shape.errors)),
      y(Math.min(...shape.errors)),
    ];
    const mark = isSquare
      ? `<rect x="${n(at - 4)}" y="${n(middle - 4)}" width="8" height="8" fill="${color}"/>`
      : `<circle cx="${n(at)}" cy="${n(middle)}" r="4" fill="${color}"/>`;
    return `<path d="M${n(at)} ${n(top)}V${n(foot)}" stroke="${color}" fill="none"/>${mark}`;
  });
  return `<path d="M${line}" fill="none" stroke="${color}" stroke-width="2" stroke-dasharray="${dash}"/>${marks.join('')}`;
}

/** @param record of random targets */
export function fitFigure(record: FitRecord): string {
  const { shapes, d, seeds, steps } = record;
  const scales = scalesOf(shapes);
  const { x, y, ticks } = scales;
  const curves = curvesOf(record);
  const counts = [...new Set(shapes.filter(({ m }) => m === 1).map(({ numbers }) => numbers))];
  const text = (at: number, down: number, words: string, anchor = 'middle') =>
    `<text x="${n(at)}" y="${n(down)}" text-anchor="${anchor}">${words}</text>`;
  const legend = curves.map((curve, i) => {
    const [at, down] = [MARGIN.left + (i % 3) * 218, HEIGHT - 44 + Math.floor(i / 3) * 20];
    return `<path d="M${at} ${down}h30" stroke="${curve.color}" stroke-width="2" stroke-dasharray="${curve.dash}"/>${text(at + 38, down + 4, curve.name, 'start')}`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="12" fill="#333333">`,
    `<title>Distance from random rotations of ${d} inputs, by free numbers</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    text(
      MARGIN.left,
      20,
      `Distance from a random rotation of ${d} inputs: mean of ${seeds.length} targets after ${steps} steps`,
      'start',
    ),
    ...ticks.map(
      (tick) =>
        `<path d="M${MARGIN.left} ${n(y(tick))}H${WIDTH - MARGIN.right}" stroke="#dddddd"/>${text(MARGIN.left - 8, y(tick) + 4, tick.toFixed(1), 'end')}`,
    ),
    ...counts.map((count) => text(x(count), HEIGHT - MARGIN.bottom + 18, String(count))),
    text((MARGIN.left + WIDTH) / 2, HEIGHT - MARGIN.bottom + 40, 'free numbers'),
    ...curves.map((curve) => drawn(curve, scales)),
    ...legend,
    '</svg>',
    '',
  ].join('\n');
}
