/** The lesson that a page is opened with, as the page holds it: light enough to be there from the beginning. */
import type { Lesson } from './lesson.ts';

export interface LessonView {
  /** As the link has it. */
  readonly packed: string;
  /** Null while it is being opened, and where it cannot be. */
  readonly lesson: Lesson | null;
  /** A sentence for everything of it that is not used. */
  readonly problems: readonly string[];
}

/** The lesson that a hash carries, still packed; null without one. */
export const lessonIn = (hash: string): string | null =>
  new URLSearchParams(hash.replace(/^#/, '')).get('lesson');

/** Whether a control is locked or hidden by the lesson that is open; null where it is neither. */
export function holdOf(view: LessonView | null, name: string): 'locked' | 'hidden' | null {
  const lesson = view?.lesson;
  if (lesson?.hide.includes(name)) return 'hidden';
  return lesson?.lock.includes(name) ? 'locked' : null;
}

/** Choices after which all settings begin anew. */
const WHOLE = ['preset', 'model', 'data', 'method'];

/** As {@link holdOf} of the page's settings: a choice that would undo what is held is locked as well. */
export function holdOfSetting(view: LessonView | null, name: string): 'locked' | 'hidden' | null {
  const own = holdOf(view, name);
  if (own !== null || !view?.lesson || !WHOLE.includes(name)) return own;
  const held = [...view.lesson.lock, ...view.lesson.hide];
  const isUndone = held.some(
    (one) =>
      /^[ct]\./.test(one) ||
      (name === 'preset' && WHOLE.includes(one)) ||
      // Another model has other data.
      (name === 'model' && one === 'data'),
  );
  return isUndone ? 'locked' : null;
}
