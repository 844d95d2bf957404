/** The product's promise in Firefox, whose WebGPU is another one than Chromium's: open, train, merge, parity. */
import type { Browser } from 'puppeteer-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBrowser } from '../tools/browser.ts';
import { type PageServer, servePage } from '../tools/server.ts';
import { expectLearning, LEARNING, mergeAndCheck, openPage, trainToTheEnd } from './page-tools.ts';

let server: PageServer;
let browser: Browser;

beforeAll(async () => {
  server = await servePage();
  browser = await openBrowser('firefox');
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
});

test('Firefox: the held-out accuracy improves, and the merged file answers as the trained model', async () => {
  const { page, errors } = await openPage(browser, server.url, LEARNING);
  await trainToTheEnd(page);
  await expectLearning(page);
  await mergeAndCheck(page);
  expect(errors).toEqual([]);
  await page.close();
});
