/** The questions of the lab on forgetting; what is said to an answer comes from the run on screen. */
import { listOf, say } from '../../../common.ts';
import { BUDGETS, FORGET_METHODS, FORGET_STEPS, type ForgetPoint } from '../../../labs.ts';
import { degreesApart, percent } from '../../format.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { numberIn, Question, type Reply } from '../Question.tsx';
import { type Forgetting, meanOf, methodIndex, nameOf, rankOf } from './runs.ts';

const checkAngles =
  (run: Forgetting | null) =>
  (answer: string): Reply => {
    const isRight = answer === 'rotations';
    const views = run?.picked[0]?.methods;
    const changes = views?.map(
      ({ turned }, m) => `${nameOf(FORGET_METHODS[m]!)} ${degreesApart(turned.most)}`,
    );
    const measured =
      changes === undefined ? '' : say`Largest changes of an angle, measured here: ${listOf(changes)}.`;
    return {
      isRight,
      say: isRight ? (
        <Sentences>
          {say`All neurons turn together, so what lies between them stays; what is left is rounding.`}
          {measured}
        </Sentences>
      ) : (
        <Sentences>
          {say`Choose one method after the other, and read the sentence below the angles.`}
          {measured}
        </Sentences>
      ),
    };
  };

const checkTask =
  (run: Forgetting | null) =>
  (answer: string): Reply => {
    if (run === null || run.answer.step < FORGET_STEPS)
      return { isRight: null, say: say`Wait for the last step, and read the first picture.` };
    const kept = percent(meanOf(run.answer.course.at(-1)!.kept[methodIndex('oft')]!));
    if (answer === 'no')
      return {
        isRight: true,
        say: say`On screen OFT’s networks tell ${kept} of the old task right. Between the neurons nothing has changed; but the inputs meet them turned, and the next layer was not told.`,
      };
    return {
      isRight: false,
      say: say`On screen OFT’s networks tell ${kept} of the old task right. What is kept are angles and lengths, not answers: the inputs meet the neurons turned, and the next layer was not told.`,
    };
  };

const checkDirections =
  (run: Forgetting | null) =>
  (answer: string): Reply => {
    const value = numberIn(answer);
    if (!Number.isInteger(value)) return { isRight: false, say: say`That is no whole number.` };
    const budget = run?.wanted.budget ?? '112';
    const lora = BUDGETS[budget]![methodIndex('lora')]!;
    const rank = lora.id === 'lora' ? lora.rank : Number.NaN;
    const measured = run?.picked[0]?.methods[methodIndex('lora')]?.singular;
    if (value === rank)
      return {
        isRight: true,
        say:
          measured === undefined
            ? say`A product of two matrices has no more directions than the thinner one has columns, which is the rank of LoRA.`
            : say`A product of two matrices has no more directions than the thinner one has columns, which is the rank of LoRA. Measured here: ${rankOf(measured)}.`,
      };
    return {
      isRight: false,
      say: say`Choose LoRA and look at the last picture: behind how many points does the line fall to rounding?`,
    };
  };

/** Which of OFT and full fine-tuning kept less of the old task in every network; null where it is now the one, now the other. */
export function forgetsMore(kept: ForgetPoint['kept']): 'oft' | 'full' | null {
  const [oft, full] = [kept[methodIndex('oft')]!, kept[methodIndex('full')]!];
  if (full.every((share, n) => share < oft[n]!)) return 'full';
  return oft.every((share, n) => share < full[n]!) ? 'oft' : null;
}

const checkFull =
  (run: Forgetting | null) =>
  (answer: string): Reply => {
    if (run === null || run.answer.step < FORGET_STEPS)
      return { isRight: null, say: say`Wait for the last step, and read the first picture.` };
    const { kept } = run.answer.course.at(-1)!;
    const more = forgetsMore(kept) ?? 'mixed';
    const [oft, full] = [kept[methodIndex('oft')]!, kept[methodIndex('full')]!];
    const pairs = listOf(oft.map((share, n) => `${percent(share)} / ${percent(full[n]!)}`));
    return {
      isRight: answer === more,
      say: (
        <Sentences>
          {say`Kept of the old task on screen, network by network, OFT / full fine-tuning: ${pairs}.`}
          {more === 'full' ? '' : say`How many numbers train does not say how much is forgotten.`}
        </Sentences>
      ),
    };
  };

export function ForgettingQuestions({ run }: { readonly run: Forgetting | null }) {
  return (
    <section aria-label={say`Questions`}>
      <h2>{say`Questions`}</h2>
      <Question
        id="angles-kept"
        ask={say`Which methods change no angle between two neurons, but for rounding?`}
        options={[
          { id: 'none', title: say`None of them` },
          { id: 'rotations', title: say`OFT and BOFT` },
          { id: 'updates', title: say`LoRA and FourierFT` },
          { id: 'few', title: say`All but full fine-tuning` },
          { id: 'all', title: say`All of them` },
        ]}
        check={checkAngles(run)}
      />
      <Question
        id="task-kept"
        ask={say`Does a method that changes no angle keep the old task, then?`}
        options={[
          { id: 'yes', title: say`Yes, all of it` },
          { id: 'no', title: say`No, much of it can be forgotten` },
        ]}
        check={checkTask(run)}
      />
      <Question
        id="full"
        ask={say`Full fine-tuning has many times as many numbers as OFT. Which of the two forgets more of the old task here?`}
        options={[
          { id: 'full', title: say`Full fine-tuning, in every network` },
          { id: 'oft', title: say`OFT, in every network` },
          { id: 'mixed', title: say`Now the one, now the other` },
        ]}
        check={checkFull(run)}
      />
      <Question
        id="directions"
        ask={say`LoRA’s ΔW = BA with the numbers that are set now: how many of its singular values are more than rounding?`}
        check={checkDirections(run)}
      />
    </section>
  );
}
