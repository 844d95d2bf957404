/** A run outlives what happens to the page: a worker that hangs, and a second tab. Seen to fail: a Reset that waits for the worker. */
import { expect, test } from 'vitest';
import { keptStep, openPage, press, SMALL, until, untilState, words } from './page-tools.ts';
import { setStage } from './stage.ts';

const stage = setStage();

test('a worker that hangs says so, is left by Reset, and the run goes on from its checkpoint', async () => {
  const { page } = await openPage(stage, `${SMALL}&t.steps=4&t.evalEvery=0&t.evalExamples=4`);
  await page.waitForSelector('.button-train:not([data-disabled])');
  await press(page, 'Step');
  await untilState(page, 'paused');
  await until(async () => (await keptStep(page)) === 1, 'the checkpoint of step 1');
  const [trainer] = page.workers();
  // Never answered: the worker's thread is taken for good.
  void trainer!
    .evaluate(() => {
      for (;;);
    })
    .catch(() => {});
  await press(page, 'Continue');
  await until(
    async () => /waiting for step 2 … \d+ s; Reset ends it/.test(await words(page, '.transport-state')),
    'what is waited for, and the way out',
    30,
  );
  await page.screenshot({ path: '/tmp/hang-wide.png' }); await page.setViewport({ width: 390, height: 844 }); await page.screenshot({ path: '/tmp/hang-390.png' }); await page.setViewport({ width: 1280, height: 900 });
  await press(page, 'Reset');
  await until(() => page.$('::-p-aria([name="undo reset"][role="button"])'), 'the way back', 10);
  expect(await words(page, '.toast')).toMatch(/did not answer and was ended; step 1 of it is kept/);
  await page.screenshot({ path: '/tmp/undo-wide.png' });
  await press(page, 'undo reset');
  await untilState(page, 'paused');
  expect(await words(page, '.figures')).toMatch(/step 1 of 4/);
  await page.close();
});
