/**
 * Lessons: one that is made of a lab and opened by somebody else, and one of the page itself; answered wrong and right, a hint opened, left again.
 * What of a lesson is refused, and the conditions that were broken once: page-lessons.test.ts.
 */
import type { Page } from 'puppeteer-core';
import { expect, test } from 'vitest';
import { lessonOf } from '../../src/page/lessons/lesson.ts';
import { addressOf } from '../../src/page/lessons/lessonFile.ts';
import { answer, openLab, says } from './lab-tools.ts';
import { findings, part, until, words } from './page-tools.ts';
import { setStage } from './stage.ts';

const stage = setStage();

/** The button of these words inside a part of the page. */
async function press(page: Page, inside: string, text: RegExp): Promise<void> {
  const isPressed = await page.$$eval(
    `${part(inside)} button`,
    (all, source) => {
      const button = all.find((one) => new RegExp(source).test(one.textContent ?? ''));
      button?.click();
      return button !== undefined;
    },
    text.source,
  );
  expect(isPressed, `the button ${text}`).toBe(true);
}

/** Types into the box of the form that has this label. */
const write = async (page: Page, label: string, text: string) => {
  const box = await page.waitForSelector(
    `::-p-xpath(//label[span[text()="${label}"]]//*[self::textarea or self::input])`,
  );
  await box!.type(text);
};

test('a lesson is made of a lab, and opens for somebody else with its start, lock, hints and question', async () => {
  const teacher = await openLab(stage, 'lab=cayley&q12=0.5', 'en-GB');
  await says(teacher.page, 'rotation', /one plane by 53\.1°/);
  await teacher.page.click(part('make-lesson'));
  await teacher.page.waitForSelector(part('lesson-form'));
  await write(teacher.page, 'Title', 'A <b>turn</b>');
  await press(teacher.page, 'lesson-form', /add a hint/);
  await write(teacher.page, 'Hint 1', 'Read below the picture.');
  const lock = await teacher.page.waitForSelector('::-p-xpath(//tr[th="q12"]//input)');
  await lock!.click();
  await press(teacher.page, 'lesson-form', /No question/);
  await (await teacher.page.waitForSelector(
    '::-p-xpath(//*[@role="option"][.="A number that the page shows"])',
  ))!.click();
  await write(teacher.page, 'The question', 'By how many degrees?');
  await write(teacher.page, 'The reply to a right answer', 'So it does.');
  expect(await words(teacher.page, part('lesson-preview'))).toMatch(
    /A <b>turn<\/b>.*By how many degrees\?.*within 1:/s,
  );
  expect(await findings(teacher.page, 'the form of a lesson')).toEqual([]);
  const link = await teacher.page.$eval(part('lesson-link'), (one) => (one as HTMLInputElement).value);
  expect(teacher.errors).toEqual([]);
  await teacher.page.browserContext().close();

  const { page, errors } = await openLab(stage, new URL(link).hash.slice(1), 'en-GB');
  await says(page, 'rotation', /one plane by 53\.1°/);
  expect(await words(page, part('lesson'))).toMatch(/A <b>turn<\/b>/);
  expect(await page.$eval(`${part('control-q12')} input`, (one) => one.disabled)).toBe(true);
  await press(page, 'lesson', /Open hint 1 of 1/);
  expect(await words(page, part('lesson'))).toMatch(/Read below the picture\./);
  expect(await answer(page, 'lesson-question', '90')).toMatch(/^Not yet\./);
  expect(await answer(page, 'lesson-question', '53')).toBe('Right. So it does.');
  expect(await findings(page, 'a lesson')).toEqual([]);
  await press(page, 'lesson', /Leave the lesson/);
  await until(
    async () => (await page.$(`${part('control-q12')} input:not([disabled])`)) !== null,
    'the lock to be gone',
    10,
  );
  expect(await page.$(part('lesson'))).toBeNull();
  expect(new URL(page.url()).hash).toBe('#lab=cayley');
  expect(errors).toEqual([]);
  await page.browserContext().close();
});

test('a lesson of the page itself holds its settings, asks what the page shows, and is left by one press', async () => {
  const read = lessonOf({
    place: 'playground',
    title: 'How few numbers?',
    start: { preset: 'letters-boft', 'c.boft_block_size': '8' },
    lock: ['c.boft_n_butterfly_factor'],
    hide: ['data'],
    hints: ['Below the form.'],
    question: {
      ...{ kind: 'read', ask: 'How many train?', quantity: 'trainable', tolerance: 0 },
      wrong: 'Stored, not free.',
    },
  });
  if ('problems' in read) throw new Error(read.problems.join(' '));
  const { page, errors } = await openLab(stage, await addressOf(read.lesson), 'en-GB');
  await page.waitForSelector(part('lesson'));
  const total = await until(
    async () => (await page.$(`${part('totals')} b`)) && words(page, `${part('totals')} b`),
    'the count of what trains',
    30,
  );
  expect(total).toBe('89,626');
  await page.click(part('section-method'));
  // It can be read, and not be changed; nor can what would undo it.
  const locked = await (await page.waitForSelector('#config-boft_n_butterfly_factor'))!.evaluate((one) => {
    const box = one as HTMLInputElement;
    const why = document.getElementById(box.getAttribute('aria-describedby') ?? '');
    return [box.readOnly, box.value, why?.textContent];
  });
  expect(locked).toEqual([true, '2', 'Locked by whoever made this link.']);
  expect(await page.$(part('section-data'))).toBeNull();
  expect(await page.$$eval('.families input:not([disabled])', (all) => all.length)).toBe(0);
  expect(await answer(page, 'lesson-question', '48154')).toBe('Not yet. Stored, not free.');
  expect(await answer(page, 'lesson-question', total)).toMatch(/^Right\./);
  expect(await findings(page, 'a lesson of the page')).toEqual([]);
  expect(new URL(page.url()).hash).toMatch(/preset=letters-boft&c\.boft_block_size=8&seed=\d+&lesson=/);
  await press(page, 'lesson', /Leave the lesson/);
  await page.waitForSelector(part('section-data'));
  expect(new URL(page.url()).hash).not.toMatch(/lesson=/);
  expect(await page.$(part('lesson'))).toBeNull();
  expect(errors).toEqual([]);
  await page.browserContext().close();
});
