/** What a first visit costs: JavaScript before anything else comes, and seconds until something is seen. Seen to fail with: the charts in the entry. */
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
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
