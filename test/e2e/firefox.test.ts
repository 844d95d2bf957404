import { expect, test } from 'vitest';
import { expectLearning, LEARNING, mergeAndCheck, openPage, trainToTheEnd } from './page-tools.ts';
import { setStage } from './stage.ts';

const stage = setStage('firefox');

test('Firefox: the held-out accuracy improves, and the merged file answers as the trained model', async () => {
  const { page, errors } = await openPage(stage, LEARNING);
  await trainToTheEnd(page);
  await expectLearning(page);
  await mergeAndCheck(page);
  expect(errors).toEqual([]);
  await page.close();
});
