/** "Make a lesson of this": the page as it is set now, for whoever hands it to others. The form comes when it is opened. */
import { fail, listOf, say } from '../../../common.ts';
import { PLAYGROUND } from '../../lessons/lesson.ts';
import type { Work } from '../../lessons/Machine.tsx';
import type { Page } from '../../page.ts';
import { Holding, useHeld } from '../../parts/held.tsx';
import { Icon } from '../../parts/Icon.tsx';
import { later } from '../../parts/later.tsx';
import { useChoice, usePage, useRun, useUi } from '../../usePage.ts';
import { runRequest } from '../setup/choice.ts';
import { settingsOf } from '../setup/holds.ts';
import { leftOut } from '../setup/link.ts';
import { PLAYGROUND_QUANTITIES, startIn, valueOn } from './playground.ts';

const Machine = later('Machine', () => import('../../lessons/Machine.tsx'));
const LessonForm = later('LessonForm', () => import('../../lessons/LessonForm.tsx'));

export function MakeLesson() {
  const packed = useUi((s) => s.lesson?.packed ?? '');
  return (
    <Holding key={packed} name={`making ${packed}`}>
      <MakingFold />
    </Holding>
  );
}

function MakingFold() {
  const [isOpen, setOpen] = useHeld('making', () => false);
  return (
    <details
      className="fold advanced lesson-fold"
      open={isOpen}
      onToggle={({ currentTarget }) => setOpen(currentTarget.open)}
    >
      <summary data-testid="make-lesson">
        <Icon name="chevron" /> {say`Make a lesson of this`}
      </summary>
      {isOpen ? <Form /> : null}
    </details>
  );
}

/** Of the steps that are set, by the forecast of a run. */
const runSeconds =
  (page: Page): Work['seconds'] =>
  async (engine) => {
    const choice = page.choice.getState();
    const { steps, epochs } = choice.settings.training;
    if (epochs > 0)
      fail(
        'bad-argument',
        say`How many steps the epochs have is known once the data is open: set steps instead.`,
      );
    const { secondsPerStep, refusal } = await page.trainer.forecast({ ...runRequest(choice), engine });
    return secondsPerStep === null
      ? fail('bad-argument', refusal ?? say`The time of a step could not be measured here.`)
      : secondsPerStep * steps;
  };

function Form() {
  const page = usePage();
  const settings = useChoice((s) => s.settings);
  const hash = useChoice(() => page.hash());
  const left = useChoice((s) => leftOut(s).join('\n'));
  const lesson = useUi((s) => s.lesson?.lesson ?? null);
  // What the page shows changes with its run.
  useRun((s) => s.current);
  return (
    <>
      {left === '' ? null : <p className="warning">{say`It does not hold ${listOf(left.split('\n'))}.`}</p>}
      <LessonForm
        place={{
          id: PLAYGROUND,
          controls: settingsOf(settings),
          quantities: PLAYGROUND_QUANTITIES,
          start: startIn(hash),
          valueNow: valueOn(page),
          lesson,
        }}
      >
        <Machine works={[{ id: 'run', title: say`The run as it is set`, seconds: runSeconds(page) }]} />
      </LessonForm>
    </>
  );
}
