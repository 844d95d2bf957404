/** How much of the old task is kept as the new one is learnt: a line for each method, from the network as it came. */
import { listOf, say } from '../../../common.ts';
import { FORGET_METHODS, FORGET_STEPS, type ForgetMethodId, NETWORKS } from '../../../labs.ts';
import { percent, whole } from '../../format.ts';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { deviceName } from '../deviceName.ts';
import { LabFigure } from '../LabFigure.tsx';
import { Plot } from '../Plot.tsx';
import { Term } from '../textbook/Glossary.tsx';
import { useShown } from '../useLab.ts';
import { type Forgetting, meanOf, methodIndex, nameOf, numbersBy, STYLES, titleOf } from './runs.ts';

const round = (share: number): string => percent(Math.round(share * 1000) / 1000);

/** A network that tells fewer of the new task right has hardly learnt it. */
const LEARNT = 0.75;

type Told = Forgetting['answer']['course'][number];

/** Networks of a method that have hardly learnt the new task, and so had little to forget for; each as "LoRA 3: 63.1 % / 99.4 %". */
const idleOf = ({ learnt, kept }: Told): string[] =>
  FORGET_METHODS.flatMap((id, m) =>
    learnt[m]!.flatMap((share, n) =>
      share < LEARNT ? [`${nameOf(id)} ${n + 1}: ${round(share)} / ${round(kept[m]![n]!)}`] : [],
    ),
  );

const axis = (title: string, low: number, ticks: readonly number[]) => ({
  ...{ title, isLog: false, low, high: 1.02, ticks },
  format: (value: number) => percent(value).replace(/\.0+/, ''),
});

export function KeptFigure(props: { readonly run: Forgetting; readonly method: ForgetMethodId }) {
  const { run, method } = props;
  const { course } = run.answer;
  const last = course.at(-1)!;
  const numbers = numbersBy(run.wanted.budget);
  const at = methodIndex(method);
  const [kept, learnt] = [meanOf(last.kept[at]!), meanOf(last.learnt[at]!)];
  useShown({ kept, learnt, step: last.step });
  const isDone = run.answer.step >= FORGET_STEPS;
  const title = say`What is kept of the old task, by what is learnt of the new`;
  const told = FORGET_METHODS.map(
    (id, m) => `${nameOf(id)} ${round(meanOf(last.learnt[m]!))} / ${round(meanOf(last.kept[m]!))}`,
  );
  return (
    <LabFigure
      id="kept"
      title={title}
      isDone={isDone}
      sentence={
        <Sentences>
          {isDone ? say`After ${FORGET_STEPS} steps.` : say`Step ${run.answer.step} of ${FORGET_STEPS}.`}
          {say`So much is told right of the new task / of the old one: ${listOf(told)}.`}
          {say`With ${nameOf(method)} single networks keep ${round(Math.min(...last.kept[at]!))} to ${round(Math.max(...last.kept[at]!))} of the old task.`}
          {isDone && idleOf(last).length > 0
            ? say`What a network keeps says little where it learnt little. Those that tell less than ${percent(LEARNT)} of the new task right, new / old: ${listOf(idleOf(last))}.`
            : ''}
          <span className="hint">
            {say`Means of ${NETWORKS} networks; 50 % is guessing. Computed by ${deviceName(run.device)}.`}
          </span>
        </Sentences>
      }
      how={rich`How each number was got: the ${<Term of="engine" />}’s own ${<Term of="operator">{say`ops`}</Term>} train each network on the old task, and then one weight of it by each method on the new task alone, with ${<Term of="AdamW" />} at a rate that falls from 0.01 to 0 in a half cosine. Shares are of 160 points of each task that were not learnt from. Points are drawn from the seed.`}
      table={{
        head: [say`Method`, say`Numbers`, say`Network`, say`New task`, say`Old task`],
        rows: FORGET_METHODS.flatMap((id, m) =>
          last.kept[m]!.map((share, n) => [
            ...[titleOf(id), whole(numbers[m]!), String(n + 1)],
            ...[round(last.learnt[m]![n]!), round(share)],
          ]),
        ),
      }}
    >
      <p className="lab-axis-title">{say`old task, told right`}</p>
      <Plot
        label={title}
        x={axis(say`new task, told right`, 0.4, [0.4, 0.6, 0.8, 1])}
        y={axis('', 0.3, [0.4, 0.6, 0.8, 1])}
        lines={FORGET_METHODS.map((id, m) => ({
          ...{ id, name: titleOf(id), ...STYLES[id] },
          points: course.map((point) => [meanOf(point.learnt[m]!), meanOf(point.kept[m]!)] as const),
        }))}
        picked={[learnt, kept]}
      />
    </LabFigure>
  );
}
