/** What goes wrong is said in a sentence with a way on, and nothing is lost: each state seen on the page. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { expect, test } from 'vitest';
import {
  CAN_TRAIN,
  named,
  openPage,
  part,
  press,
  SMALL,
  TALES,
  unfold,
  until,
  withoutWebGpu,
  words,
} from './page-tools.ts';
import { untilSeen } from './seen.ts';
import { setStage } from './stage.ts';

const stage = setStage();

async function give(page: Page, name: string, content: string): Promise<void> {
  const path = join(await mkdtemp(join(tmpdir(), 'papilio-file-')), name);
  await writeFile(path, content);
  const input = await until(() => page.$(`${part('drop')} input[type=file]`), 'the file input', 20);
  await (input as unknown as { uploadFile(path: string): Promise<void> }).uploadFile(path);
}

test('a link with illegal values: defaults, and a sentence for each', async () => {
  const { page } = await openPage(stage, `${SMALL}&t.steps=-1&c.boft_block_size="four"&method=magic`);
  const notice = await until(() => words(page, part('link-problems')), 'the notice', 20);
  for (const part of ['steps = -1', 'boft_block_size', 'magic']) expect(notice).toContain(part);
  expect(await words(page, part('totals'))).toContain('trainable');
  await page.close();
});

test('targets that match nothing: red, with a suggestion, and Train waits', async () => {
  const { page } = await openPage(stage, `${SMALL}&c.target_modules=["qury"]`);
  await unfold(page, 'targets');
  const entry = await until(() => words(page, part('target-entries')), 'the red entry', 20);
  expect(entry).toMatch(/qury\s+matches nothing/);
  expect(await page.$(`${part('toggle')}[data-disabled]`)).not.toBeNull();
  await press(page, 'use query');
  await page.waitForSelector(CAN_TRAIN);
  await page.close();
});

test('an illegal block size: the reason in PEFT’s words, the illegal stops greyed', async () => {
  const { page } = await openPage(stage, `${SMALL}&c.boft_block_size=48`);
  await untilSeen(
    () => words(page, part('totals')),
    'must be divisible by boft_block_size (48)',
    'the reason',
    20,
  );
  await unfold(page, 'method');
  await page.waitForSelector('[aria-label^="Usual values of"] [aria-disabled=true]');
  expect(await page.$(`${part('toggle')}[data-disabled]`)).not.toBeNull();
  await page.close();
});

test('a file that is no ONNX', async () => {
  const { page } = await openPage(stage, 'v=1&preset=own-model&seed=1');
  await unfold(page, 'model');
  await give(page, 'model.onnx', 'this is not a model');
  const sentence = await until(() => words(page, part('error')), 'the sentence', 60);
  expect(sentence).toMatch(/not a readable ONNX file/i);
  await page.close();
});

test('data without labels, in a narrow window: the sentence comes to the front', async () => {
  const { page } = await openPage(stage, `${SMALL}&data=files&t.steps=2`, 390);
  await give(page, 'data.csv', 'text\nhello\nworld\n');
  await page.waitForSelector(CAN_TRAIN);
  await page.click(part('toggle'));
  const card = await until(() => words(page, part('run-error')), 'the sentence', 60);
  expect(card).toMatch(/label|picture|image/i);
  expect(card).toContain('Change the data');
  await page.waitForSelector(`${named('Choose')} ${part('run-error')}`, { visible: true });
  await page.close();
});

test('a run that diverges: training pauses, and the way on halves the rate', async () => {
  const { page } = await openPage(
    stage,
    `${TALES}&method=fourierft&c.scaling=1e30&t.learningRate=10&t.steps=40`,
  );
  await page.waitForSelector(CAN_TRAIN);
  await press(page, 'Train');
  const card = await until(() => words(page, part('run-error')), 'the sentence');
  expect(card).toContain('Training diverged');
  expect(card).toMatch(/at step 1, and that update was left out[\s\S]*\(10 now\)/);
  await page.waitForSelector(`${part('run-state')}[data-state="paused"]`);
  const first = await words(page, part('run-name'));
  await press(page, 'Halve the learning rate and go on');
  // No rate is small enough for this scaling: that the next run diverges at 5 shows that it trained with it.
  await untilSeen(() => words(page, part('run-error')), '(5 now)', 'the run at half the rate');
  expect(page.url()).toContain('t.learningRate=5');
  expect(await words(page, part('run-name'))).not.toBe(first);
  await page.close();
});

test('no WebGPU: steps for this browser, and counts and patterns all the same', async () => {
  const page = await stage.browser.newPage();
  await withoutWebGpu(page);
  await page.goto(stage.url, { waitUntil: 'load' });
  const ways = await page.waitForSelector(`${named('No WebGPU')} summary`);
  await ways!.evaluate((one) => (one as HTMLElement).click());
  const reader = await words(page, named('No WebGPU'));
  expect(reader).toMatch(/no WebGPU[\s\S]*chrome:\/\//);
  await untilSeen(() => words(page, part('totals')), /52,762/, 'the counts', 20);
  await page.waitForSelector(`${named('Factors')} canvas[aria-label^="Factor "]`);
  await page.close();
});

test('hostile links: the page lives, says a sentence, and a reload does not freeze it', async () => {
  const LIVES_MS = 3000;
  const many = JSON.stringify(Object.fromEntries(Array.from({ length: 4000 }, (_, k) => [`.*.*.*!${k}`, 2])));
  // On a machine that is busy the page itself takes longer: it is opened by an ordinary link first.
  let most = Number.POSITIVE_INFINITY;
  const hostile: readonly (readonly [string, RegExp])[] = [
    ['', /trainable/],
    [`c.target_modules=${encodeURIComponent('((\\w|[a-z])*\\.?)*\\1\\1%')}`, /takes more than/],
    [`c.exclude_modules=${encodeURIComponent('(.*)*(.*)*(.*)*\\1%')}`, /takes more than/],
    ['method=lora&c.r=2000000000&c.lora_alpha=1e308', /r = 2000000000 is not used/],
    [`method=lora&c.rank_pattern=${encodeURIComponent(many)}`, /takes more than/],
    [
      'c.__proto__={"steps":1}&t.constructor=1&__proto__=7',
      /constructor = 1 is not used: there is no such setting/,
    ],
    [`c.target_modules=${'w'.repeat(2 ** 20)}`, /The link asks for 1,0\d\d,\d{3} letters/],
  ];
  for (const [hash, sentence] of hostile) {
    const which = hash.slice(0, 60);
    const page = await stage.browser.newPage();
    await page.setViewport({ width: 1280, height: 900 });
    await page.evaluateOnNewDocument(() => {
      const seen = globalThis as { longest?: number };
      seen.longest = 0;
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) seen.longest = Math.max(seen.longest!, duration);
      }).observe({ type: 'longtask', buffered: true });
    });
    /** The longest that the page could not be asked for anything. */
    const frozen = (): Promise<number> =>
      page.evaluate(() => (globalThis as { longest?: number }).longest ?? Number.NaN);
    const says = async (part: RegExp) =>
      untilSeen(() => words(page, 'body'), part, `${part} on ${which}`, 20);
    await page.goto(`${stage.url}#${SMALL}&${hash}`, { waitUntil: 'load' });
    expect(await says(sentence)).not.toMatch(/Something went wrong/);
    expect(await frozen(), `opened: ${which}`).toBeLessThan(most);
    if (hash === '') most = Math.max(LIVES_MS, 3 * (await frozen()));
    // What was not used is no longer in the address; what was, is judged again.
    await page.reload({ waitUntil: 'load' });
    await says(/Forecast memory and time/);
    expect(await frozen(), `again: ${which}`).toBeLessThan(most);
    await page.close();
  }
});

test('a name that would turn its line is shown, not obeyed', async () => {
  const { page } = await openPage(stage, 'v=1&preset=own-model&seed=1');
  await unfold(page, 'model');
  const turn = '\u202e';
  await give(page, `invoice${turn}fdp.onnx`, 'this is not a model');
  await until(() => words(page, part('error')), 'the sentence', 60);
  await unfold(page, 'data');
  const said = await untilSeen(() => words(page, 'body'), 'invoice', 'the name', 20);
  expect(said).toContain('invoice\\u202efdp');
  expect(said).not.toContain(turn);
  expect(await page.title()).not.toContain(turn);
  await page.close();
});
