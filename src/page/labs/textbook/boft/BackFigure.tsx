/** Figure 10 of the paper of BOFT: the factors of a trained rotation go back to the identity, and what the layer answers goes back with them. */
import { degreesOf, facts, say } from '../../../../common.ts';
import { offOrthogonal } from '../../../../labs.ts';
import { strengthsAt, type Way } from '../../../features/weights/back.ts';
import { degrees, fixed, power, subscript } from '../../../format.ts';
import { Sentences } from '../../../parts/Sentences.tsx';
import { HeatMap } from '../../HeatMap.tsx';
import { LabFigure } from '../../LabFigure.tsx';
import { labWorker } from '../../labWorker.ts';
import { Shown } from '../../useLab.ts';
import { Pending } from '../Pending.tsx';
import { useAnswer } from '../useAnswer.ts';
import { askTurn } from '../WiresFigure.tsx';

// What goes into the layer, and what it has learnt to answer, each of length 1.

const read = (rows: string): number[] => {
  const pixels = [...rows.replaceAll(/\s/g, '')].map((pixel) => (pixel === '#' ? 1 : 0));
  const length = Math.hypot(...pixels);
  return pixels.map((pixel) => pixel / length);
};

const PIXELS = 8;

const LETTER_A = read(`
  ........
  ...##...
  ..#..#..
  .#....#.
  .######.
  .#....#.
  .#....#.
  ........
`);

const LETTER_B = read(`
  ........
  .#####..
  .#....#.
  .#####..
  .#....#.
  .#....#.
  .#####..
  ........
`);

const [INPUTS, BLOCK, FACTORS, STEPS, SEED] = [PIXELS * PIXELS, 4, 5, 120, 1];
const LEARN = { d: INPUTS, b: BLOCK, m: FACTORS, seed: SEED, steps: STEPS, from: LETTER_A, to: LETTER_B };

interface Seen {
  readonly name: string;
  readonly picture: readonly number[];
}

/** The rotation at a strength, and the pictures of a whole number of factors. */
async function along({ way, strength, skew }: { way: Way; strength: number; skew: readonly number[] }) {
  const at = (share: number) => {
    const strengths = strengthsAt(way, share, FACTORS);
    const each = skew.length / FACTORS;
    return askTurn({
      ...{ d: INPUTS, b: BLOCK, m: FACTORS, vectors: LETTER_A },
      skew: skew.map((value, i) => value * strengths[Math.floor(i / each)]!),
    });
  };
  const stops = Array.from({ length: FACTORS + 1 }, (_, k) => at(k / FACTORS));
  return { now: await at(strength), stops: await Promise.all(stops) };
}

const angleTo = (picture: readonly number[], other: readonly number[]): number => {
  const apart = Math.hypot(...picture.map((value, i) => value - other[i]!));
  return 2 * Math.asin(Math.min(1, apart / 2));
};

export function BackFigure({ way, strength }: { readonly way: Way; readonly strength: number }) {
  const learnt = useAnswer(LEARN, (request) => labWorker().learn(request));
  return (
    <Pending
      of={learnt}
      waiting={say`A layer is being trained to answer B where A goes in: ${STEPS} steps …`}
    >
      {({ answer }) => <Along way={way} strength={strength} skew={answer} />}
    </Pending>
  );
}

function Along(asked: { readonly way: Way; readonly strength: number; readonly skew: readonly number[] }) {
  const moved = useAnswer(asked, along);
  return (
    <Pending of={moved}>
      {({ question, answer: { now, stops } }) => {
        const strengths = strengthsAt(question.way, question.strength, FACTORS);
        const picture = now.turned.engine;
        const pictures: readonly Seen[] = [
          { name: say`what goes in`, picture: LETTER_A },
          { name: say`what comes out`, picture },
          { name: say`what was trained for`, picture: LETTER_B },
        ];
        const strip = stops.map(
          (stop, k): Seen => ({
            name:
              question.way === 'in-turn'
                ? say`${k} of ${FACTORS} factors`
                : say`strength ${fixed(k / FACTORS, 1)}`,
            picture: stop.turned.engine,
          }),
        );
        return (
          <>
            <Shown of={{ back: degreesOf(angleTo(picture, LETTER_B)) }} />
            <LabFigure
              id="back"
              title={say`From the trained rotation back to the identity`}
              sentence={
                <Sentences>
                  {say`Strengths of the factors: ${facts(strengths.map((t, k) => `B${subscript(k)} ${fixed(t, 2)}`))}.`}
                  {say`What comes out is ${degrees(angleTo(picture, LETTER_B))} from the B that was trained for and ${degrees(angleTo(picture, LETTER_A))} from the A that goes in. R is a rotation all the way: RᵀR differs from I by ${power(offOrthogonal(now.rotation.engine, INPUTS))} in all.`}
                </Sentences>
              }
              how={say`How each number was got: ${FACTORS} factors with blocks of ${BLOCK} on ${INPUTS} inputs, trained in this tab for ${STEPS} steps to answer B where A goes in. Each skew matrix is multiplied by its strength before the Cayley transform. Pictures are by the engine, in 32 bits; angles in float64.`}
              table={{
                head: [say`Picture`, say`Angle to B`, say`Angle to A`],
                rows: [...pictures.slice(1, 2), ...strip].map(({ name, picture: one }) => [
                  name,
                  degrees(angleTo(one, LETTER_B)),
                  degrees(angleTo(one, LETTER_A)),
                ]),
              }}
            >
              <Pictures of={pictures} className="lab-pictures" />
              <p className="hint lab-strip-name">{say`On the way, from the base to what was trained:`}</p>
              <Pictures of={strip} className="lab-pictures lab-strip is-small" />
            </LabFigure>
          </>
        );
      }}
    </Pending>
  );
}

function Pictures({ of, className }: { readonly of: readonly Seen[]; readonly className: string }) {
  return (
    <div className={className}>
      {of.map(({ name, picture }) => (
        <figure key={name}>
          <HeatMap label={name} size={PIXELS} values={picture} full={Math.max(...LETTER_B)} />
          <figcaption>{name}</figcaption>
        </figure>
      ))}
    </div>
  );
}
