/**
 * axe finds nothing to mend on the page, light and dark, on a first visit, before a run and after one, in every tab and in the help. Seen to fail with: a heading that
 * skips a level, a paler grey for hints.
 */
import { expect, test } from 'vitest';
import {
  findings,
  named,
  onProcessor,
  openPage,
  openTab,
  part,
  press,
  QUICK,
  trainToTheEnd,
  until,
} from './page-tools.ts';
import { setStage } from './stage.ts';

const stage = setStage();

const TABS = ['Before and after', 'Inside', 'Weights', 'Merge', 'Adapters', 'Methods', 'Runs'];

test('axe finds nothing on a first visit, with what this is and the recorded run', async () => {
  const { page } = await openPage(stage, '');
  await page.waitForSelector(named('What Papilio is'));
  await page.waitForSelector(part('recorded'));
  await page.waitForSelector(part('rotation'));
  expect(await findings(page, 'a first visit')).toEqual([]);
  await openTab(page, 'Before and after');
  await page.waitForSelector(part('examples'));
  expect(await findings(page, 'recorded answers')).toEqual([]);
  await page.close();
});

test('axe finds nothing, light and dark, before a run and after it', async () => {
  const { page } = await openPage(stage, onProcessor(`${QUICK}&t.steps=2`), 1280, async (opened) => {
    await opened.evaluateOnNewDocument(() => localStorage.setItem('papilio-theme', 'dark'));
  });
  const all: string[] = [...(await findings(page, 'before a run, dark'))];
  await trainToTheEnd(page);
  for (const theme of ['dark', 'light']) {
    for (const tab of TABS) {
      await openTab(page, tab);
      await until(() => page.$('[role="tabpanel"]:not(:empty)'), `what is in ${tab}`, 30);
      all.push(...(await findings(page, `${tab}, ${theme}`)));
    }
    await press(page, 'Keyboard help');
    await page.waitForSelector('[role="dialog"]');
    all.push(...(await findings(page, `help, ${theme}`)));
    await page.keyboard.press('Escape');
    await until(async () => (await page.$('[role="dialog"]')) === null, 'the help put away', 10);
    // From dark to what the system wants, which is light.
    if (theme === 'dark') await press(page, 'Theme: dark');
  }
  expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe('light');
  expect(all).toEqual([]);
  await page.close();
});
