/** The questions of the lab; both answers are read from the runs on screen. */
import { paragraph, say } from '../../../common.ts';
import { chanceOf } from '../../features/training/answer.ts';
import { percent, whole } from '../../format.ts';
import { numberIn, Question, type Reply } from '../Question.tsx';
import { accuracyOf, numbersOf } from './CurveFigure.tsx';
import { type FirstRun, type FirstRunList, newestOf, runName, stepOf } from './runList.ts';

/** The newest of each kind: the questions are about these two. */
const bothOf = (runs: FirstRunList) => ({
  head: newestOf(runs, 'head'),
  adapter: newestOf(runs, 'adapter'),
});

/** A run that came to its last step. */
const isWhole = (run: FirstRun | undefined): run is FirstRun =>
  run !== undefined && stepOf(run) >= run.request.training.steps;

const checkNumbers =
  (runs: FirstRunList) =>
  (answer: string): Reply => {
    const { head, adapter } = bothOf(runs);
    const given = numberIn(answer.replaceAll(/[\s,.](?=\d{3}\b)/g, ''));
    if (!Number.isInteger(given)) return { isRight: false, say: say`That is no whole number.` };
    const [all, own] = [adapter && numbersOf(adapter), head && numbersOf(head)];
    if (all === undefined || all === null || own === undefined || own === null)
      return {
        isRight: null,
        say: say`Train the head alone and the adapter first: both numbers are below their curves.`,
      };
    const right = all - own;
    if (given === right)
      return {
        isRight: true,
        say: say`${whole(all)} numbers in all, ${whole(own)} of them in the head: ${whole(right)} are those of ${runName(adapter!, runs)}.`,
      };
    return {
      isRight: false,
      say:
        given === all
          ? say`That is what the run trains in all; the head is among it.`
          : say`The run trains ${whole(all)} numbers, the head alone ${whole(own)}. Take one from the other.`,
    };
  };

const checkBetter =
  (runs: FirstRunList) =>
  (answer: string): Reply => {
    const { head, adapter } = bothOf(runs);
    if (!isWhole(head) || !isWhole(adapter))
      return { isRight: null, say: say`Train both to their last step first.` };
    if (head.request.training.steps !== adapter.request.training.steps)
      return { isRight: null, say: say`Train both for the same number of steps first.` };
    const [without, along] = [accuracyOf(head)!, accuracyOf(adapter)!];
    const scored = adapter.evals.at(-1)!;
    const isChance = Math.abs(along - without) <= chanceOf(along, without, scored);
    const better = isChance ? 'same' : along > without ? 'adapter' : 'head';
    const shown = say`On screen: ${percent(without)} of the held-out letters with the head alone, ${percent(along)} with ${runName(adapter, runs)}.`;
    return {
      isRight: answer === better,
      say: isChance
        ? paragraph([shown, say`${scored.examples} letters cannot tell that from chance.`])
        : shown,
    };
  };

export function FirstQuestions({ runs }: { readonly runs: FirstRunList }) {
  return (
    <section aria-label={say`Questions`}>
      <h2>{say`Questions`}</h2>
      <Question
        id="own"
        ask={say`How many numbers does the method itself train, without the head?`}
        check={checkNumbers(runs)}
      />
      <Question
        id="better"
        ask={say`After as many steps: which reads more of the held-out letters?`}
        options={[
          { id: 'head', title: say`The head alone` },
          { id: 'adapter', title: say`The head with the adapter` },
          { id: 'same', title: say`Neither, as far as so many letters can tell` },
        ]}
        check={checkBetter(runs)}
      />
    </section>
  );
}
