/** A lesson as a link carries it: JSON, deflated by the browser, in letters that links have. What unpacks to more than any lesson is refused while it unpacks. */
import { bytesOfBase64, errorReport, fail, jsonOf, PapilioError, say } from '../../common.ts';
import { briefly, type Lesson, lessonFrom } from './lesson.ts';
import type { LessonView } from './state.ts';

/** Letters of a link that is handed out: mail, chats and learning platforms break longer ones. */
export const MOST_LINK_LETTERS = 8000;
/** Some programs cut them from here on. */
export const LONG_LINK_LETTERS = 2000;
/** Letters that are read: a lesson from a file may be longer than a link to hand out. */
export const MOST_PACKED_LETTERS = 60_000;
/** Bytes of a lesson's JSON: all its texts as long as they may be, in Chinese, are 42,000. */
export const MOST_LESSON_BYTES = 2 ** 16;

const FORMAT = 'deflate-raw';

async function streamed(
  bytes: Uint8Array,
  through: CompressionStream | DecompressionStream,
  most: number,
): Promise<Uint8Array> {
  const reader = new Blob([bytes as BlobPart]).stream().pipeThrough(through).getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  for (let { value } = await reader.read(); value !== undefined; { value } = await reader.read()) {
    length += value.byteLength;
    if (length > most) {
      // What would still come is not made.
      await reader.cancel().catch(() => {});
      fail('too-large', say`The lesson is longer than any: at most ${most} bytes are read.`);
    }
    parts.push(value);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

/** In letters that need no escape in a link. */
export async function packLesson(lesson: Lesson): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(briefly(lesson)));
  const packed = await streamed(bytes, new CompressionStream(FORMAT), MOST_LESSON_BYTES);
  const coded = btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join(''));
  return coded.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** @throws PapilioError 'too-large', 'malformed-file' */
export async function unpackLesson(packed: string): Promise<Lesson> {
  if (packed.length > MOST_PACKED_LETTERS)
    fail(
      'too-large',
      say`The link’s lesson is longer than any: at most ${MOST_PACKED_LETTERS} letters are read.`,
    );
  try {
    const bytes = bytesOfBase64(packed.replaceAll('-', '+').replaceAll('_', '/'));
    const text = await streamed(bytes, new DecompressionStream(FORMAT), MOST_LESSON_BYTES);
    return lessonFrom(jsonOf(new TextDecoder('utf-8', { fatal: true }).decode(text)));
  } catch (error) {
    if (error instanceof PapilioError) throw error;
    return fail(
      'malformed-file',
      say`The link’s lesson is damaged: it was cut or changed on its way. Ask whoever sent it for the whole link, or for the lesson as a file.`,
    );
  }
}

/** The lesson of a link that was opened at a place; where it cannot be used, why. */
export async function openLesson(packed: string, place: string): Promise<LessonView> {
  try {
    const lesson = await unpackLesson(packed);
    if (lesson.place === place) return { packed, lesson, problems: [] };
    const problem = say`The link’s lesson belongs to another place, “${lesson.place}”, and is not used here.`;
    return { packed, lesson: null, problems: [problem] };
  } catch (error) {
    return { packed, lesson: null, problems: [errorReport(error).message] };
  }
}
