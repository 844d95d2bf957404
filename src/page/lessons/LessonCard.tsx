/** A lesson as its reader sees it: title and introduction, hints that are opened one after the other, and a question that is checked at once. */
import type { ReactNode } from 'react';
import { say } from '../../common.ts';
import type { Quantity } from '../labs/controls.ts';
import { numberIn, Question, type Reply } from '../labs/Question.tsx';
import { Action } from '../parts/Action.tsx';
import { useHeld } from '../parts/held.tsx';
import type { Lesson, LessonQuestion } from './lesson.ts';

/** The number of that name that is on screen now, at a step where there is one at each; null while there is none. */
export type ValueNow = (quantity: string, step?: number) => number | null;

export interface CardProps {
  readonly lesson: Pick<Lesson, 'title' | 'intro' | 'hints' | 'question'>;
  readonly quantities: readonly Quantity[];
  readonly valueNow: ValueNow;
  /** Ways on. */
  readonly children?: ReactNode;
  /** It is shown to whoever makes it. */
  readonly isPreview?: boolean;
}

export function LessonCard({ lesson, quantities, valueNow, children, isPreview = false }: CardProps) {
  const { title, intro, hints, question } = lesson;
  const name = title === '' ? say`Lesson` : title;
  return (
    <section
      className="lesson"
      aria-label={isPreview ? say`Preview of the lesson` : say`Lesson`}
      data-testid={isPreview ? 'lesson-preview' : 'lesson'}
    >
      <div className="lesson-text">
        {isPreview ? <p className="lesson-title">{name}</p> : <h2 className="lesson-title">{name}</h2>}
        {intro === '' ? null : <p className="lesson-intro">{intro}</p>}
        {hints.length === 0 ? null : <Hints hints={hints} />}
      </div>
      {question === null ? null : <Asked question={question} quantities={quantities} valueNow={valueNow} />}
      {children}
    </section>
  );
}

function Hints({ hints }: { readonly hints: readonly string[] }) {
  const [open, setOpen] = useHeld('hints', () => 0);
  const shown = hints.slice(0, open);
  return (
    <>
      <ol className="lesson-hints" aria-live="polite" aria-label={say`Hints`}>
        {shown.map((hint, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a hint is its place.
          <li key={i}>{hint}</li>
        ))}
      </ol>
      {shown.length === hints.length ? null : (
        <p>
          <Action
            kind="link"
            icon="chevron"
            text={say`Open hint ${shown.length + 1} of ${hints.length}`}
            onPress={() => setOpen(shown.length + 1)}
          />
        </p>
      )}
    </>
  );
}

/** What an answer is held against, where that is a number on screen. */
function heldAgainst(question: LessonQuestion, quantities: readonly Quantity[]): string | undefined {
  if (question.kind !== 'read') return undefined;
  const title = quantities.find(({ name }) => name === question.quantity)?.title() ?? question.quantity;
  if (question.tolerance === 0)
    return question.step === undefined
      ? say`Held against what this page shows now, to its last digit: ${title}.`
      : say`Held against what this page shows of step ${question.step}, to its last digit: ${title}.`;
  return question.step === undefined
    ? say`Held against what this page shows now, within ${question.tolerance}: ${title}.`
    : say`Held against what this page shows of step ${question.step}, within ${question.tolerance}: ${title}.`;
}

/** Whether an answer is right, and the reply to it. */
export function replyTo(question: LessonQuestion, answer: string, valueNow: ValueNow): Reply {
  const replied = (isRight: boolean): Reply => ({
    isRight,
    say: isRight ? question.right : question.wrong,
  });
  if (question.kind === 'choice') return replied(Number(answer) === question.answer);
  const given = numberIn(answer);
  if (!Number.isFinite(given)) return { isRight: false, say: say`That is no number.` };
  const wanted = question.kind === 'number' ? question.answer : valueNow(question.quantity, question.step);
  if (wanted === null || !Number.isFinite(wanted))
    return { isRight: null, say: say`The page does not show that number yet: let it come first.` };
  // What is typed has its own rounding: a hair beyond the end is not beyond it.
  return replied(Math.abs(given - wanted) <= question.tolerance * (1 + 1e-9) + 1e-12 * Math.abs(wanted));
}

function Asked({
  question,
  quantities,
  valueNow,
}: Pick<CardProps, 'quantities' | 'valueNow'> & { readonly question: LessonQuestion }) {
  const hint = heldAgainst(question, quantities);
  return (
    <Question
      id="lesson-question"
      ask={question.ask}
      {...(hint === undefined ? {} : { hint })}
      {...(question.kind === 'choice'
        ? { options: question.options.map((title, i) => ({ id: String(i), title })) }
        : {})}
      check={(answer) => replyTo(question, answer, valueNow)}
    />
  );
}
