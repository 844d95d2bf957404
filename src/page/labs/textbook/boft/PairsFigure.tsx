/** The angle of every pair of neurons before and after: turned by a product of factors, and with a low-rank change that is as large. */
import { degreesOf, greatest, rng, say } from '../../../../common.ts';
import { energyOf, type Pair, pairsOf } from '../../../../labs.ts';
import { degrees, degreesApart, fixed, real } from '../../../format.ts';
import { rich } from '../../../parts/rich.ts';
import { Sentences } from '../../../parts/Sentences.tsx';
import { LabFigure } from '../../LabFigure.tsx';
import { Plot } from '../../Plot.tsx';
import { useShown } from '../../useLab.ts';
import { Term } from '../Glossary.tsx';
import { Pending } from '../Pending.tsx';
import { useAnswer } from '../useAnswer.ts';
import { askTurn, skewOf } from '../WiresFigure.tsx';

const [INPUTS, BLOCK, FACTORS, NEURONS] = [16, 4, 3, 10];
const SEED = 3;
/** Of the skew numbers, at the end of the slider. */
const LARGEST = 0.5;

const normals = (count: number, stream: number): number[] => {
  const random = rng(SEED, stream);
  return Array.from({ length: count }, () => random.normal());
};
const BEFORE = normals(NEURONS * INPUTS, 23);

/** The neurons with a change of rank 1 added that is so large. */
function withLowRank(size: number): number[] {
  const [tall, wide] = [normals(NEURONS, 27), normals(INPUTS, 28)];
  const whole = Math.hypot(...tall) * Math.hypot(...wide);
  return BEFORE.map(
    (value, at) => value + (size / whole) * tall[Math.floor(at / INPUTS)]! * wide[at % INPUTS]!,
  );
}

const mostOf = (before: readonly Pair[], after: readonly Pair[]): number =>
  greatest(before.map(({ angle }, k) => Math.abs(after[k]!.angle - angle)));

export function PairsFigure({ far }: { readonly far: number }) {
  const turn = useAnswer(
    {
      d: INPUTS,
      b: BLOCK,
      m: FACTORS,
      skew: skewOf(INPUTS, BLOCK, FACTORS, SEED, LARGEST * far),
      vectors: BEFORE,
    },
    askTurn,
  );
  return <Pending of={turn}>{({ answer }) => <Drawn turned={answer.turned.engine} />}</Pending>;
}

const pairs = (of: readonly number[]) => pairsOf(of, NEURONS, INPUTS);

function Drawn({ turned }: { readonly turned: readonly number[] }) {
  const size = Math.hypot(...turned.map((value, at) => value - BEFORE[at]!));
  const share = size / Math.hypot(...BEFORE);
  const [before, after, low] = [pairs(BEFORE), pairs(turned), pairs(withLowRank(size))];
  useShown({ turned: degreesOf(mostOf(before, after)), rankone: degreesOf(mostOf(before, low)) });
  const title = say`Angles of all pairs of ${NEURONS} neurons, before and after`;
  const points = (of: readonly Pair[]) =>
    of.map(({ angle }, k) => [degreesOf(before[k]!.angle), degreesOf(angle)] as const);
  return (
    <LabFigure
      id="pairs"
      title={title}
      sentence={
        <Sentences>
          {rich`Turned, the weights changed by ${fixed(share, 2)} of their size, and no angle of ${before.length} pairs by more than ${degreesApart(mostOf(before, after))}; a change of ${<Term of="rank" />} 1 that is as large moves one by ${degreesApart(mostOf(before, low))}.`}
          {say`The energy was ${real(energyOf(before))}; turned it is ${real(energyOf(after))}, with the change of rank 1 it is ${real(energyOf(low))}.`}
        </Sentences>
      }
      how={rich`How each number was got: seeded random neurons of ${INPUTS} inputs, turned by ${FACTORS} factors with blocks of ${BLOCK} by the ops that merge BOFT, in 32 bits; the other change is the product of two seeded random vectors. Angles and energies in ${<Term of="float64" />}.`}
      table={{
        head: [say`Neurons`, say`Angle before`, say`Turned`, say`With rank 1`],
        rows: before.map(({ i, j, angle }, k) => [
          `${i + 1}, ${j + 1}`,
          degrees(angle),
          degrees(after[k]!.angle),
          degrees(low[k]!.angle),
        ]),
      }}
    >
      <Plot
        label={title}
        x={{
          ...{ title: say`angle before`, isLog: false, low: 30, high: 150 },
          ...{ ticks: [30, 60, 90, 120, 150], format: (v) => `${v}°` },
        }}
        y={{
          ...{ title: '', isLog: false, low: 0, high: 180 },
          ...{ ticks: [0, 45, 90, 135, 180], format: (v) => `${v}°` },
        }}
        height={280}
        lines={[
          {
            id: 'same',
            name: say`as before`,
            color: '--line-strong',
            points: [
              [30, 30],
              [150, 150],
            ],
            dash: '4 4',
          },
          {
            id: 'low',
            name: say`with a change of rank 1`,
            color: '--line-1',
            points: points(low),
            mark: 'diamond',
            hasLine: false,
          },
          {
            id: 'turned',
            name: say`turned`,
            color: '--line-0',
            points: points(after),
            mark: 'circle',
            hasLine: false,
          },
        ]}
      />
    </LabFigure>
  );
}
