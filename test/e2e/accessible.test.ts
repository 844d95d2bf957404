/**
 * axe finds nothing to mend on the page, light and dark, on a first visit, before a run and after one, in every tab and in the help. Seen to fail with: a heading that
 * skips a level, a paler grey for hints.
 */
import type { Page, SerializedAXNode } from 'puppeteer-core';
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

/** Roles of what is pressed, typed into or chosen. */
const CONTROLS = ['button', 'checkbox', 'radio', 'slider', 'textbox', 'combobox', 'switch', 'tab'];

/** Roles of controls that are read out without a name. */
async function nameless(page: Page): Promise<string[]> {
  const found: string[] = [];
  let controls = 0;
  const visit = (node: SerializedAXNode | null): void => {
    if (node === null) return;
    if (CONTROLS.includes(node.role)) {
      controls++;
      if (!node.name) found.push(node.role);
    }
    for (const child of node.children ?? []) visit(child);
  };
  visit(await page.accessibility.snapshot({ interestingOnly: true }));
  expect(controls).toBeGreaterThan(10);
  return found;
}

const TABS = ['Before and after', 'Inside', 'Weights', 'Merge', 'Adapters', 'Methods', 'Runs'];

test('axe finds nothing on a first visit, with what this is and the recorded run', async () => {
  const { page } = await openPage(stage, '');
  await page.waitForSelector(named('What Papilio is'));
  await page.waitForSelector(part('recorded'));
  await page.waitForSelector(part('rotation'));
  expect(await findings(page, 'a first visit')).toEqual([]);
  expect(await nameless(page)).toEqual([]);
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
  // Of what axe looks for, a theme changes the colours alone.
  for (const [theme, rules] of [
    ['dark', null],
    ['light', ['color-contrast']],
  ] as const) {
    for (const tab of TABS) {
      await openTab(page, tab);
      await until(() => page.$('[role="tabpanel"]:not(:empty)'), `what is in ${tab}`, 30);
      all.push(...(await findings(page, `${tab}, ${theme}`, rules)));
    }
    await press(page, 'Keyboard help');
    await page.waitForSelector('[role="dialog"]');
    all.push(...(await findings(page, `help, ${theme}`, rules)));
    await page.keyboard.press('Escape');
    await until(async () => (await page.$('[role="dialog"]')) === null, 'the help put away', 10);
    // From dark to light.
    if (theme === 'dark') await press(page, 'Theme: dark');
  }
  expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe('light');
  expect(all).toEqual([]);
  await page.close();
});
