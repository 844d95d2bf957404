/** A lesson while it is being made: what stands in the boxes of its form, as text. */
import type { Quantity } from '../labs/controls.ts';
import { numberIn } from '../labs/Question.tsx';
import type { Lesson, LessonQuestion } from './lesson.ts';

export const KINDS = ['none', 'read', 'number', 'choice'] as const;

export interface Draft {
  readonly title: string;
  readonly intro: string;
  readonly lock: readonly string[];
  readonly hide: readonly string[];
  readonly hints: readonly string[];
  readonly kind: (typeof KINDS)[number];
  readonly ask: string;
  readonly right: string;
  readonly wrong: string;
  readonly quantity: string;
  readonly step: string;
  readonly answer: string;
  readonly tolerance: string;
  readonly options: readonly string[];
  /** Which option is right. */
  readonly chosen: number;
}

/** What a form begins with: the lesson that is open, or an empty one. */
export function draftOf(lesson: Lesson | null, quantities: readonly Quantity[]): Draft {
  const question: Partial<LessonQuestion> = lesson?.question ?? {};
  const { kind = 'none', ask = '', right = '', wrong = '' } = question;
  const numbers = question.kind === 'read' || question.kind === 'number' ? String(question.tolerance) : '';
  return {
    title: lesson?.title ?? '',
    intro: lesson?.intro ?? '',
    lock: lesson?.lock ?? [],
    hide: lesson?.hide ?? [],
    hints: lesson?.hints ?? [],
    ...{ kind, ask, right, wrong },
    quantity: (question.kind === 'read' ? question.quantity : undefined) ?? quantities[0]?.name ?? '',
    step: question.kind === 'read' && question.step !== undefined ? String(question.step) : '',
    answer: question.kind === 'number' ? String(question.answer) : '',
    tolerance: numbers,
    options: (question.kind === 'choice' ? question.options : undefined) ?? ['', ''],
    chosen: (question.kind === 'choice' ? question.answer : undefined) ?? 0,
  };
}

const numberOr = (text: string, otherwise: number | undefined): number | undefined =>
  text.trim() === '' ? otherwise : numberIn(text);

function questionOf(draft: Draft, quantities: readonly Quantity[]): unknown {
  const { kind, ask, right, wrong, quantity, answer, options, chosen } = draft;
  const said = { kind, ask, right, wrong };
  const tolerance = numberOr(draft.tolerance, 0);
  if (kind === 'none') return null;
  if (kind === 'choice') return { ...said, options, answer: chosen };
  if (kind === 'number') return { ...said, answer: numberOr(answer, Number.NaN), tolerance };
  const isAtStep = quantities.find(({ name }) => name === quantity)?.isAtStep === true;
  return { ...said, quantity, tolerance, ...(isAtStep ? { step: numberOr(draft.step, Number.NaN) } : {}) };
}

/** The lesson that the form says, for the schema to judge. Hints without a word are none. */
export const written = (
  draft: Draft,
  place: string,
  start: Readonly<Record<string, string>>,
  quantities: readonly Quantity[],
): unknown => ({
  ...{ place, start, title: draft.title, intro: draft.intro, lock: draft.lock, hide: draft.hide },
  hints: draft.hints.filter((hint) => hint.trim() !== ''),
  question: questionOf(draft, quantities),
});

/** Whether nobody could answer: a number is read off the page, which rounds it, and may not be off at all. */
export const needsEveryDigit = ({ kind, tolerance }: Draft): boolean =>
  kind === 'read' && numberOr(tolerance, 0) === 0;

/** How far off an answer may be, where nothing is said: a fiftieth of the number at hand, in one figure. */
export const usualTolerance = (value: number | null): string =>
  value === null || !Number.isFinite(value) || value === 0
    ? '0.01'
    : String(Number((Math.abs(value) / 50).toPrecision(1)));
