/**
 * The labs, each from its link in a fresh profile, in both languages: what is said of the pictures, the controls by keys, a locked one, and the question answered
 * wrong and right. Seen to fail with: a lab that writes its own link over the address of the start page, a symbol too pale for its ground.
 */
import type { Page } from 'puppeteer-core';
import { expect, test } from 'vitest';
import { findings, part, until, words } from './page-tools.ts';
import { setStage } from './stage.ts';

const stage = setStage();

/** A lab by its link, with nothing kept from before. */
async function open(link: string, locale: string): Promise<{ page: Page; errors: string[] }> {
  const context = await stage.browser.createBrowserContext();
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.evaluateOnNewDocument((chosen) => localStorage.setItem('papilio-language', chosen), locale);
  await page.setViewport({ width: 1280, height: 900 });
  await page.goto(`${stage.url}labs.html#${link}`, { waitUntil: 'load' });
  return { page, errors };
}

/** What a picture says, once it says what is expected. */
const says = (page: Page, picture: string, expected: RegExp) =>
  until(
    async () => {
      const text = await words(page, part(`${picture}-says`));
      return expected.test(text) ? text : null;
    },
    `${picture} to say ${expected}`,
    60,
  );

/** The reply to an answer: a number is typed, an option chosen. */
async function answer(page: Page, question: string, given: string): Promise<string> {
  const form = part(question);
  const option = await page.$(`${form} input[value="${given}"]`);
  if (option !== null) await option.click();
  else {
    await page.click(`${form} input`, { clickCount: 3 });
    await page.type(`${form} input`, given);
  }
  await page.click(`${form} button`);
  return words(page, `${form} [role=status]`);
}

test('the Cayley lab turns as its controls say, and its questions know right from wrong', async () => {
  const { page, errors } = await open('lab=cayley&q12=1&lock=t', 'en-GB');
  await says(page, 'rotation', /one plane by 90\.0°.*RᵀR differs from I by 0 in all/s);
  await page.focus(`${part('control-q12')} input`);
  await page.keyboard.press('ArrowRight');
  await says(page, 'rotation', /by 90\.6°.*differs from I by \d\.\d e−[78] in all/s);
  expect(new URL(page.url()).hash).toBe('#lab=cayley&q12=1.01&lock=t');
  // Its value is read aloud, and why it cannot be moved.
  const locked = await page.$eval(`${part('control-t')} input`, (one) => [
    ...[one.disabled, one.value],
    document.getElementById(one.getAttribute('aria-describedby') ?? '')?.textContent,
  ]);
  expect(locked).toEqual([true, '5', 'Locked by whoever made this link.']);
  await says(page, 'series', /With 5 terms .* more terms do not help/s);

  expect(await answer(page, 'quarter', '0.5')).toMatch(/Not yet\. q = 0\.5 turns by 53\.1°/);
  expect(await answer(page, 'quarter', '1')).toMatch(/^Right\./);
  expect(await answer(page, 'beyond', 'closer')).toMatch(/Not yet\. Look at the second picture/);
  expect(await answer(page, 'beyond', 'away')).toMatch(/^Right\./);

  await page.click(part('language'));
  await (await page.waitForSelector('[role=menuitemradio][lang=zh-Hans]'))!.click();
  await says(page, 'rotation', /这些数使一个平面转过 90\.6°/);
  expect(await findings(page, 'the lab')).toEqual([]);
  expect(errors).toEqual([]);
  await page.browserContext().close();
});

test('the butterfly lab finds what its factors reach, and says so in Chinese', async () => {
  const { page, errors } = await open('lab=butterfly&target=hadamard&d=8&m=3', 'zh-Hans');
  await page.waitForSelector(`${part('fits')}[data-done=true]`, { timeout: 120_000 });
  await says(page, 'fits', /精确找到目标，所用的数最少的是：m = 3, b = 2/);
  await says(
    page,
    'matrices',
    /用 12 个自由数，剩余部分是目标大小的 \d\.\d e−\d；每个输出能由 8 个输入中的 8 个到达/,
  );
  // One factor less reaches half of each row: √(2 − √2).
  await page.focus(`${part('control-m')} input`);
  await page.keyboard.press('ArrowLeft');
  await says(page, 'matrices', /剩余部分是目标大小的 0\.765/);
  expect(await answer(page, 'factors', '3')).toMatch(/还不对。.*16 个输入中只有 8 个/s);
  expect(await answer(page, 'factors', '4')).toMatch(/^正确。/);
  expect(await answer(page, 'nearer', 'blocks')).toMatch(/还不对。.*随机旋转/s);
  expect(await findings(page, 'the lab')).toEqual([]);

  await page.click('a[href="#start"]');
  await page.waitForSelector(part('labs-start'));
  expect(errors).toEqual([]);
  await page.browserContext().close();
});
