/** A lesson as a file: its JSON, to be read by people too. */
import { fail, jsonOf, say } from '../../common.ts';
import { type Lesson, lessonFrom, PLAYGROUND } from './lesson.ts';
import { MOST_LESSON_BYTES, packLesson } from './pack.ts';

export const lessonJson = (lesson: Lesson): string => `${JSON.stringify(lesson, null, 2)}\n`;

/**
 * The lesson in a file; its bytes are counted before they are read.
 * @throws PapilioError 'too-large'; 'malformed-file' that says what does not fit
 */
export async function readLessonFile({
  name,
  bytes,
}: {
  readonly name: string;
  readonly bytes: Blob;
}): Promise<Lesson> {
  if (bytes.size > MOST_LESSON_BYTES)
    fail('too-large', say`${name} is longer than any lesson: at most ${MOST_LESSON_BYTES} bytes are read.`);
  let value: unknown;
  try {
    value = jsonOf(await bytes.text(), name);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return fail('malformed-file', say`${name} is no JSON; choose a file that “Save as a file” has written.`);
  }
  return lessonFrom(value);
}

/** Where a lesson is opened, as an address beside this page's. */
export async function addressOf(lesson: Lesson): Promise<string> {
  const packed = await packLesson(lesson);
  return lesson.place === PLAYGROUND
    ? `./#lesson=${packed}`
    : `./labs.html#lab=${encodeURIComponent(lesson.place)}&lesson=${packed}`;
}
