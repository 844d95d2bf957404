/** The lesson of the link, above the areas: it is opened, its start is taken, and one press leaves it. */
import { useEffect } from 'react';
import { errorReport, say } from '../../../common.ts';
import { LessonCard } from '../../lessons/LessonCard.tsx';
import { type Lesson, PLAYGROUND } from '../../lessons/lesson.ts';
import { openLesson } from '../../lessons/pack.ts';
import type { Page } from '../../page.ts';
import { Action } from '../../parts/Action.tsx';
import { Holding } from '../../parts/held.tsx';
import { usePage, useUi } from '../../usePage.ts';
import { settingsOf } from '../setup/holds.ts';
import { takeLink } from '../setup/link.ts';
import { hashOfStart, PLAYGROUND_QUANTITIES, valueOn } from './playground.ts';

/** What a lesson holds that there is not, with the method that it begins with. */
function unknownIn(page: Page, { lock, hide }: Lesson): string[] {
  const known = new Set(settingsOf(page.choice.getState().settings).map(({ name }) => name));
  return [...lock, ...hide].every((name) => known.has(name))
    ? []
    : [say`The lesson locks or hides a control that there is not.`];
}

async function open(page: Page): Promise<void> {
  const view = page.ui.getState().lesson;
  if (view === null) return;
  const opened = await openLesson(view.packed, PLAYGROUND).catch((error: unknown) => ({
    ...{ packed: view.packed, lesson: null, problems: [errorReport(error).message] },
  }));
  // Another link was opened meanwhile.
  if (page.ui.getState().lesson !== view) return;
  if (opened.lesson !== null && view.isFresh) takeLink(page, hashOfStart(opened.lesson.start));
  const problems = opened.lesson === null ? opened.problems : unknownIn(page, opened.lesson);
  page.ui.setState({ lesson: { ...opened, problems, isFresh: false } });
}

export function LessonBand() {
  const page = usePage();
  const view = useUi((s) => s.lesson);
  const isOpening = view !== null && view.lesson === null && view.problems.length === 0;
  const packed = view?.packed;
  // biome-ignore lint/correctness/useExhaustiveDependencies: each link is opened once.
  useEffect(() => {
    if (isOpening) void open(page);
  }, [page, isOpening, packed]);
  if (view === null) return null;
  const { lesson, problems } = view;
  const leave = () => {
    page.ui.setState({ lesson: null });
    history.replaceState(null, '', page.hash());
  };
  const ways = (
    <p className="row lesson-ways">
      {lesson === null ? null : (
        <Action
          kind="link"
          icon="reset"
          text={say`Back to the start of the lesson`}
          onPress={() => takeLink(page, hashOfStart(lesson.start))}
        />
      )}
      <Action
        kind="link"
        icon="cross"
        text={say`Leave the lesson: everything can be moved again`}
        onPress={leave}
      />
    </p>
  );
  return (
    <div className="lesson-band">
      {problems.map((problem) => (
        <p key={problem} className="warning" role="alert" data-testid="lesson-problem">
          {problem}
        </p>
      ))}
      {isOpening ? <p className="hint">{say`The lesson is being opened …`}</p> : null}
      {lesson === null ? (
        ways
      ) : (
        <Holding key={packed} name={`lesson ${packed}`}>
          <LessonCard {...{ lesson }} quantities={PLAYGROUND_QUANTITIES} valueNow={valueOn(page)}>
            {ways}
          </LessonCard>
        </Holding>
      )}
    </div>
  );
}
