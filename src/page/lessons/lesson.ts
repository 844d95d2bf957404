/**
 * A lesson: a place (a lab, a page of the textbook or the page itself) with a start, controls that are locked or hidden, hints and a question. One schema holds what
 * a form, a link or a file says, so none lets in what another refuses. All of it is text: nothing is ever read as HTML.
 */

import { fail, say } from '../../common.ts';
import { z } from '../../schema.ts';

const LESSON_VERSION = 1;

/** The place that is the page itself; labs and pages of the textbook have their own names. */
export const PLAYGROUND = 'playground';

/** Letters of texts, entries of lists. */
export const MOST = {
  title: 120,
  intro: 2000,
  hint: 600,
  hints: 10,
  ask: 600,
  option: 200,
  options: 8,
  reply: 600,
  controls: 100,
} as const;

/** Names of controls and quantities: words of a link, "q12" or "t.steps". No name of an object's own parts is one. */
const name = z.string().regex(/^[A-Za-z][\w.]{0,79}$/);
const text = (most: number) => z.string().trim().max(most);
const told = (most: number) => text(most).min(1);
const number = z.number().min(-1e15).max(1e15);

const question = {
  ask: told(MOST.ask),
  right: text(MOST.reply).default(''),
  wrong: text(MOST.reply).default(''),
};
/** How far from the number an answer may be. */
const tolerance = z.number().min(0).max(1e15);

/** A number that the page shows, as it is on the reader's own machine. */
const readQuestion = z.strictObject({
  kind: z.literal('read'),
  ...question,
  quantity: name,
  /** Of a quantity that there is one of at each step. */
  step: z.int().min(0).max(1e7).optional(),
  tolerance,
});

const numberQuestion = z.strictObject({ kind: z.literal('number'), ...question, answer: number, tolerance });

const choiceQuestion = z.strictObject({
  kind: z.literal('choice'),
  ...question,
  options: z.array(told(MOST.option)).min(2).max(MOST.options),
  /** Which of them is right, from 0. */
  answer: z.int().min(0),
});

const lessonSchema = z
  .strictObject({
    papilio: z.literal('lesson').default('lesson'),
    version: z.literal(LESSON_VERSION).default(LESSON_VERSION),
    place: name,
    title: text(MOST.title).default(''),
    intro: text(MOST.intro).default(''),
    /** What differs from how the place usually begins, as its link has it. */
    start: z.record(name, z.string().max(4000)).default({}),
    lock: z.array(name).max(MOST.controls).default([]),
    hide: z.array(name).max(MOST.controls).default([]),
    hints: z.array(told(MOST.hint)).max(MOST.hints).default([]),
    question: z
      .discriminatedUnion('kind', [readQuestion, numberQuestion, choiceQuestion])
      .nullable()
      .default(null),
  })
  .refine(({ question: asked }) => asked?.kind !== 'choice' || asked.answer < asked.options.length, {
    path: ['question', 'answer'],
    error: () => say`it is none of the choices`,
  });

export type Lesson = z.infer<typeof lessonSchema>;
export type LessonQuestion = NonNullable<Lesson['question']>;
/** As it is written down: what goes without saying may be left out. */
export type LessonDraft = z.input<typeof lessonSchema>;

type Path = readonly PropertyKey[];

/** Where in a lesson something is wrong, in words. */
function placeOf([first, second, third]: Path): string {
  if (first === 'title') return say`The title`;
  if (first === 'intro') return say`The introduction`;
  if (first === 'hints' && typeof second === 'number') return say`Hint ${second + 1}`;
  if (first === 'question') {
    if (second === 'ask') return say`The question`;
    if (second === 'right') return say`The reply to a right answer`;
    if (second === 'wrong') return say`The reply to a wrong answer`;
    if (second === 'answer') return say`The right answer`;
    if (second === 'tolerance') return say`How far off an answer may be`;
    if (second === 'quantity') return say`The number that is asked for`;
    if (second === 'options' && typeof third === 'number') return say`Choice ${third + 1}`;
  }
  const path = [first, second, third].filter((part) => part !== undefined).map(String);
  return path.length === 0 ? say`The whole` : `“${path.join('.').slice(0, 80)}”`;
}

/** What is wrong with it. A name that is not known is cut: it may be as long as anything. */
function reasonOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'custom') return issue.message;
  if (issue.code === 'too_big' && issue.origin === 'string')
    return say`there are more than ${Number(issue.maximum)} letters`;
  if (issue.code === 'too_big' && issue.origin === 'array')
    return say`there are more than ${Number(issue.maximum)} entries`;
  if (issue.code === 'too_small' && issue.origin === 'string') return say`nothing is written there`;
  if (issue.code === 'too_small' && issue.origin === 'array')
    return say`there are fewer than ${Number(issue.minimum)} entries`;
  if (issue.code === 'too_small' || issue.code === 'too_big') return say`that number is not possible there`;
  if (issue.code === 'unrecognized_keys')
    return say`“${issue.keys.join(', ').slice(0, 80)}” means nothing in a lesson`;
  if (issue.code === 'invalid_type' && issue.expected === 'number') return say`that is no number`;
  return say`that is not what a lesson has there`;
}

/** Sentences on one lesson: more are no news. */
const MOST_PROBLEMS = 10;

/** The lesson in a value from anywhere, or a sentence for each thing that is wrong with it. */
export function lessonOf(value: unknown): { readonly lesson: Lesson } | { readonly problems: string[] } {
  const { version } = (typeof value === 'object' && value !== null ? value : {}) as { version?: unknown };
  if (typeof version === 'number' && version !== LESSON_VERSION)
    return {
      problems: [
        say`The lesson is of version ${version}, and this page reads version ${LESSON_VERSION}: open it in the page that made it.`,
      ],
    };
  const { data, error } = lessonSchema.safeParse(value);
  if (data !== undefined) return { lesson: data };
  const problems = error.issues.map((issue) => say`${placeOf(issue.path)}: ${reasonOf(issue)}.`);
  return { problems: [...new Set(problems)].slice(0, MOST_PROBLEMS) };
}

/** Without what goes without saying. */
export function briefly(lesson: Lesson): Record<string, unknown> {
  const { papilio: _, ...rest } = lesson;
  return Object.fromEntries(
    Object.entries(rest).filter(([, value]) => {
      if (value === null || value === '') return false;
      return typeof value !== 'object' || Object.keys(value).length > 0;
    }),
  );
}

/** The lesson of a value that was read. @throws PapilioError 'malformed-file' with the first thing that is wrong */
export function lessonFrom(value: unknown): Lesson {
  const read = lessonOf(value);
  return 'lesson' in read ? read.lesson : fail('malformed-file', read.problems[0]!);
}
