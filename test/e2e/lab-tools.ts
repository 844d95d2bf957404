/** Driving a lab as its reader would: it is opened, its pictures are read, its questions answered. */
import type { Page } from 'puppeteer-core';
import { part, words } from './page-tools.ts';
import { untilSeen } from './seen.ts';
import type { Stage } from './stage.ts';

/** A lab by its link, or any page by its address, with nothing kept from before. */
export async function openLab(
  stage: Stage,
  link: string,
  locale: string,
): Promise<{ page: Page; errors: string[] }> {
  const context = await stage.browser.createBrowserContext();
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.evaluateOnNewDocument((chosen) => {
    try {
      localStorage.setItem('papilio-language', chosen);
    } catch {
      // The empty page that Firefox begins with keeps nothing.
    }
  }, locale);
  await page.setViewport({ width: 1280, height: 900 });
  await page.goto(new URL(link.includes('#') ? link : `labs.html#${link}`, stage.url).href, {
    waitUntil: 'load',
  });
  return { page, errors };
}

/** What a picture says, once it says what is expected; a failure has the page too, since the picture may not have come. */
export const says = (page: Page, picture: string, expected: RegExp, seconds = 60): Promise<string> =>
  untilSeen(
    () => words(page, part(`${picture}-says`)),
    expected,
    `${picture} to say ${expected}`,
    seconds,
  ).catch(async (error: Error) => {
    error.message += ` The page says: ${await words(page, 'main')}`;
    throw error;
  });

/** The reply to an answer: a number is typed, an option chosen. */
export async function answer(page: Page, question: string, given: string): Promise<string> {
  const form = part(question);
  const option = await page.$(`${form} input[value="${given}"]`);
  if (option !== null) await option.click();
  else {
    await page.$eval(`${form} input`, (box) => (box as HTMLInputElement).select());
    await page.type(`${form} input`, given);
  }
  await page.click(`${form} button`);
  return words(page, `${form} [role=status]`);
}

/** Chooses a language by hand. */
export async function speak(page: Page, locale: string): Promise<void> {
  await page.click(part('language'));
  await (await page.waitForSelector(`[role=menuitemradio][lang=${locale}]`))!.click();
  await page.waitForSelector(`html[lang=${locale}]`);
}
