/** The panel of kernels in Chromium: off on a software adapter until it is switched on; then the run shows what was found, and no number of it changes. */
import type { Page } from 'puppeteer-core';
import { expect, test } from 'vitest';
import {
  click,
  metrics,
  named,
  openPage,
  press,
  QUICK,
  trainToTheEnd,
  until,
  untilState,
  words,
} from './page-tools.ts';
import { setStage } from './stage.ts';

const stage = setStage();

const PANEL = named('Kernels on this device');
const TABLE = named('Fastest kernels');

const openPanel = async (page: Page): Promise<void> => {
  const summary = await until(
    () => page.$('::-p-xpath(//summary[contains(., "Kernels on this device")])'),
    'the fold of kernels',
  );
  await click(summary);
};

const isOn = (page: Page): Promise<boolean> =>
  page.$eval(`${PANEL} [role="switch"]`, (box) => (box as HTMLInputElement).checked);

test('kernels are tuned when they are asked for, and the curve stays the same', async () => {
  const { page, errors } = await openPage(stage, `${QUICK}&t.steps=2`);
  await openPanel(page);
  expect(await isOn(page)).toBe(false);
  await trainToTheEnd(page);
  expect(await page.$(TABLE)).toBeNull();
  const untuned = await metrics(page);

  await click((await page.$(`${PANEL} .switch`))!);
  await until(() => isOn(page), 'the switch to be on', 10);
  // It counts from the next run.
  expect(await page.$(TABLE)).toBeNull();
  await press(page, 'Reset');
  await untilState(page, 'idle');
  await trainToTheEnd(page);
  const table = await until(() => words(page, TABLE), 'the table of kernels', 30);
  const rows = table.trim().split('\n').slice(1);
  expect(rows.length).toBeGreaterThan(1);
  for (const row of rows)
    expect(row).toMatch(
      /^[NT]{2}, .+ %\s+\w+, (as usual|not \w+)\s+.+(timestamps|rows of two lengths|not measured)/,
    );
  expect(await metrics(page)).toEqual(untuned);

  await page.reload({ waitUntil: 'load' });
  await page.waitForSelector('main h2');
  await openPanel(page);
  await until(() => isOn(page), 'the switch to be on after a reload', 10);
  expect(errors).toEqual([]);
  await page.close();
});
