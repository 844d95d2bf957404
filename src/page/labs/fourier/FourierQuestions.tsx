/** The questions of the lab of Fourier against low rank; what is said to an answer comes from the fits on screen. */
import { say } from '../../../common.ts';
import { FIT_STEPS } from '../../../labs.ts';
import { numberIn, Question, type Reply } from '../Question.tsx';
import { type Fits, leftBy, leftText } from './fits.ts';

/** All different cosines but two: what is left is what no cosine makes. */
const ALL = { method: 'low', rank: 8 } as const;
/** The half of the sum of squares that is in sines, as a share of the size; of one random matrix a little more or less. */
const HALF = { low: 0.65, high: 0.76 } as const;

const checkHalf =
  (fits: Fits | null) =>
  (answer: string): Reply => {
    const value = numberIn(answer);
    if (!Number.isFinite(value)) return { isRight: false, say: say`That is no number.` };
    const isMeasured = fits?.wanted.target === 'random' && fits.answer.step >= FIT_STEPS;
    const measured = isMeasured ? leftBy(fits, ALL) : null;
    const isRight =
      measured === null ? value >= HALF.low && value <= HALF.high : Math.abs(value - measured) < 0.03;
    if (isRight)
      return {
        isRight,
        say: say`Half of a random matrix is in sines, by the sum of its squares, and the coefficients are real: the root of a half is 0.71. LoRA stops nowhere: at rank 32 it can be any matrix.`,
      };
    return {
      isRight,
      say:
        measured === null
          ? say`Take the random target and the lowest frequencies, wait for the last step, and read the last mark of that line.`
          : say`On screen ${leftText(measured)} is left with 512 of the lowest frequencies.`,
    };
  };

function checkShift(answer: string): Reply {
  if (answer === 'fourier')
    return {
      isRight: true,
      say: say`A shift turns cosines into sines in part, and real coefficients make no sines. To LoRA it is another order of rows and columns, and the singular values stay.`,
    };
  return {
    isRight: false,
    say:
      answer === 'lora'
        ? say`LoRA’s line is the same for both targets: a shift changes no singular value. Look at the other lines.`
        : say`Take one target after the other, with the lowest frequencies and r = 2, and read the sentence below the first picture.`,
  };
}

export function FourierQuestions({ fits }: { readonly fits: Fits | null }) {
  return (
    <section aria-label={say`Questions`}>
      <h2>{say`Questions`}</h2>
      <Question
        id="half"
        ask={say`The random target, with 512 of the lowest frequencies, which are nearly all different waves: what is left of its size? One decimal is enough.`}
        check={checkHalf(fits)}
      />
      <Question
        id="shift"
        ask={say`The shifted target is the smooth one, five rows and eleven columns further. Who comes less near to it than before?`}
        options={[
          { id: 'lora', title: 'LoRA' },
          { id: 'fourier', title: 'FourierFT' },
          { id: 'both', title: say`Both` },
          { id: 'none', title: say`Neither` },
        ]}
        check={checkShift}
      />
    </section>
  );
}
