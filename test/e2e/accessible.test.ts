/**
 * axe finds nothing to mend: on the page, light and dark, on a first visit, before a run and after one, in every tab and in the help; in every lab and page of the
 * textbook, wide and light, narrow and dark; at 360 pixels nothing stands beside the window. Seen to fail with: a box of 15 pixels in a line that folds, a heading that skips a level, a paler grey for hints, in the dark alone too, a long table that no key scrolls.
 */
import type { Page, SerializedAXNode } from 'puppeteer-core';
import { expect, test } from 'vitest';
import { hashOf, PLACES } from '../../src/page/labs/textbook/way.ts';
import { openLab } from './lab-tools.ts';
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
  unfold,
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

const NARROW = 360;

/** The rules of axe that read colours. */
const COLOURS = ['color-contrast', 'link-in-text-block'];

/** Of what the page holds, which is the window's unless something stands beside it. */
const width = (page: Page): Promise<number> => page.evaluate(() => document.documentElement.scrollWidth);

/** Tabs on screen, of areas and within them, that stand beside the window or hide some of their words. */
const cutTabs = (page: Page): Promise<string[]> =>
  page.$$eval('[role=tab], nav button', (all) =>
    all
      .filter((one) => one.checkVisibility())
      .filter((one) => {
        const { left, right } = one.getBoundingClientRect();
        return left < 0 || right > innerWidth || one.scrollWidth > one.clientWidth;
      })
      .map((one) => one.textContent ?? ''),
  );

const SECTIONS = ['model', 'data', 'method', 'targets', 'training'] as const;
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
  // As narrow as it gets: nothing is beside the window, and no tab is cut.
  await page.setViewport({ width: NARROW, height: 800 });
  for (const area of ['Choose', 'Train', 'See']) {
    await press(page, area);
    await page.waitForSelector(named(area), { visible: true });
    expect(await width(page), area).toBe(NARROW);
    expect(await cutTabs(page), area).toEqual([]);
  }
  expect(await page.$$eval('[role=tab]', (all) => all.length)).toBeGreaterThan(5);
  await page.close();
});

test('axe finds nothing, light and dark, before a run and after it', async () => {
  const { page } = await openPage(stage, onProcessor(`${QUICK}&t.steps=2`), 1280, async (opened) => {
    await opened.evaluateOnNewDocument(() => localStorage.setItem('papilio-theme', 'dark'));
  });
  for (const section of SECTIONS) await unfold(page, section);
  await page.waitForSelector('.tree input');
  // A short name of a module begins where its line does; a long one is cut there.
  const late = await page.$$eval('.tree-name', (names) =>
    names.flatMap((name) => {
      const text = document.createRange();
      text.selectNodeContents(name);
      const by = text.getBoundingClientRect().left - name.getBoundingClientRect().left;
      return by > 1 ? [`${name.textContent} by ${by}`] : [];
    }),
  );
  expect(late).toEqual([]);
  const all: string[] = [...(await findings(page, 'before a run, dark'))];
  await trainToTheEnd(page);
  // A theme changes colours alone, and of axe's rules these two read them: all the others look at elements, names and sizes.
  for (const [theme, rules] of [
    ['dark', null],
    ['light', COLOURS],
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

test('axe finds nothing in any lab or page of the textbook, wide and light, narrow and dark', async () => {
  const { page, errors } = await openLab(stage, 'start', 'en-GB');
  const all: string[] = [];
  for (const hash of ['#start', ...PLACES.map(hashOf)]) {
    await page.evaluate((to) => {
      location.hash = to;
    }, hash);
    const name = hash === '#start' ? 'labs-start' : `lab-${hash.replace(/^.*=/, '')}`;
    await page.waitForSelector(`${part(name)} h2, ${part(name)} dl`);
    // What the worker draws has come, whether or not all is fitted.
    await page.waitForFunction(() => {
      const said = [...document.querySelectorAll('main p')].map((one) => one.textContent ?? '');
      return !said.some((text) => text.trim().endsWith('…'));
    });
    await page.$$eval('.lab-figure details', (folds) => {
      for (const fold of folds) (fold as HTMLDetailsElement).open = true;
    });
    for (const [wide, scheme] of [
      [1280, 'light'],
      [NARROW, 'dark'],
    ] as const) {
      // Labs are read wide and light in labs.test.ts, after their questions were answered: what is left are the colours of what is folded there.
      const rules = wide !== NARROW && hash.startsWith('#lab=') ? COLOURS : null;
      await page.setViewport({ width: wide, height: 900 });
      // A colour on its way to another would be looked at.
      await page.emulateMediaFeatures([
        { name: 'prefers-color-scheme', value: scheme },
        { name: 'prefers-reduced-motion', value: 'reduce' },
      ]);
      await page.waitForSelector(`html[data-theme=${scheme}]`);
      all.push(...(await findings(page, `${hash}, ${wide} wide, ${scheme}`, rules)));
      expect(await width(page), `${hash} at ${wide}`).toBe(wide);
      expect(await cutTabs(page), `${hash} at ${wide}`).toEqual([]);
    }
  }
  expect(all).toEqual([]);
  expect(errors).toEqual([]);
  await page.browserContext().close();
});
