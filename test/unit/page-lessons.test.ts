/**
 * Lessons: what a form, a link and a file say comes back; what none of them may say is told and left out; a hostile link costs nothing.
 * Seen to fail with: an unpacking without a bound, a schema that takes unknown parts, a text one letter too long, a choice that there is not, a tolerance that is
 * not kept, a lesson of another place.
 */
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { createLabs } from '../../src/labs/labs.ts';
import { METHODS, type MethodId } from '../../src/methods.ts';
import { startIn } from '../../src/page/features/lessons/playground.ts';
import { settingsOf } from '../../src/page/features/setup/holds.ts';
import { decodeHash } from '../../src/page/features/setup/link.ts';
import { LABS } from '../../src/page/labs/catalogue.ts';
import { decodeLab, encodeLab, startOf } from '../../src/page/labs/link.ts';
import { numberIn } from '../../src/page/labs/Question.tsx';
import { worksOf } from '../../src/page/labs/works.ts';
import { draftOf, needsEveryDigit, usualTolerance, written } from '../../src/page/lessons/draft.ts';
import { replyTo } from '../../src/page/lessons/LessonCard.tsx';
import { type Lesson, type LessonDraft, lessonOf, MOST } from '../../src/page/lessons/lesson.ts';
import { addressOf, lessonJson, readLessonFile } from '../../src/page/lessons/lessonFile.ts';
import {
  MOST_LESSON_BYTES,
  MOST_PACKED_LETTERS,
  openLesson,
  packLesson,
  unpackLesson,
} from '../../src/page/lessons/pack.ts';
import { holdOf, holdOfSetting, lessonIn } from '../../src/page/lessons/state.ts';
import type { EngineName } from '../../src/protocol.ts';
import type { Backend } from '../../src/training/backend.ts';

const QUARTER: LessonDraft = {
  place: 'cayley',
  title: 'A quarter turn',
  intro: 'Move q until the letter\nlies on its side. 把字母转到一边。',
  start: { q12: '0.2', t: '4' },
  lock: ['t'],
  hide: ['b'],
  hints: ['Try 1.', '<img src=x onerror=alert(1)>'],
  question: {
    ...{ kind: 'read', ask: 'What is the angle now?', quantity: 'angle', tolerance: 0.5 },
    ...{ right: 'Yes.', wrong: 'Read the sentence below the picture.' },
  },
};

function lessonIs(draft: unknown): Lesson {
  const read = lessonOf(draft);
  if ('problems' in read) throw new Error(read.problems.join(' '));
  return read.lesson;
}
const problemsOf = (draft: unknown): readonly string[] => {
  const read = lessonOf(draft);
  return 'problems' in read ? read.problems : [];
};
const fileOf = (text: string) => ({ name: 'a.json', bytes: new Blob([text]) });
const packedBytes = (bytes: Uint8Array) => deflateRawSync(bytes).toString('base64url');

describe('a lesson', () => {
  it('comes back from its link, its file and its form', async () => {
    const lesson = lessonIs(QUARTER);
    const packed = await packLesson(lesson);
    expect(packed).toMatch(/^[\w-]+$/);
    expect(await unpackLesson(packed)).toEqual(lesson);
    expect(lessonIn(`#lab=cayley&q12=1&lesson=${packed}`)).toBe(packed);
    expect(await readLessonFile(fileOf(lessonJson(lesson)))).toEqual(lesson);
    const { quantities } = LABS[0]!;
    const again = written(draftOf(lesson, quantities), lesson.place, lesson.start, quantities);
    expect(lessonIs(again)).toEqual(lesson);
    expect(await addressOf(lesson)).toBe(`./labs.html#lab=cayley&lesson=${packed}`);
    expect(await addressOf(lessonIs({ place: 'playground' }))).toMatch(/^\.\/#lesson=/);
  });

  it('with a choice or a number comes back from its form', () => {
    const numbers = { kind: 'number', ask: 'How many?', right: '', wrong: '', answer: 6, tolerance: 0 };
    const choice = { kind: 'choice', ask: 'Which?', right: '', wrong: '', options: ['a', 'b'], answer: 1 };
    for (const question of [numbers, choice]) {
      const lesson = lessonIs({ place: 'butterfly', question });
      expect(lessonIs(written(draftOf(lesson, []), 'butterfly', {}, []))).toEqual(lesson);
    }
  });

  it('says where it is wrong, and why', () => {
    const wrong = (part: Record<string, unknown>) => problemsOf({ ...QUARTER, ...part });
    const asking = (part: Record<string, unknown>) => wrong({ question: { ...QUARTER.question, ...part } });
    expect(wrong({ title: 'x'.repeat(MOST.title) })).toEqual([]);
    expect(wrong({ title: 'x'.repeat(MOST.title + 1) })).toEqual([
      'The title: there are more than 120 letters.',
    ]);
    expect(wrong({ hints: ['a', ''] })).toEqual(['Hint 2: nothing is written there.']);
    expect(wrong({ hints: Array(11).fill('a') })).toEqual(['“hints”: there are more than 10 entries.']);
    expect(asking({ ask: ' ' })).toEqual(['The question: nothing is written there.']);
    expect(asking({ tolerance: Number.NaN })).toEqual(['How far off an answer may be: that is no number.']);
    expect(asking({ tolerance: -1 })).toEqual([
      'How far off an answer may be: that number is not possible there.',
    ]);
    expect(asking({ quantity: '__proto__' })[0]).toMatch(/^The number that is asked for: /);
    expect(wrong({ question: { kind: 'choice', ask: 'a', options: ['a', 'b'], answer: 2 } })).toEqual([
      'The right answer: it is none of the choices.',
    ]);
    expect(wrong({ html: '<b>' })).toEqual(['The whole: “html” means nothing in a lesson.']);
    expect(wrong({ version: 2 })[0]).toMatch(/^The lesson is of version 2, and this page reads version 1/);
    for (const value of [null, 3, 'lesson', [], { place: 3 }]) expect(problemsOf(value)).toHaveLength(1);
  });

  it('has no names that are an object’s own', () => {
    const start = JSON.parse('{"__proto__": "1"}') as Record<string, string>;
    expect(Object.keys(lessonIs({ place: 'cayley', start }).start)).toEqual([]);
    expect(problemsOf({ place: 'cayley', start: { 'on load': '1' } })).toHaveLength(1);
    expect(problemsOf({ place: 'cayley', lock: ['__proto__'] })).toHaveLength(1);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('of texts as long as they may be fits its own bound, in Chinese', async () => {
    const long = (n: number) =>
      Array.from({ length: n }, (_, i) => String.fromCharCode(0x4e00 + ((i * 7919) % 20_000))).join('');
    const lesson = lessonIs({
      ...{ place: 'butterfly', title: long(MOST.title), intro: long(MOST.intro) },
      hints: Array.from({ length: MOST.hints }, () => long(MOST.hint)),
      question: {
        ...{
          kind: 'choice',
          ask: long(MOST.ask),
          right: long(MOST.reply),
          wrong: long(MOST.reply),
          answer: 0,
        },
        options: Array.from({ length: MOST.options }, () => long(MOST.option)),
      },
    });
    expect(await unpackLesson(await packLesson(lesson))).toEqual(lesson);
    expect(await readLessonFile(fileOf(lessonJson(lesson)))).toEqual(lesson);
  });
});

describe('a hostile link', () => {
  it('that unpacks to very much is left while it unpacks', async () => {
    const bomb = packedBytes(new Uint8Array(40 * 2 ** 20));
    expect(bomb.length).toBeLessThan(MOST_PACKED_LETTERS);
    const before = process.memoryUsage().arrayBuffers;
    await expect(unpackLesson(bomb)).rejects.toMatchObject({ kind: 'too-large' });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 2 ** 20);
    await expect(unpackLesson('A'.repeat(MOST_PACKED_LETTERS + 1))).rejects.toMatchObject({
      kind: 'too-large',
    });
  });

  it('is damaged, or no lesson, and says so', async () => {
    const packed = await packLesson(lessonIs(QUARTER));
    for (const broken of [
      '',
      '!!',
      'AAAA',
      packed.slice(0, -9),
      `${packed.slice(0, 20)}xx${packed.slice(22)}`,
    ])
      await expect(unpackLesson(broken), broken).rejects.toMatchObject({ kind: 'malformed-file' });
    const json = (value: unknown) => packedBytes(new TextEncoder().encode(JSON.stringify(value)));
    await expect(unpackLesson(json({ place: 'cayley', title: 3 }))).rejects.toMatchObject({
      kind: 'malformed-file',
    });
    await expect(unpackLesson(json('['.repeat(600)))).rejects.toMatchObject({ kind: 'malformed-file' });
    await expect(unpackLesson(packedBytes(Uint8Array.of(0xff, 0xfe)))).rejects.toMatchObject({
      kind: 'malformed-file',
    });
    const other = await openLesson(packed, 'butterfly');
    expect(other).toMatchObject({
      lesson: null,
      problems: [expect.stringMatching(/another place, “cayley”/)],
    });
  });

  it('as a file is counted before it is read', async () => {
    const long = fileOf(' '.repeat(MOST_LESSON_BYTES + 1));
    await expect(readLessonFile(long)).rejects.toMatchObject({ kind: 'too-large' });
    await expect(readLessonFile(fileOf('{'))).rejects.toMatchObject({ kind: 'malformed-file' });
  });
});

describe('the start of a lab', () => {
  const { controls } = LABS[0]!;
  it('is that of its lesson, and what is moved since stays in the link', async () => {
    const lesson = lessonIs(QUARTER);
    const start = startOf(controls, 'PACKED', lesson);
    const link = decodeLab('#lab=cayley&lesson=PACKED', controls, start);
    expect(link).toMatchObject({ locked: ['t'], hidden: ['b'], problems: [] });
    expect(link.values).toMatchObject({ q12: 0.2, t: 4, b: '2' });
    const moved = { ...link, values: { ...link.values, q12: 1 } };
    const hash = encodeLab('cayley', controls, moved, 'lab', start);
    expect(hash).toBe('lab=cayley&q12=1&lesson=PACKED');
    expect(decodeLab(hash, controls, start).values).toMatchObject({ q12: 1, t: 4 });
  });

  it('says what of its lesson there is not', () => {
    const lesson = lessonIs({ place: 'cayley', start: { q12: '9', nothing: '1' }, lock: ['none'] });
    expect(startOf(controls, 'P', lesson).problems).toEqual([
      'q12 = 9 is not used: it is a number from -2 to 2.',
      'The link’s “nothing” means nothing here and is ignored.',
      'The lesson locks or hides a control that there is not.',
    ]);
  });
});

describe('a question', () => {
  const question = lessonIs(QUARTER).question!;
  const now = (value: number | null) => (quantity: string) => (quantity === 'angle' ? value : 1);
  it('is held against what the page shows now', () => {
    expect(replyTo(question, '90.4', now(90))).toEqual({ isRight: true, say: 'Yes.' });
    expect(replyTo(question, '90,5°', now(90)).isRight).toBe(true);
    expect(replyTo(question, '90.6', now(90))).toEqual({
      isRight: false,
      say: 'Read the sentence below the picture.',
    });
    expect(replyTo(question, '53', now(53.13)).isRight).toBe(true);
    expect(replyTo(question, '53', now(null))).toMatchObject({ isRight: null });
    expect(replyTo(question, 'ninety', now(90)).isRight).toBe(false);
  });

  it('about a step asks for that step', () => {
    const asked: unknown[] = [];
    const at = { ...question, step: 20 } as typeof question;
    replyTo(at, '1', (...of) => {
      asked.push(of);
      return 1;
    });
    expect(asked).toEqual([['angle', 20]]);
  });

  it('reads numbers as the page writes them', () => {
    expect(['3.4 e−8', '−0,5', '87.3 %', '1,410,048', '45°', ' 7 '].map(numberIn)).toEqual([
      3.4e-8, -0.5, 87.3, 1410048, 45, 7,
    ]);
    expect(['', 'a', '%'].map(numberIn)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect([null, 0, 53.13, 3.4e-8].map(usualTolerance)).toEqual(['0.01', '0.01', '1', '7e-10']);
  });
});

it('locks and hides what its lesson says', () => {
  const view = { packed: '', problems: [], lesson: lessonIs(QUARTER) };
  expect(['t', 'b', 'q12'].map((name) => holdOf(view, name))).toEqual(['locked', 'hidden', null]);
  expect(holdOf(null, 't')).toBeNull();
});

describe('a lesson of the page', () => {
  const held = (lock: string[], hide: string[] = []) => {
    const view = { packed: '', problems: [], lesson: lessonIs({ place: 'playground', lock, hide }) };
    return ['preset', 'model', 'data', 'method', 'engine', 'c.r', 't.steps']
      .map((name) => `${name} ${holdOfSetting(view, name)}`)
      .filter((words) => !words.endsWith(' null'));
  };

  it('locks what would undo its locks', () => {
    const whole = ['preset locked', 'model locked', 'data locked', 'method locked'];
    expect(held([])).toEqual([]);
    expect(held(['engine'])).toEqual(['engine locked']);
    expect(held(['t.steps'])).toEqual([...whole, 't.steps locked']);
    expect(held([], ['c.r'])).toEqual([...whole, 'c.r hidden']);
    expect(held(['data'])).toEqual(['preset locked', 'model locked', 'data locked']);
    expect(held(['method'], ['model'])).toEqual(['preset locked', 'model hidden', 'method locked']);
    expect(held(['preset'])).toEqual(['preset locked']);
  });

  it('has a name and a title for every setting that can be held, of every method', () => {
    for (const method of Object.keys(METHODS) as MethodId[]) {
      const settings = settingsOf({ method });
      const names = settings.map(({ name }) => name);
      expect(new Set(names).size, method).toBe(names.length);
      expect(
        settings.filter(({ title }) => title.trim() === ''),
        method,
      ).toEqual([]);
      expect(problemsOf({ place: 'playground', lock: names }), method).toEqual([]);
    }
  });

  it('lies in a link beside the settings, which are read without it', () => {
    const hash = '#v=1&preset=letters-boft&t.steps=40&seed=1&lesson=PACKED';
    expect(decodeHash(hash)).toMatchObject({ problems: [], settings: { training: { steps: 40 } } });
    expect(startIn(hash)).toEqual({ preset: 'letters-boft', 't.steps': '40', seed: '1' });
  });
});

it('tells how long the fits of a lab take, by a step timed with the engine that is asked for', async () => {
  const opened: string[] = [];
  const labs = createLabs(async (engine: EngineName = 'webgpu') => {
    opened.push(engine);
    return {
      info: { engine },
      device: engine === 'webgpu' ? {} : null,
      secondsOf: async ({ outputs }: { outputs: object }) =>
        // With its update only where that is in the graph.
        (engine === 'webgpu') === !('gradients' in outputs) ? 0.01 : Number.NaN,
      close: () => opened.push(`${engine} closed`),
    } as unknown as Backend;
  });
  const fit = { target: 'random', d: 8, seed: 1, shapes: [{ m: 2, b: 2 }], steps: 400 } as const;
  expect(await labs.fitSeconds(fit, 'webgpu')).toBeCloseTo(4);
  expect(await labs.fitSeconds({ ...fit, steps: 100 }, 'onnxruntime')).toBeCloseTo(1);
  expect(
    await labs.updateSeconds({ target: 'smooth', seed: 1, placeSeed: 777, steps: 50 }, 'webgpu'),
  ).toBeCloseTo(0.5);
  expect(await labs.cayleySeconds(4, 'webgpu')).toBeCloseTo(0.01);
  // 300 steps on the old task, and 201 on the new one.
  const forget = { budget: '112', apart: 2, seed: 1 } as const;
  expect(await labs.forgetSeconds(forget, 'webgpu')).toBeCloseTo(5.01);
  expect(await labs.forgetSeconds(forget, 'onnxruntime')).toBeCloseTo(5.01);
  const closed = ['onnxruntime', 'onnxruntime closed'];
  expect(opened).toEqual(['webgpu', ...closed, ...closed]);
  // Everything that runs is timed.
  expect(worksOf(LABS).map(({ id }) => id)).toEqual(LABS.map(({ id }) => id));
});

it('is told where nobody could answer: a number that the page rounds, and nothing may be off', () => {
  const draft = draftOf(null, LABS[0]!.quantities);
  const asked = (kind: 'read' | 'number' | 'choice', tolerance: string) =>
    needsEveryDigit({ ...draft, kind, tolerance });
  expect([asked('read', '0'), asked('read', ''), asked('read', '0,0')]).toEqual([true, true, true]);
  expect([asked('read', '0.01'), asked('number', '0'), asked('choice', '0')]).toEqual([false, false, false]);
});
