/** The questions of the shader lab: both are answered by breaking a line and looking. */
import { say } from '../../../common.ts';
import { numberIn, Question, type Reply } from '../Question.tsx';
import type { Checked } from './shaderWorker.ts';

/** Wrong cells of one block, or at one size, of the last run of a kernel; null if that is not what ran last. */
const wrongNow = (checked: Checked | null, name: Checked['name']): readonly number[] | null =>
  checked?.name === name && checked.answer.kind === 'checked'
    ? checked.answer.cases.map(({ wrong }) => wrong.length)
    : null;

const checkTwice =
  (checked: Checked | null) =>
  (answer: string): Reply => {
    const factors = numberIn(answer);
    if (!Number.isFinite(factors)) return { isRight: false, say: say`That is no number.` };
    if (factors === 2)
      return {
        isRight: true,
        say: say`Each factor turns the sign round, and twice round is as before. A test of this size alone would never see it.`,
      };
    const wrong = wrongNow(checked, 'butterfly');
    return {
      isRight: false,
      say:
        wrong === null || wrong.every((cells) => cells === 0)
          ? say`Choose the butterfly, break the sign of the sum, and look how many cells are wrong at each size.`
          : say`Wrong cells of the last run: ${wrong[0]!} with one factor, ${wrong[1]!} with two, ${wrong[2]!} with three.`,
    };
  };

const checkDiagonal =
  (checked: Checked | null) =>
  (answer: string): Reply => {
    const cells = numberIn(answer);
    if (!Number.isFinite(cells)) return { isRight: false, say: say`That is no number.` };
    if (cells === 5)
      return {
        isRight: true,
        say: say`The identity has ones on its diagonal alone: one wrong cell in each row of a block.`,
      };
    const wrong = wrongNow(checked, 'cayley');
    return {
      isRight: false,
      say:
        wrong === null || wrong[1] === 0
          ? say`Choose the Cayley transform, break the sign of the identity, and look at the blocks of 5 × 5.`
          : say`Wrong cells of the last run in all three blocks of 5 × 5 together: ${wrong[1]!}. How many in one?`,
    };
  };

export function ShaderQuestions({ checked }: { readonly checked: Checked | null }) {
  return (
    <section aria-label={say`Questions`}>
      <h2>{say`Questions`}</h2>
      <Question
        id="twice"
        ask={say`With a wrong sign in the butterfly’s sum, one of the three sizes is right all the same. How many factors does it have?`}
        check={checkTwice(checked)}
      />
      <Question
        id="diagonal"
        ask={say`In the Cayley transform, “− unit” is made “+ unit” where R is written. How many cells of one block of 5 × 5 are wrong?`}
        check={checkDiagonal(checked)}
      />
    </section>
  );
}
