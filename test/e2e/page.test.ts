/**
 * The product's promise in Chromium: open, train on one press, compare, merge, parity, download, open the download again; pause, reload
 * and resume bit for bit. Runs are small, since the adapter may be the processor.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { unzipSync } from 'fflate';
import { expect, test } from 'vitest';
import { readAdapter } from '../../src/adapters/peft.ts';
import { openSession } from '../../src/inference/session.ts';
import {
  CAN_TRAIN,
  click,
  downloaded,
  expectLearning,
  keptStep,
  LEARNING,
  mergeAndCheck,
  metrics,
  named,
  onProcessor,
  openPage,
  openTab,
  part,
  press,
  QUICK,
  TALES,
  takeAway,
  trainToTheEnd,
  until,
  untilState,
  words,
} from './page-tools.ts';
import { setStage } from './stage.ts';

const stage = setStage();

/** Bytes, gzipped, of the scripts and styles that the page loads before it can be used: 200,700 when this was written, and a twentieth more. */
const FIRST_BUNDLE = 211_000;

test('the first bundle keeps to its budget', async () => {
  const html = await readFile('dist/index.html', 'utf8');
  const first = new Set(
    [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+\.(?:js|css))"/g)].map(([, file]) => file!),
  );
  const sizes = await Promise.all(
    [...first].map(async (file) => gzipSync(await readFile(join('dist', file))).length),
  );
  expect(first.size).toBeGreaterThan(2);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(FIRST_BUNDLE);
});

test('one press trains: unseen letters are read; answers, parity and files follow', async () => {
  const { page, errors } = await openPage(stage, LEARNING);
  await trainToTheEnd(page);
  await expectLearning(page);
  expect(await words(page, part('figures'))).toMatch(/[\d.]+ examples\/s/);
  await until(() => page.$(part('examples')), 'pictures before and after');
  // The run has 16 steps: what is on screen is of the last one, or says that it is not.
  await until(
    async () => /base model and step 16\./.test(await words(page, named('See'))),
    'before and after of the last step',
  );
  expect(await page.$(part('stale'))).toBeNull();
  expect(await page.title()).toMatch(/^100 % – loss \d/);

  await openTab(page, 'Inside');
  await until(async () => /RᵀR − I/.test(await words(page, named('See'))), 'a look inside');

  await mergeAndCheck(page);
  await takeAway(page, 'Merged model');
  const onnx = await readFile(await downloaded(stage.downloads, '.onnx'));
  const session = await openSession(new Uint8Array(onnx));
  const pixels = { dtype: 'float32' as const, dims: [1, 1, 32, 32], data: new Float32Array(1024) };
  const { logits } = await session.run({ pixel_values: pixels });
  expect(logits?.dims).toEqual([1, 26]);
  expect(logits?.data.every((x) => Number.isFinite(x))).toBe(true);
  await session.release();

  await takeAway(page, 'Adapter');
  const files = unzipSync(new Uint8Array(await readFile(await downloaded(stage.downloads, '-adapter.zip'))));
  const adapter = readAdapter(
    new TextDecoder().decode(files['adapter_config.json']),
    files['adapter_model.safetensors']!,
  );
  expect(adapter.method.id).toBe('boft');
  expect(adapter.tensors.size).toBe(24);

  await takeAway(page, 'Metrics');
  const csv = await readFile(await downloaded(stage.downloads, '-metrics.csv'), 'utf8');
  expect(csv.trim().split('\n')).toHaveLength(1 + 16 + 1);

  const name = await words(page, part('run-name'));
  await takeAway(page, 'Folder');
  const folder = unzipSync(new Uint8Array(await readFile(await downloaded(stage.downloads, `${name}.zip`))));
  const card = Object.entries(folder).find(([name]) => name.endsWith('/README.md'))![1];
  expect(new TextDecoder().decode(card)).toMatch(/held-out accuracy \| [\d.]+ % \| [\d.]+ % \|/);

  // A chart in numbers, and how a figure was got, by keyboard.
  await press(page, 'Take away: Loss by step');
  await click((await page.waitForSelector('::-p-aria([name="Save numbers (CSV)"][role="menuitem"])'))!);
  const curve = await readFile(await downloaded(stage.downloads, 'loss-by-step.csv'), 'utf8');
  expect(curve.split('\n')[0]).toContain('de-biased exponential moving average');
  expect(curve.trim().split('\n')).toHaveLength(1 + 1 + 16);
  await page.focus(named('Loss: how was this measured?'));
  await page.keyboard.press('Enter');
  expect(
    await until(
      () => words(page, `[role=dialog]${named('Loss: how was this measured?')}`),
      'how the loss was measured',
      10,
    ),
  ).toContain('each step’s batch');
  await page.keyboard.press('Escape');

  // The device is checked beside the run, and leaves it when it is told to.
  await click((await page.$('::-p-xpath(//summary[contains(., "Check my device")])'))!);
  await press(page, 'Check my device');
  // A second case of the same kernel is checked after the first.
  const checked = () => page.$eval(named('Cases checked'), (bar) => Number(bar.ariaValueNow)).catch(() => 0);
  await until(async () => (await checked()) >= 2, 'the third case', 60);
  await press(page, 'stop');
  const verdict = await until(
    async () => {
      const said = await words(page, part('device-verdict'));
      return /^So far/.test(said) ? '' : said;
    },
    'what the check found in the end',
    60,
  );
  expect(verdict).toMatch(/^Every one of \d+ checks of \d+ ops? passed/);
  expect(errors).toEqual([]);
  await page.close();
});

test('paused, reloaded and resumed, the curve is the same bit for bit', async () => {
  const hash = `${QUICK}&t.steps=4&seed=4`;
  const whole = await openPage(stage, hash);
  await trainToTheEnd(whole.page);
  const expected = await metrics(whole.page);
  await whole.page.close();

  const { page } = await openPage(stage, hash);
  await page.waitForSelector(CAN_TRAIN);
  await press(page, 'Step');
  await untilState(page, 'paused');
  await until(async () => /step 1 of 4/.test(await words(page, part('figures'))), 'the first step');
  await until(async () => (await keptStep(page)) === 1, 'the checkpoint of step 1');
  await page.reload({ waitUntil: 'load' });
  await page.waitForSelector(named('A run to resume'));
  await press(page, 'Resume');
  await untilState(page, 'paused');
  await press(page, 'Continue');
  await untilState(page, 'finished');
  expect(await metrics(page)).toEqual(expected);
  await page.close();
});

// By onnxruntime, since each method more took 5 to 28 s here on WebGPU, in software: what a link makes of a request is in unit/page-link.test.ts, and every method
// trains on WebGPU in gpu/training-methods.test.ts. In the page WebGPU trains BOFT, OFT (own-data.test.ts) and LoRA.
test.each(['head', 'full'])('%s trains from a link', async (method) => {
  const { page, errors } = await openPage(stage, onProcessor(`${TALES}&method=${method}&t.steps=3`));
  await trainToTheEnd(page);
  expect(await words(page, part('clocks'))).toContain('3 of 3 steps');
  expect(errors).toEqual([]);
  await page.close();
});

test('a language model trains and writes', async () => {
  const { page } = await openPage(stage, `${TALES}&t.steps=3`);
  await trainToTheEnd(page);
  expect(await words(page, part('figures'))).toMatch(/Held-out perplexity\s+[\d.]+/i);
  const text = await until(() => words(page, part('texts')), 'texts side by side');
  expect(text).toMatch(/before[\s\S]+after/);
  await page.close();
});
