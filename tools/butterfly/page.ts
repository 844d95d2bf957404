/** docs/butterfly.md: the record of the fits as tables, what they say at equal numbers, and what the paper says of the same. */

import { mean } from './figure.ts';
import { FIT_TRIALS, type FitRecord, type FittedShape } from './fits.ts';

/** Below this a fit has found its target, as in the lab. */
export const EXACT = 1e-3;

const shapeOf = ({ m, b }: FittedShape): string => `m = ${m}, b = ${b}`;

/** A mean with the range that it is of. */
function errorOf(errors: readonly number[]): string {
  const show = (value: number) => (value < EXACT ? value.toExponential(0) : value.toFixed(3));
  const [low, high] = [show(Math.min(...errors)), show(Math.max(...errors))];
  return low === high ? low : `${show(mean(errors))} (${low} to ${high})`;
}

export interface Pair {
  readonly block: FittedShape;
  readonly butterfly: FittedShape;
  /** Seeds in which the butterfly is nearer. */
  readonly wins: number;
}

/** Each block-diagonal rotation, short of a full one, beside the nearest butterfly of no more numbers. */
export function pairsOf({ shapes, d }: FitRecord): Pair[] {
  return shapes
    .filter(({ m, b }) => m === 1 && b < d)
    .flatMap((block) => {
      const others = shapes.filter(({ m, numbers }) => m > 1 && numbers <= block.numbers);
      const [butterfly] = others.sort((a, b) => mean(a.errors) - mean(b.errors));
      if (butterfly === undefined) return [];
      const wins = block.errors.filter((error, i) => butterfly.errors[i]! < error).length;
      return [{ block, butterfly, wins }];
    });
}

/**
 * What a block-diagonal rotation of so many numbers would come to: on the line between the two block sizes around it, by the logarithm of the numbers;
 * null beyond them. There is none of most counts.
 */
export function blocksAt({ shapes }: FitRecord, numbers: number): number | null {
  const blocks = shapes.filter(({ m }) => m === 1).sort((a, b) => a.numbers - b.numbers);
  const above = blocks.findIndex((block) => block.numbers >= numbers);
  const [low, high] = [blocks[above - 1], blocks[above]];
  if (high?.numbers === numbers) return mean(high.errors);
  if (low === undefined || high === undefined) return null;
  const share = Math.log(numbers / low.numbers) / Math.log(high.numbers / low.numbers);
  return mean(low.errors) + share * (mean(high.errors) - mean(low.errors));
}

export interface Found {
  readonly shape: FittedShape;
  /** Errors of the seeds that found it. */
  readonly errors: readonly number[];
}

/** The shape of fewest numbers by which a seed found the target. */
export function fewestFound({ shapes }: FitRecord): Found | null {
  const found = shapes
    .map((shape) => ({ shape, errors: shape.errors.filter((error) => error < EXACT) }))
    .filter(({ errors }) => errors.length > 0);
  return found.sort((a, b) => a.shape.numbers - b.shape.numbers || a.shape.m - b.shape.m)[0] ?? null;
}

const table = (head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] => [
  `| ${head.join(' | ')} |`,
  `|${head.map(() => '---').join('|')}|`,
  ...rows.map((row) => `| ${row.join(' | ')} |`),
  '',
];

const equalNumbers = (record: FitRecord): string[] =>
  table(
    [
      'block-diagonal',
      'numbers',
      'distance',
      'least there is',
      'nearest butterfly of no more numbers',
      'numbers',
      'distance',
      'nearer in',
    ],
    pairsOf(record).map(({ block, butterfly, wins }) => [
      `b = ${block.b}`,
      block.numbers,
      errorOf(block.errors),
      errorOf(block.least ?? []),
      shapeOf(butterfly),
      butterfly.numbers,
      errorOf(butterfly.errors),
      `${wins} of ${record.seeds.length}`,
    ]),
  );

function allShapes(record: FitRecord): string[] {
  const { shapes } = record;
  const beside = (shape: FittedShape) => {
    const blocks = shape.m === 1 ? null : blocksAt(record, shape.numbers);
    if (blocks === null) return ['', ''];
    return [blocks.toFixed(3), mean(shape.errors) < blocks ? 'the butterfly' : 'block-diagonal'];
  };
  return table(
    ['m', 'b', 'free numbers', 'distance', 'block-diagonal of as many', 'nearer'],
    shapes.map((shape) => [shape.m, shape.b, shape.numbers, errorOf(shape.errors), ...beside(shape)]),
  );
}

function reached(records: readonly FitRecord[]): string[] {
  const rows = records.map((record) => {
    const { target, d, shapes, seeds } = record;
    const every = shapes.filter(({ errors }) => errors.every((error) => error < EXACT));
    const surest = every.sort((a, b) => a.numbers - b.numbers)[0];
    const fewest = fewestFound(record);
    const missed = shapes.filter(({ errors, b }) => Math.min(...errors) >= EXACT && b < d);
    const nearest = missed.sort((a, b) => mean(a.errors) - mean(b.errors))[0];
    return [
      target,
      d,
      fewest === null ? 'none' : `${shapeOf(fewest.shape)}: ${fewest.shape.numbers} numbers`,
      fewest === null ? '' : `${fewest.errors.length} of ${seeds.length}`,
      fewest === null ? '' : errorOf(fewest.errors),
      surest === undefined ? 'none' : `${shapeOf(surest)}: ${errorOf(surest.errors)}`,
      nearest === undefined ? '' : `${shapeOf(nearest)}: ${errorOf(nearest.errors)}`,
    ];
  });
  return table(
    [
      'target',
      'inputs',
      'found with the fewest numbers',
      'in seeds',
      'distance there',
      'found in every seed',
      'nearest that never finds it',
    ],
    rows,
  );
}

/** What the paper says in words of its figure 5, one shape against another of more numbers; the first of each mixes all inputs with blocks of 2. */
export const PAPER = [
  {
    says: 'BOFT(9,2), 2,304 numbers, is nearer than BOFT(1,16), 3,840 numbers',
    shape: (d: number) => ({ m: Math.log2(d), b: 2 }),
    than: { m: 1, b: 16 },
  },
  {
    says: 'BOFT(6,4), 4,608 numbers, is about as near as BOFT(2,16), 7,680 numbers',
    shape: () => ({ m: 6, b: 4 }),
    than: { m: 2, b: 16 },
  },
] as const;

const same = (a: { m: number; b: number }) => (other: FittedShape) => other.m === a.m && other.b === a.b;

function besidePaper(records: readonly FitRecord[]): string[] {
  const told = (shape: FittedShape) =>
    `BOFT(${shape.m},${shape.b}), ${shape.numbers} numbers: ${(mean(shape.errors) / Math.SQRT2).toFixed(3)}`;
  return table(
    ['the paper, in words, of 512 inputs', ...records.map(({ d }) => `here, of ${d} inputs, scaled`)],
    PAPER.map(({ says, shape, than }) => [
      says,
      ...records.map(({ d, shapes }) =>
        [shape(d), than].map((one) => told(shapes.find(same(one))!)).join('; '),
      ),
    ]),
  );
}

function engines(records: readonly FitRecord[]): string[] {
  return table(
    ['fits', 'target', 'inputs', 'steps', 'starts', 'seeds', 'engine', 'runtime', 'date'],
    records.map((r) => [
      r.name,
      r.target,
      r.d,
      r.steps,
      r.starts,
      r.seeds.length,
      r.engine,
      r.runtime,
      r.date,
    ]),
  );
}

const INTRO = `Written by \`npm run -s papilio -- reproduce\` from [butterfly.json](butterfly.json), which it records. These are the fits of the lab “Butterfly against block-diagonal”, by its own calls: products of m butterfly factors with blocks of b, from small random rotations, with the ops that train OFT and BOFT, their gradients and AdamW at a rate that falls from 0.05 to 0 in a half cosine. m = 1 is one block-diagonal matrix, which is OFT's. The distance is ‖M − target‖ / ‖target‖ of the best start: 0 is the target, √2 a rotation that has nothing in common with it. Where there are several seeds, a distance is their mean, with the least and the greatest. Free numbers are ½ m d (b − 1).`;

const EQUALLY = `“Least there is” is the nearest block-diagonal rotation in closed form, from the singular values of the target's blocks. Few butterflies have exactly as many numbers as some block-diagonal rotation. So the first table sets each block size, short of a full rotation, beside the nearest butterfly of no more numbers; the second sets every butterfly beside the line between the two block sizes around its count, by the logarithm of the counts.`;

const EXACTLY = `The Hadamard matrix is log₂ d factors with blocks of 2; the Fourier transform of d / 2 complex numbers, each two real ones, in bit-reversed order, is log₂(d / 2) factors with blocks of 4. Most permutations have no place in the wires of so few factors. Found is what a fit brought below ${EXACT}. A seed has other first rotations and, of a permutation, another target; descent with blocks of 2 can end beside the target, from four starts too. One block as large as all inputs could be any rotation and is only not found in so few steps; it is left out of the last column.`;

const BESIDE = `Figure 5 of [the paper](https://arxiv.org/abs/2311.06243) has 512 inputs, the mean of 10 random orthogonal matrices, and the curves BOFT(1:9,2), BOFT(1:8,4) and BOFT(1:6,16), where BOFT(m,b) is m factors with blocks of b; its axis of the scaled error goes from 0.6 to 1. It gives no numbers of its points, so none are read off here: the first column is what its text says of them. Beside it are the same block sizes, fitted here with one start each and fewer targets; divided by √2, so that 1 is a rotation that has nothing in common with the target. The paper does not say how it scales.`;

/** @param records of one run or several; where two engines have the same fits, the tables are of onnxruntime's and the last one names both */
export function fitsPage(records: readonly FitRecord[]): string {
  const place = ({ name }: FitRecord) => FIT_TRIALS.findIndex((trial) => trial.name === name);
  const sorted = [...records].sort((a, b) => a.engine.localeCompare(b.engine) || place(a) - place(b));
  const find = (name: string) => sorted.find((record) => record.name === name);
  const random = find('butterfly-random');
  const large = [find('butterfly-128'), find('butterfly-512')].filter((record) => record !== undefined);
  const exact = [...new Set(sorted.map(({ name }) => name))]
    .map((name) => find(name)!)
    .filter(({ target }) => target !== 'random');
  const both = sorted.filter(({ name, engine }) => engine === 'webgpu' && find(name)!.engine !== engine);
  return [
    '# Butterfly against block-diagonal, fitted',
    '',
    INTRO,
    '',
    ...(random === undefined
      ? []
      : [
          `## Random rotations of ${random.d} inputs`,
          '',
          '![Distance by free numbers: a curve for each block size of the butterfly, and one for block-diagonal rotations](butterfly.svg)',
          '',
          EQUALLY,
          '',
          ...equalNumbers(random),
          ...allShapes(random),
        ]),
    ...(exact.length === 0 ? [] : ['## What is within reach', '', EXACTLY, '', ...reached(exact)]),
    ...(large.length === 0 ? [] : ['## Beside the paper', '', BESIDE, '', ...besidePaper(large)]),
    ...large.flatMap((record) => [
      `### ${record.d} inputs, ${record.seeds.length === 1 ? 'one target' : `${record.seeds.length} targets`}`,
      '',
      ...equalNumbers(record),
      ...allShapes(record),
    ]),
    '## What computed it',
    '',
    ...engines(sorted),
    ...both.map((record) => agreement(record, find(record.name)!)),
    '',
  ].join('\n');
}

/** How far two engines are apart, in the mean of any shape. */
function agreement(one: FitRecord, other: FitRecord): string {
  const apart = one.shapes.map((shape) =>
    Math.abs(mean(shape.errors) - mean(other.shapes.find(same(shape))!.errors)),
  );
  const most = Math.max(...apart);
  return most === 0
    ? `- ${one.name}: the two engines agree in all six digits that are kept.`
    : `- ${one.name}: means of the two engines are at most ${most.toExponential(0)} apart.`;
}
