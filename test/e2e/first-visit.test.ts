/**
 * A first visit: JavaScript before anything else comes, seconds until something is seen, and what is seen: what this is, a recorded run, and the button that
 * makes it live. Seen to fail with: the charts in the entry, a recording that stays when a run begins, a band that pushes the button out of the window.
 */
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { CAN_TRAIN, named, part, press, until, untilWhole, withoutWebGpu, words } from './page-tools.ts';
import { untilSeen } from './seen.ts';
import { setStage } from './stage.ts';

const stage = setStage();

test('the entry, with what it cannot do without, is at most 200 kB of JavaScript, packed', async () => {
  const html = await (await fetch(stage.url)).text();
  const paths = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+\.js)"/g)].map(([, path]) => path!);
  expect(paths.length).toBeGreaterThan(1);
  let bytes = 0;
  for (const path of paths) {
    const script = await (await fetch(new URL(path, stage.url))).arrayBuffer();
    bytes += gzipSync(new Uint8Array(script)).length;
  }
  expect(bytes).toBeLessThanOrEqual(200_000);
});

test('something is seen within 1.5 s, at the best of three visits', async () => {
  const seconds: number[] = [];
  for (let visit = 0; visit < 3; visit++) {
    const context = await stage.browser.createBrowserContext();
    const page = await context.newPage();
    await page.goto(stage.url, { waitUntil: 'load' });
    await page.waitForSelector('main h2');
    seconds.push(
      await page.evaluate(
        () =>
          new Promise<number>((resolve) =>
            new PerformanceObserver((list) => {
              const first = list.getEntriesByName('first-contentful-paint')[0];
              if (first) resolve(first.startTime / 1000);
            }).observe({ type: 'paint', buffered: true }),
          ),
      ),
    );
    await context.close();
  }
  expect(Math.min(...seconds)).toBeLessThanOrEqual(1.5);
});

test('a first visit, without WebGPU too, finds a recorded run and one button, and says what this is', async () => {
  const context = await stage.browser.createBrowserContext();
  const page = await context.newPage();
  await withoutWebGpu(page);
  await page.setViewport({ width: 1280, height: 900 });
  await page.goto(stage.url, { waitUntil: 'load' });
  await untilWhole(page);
  const start = named('What Papilio is');
  expect(await words(page, start)).toMatch(/OFT[\s\S]+BOFT[\s\S]+FourierFT/);
  // In the window at once: the button, and a picture.
  /** How much of it, in pixels from its top. */
  const inWindow = (selector: string) =>
    page.$eval(selector, (one) => innerHeight - one.getBoundingClientRect().top);
  const height = await page.$eval(CAN_TRAIN, (one) => (one as HTMLElement).offsetHeight);
  expect(await inWindow(CAN_TRAIN)).toBeGreaterThan(height);
  await page.waitForSelector(`${named('See')} ${part('recorded')}`);
  await page.waitForSelector(part('graph'));
  expect(await inWindow(part('graph'))).toBeGreaterThan(70);
  expect(await inWindow(part('figures'))).toBeGreaterThan(50);
  // What it says of itself, and what it shows.
  const note = `${named('Train')} ${part('recorded')}`;
  expect(await words(page, note)).toMatch(/recorded[\s\S]+Digits to letters[\s\S]+20\d\d: .+, on .+/);
  const SCORES = /([\d.]+) %\s+was ([\d.]+) %/;
  const figures = SCORES.exec(await untilSeen(() => words(page, part('figures')), SCORES, 'scores'))!;
  expect(Number(figures[1])).toBeGreaterThan(Number(figures[2]) + 30);
  expect(await words(page, part('rotation'))).toMatch(/RᵀR − I‖\s+[\d.]+ e−\d/);
  // The button that comes next is marked, until it was used.
  expect(await page.$$eval('[data-next]', (all) => all.map((one) => one.textContent))).toEqual(['Train']);
  // Train makes it live, and the band is put away for good; after a reset the recorded run is there again.
  await press(page, 'Train');
  await until(async () => (await page.$(part('recorded'))) === null, 'the recorded run gone', 20);
  expect(await page.$(start)).toBeNull();
  expect(await page.$(`${part('toggle')}[data-next]`)).toBeNull();
  await press(page, 'Show the recorded run');
  await page.waitForSelector(note);
  expect(await words(page, note)).toContain('back to your run');
  await press(page, 'back to your run');
  await press(page, 'Reset');
  await page.waitForSelector(note);
  await page.reload({ waitUntil: 'load' });
  await untilWhole(page);
  expect(await page.$(start)).toBeNull();
  await page.focus('body');
  await page.keyboard.press('i');
  await page.waitForSelector(start);
  await context.close();
});
