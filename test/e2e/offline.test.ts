/**
 * A second visit without any server: the page opens from what the browser keeps, trains and merges. A server without headers of isolation gets
 * them from the service worker; here it lies in a folder of it. A newer version is announced, not taken while a run trains, and opens the run that is kept.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { expect, test } from 'vitest';
import { serveFolder } from '../tools/package.ts';
import { type PageServer, servePage } from '../tools/server.mjs';
import { says, speak } from './lab-tools.ts';
import {
  CAN_TRAIN,
  mergeAndCheck,
  named,
  onProcessor,
  openPage,
  part,
  press,
  QUICK,
  trainToTheEnd,
  untilState,
  words,
} from './page-tools.ts';
import { untilSeen } from './seen.ts';
import { setStage } from './stage.ts';

let folder = '';
let server: PageServer | undefined;

const stage = setStage('chrome', {
  serve: async () => {
    // Built by whoever serves it as it should be.
    await (await servePage()).close();
    const root = await mkdtemp(join(tmpdir(), 'papilio-built-'));
    folder = join(root, 'some', 'where');
    await cp('dist', folder, { recursive: true });
    server = await serveFolder(root);
    return {
      url: new URL('some/where/', server.url).href,
      close: async () => {
        await server?.close();
        await rm(root, { recursive: true });
      },
    };
  },
});

const isolated = (page: Page): Promise<boolean> => page.evaluate(() => crossOriginIsolated);

/** Waits until every file is kept, as the help says. */
async function untilKept(page: Page): Promise<void> {
  await press(page, 'Keyboard help');
  await untilSeen(() => words(page, part('kept-files')), /^This page is kept/, 'the files to be kept', 120);
  await page.keyboard.press('Escape');
}

const RUN = onProcessor(`${QUICK}&t.steps=3`);
const LONG = onProcessor(`${QUICK}&t.steps=5000`);

test('a newer version is announced, waits for the run, and opens what is kept of it', async () => {
  const { page } = await openPage(stage, LONG);
  expect(await isolated(page)).toBe(false);
  await untilKept(page);
  await page.reload({ waitUntil: 'load' });
  expect(await isolated(page)).toBe(true);
  await page.waitForSelector(CAN_TRAIN, { timeout: 60_000 });
  await press(page, 'Train');
  await untilState(page, 'running');
  const index = join(folder, 'index.html');
  await writeFile(
    index,
    (await readFile(index, 'utf8')).replace('</title>', '</title><meta name="newer" />'),
  );
  const worker = join(folder, 'sw.js');
  await writeFile(
    worker,
    (await readFile(worker, 'utf8')).replace(
      /(url:`index\.html`,revision:`|"url":"index\.html","revision":")[0-9a-f]+/,
      '$1newer',
    ),
  );
  await page.evaluate(() => void navigator.serviceWorker.ready.then((one) => one.update()));
  await page.waitForSelector(named('A newer version'), { timeout: 60_000 });
  expect(await words(page, named('A newer version'))).toContain('once the run here is paused or done');
  expect(await page.$(`${part('take-version')}[data-disabled]`)).not.toBeNull();
  expect(await page.$('meta[name="newer"]')).toBeNull();
  await press(page, 'Pause');
  await untilState(page, 'paused');
  await Promise.all([page.waitForNavigation({ waitUntil: 'load' }), press(page, 'take it')]);
  expect(await page.$('meta[name="newer"]')).not.toBeNull();
  await page.waitForSelector(named('A run to resume'));
  await press(page, 'Resume');
  await untilState(page, 'paused');
  await page.close();
});

test('with the server gone, it opens, trains and merges', async () => {
  await server?.close();
  server = undefined;
  const { page, errors } = await openPage(stage, RUN);
  await press(page, 'forget it');
  await trainToTheEnd(page);
  await mergeAndCheck(page);
  expect(errors.filter((line) => !/ERR_CONNECTION_REFUSED/.test(line))).toEqual([]);
  await page.close();
});

test('with the server gone, labs and the textbook open and compute, in a language that was not spoken before', async () => {
  const page = await stage.browser.newPage();
  await page.goto(new URL('labs.html#lab=cayley&q12=1&engine=onnxruntime', stage.url).href, {
    waitUntil: 'load',
  });
  await says(page, 'rotation', /one plane by 90\.0°/);
  await speak(page, 'zh-Hans');
  await page.goto(new URL('labs.html#page=fourierft', stage.url).href, { waitUntil: 'load' });
  await says(page, 'inverse', /\p{Script=Han}/u);
  await page.close();
});
