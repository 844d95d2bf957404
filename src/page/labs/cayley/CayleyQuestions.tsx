/** The questions of the Cayley lab. */
import { fixed, say } from '../../../common.ts';
import { anglesOf } from '../../../labs.ts';
import { numberIn, Question, type Reply } from '../Question.tsx';

/** The slider has hundredths. */
const NEAR = 0.011;

function checkQuarter(answer: string): Reply {
  const q = Math.abs(numberIn(answer));
  if (!Number.isFinite(q)) return { isRight: false, say: say`That is no number.` };
  const angle = fixed(anglesOf(2, [q])[0]!, 1);
  if (Math.abs(q - 1) < NEAR)
    return {
      isRight: true,
      say: say`The angle is twice the arctangent of q, and the arctangent of 1 is 45°.`,
    };
  if (q > 20)
    return { isRight: false, say: say`That looks like an angle. Asked for is the q that makes it.` };
  return {
    isRight: false,
    say: say`q = ${answer} turns by ${angle}°. Take block size 2, and move q₁₂ until the letter lies on its side.`,
  };
}

const checkSeries =
  (size: number, skew: readonly number[]) =>
  (answer: string): Reply => {
    if (answer === 'away')
      return {
        isRight: true,
        say: say`Beyond 90° there is a direction that Q makes longer, and each power of Q makes it longer still. The exact transform stays a rotation.`,
      };
    const angle = anglesOf(size, skew)[0]!;
    return {
      isRight: false,
      say:
        angle > 90
          ? say`Look at the second picture: the largest angle is ${fixed(angle, 0)}° now. Follow the points from left to right.`
          : say`The largest angle is ${fixed(angle, 0)}° now. Set q₁₂ to 1.5 and look at the second picture again.`,
    };
  };

export function CayleyQuestions({ size, skew }: { readonly size: number; readonly skew: readonly number[] }) {
  return (
    <section aria-label={say`Questions`}>
      <h2>{say`Questions`}</h2>
      <Question
        id="quarter"
        ask={say`Which q turns the plane of a block of 2 by a right angle?`}
        check={checkQuarter}
      />
      <Question
        id="beyond"
        ask={say`A block turns by more than 90°. What does the series do as it gets more terms than 4?`}
        options={[
          { id: 'closer', title: say`It comes closer to the exact rotation.` },
          { id: 'stays', title: say`It stays where it is.` },
          { id: 'away', title: say`It goes away from it.` },
        ]}
        check={checkSeries(size, skew)}
      />
    </section>
  );
}
