/**
 * The pages of the textbook, each from its link in a fresh profile: what the pictures say of the engine's own numbers, a control by keys, a term and back, on
 * paper, and axe in both languages. Seen to fail with: a picture without words, a fold that stays shut on paper, a term too pale for its ground, a rank that is
 * not the slider's, waves that are not those of the choice.
 */
import type { Page } from 'puppeteer-core';
import { expect, test } from 'vitest';
import { says } from './lab-tools.ts';
import { findings, part, words } from './page-tools.ts';
import { untilSeen } from './seen.ts';
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

test('the page of LoRA trains two thin matrices, to what a rank can reach, and moves neurons by them', async () => {
  const { page, errors } = await open('page=lora&r=2', 'en-GB');
  await says(page, 'directions', /The strongest \d of 32 directions hold 9\d\.\d % of this change/);
  /** What is left of the change by A and B, and by any matrix of the rank at least. */
  const left = async (rank: number): Promise<[number, number]> => {
    const told = new RegExp(
      `At rank ${rank}, ${64 * rank} numbers make 1,024 entries, and leave (0\\.\\d+) .* less than (0\\.\\d+)`,
    );
    const [, own, least] = told.exec(await says(page, 'product', told))!;
    return [Number(own), Number(least)];
  };
  const two = await left(2);
  await page.focus(`${part('control-r')} input`);
  await page.keyboard.press('ArrowRight');
  const three = await left(3);
  for (const [own, least] of [two, three]) {
    expect(own).toBeGreaterThanOrEqual(least);
    expect(own - least).toBeLessThan(0.01);
  }
  expect(three[1]).toBeLessThan(two[1]);

  await says(page, 'moved', /α \/ r is 1\. All five moved along one direction/);
  await page.focus(`${part('control-alpha')} input`);
  await page.keyboard.press('ArrowRight');
  await says(page, 'moved', /α \/ r is 1\.25\. /);
  await page.click(`${part('control-few')} label:has(input[value="2"])`);
  await says(page, 'moved', /α \/ r is 0\.625\. With two directions/);
  await says(
    page,
    'beside',
    /Largest change of an angle: LoRA \d+\.\d°, OFT (0|\d\.\d e−\d+)°\. Of a length: LoRA \d+\.\d+ %, OFT /,
  );
  expect(await findings(page, 'the page of LoRA')).toEqual([]);
  expect(errors).toEqual([]);
  await page.browserContext().close();
});

test('the page of FourierFT takes a change apart and brings back what its waves hold, in Chinese', async () => {
  const { page, errors } = await open('page=fourierft', 'zh-Hans');
  await says(page, 'change', /1,024 个元素/);
  await says(page, 'wave', /波 \(2, 1\) 在这个变化中的高度是/);
  await page.focus(`${part('control-u')} input`);
  await page.keyboard.press('ArrowRight');
  await says(page, 'wave', /波 \(3, 1\) 在这个变化中的高度是/);

  /** The share of the change that so many waves hold. What they leave of its size follows from it, since different waves have nothing in common. */
  const held = async (n: number): Promise<number> => {
    const told = new RegExp(`1,024 个频率中的 ${n} 个，含有这个变化的 ([\\d.]+) %`);
    const share = Number(told.exec(await says(page, 'chosen', told))![1]) / 100;
    const rest = Math.sqrt(1 - share);
    // A percentage of one place is that exact.
    const [least, most] = [Math.sqrt(Math.max(0, 1 - share - 6e-4)), Math.sqrt(1 - share + 6e-4)];
    const left = (text: string) => Number(/大小的 ([01]\.\d+)/.exec(text)?.[1]);
    await untilSeen(
      async () => left(await words(page, part('inverse-says'))),
      (value) => value >= least - 1e-3 && value <= most + 1e-3,
      `${n} waves to leave about ${rest.toFixed(3)}`,
      60,
    );
    return share;
  };
  const choose = (way: string) => page.click(`${part('control-way')} label:has(input[value="${way}"])`);
  const low = await held(16);
  await page.focus(`${part('control-n')} input`);
  await page.keyboard.press('ArrowRight');
  expect(await held(17)).toBeGreaterThanOrEqual(low);
  await choose('best');
  await says(page, 'chosen', /17 个/);
  const best = await held(17);
  await choose('drawn');
  await untilSeen(
    () => held(17),
    (share) => share < 0.2,
    'waves that are drawn to hold little',
    60,
  );
  expect(best).toBeGreaterThan(low);
  expect(await findings(page, 'the page of FourierFT')).toEqual([]);
  expect(errors).toEqual([]);
  await page.browserContext().close();
});
