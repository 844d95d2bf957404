/**
 * The pages of the textbook, each from its link in a fresh profile: what the pictures say of the engine's own numbers, a control by keys, a term and back, on
 * paper, and axe in both languages. Seen to fail with: a picture without words, a fold that stays shut on paper, a term too pale for its ground.
 */
import type { Page } from 'puppeteer-core';
import { expect, test } from 'vitest';
import { says } from './lab-tools.ts';
import { findings, part, words } from './page-tools.ts';
import { setStage } from './stage.ts';

const stage = setStage();

/** A page by its link, in a language, with nothing kept from before. */
async function open(link: string, locale: string): Promise<{ page: Page; errors: string[] }> {
  const context = await stage.browser.createBrowserContext();
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.evaluateOnNewDocument((chosen) => localStorage.setItem('papilio-language', chosen), locale);
  await page.setViewport({ width: 1280, height: 900 });
  await page.goto(`${stage.url}labs.html#${link}`, { waitUntil: 'load' });
  return { page, errors };
}

test('the page of OFT says what its pictures show, on screen and on paper, and leads to its terms', async () => {
  const { page, errors } = await open('page=oft&b=8', 'en-GB');
  await says(page, 'turned', /All five turned by 53\.1°\. No angle between two of them changed by more than/);
  await says(
    page,
    'blocks',
    /Input 3 reaches outputs 1–8: 8 of 16\. 128 of 256 entries .* made of 56 free numbers/,
  );
  await says(page, 'costs', /OFT trains 11,904 numbers, 2\.02 % .* LoRA trains 12,288/);
  await page.focus(`${part('control-b')} input[value="8"]`);
  await page.keyboard.press('ArrowLeft');
  await says(page, 'blocks', /Input 3 reaches outputs 1–4: 4 of 16/);
  expect(await findings(page, 'the page of OFT')).toEqual([]);

  await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
  expect(await page.$$eval('.lab-figure details', (folds) => folds.every((fold) => fold.open))).toBe(true);
  await page.evaluate(() => dispatchEvent(new Event('afterprint')));
  const term = 'a[href="#page=glossary&term=orthogonal"]';
  await page.focus(`.lab-term:has(${term}) button`);
  await page.click(term);
  await page.waitForSelector('.lab-glossary .is-meant');
  expect(await words(page, '.lab-glossary .is-meant')).toMatch(/^orthogonal\s*A matrix is orthogonal where/);

  expect(errors).toEqual([]);
  await page.browserContext().close();
});

test('the page of BOFT trains a rotation and takes it back, in Chinese', async () => {
  const { page, errors } = await open('page=boft', 'zh-Hans');
  await says(page, 'transmission', /有了因子 4，每个节点都能到达其他所有节点/);
  await says(page, 'back', /B₂ 1\.00，B₃ 0\.00，B₄ 0\.00。输出与训练目标 B 相差 \d/);
  await page.focus(`${part('control-strength')} input`);
  await page.keyboard.press('End');
  await says(page, 'back', /输出与训练目标 B 相差 0\.\d°/);
  expect(await findings(page, 'the page of BOFT')).toEqual([]);
  expect(errors).toEqual([]);
  await page.browserContext().close();
});
