import { expect, test } from 'vitest';
import {
  expectLearning,
  LEARNING,
  mergeAndCheck,
  named,
  openPage,
  openTab,
  part,
  press,
  trainToTheEnd,
  until,
  untilState,
  words,
} from './page-tools.ts';
import { setStage } from './stage.ts';

const stage = setStage('firefox');

test('Firefox: the held-out accuracy improves, the merged file answers as the trained model, and two runs are compared and linked to', async () => {
  const { page, errors } = await openPage(stage, LEARNING);
  await trainToTheEnd(page);
  await expectLearning(page);
  await mergeAndCheck(page);
  await page.evaluate(
    (hash) => {
      location.hash = hash;
    },
    LEARNING.replace('t.steps=16', 't.steps=2'),
  );
  await press(page, 'Restart with changes');
  await until(async () => /of 2 steps/.test(await words(page, part('clocks'))), 'the next run', 60);
  await untilState(page, 'finished');
  await openTab(page, 'Runs');
  const rows = `${named('All runs')} tbody tr`;
  await until(async () => (await page.$$(rows)).length === 2, 'two runs', 30);
  expect(await words(page, rows)).toMatch(/steps 16 → 2/);
  await press(page, 'Copy a link to these settings');
  expect(await until(() => words(page, part('notice')), 'what the link holds', 10)).toContain(
    'It holds the whole setup.',
  );
  expect(page.url()).toContain('t.steps=2');
  expect(errors).toEqual([]);
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
