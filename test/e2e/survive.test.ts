/** A run outlives what happens to the page: a worker that hangs, and a second tab. Seen to fail: a Reset that waits for the worker. */
import { expect, test } from 'vitest';
import {
  CAN_TRAIN,
  keptStep,
  named,
  onProcessor,
  openPage,
  part,
  press,
  QUICK,
  until,
  untilState,
  untilWhole,
  words,
} from './page-tools.ts';
import { setStage } from './stage.ts';

const stage = setStage();
const RUN = onProcessor(`${QUICK}&t.steps=4`);

test('a worker that hangs says so, is left by Reset, and the run goes on from its checkpoint', async () => {
  const { page } = await openPage(stage, RUN);
  await page.waitForSelector(CAN_TRAIN);
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
    async () => /waiting for step 2 … \d+ s; Reset ends it/.test(await words(page, part('run-state'))),
    'what is waited for, and the way out',
    30,
  );
  await press(page, 'Reset');
  await until(() => page.$('::-p-aria([name="undo reset"][role="button"])'), 'the way back', 10);
  expect(await words(page, part('notice'))).toMatch(/did not answer and was ended; step 1 of it is kept/);
  await press(page, 'undo reset');
  await untilState(page, 'paused');
  await until(async () => /step 1 of 4/.test(await words(page, part('figures'))), 'step 1', 10);
  await page.close();
});

test('a second tab looks on, and takes the run over when the first is closed', async () => {
  const context = await stage.browser.createBrowserContext();
  const openHere = async () => {
    const page = await context.newPage();
    await page.setViewport({ width: 1280, height: 900 });
    await page.goto(`${stage.url}#${RUN}`, { waitUntil: 'load' });
    await untilWhole(page);
    await page.waitForSelector(CAN_TRAIN);
    return page;
  };
  const first = await openHere();
  await press(first, 'Step');
  await untilState(first, 'paused');
  await until(async () => (await keptStep(first)) === 1, 'the checkpoint of step 1');
  const name = await words(first, part('run-name'));

  const second = await openHere();
  await until(
    async () =>
      (await words(second, named('Another tab'))).includes(`Another tab holds the run ${name}, step 1 of 4`),
    'word of the other tab',
    30,
  );
  await until(
    async () => (await words(second, named('Runs'))).includes(`${name} (another tab)`),
    'the run in the list',
    10,
  );
  expect(await second.$(named('A run to resume'))).toBeNull();
  await first.close();
  await until(
    async () => (await words(second, named('A run to resume'))).includes(`Resume ${name}, step 1 of 4`),
    'the run to be offered',
    30,
  );
  await press(second, 'Resume');
  await untilState(second, 'paused');
  await until(async () => /step 1 of 4/.test(await words(second, part('figures'))), 'step 1', 10);
  await context.close();
});
