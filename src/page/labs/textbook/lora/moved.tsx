/** Five neurons as LoRA moves them, by themselves and beside a rotation of all. */
import { degreesOf, rng, say } from '../../../../common.ts';
import { degrees, degreesApart, percent, power, real } from '../../../format.ts';
import { Sentences } from '../../../parts/Sentences.tsx';
import { useCayley } from '../../cayley/useCayley.ts';
import { LabFigure } from '../../LabFigure.tsx';
import { labWorker } from '../../labWorker.ts';
import { Shown } from '../../useLab.ts';
import { changesOf, NeuronFigure } from '../NeuronFigure.tsx';
import { NeuronPlane } from '../NeuronPlane.tsx';
import { lengthsChanged, movedBy, NEURONS, turnedBy } from '../neurons.ts';
import { Pending } from '../Pending.tsx';
import { useAnswer } from '../useAnswer.ts';

const [INPUTS, OUTPUTS, MOST] = [2, NEURONS.length / 2, 2];

/** A and B as they might have been learnt: seeded, and of a size that stays in the picture. */
export function loraOf(r: number, alpha: number) {
  const random = rng(31, 7);
  const A = Array.from({ length: MOST * INPUTS }, () => random.normal() / Math.SQRT2);
  const wide = Array.from({ length: OUTPUTS * MOST }, () => 0.3 * random.normal());
  const B = Array.from({ length: OUTPUTS * r }, (_, at) => wide[Math.floor(at / r) * MOST + (at % r)]!);
  return { inputs: INPUTS, outputs: OUTPUTS, r, alpha, W: NEURONS, A: A.slice(0, r * INPUTS), B };
}

const askLora = (request: ReturnType<typeof loraOf>) => labWorker().lora(request);

const shareText = (share: number): string => (share > 0 && share < 1e-3 ? power(share) : percent(share));

/** What LoRA makes of the five neurons, for both pictures of it. */
export const useMoved = (r: number, alpha: number) => useAnswer(loraOf(r, alpha), askLora);

type Moved = ReturnType<typeof useMoved>;

export function MovedFigure({ moved }: { readonly moved: Moved }) {
  return (
    <Pending of={moved}>
      {({ question, answer: { weight } }) => {
        const after = weight.engine;
        const { most } = changesOf(NEURONS, after, INPUTS);
        const longest = lengthsChanged(NEURONS, after);
        return (
          <>
            <Shown of={{ moved: degreesOf(most.by) }} />
            <NeuronFigure
              id="moved"
              title={say`Five neurons and a change of rank ${question.r}`}
              before={NEURONS}
              after={after}
              sentence={
                question.alpha === 0 ? (
                  say`α is 0, and the change with it: the neurons are where they were.`
                ) : (
                  <Sentences>
                    {question.r === 1
                      ? say`α / r is ${String(question.alpha)}. All five moved along one direction, each by its own number of B.`
                      : say`α / r is ${String(question.alpha / question.r)}. With two directions for two inputs each neuron goes where it likes.`}
                    {say`The angle between neurons ${most.pair.i + 1} and ${most.pair.j + 1} was ${degrees(most.pair.angle)} and is ${degrees(most.now)} now; the length of neuron ${longest.neuron + 1} changed by ${shareText(longest.share)}.`}
                  </Sentences>
                )
              }
              how={say`How each number was got: W + α/r B A by the graph with which LoRA trains and merges, in 32 bits; A and B are seeded random numbers. Angles and lengths in float64.`}
            />
          </>
        );
      }}
    </Pending>
  );
}

export function BesideFigure({ moved, q }: { readonly moved: Moved; readonly q: number }) {
  const turned = useCayley(INPUTS, [q]);
  return (
    <Pending of={turned}>
      {({ answer: { answer } }) => (
        <Pending of={moved}>
          {({ answer: { weight } }) => <Beside lora={weight.engine} oft={turnedBy(answer.exact.engine)} />}
        </Pending>
      )}
    </Pending>
  );
}

/** @param lora @param oft the neurons after each */
function Beside(after: { readonly lora: readonly number[]; readonly oft: readonly number[] }) {
  const sides = [
    { name: 'LoRA', after: after.lora },
    { name: 'OFT', after: after.oft },
  ].map((side) => ({
    ...side,
    changes: changesOf(NEURONS, side.after, INPUTS),
    longest: lengthsChanged(NEURONS, side.after),
  }));
  const [lora, oft] = sides as [(typeof sides)[0], (typeof sides)[0]];
  return (
    <LabFigure
      id="beside"
      title={say`LoRA beside OFT`}
      sentence={
        <Sentences>
          {say`LoRA moved the weights by ${real(movedBy(NEURONS, lora.after))} in all, OFT by ${real(movedBy(NEURONS, oft.after))}.`}
          {say`Largest change of an angle: LoRA ${degreesApart(lora.changes.most.by)}, OFT ${degreesApart(oft.changes.most.by)}. Of a length: LoRA ${shareText(lora.longest.share)}, OFT ${shareText(oft.longest.share)}.`}
        </Sentences>
      }
      how={say`How each number was got: both by the graphs that train them, in 32 bits; what OFT changes is their rounding. Angles, lengths and sizes in float64.`}
      table={{
        head: [say`Neurons`, say`Angle before`, ...sides.map(({ name }) => name)],
        rows: lora.changes.before.map(({ i, j, angle }, k) => [
          `${i + 1}, ${j + 1}`,
          degrees(angle),
          ...sides.map(({ changes }) => degrees(changes.after[k]!.angle)),
        ]),
      }}
    >
      <div className="lab-pictures">
        {sides.map(({ name, after: turned }) => (
          <figure key={name}>
            <NeuronPlane
              label={say`${name}: arrows for ${OUTPUTS} neurons, pale before, coloured after; the angles are in the table.`}
              before={NEURONS}
              after={turned}
            />
            <figcaption>{name}</figcaption>
          </figure>
        ))}
      </div>
    </LabFigure>
  );
}
