/**
 * The page in Firefox, on WebGPU: trained and merged, resumed after all that can end a worker or its device, compared and linked to. Seen to fail with: a question
 * under way that the lost device took, whose error stood in the place of the loss.
 */
import type { Page } from 'puppeteer-core';
import { expect, test } from 'vitest';
import {
  expectLearning,
  LEARNING,
  leaveHanging,
  mergeAndCheck,
  metrics,
  named,
  openPage,
  openTab,
  part,
  press,
  QUICK,
  stepReloadResume,
  trainToTheEnd,
  until,
  untilState,
  words,
} from './page-tools.ts';
import { untilSeen } from './seen.ts';
import { setStage } from './stage.ts';
import { letStrike, resume, serveStruck } from './struck.ts';

const stage = setStage('firefox', { serve: serveStruck });

const TABLE = `${named('All runs')} tbody tr`;

/** For {@link openPage}: ends the page's training worker as a browser that is short of memory would, which tells nobody. */
async function toKill(page: Page): Promise<void> {
  await page.evaluateOnNewDocument(() => {
    const started: Worker[] = [];
    Object.assign(window, { kill: () => started.at(-1)!.terminate() });
    window.Worker = class extends Worker {
      constructor(url: string | URL, options?: WorkerOptions) {
        super(url, options);
        if (options?.name === 'trainer') started.push(this);
      }
    };
  });
}

test('Firefox: the held-out accuracy improves, the merged file answers as the trained model, and three runs are compared and linked to', async () => {
  const { page, errors } = await openPage(stage, LEARNING, 1280, toKill);
  await trainToTheEnd(page);
  await expectLearning(page);
  await mergeAndCheck(page);
  await page.evaluate((hash) => {
    location.hash = hash;
  }, `${QUICK}&t.steps=6`);
  await press(page, 'Restart with changes');
  await untilSeen(() => words(page, part('clocks')), /of 6 steps/, 'the next run', 60);
  await untilState(page, 'finished');
  const undisturbed = await metrics(page, stage.downloads);
  expect(undisturbed).toHaveLength(1 + 6);

  // Once more: reloaded after its first step, its worker killed in the second, then without its device, and its worker broken.
  await press(page, 'Reset');
  await untilState(page, 'idle');
  await stepReloadResume(page);
  await page.evaluate(() => (window as unknown as { kill(): void }).kill());
  await leaveHanging(page);
  await press(page, 'undo reset');
  await untilState(page, 'paused');
  await letStrike(page, 2, 3);
  await press(page, 'Continue');
  await resume(page, /The GPU device was lost/);
  await resume(page, /Something broke[\s\S]*struck/);
  await untilState(page, 'finished');
  expect(await metrics(page, stage.downloads)).toEqual(undisturbed);

  await openTab(page, 'Runs');
  const said = await untilSeen(
    () => page.$$eval(TABLE, (all) => all.map((one) => one.textContent)),
    (seen) => seen.length === 3,
    'three runs',
    30,
  );
  expect(said[1]).toMatch(/glyphs-vit → tales-gpt/);
  await until(() => page.$(`${named('Curves')} .js-plotly-plot .scatterlayer .trace`), 'curves', 30);
  await press(page, 'Copy a link to these settings');
  expect(await until(() => words(page, part('notice')), 'what the link holds', 10)).toContain(
    'It holds the whole setup.',
  );
  expect(page.url()).toContain('t.steps=6');
  // What broke the worker is told in the console too.
  expect(errors).toEqual([expect.stringContaining('struck')]);
  await page.close();
});

test('Firefox: the recorded run gives way to the visitor’s own', async () => {
  const { page, errors } = await openPage(stage, '');
  await page.waitForSelector(`${named('Train')} ${part('recorded')}`);
  await press(page, 'Train');
  await until(async () => (await page.$(part('recorded'))) === null, 'the recorded run gone', 60);
  await press(page, 'Reset');
  await page.waitForSelector(`${named('Train')} ${part('recorded')}`);
  expect(errors).toEqual([]);
  await page.close();
});
