/**
 * The page without any WebGPU: one press trains on the processor, in onnxruntime, which is named; the merged file computes what was trained; paused, reloaded and
 * resumed, the curve is the same bit for bit. On a server without the headers of isolation there is one thread.
 */
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { serveFolder } from '../tools/package.ts';
import { servePage } from '../tools/server.mjs';
import {
  mergeAndCheck,
  metrics,
  named,
  openPage,
  part,
  press,
  QUICK,
  stepReloadResume,
  trainToTheEnd,
  untilState,
  withoutWebGpu,
  words,
} from './page-tools.ts';
import { setStage } from './stage.ts';

/** The preset of a first visit, with fewer steps. */
const FIRST =
  'v=1&preset=letters-boft&seed=4&t.batchSize=4&t.steps=3&t.evalEvery=0&t.evalExamples=8&t.warmupSteps=1';
/** An adapter with a dropout on the quickest model, where the engine is left to the page. */
const RUN = `${QUICK.replace('&engine=webgpu', '')}&seed=4&t.steps=4`;

const openHere = (stage: ReturnType<typeof setStage>, link = RUN) =>
  openPage(stage, link, 1280, withoutWebGpu);

/** One press, from a page that says what it lacks to a merged file. */
async function trainAndMerge(stage: ReturnType<typeof setStage>): Promise<void> {
  const { page, errors } = await openHere(stage, FIRST);
  await page.waitForSelector(named('No WebGPU'));
  expect(await words(page, named('No WebGPU'))).toMatch(/the processor trains/);
  await trainToTheEnd(page);
  expect(await words(page, part('machine'))).toMatch(/onnxruntime[\s\S]*threads?/);
  expect(await words(page, part('clocks'))).toContain('3 of 3 steps');
  await mergeAndCheck(page);
  expect(errors).toEqual([]);
  await page.close();
}

/**
 * The curve of two threads and more, where the machine has them. It is of a small model: with the first preset's the run of one thread took 17 to 23 s, with this
 * one 6 to 8. In Node unit/onnxruntime-threads.test.ts holds the held-out score and the trained numbers of one thread and two to the same bits too.
 */
let curve: readonly string[] = [];

describe('without WebGPU', () => {
  const stage = setStage();
  test('one press trains, and the merged file computes what was trained', () => trainAndMerge(stage));

  test('paused, reloaded and resumed, the curve is the same bit for bit', async () => {
    const whole = await openHere(stage);
    await trainToTheEnd(whole.page);
    curve = await metrics(whole.page);
    await whole.page.close();
    const { page } = await openHere(stage);
    await press(page, 'forget it');
    await stepReloadResume(page);
    await press(page, 'Continue');
    await untilState(page, 'finished');
    expect(await metrics(page)).toEqual(curve);
    await page.close();
  });
});

describe('without WebGPU and without isolation', () => {
  const stage = setStage('chrome', {
    serve: async () => {
      // Built by whoever serves it as it should be.
      await (await servePage()).close();
      return serveFolder('dist');
    },
  });
  test('one thread trains, bit for bit as several do', async () => {
    const { page } = await openHere(stage);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
    await trainToTheEnd(page);
    expect(await words(page, part('machine'))).toMatch(/onnxruntime[\s\S]* 1 thread$/m);
    expect(await metrics(page)).toEqual(curve);
    await page.close();
  });
});

/** The name that onnxruntime gives its threads, in its own file. */
const THREAD = 'em-pthread';

// Each build of onnxruntime has the text that its threads begin with; and what the file around it imports, threads that begin with that would run: it was the
// whole worker that trains. Seen to fail without `threadsAlone` of vite.config.ts.
test('onnxruntime’s threads begin with its own file alone', async () => {
  const names = (await readdir('dist/assets')).filter((name) => name.endsWith('.js'));
  const files = await Promise.all(
    names.map(async (name) => ({ name, text: await readFile(`dist/assets/${name}`, 'utf8') })),
  );
  const started = files.filter(({ text }) => text.includes(THREAD));
  expect(started.length).toBeGreaterThan(0);
  for (const { name, text } of started) {
    expect(text, name).toMatch(/as threadText\b/);
    expect(text.match(/\b(import|from)\s*["'`]\.\/[^"'`]+["'`]/g) ?? [], name).toEqual([]);
  }
});

describe('Firefox without WebGPU', () => {
  const stage = setStage('firefox', { hasWebGpu: false });
  test('one press trains, and the merged file computes what was trained', () => trainAndMerge(stage));
});
