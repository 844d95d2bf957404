/**
 * A run on WebGPU outlives what happens to the page: a reload, a worker that hangs, a device that is destroyed, a worker that breaks, and a second tab. Seen to fail: a
 * Reset that waits for the worker.
 */
import type { Page } from 'puppeteer-core';
import { expect, test } from 'vitest';
import {
  CAN_TRAIN,
  keptStep,
  leaveHanging,
  metrics,
  named,
  onProcessor,
  openPage,
  part,
  press,
  QUICK,
  stepReloadResume,
  trainToTheEnd,
  untilState,
  untilWhole,
  words,
} from './page-tools.ts';
import { untilSeen } from './seen.ts';
import { setStage } from './stage.ts';
import { letStrike, resume, serveStruck } from './struck.ts';

const stage = setStage('chrome', { serve: serveStruck });
const RUN = `${QUICK}&t.steps=8`;
/** What is kept and who has it is no matter of the engine. */
const LOOKED_ON = onProcessor(`${QUICK}&t.steps=4`);

const TRAINER = /\/worker-[^/]*$/;
const trainerOf = (page: Page) =>
  untilSeen(
    () => page.workers().map((one) => one.url()),
    (urls) => urls.some((url) => TRAINER.test(url)),
    'the training worker',
    30,
  ).then(() => page.workers().findLast((one) => TRAINER.test(one.url()))!);

test('reloaded, hung and left by Reset, without its device, and broken, a run on WebGPU ends as the undisturbed one, bit for bit', async () => {
  const { page } = await openPage(stage, RUN);
  await trainToTheEnd(page);
  const undisturbed = await metrics(page);
  // What was held out before the first step stands in a row of its own.
  expect(undisturbed).toHaveLength(1 + 8);
  await press(page, 'Reset');
  await untilState(page, 'idle');

  await stepReloadResume(page);
  const trainer = await trainerOf(page);
  // Never answered: the worker's thread is taken for good.
  void trainer
    .evaluate(() => {
      for (;;);
    })
    .catch(() => {});
  await leaveHanging(page);
  await untilSeen(
    () => words(page, part('notice')),
    /did not answer and was ended; step 1 of it is kept/,
    'what became of it',
    10,
  );
  await press(page, 'undo reset');
  await untilState(page, 'paused');
  await untilSeen(() => words(page, part('figures')), /step 1 of 8/, 'step 1', 10);

  await letStrike(page, 2, 3);
  await press(page, 'Continue');
  await resume(page, /The GPU device was lost/);
  await resume(page, /Something broke[\s\S]*struck/);
  await untilState(page, 'finished');
  expect(await metrics(page)).toEqual(undisturbed);
  await page.close();
});

test('a second tab looks on, and takes the run over when the first is closed', async () => {
  const context = await stage.browser.createBrowserContext();
  const openHere = async () => {
    const page = await context.newPage();
    await page.setViewport({ width: 1280, height: 900 });
    await page.goto(`${stage.url}#${LOOKED_ON}`, { waitUntil: 'load' });
    await untilWhole(page);
    await page.waitForSelector(CAN_TRAIN);
    return page;
  };
  const first = await openHere();
  await press(first, 'Step');
  await untilState(first, 'paused');
  await untilSeen(
    () => keptStep(first),
    (seen) => seen === 1,
    'the checkpoint of step 1',
  );
  const name = await words(first, part('run-name'));

  const second = await openHere();
  await untilSeen(
    () => words(second, named('Another tab')),
    `Another tab holds the run ${name}, step 1 of 4`,
    'word of the other tab',
    30,
  );
  await untilSeen(() => words(second, named('Runs')), `${name} (another tab)`, 'the run in the list', 10);
  expect(await second.$(named('A run to resume'))).toBeNull();
  await first.close();
  await untilSeen(
    () => words(second, named('A run to resume')),
    `Resume ${name}, step 1 of 4`,
    'the run to be offered',
    30,
  );
  await press(second, 'Resume');
  await untilState(second, 'paused');
  await untilSeen(() => words(second, part('figures')), /step 1 of 4/, 'step 1', 10);
  await context.close();
});
