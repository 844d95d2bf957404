/** The figure of the lab: error by number of free numbers, a line for block-diagonal rotations and one for the butterflies of each block size. */
import { least, paragraph, say } from '../../../common.ts';
import { FIT_STEPS, type FitShape, STARTS } from '../../../labs.ts';
import { fixed, power } from '../../format.ts';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { deviceName } from '../deviceName.ts';
import { LabFigure } from '../LabFigure.tsx';
import { Plot, type PlotLine } from '../Plot.tsx';
import { Term } from '../textbook/Glossary.tsx';
import { useShown } from '../useLab.ts';
import { type Fits, isExact, mostTelling, type Row, rowsOf } from './fits.ts';

/** How far from the target a rotation is that has nothing in common with it. */
const APART = Math.SQRT2;
const COLOURS = ['--line-0', '--line-2', '--line-3', '--line-4'] as const;
const DASHES = ['none', '7 4', '2 4', '9 3 2 3'] as const;

/** An error as it is said: what is found is found, to some digits. */
export const errorText = (row: Row): string => (isExact(row) ? power(row.error) : fixed(row.error, 3));

/** "m = 3, b = 2" */
export const shapeText = ({ m, b }: FitShape): string => `m = ${m}, b = ${b}`;

function linesOf(rows: readonly Row[], d: number): PlotLine[] {
  const points = (some: readonly Row[]) => some.map(({ numbers, error }) => [numbers, error] as const);
  const blocks: PlotLine = {
    ...{ id: 'blocks', name: say`block-diagonal, m = 1`, color: '--line-1', mark: 'square' },
    points: points(rows.filter(({ m }) => m === 1)),
  };
  const sizes = [...new Set(rows.map(({ b }) => b))].filter((b) => b < d);
  return [
    ...sizes.map(
      (b, i): PlotLine => ({
        ...{ id: `b${b}`, name: say`butterfly, blocks of ${b}`, mark: 'circle' },
        ...{ color: COLOURS[i]!, dash: DASHES[i]! },
        points: points(rows.filter((row) => row.b === b)),
      }),
    ),
    blocks,
  ];
}

/** Powers of two that the axis has room for. */
const ticksOf = (rows: readonly Row[]): number[] => {
  const [low, high] = [rows[0]!.numbers, Math.max(...rows.map(({ numbers }) => numbers))];
  const ticks: number[] = [];
  for (let tick = low; tick <= high; tick *= 2) ticks.push(tick);
  return ticks;
};

const foundText = (row: Row): string =>
  say`Found, but for ${errorText(row)} of its size, with the fewest numbers: ${shapeText(row)}.`;

function sentenceOf(rows: readonly Row[], d: number): string {
  const exact = rows.filter(isExact);
  if (exact.length > 0) return foundText(exact.reduce((a, b) => (b.numbers < a.numbers ? b : a)));
  const nearest = rows.reduce((a, b) => (b.error < a.error ? b : a));
  const nearestText = say`Nearest of all: ${shapeText(nearest)}, ${nearest.numbers} numbers, ${errorText(nearest)} away.`;
  const pair = mostTelling(rows, d);
  if (pair === null) return nearestText;
  const { block, butterfly } = pair;
  return block.error > butterfly.error
    ? paragraph([
        say`The butterfly with ${shapeText(butterfly)} is ${errorText(butterfly)} away with ${butterfly.numbers} numbers; block-diagonal with ${block.numbers} numbers is ${errorText(block)} away.`,
        nearestText,
      ])
    : paragraph([
        say`No butterfly comes closer than a block-diagonal rotation of as many numbers.`,
        nearestText,
      ]);
}

export function ErrorFigure({ fits, picked }: { readonly fits: Fits; readonly picked: FitShape }) {
  const { wanted, facts, answer, device } = fits;
  const { d } = wanted;
  const rows = rowsOf(d, facts, answer.best);
  const title = say`Distance from the target by free numbers`;
  const chosen = rows.find(({ m, b }) => m === picked.m && b === picked.b);
  const ticks = ticksOf(rows);
  useShown({
    distance: chosen?.error ?? null,
    nearest: least(rows.map(({ error }) => error)),
    numbers: chosen?.numbers ?? null,
    step: answer.step,
  });
  return (
    <LabFigure
      id="fits"
      title={title}
      isDone={answer.step >= FIT_STEPS}
      sentence={
        <Sentences>
          {answer.step < FIT_STEPS
            ? say`Step ${answer.step} of ${FIT_STEPS}.`
            : say`After ${FIT_STEPS} steps.`}
          {sentenceOf(rows, d)}
          <span className="hint">
            {say`The best of ${STARTS} starts each. Computed by ${deviceName(device)}.`}
          </span>
        </Sentences>
      }
      how={rich`How each number was got: the ${<Term of="engine" />}’s own Cayley and butterfly ops with their gradients and ${<Term of="AdamW" />}, at a rate that falls from 0.05 to 0 in a half cosine. The distance is the root mean square length of the rows of the difference, so that 0 is the target and √2 is a rotation that has nothing in common with it. Free numbers are counted.`}
      table={{
        head: ['m', 'b', say`Free numbers`, say`Distance`],
        rows: rows.map((row) => [String(row.m), String(row.b), String(row.numbers), errorText(row)]),
      }}
    >
      <Plot
        label={title}
        x={{
          ...{ title: say`free numbers`, isLog: true, low: ticks[0]! * 0.9, high: ticks.at(-1)! * 2 },
          ...{ ticks, format: String },
        }}
        y={{
          ...{ title: '', isLog: false, low: 0, high: 1.5, ticks: [0, 0.5, 1, 1.5] },
          format: (value) => fixed(value, 1),
        }}
        lines={[
          {
            ...{ id: 'apart', name: say`nothing in common with the target`, color: '--ink-2', dash: '1 4' },
            points: [ticks[0]! * 0.9, ticks.at(-1)! * 2].map((x) => [x, APART] as const),
          },
          ...linesOf(rows, d),
        ]}
        picked={chosen && [chosen.numbers, chosen.error]}
      />
    </LabFigure>
  );
}
