/**
 * `npm run first-press -- [WAY …]`: what a first visitor waits for. Presses Train once on the first preset, in a fresh profile, and writes down when what
 * stands on the page; then the same with a head alone. Once in each browser, with WebGPU and without; what came of it goes to docs/first-press.json, and
 * from there to docs/first-press.md.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { argv, exit, stderr, stdout } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { launch } from 'puppeteer-core';
import { launchOptions } from '../../test/tools/launchOptions.mjs';
import { serve } from '../serve.mjs';
import { reportOf } from './report.mjs';

const WAYS = {
  'chrome-processor': { kind: 'chrome', hasWebGpu: false },
  'firefox-processor': { kind: 'firefox', hasWebGpu: false },
  'chrome-webgpu': { kind: 'chrome', hasWebGpu: true },
  'firefox-webgpu': { kind: 'firefox', hasWebGpu: true },
};

const PRESET = 'v=1&preset=letters-boft';
/** The head alone at its best rate of five, by docs/figures.md. */
const HEAD = `${PRESET}&method=head&t.learningRate=0.03`;

const CAN_TRAIN = '[data-testid=toggle]:not([data-disabled])';
const LOOK_EVERY_MS = 200;
const MOST_SECONDS = 1200;
const MINUTE = 60;

/** What a visitor sees of the run now. */
const look = (page) =>
  page.evaluate(() => {
    const text = (id) => document.querySelector(`[data-testid=${id}]`)?.textContent ?? '';
    return {
      state: document.querySelector('[data-testid=run-state]')?.dataset.state,
      figures: [...(document.querySelector('[data-testid=figures]')?.children ?? [])].map((figure) =>
        [...figure.querySelectorAll('dd')].map((part) => part.textContent),
      ),
      machine: text('machine'),
      trouble: text('run-error'),
    };
  });

/** @returns what the figures say: loss, held-out score now and before, steps; null for what is not there yet */
function read([[loss] = [], [score, note = ''] = [], , [, steps = ''] = []]) {
  const share = (words) => {
    const [, value] = /([\d.]+) %/.exec(words ?? '') ?? [];
    return value === undefined ? null : Number(value) / 100;
  };
  const number = (expression, words) => {
    const [, value] = expression.exec(words ?? '') ?? [];
    return value === undefined ? null : Number(value.replaceAll(',', ''));
  };
  const before = share(/was .*/.exec(note)?.[0]);
  return {
    hasLoss: /\d/.test(loss ?? ''),
    score: share(score),
    before: before ?? share(score),
    examples: number(/([\d,]+) (?:held-out )?examples/, note),
    step: number(/step ([\d,]+) of/, steps),
    total: number(/of ([\d,]+)/, steps),
  };
}

/** One press on a page of its own. */
async function pressOnce(browser, url, hash) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.setViewport({ width: 1280, height: 900 });
  await page.goto(`${url}#${hash}`, { waitUntil: 'load' });
  await (await page.waitForSelector(CAN_TRAIN, { timeout: 60_000 })).click();
  const start = performance.now();
  const of = { firstLoss: null, firstScore: null, atMinute: null };
  for (;;) {
    const { state, figures, machine, trouble } = await look(page);
    const seconds = (performance.now() - start) / 1000;
    if (trouble !== '') throw new Error(`The page says: ${trouble}`);
    if (seconds > MOST_SECONDS) throw new Error(`The run did not end within ${MOST_SECONDS} s.`);
    // Before the press counts, the figures are those of the recorded run.
    const now = /running|finished/.test(state) ? read(figures) : null;
    if (now !== null) {
      if (now.hasLoss) of.firstLoss ??= seconds;
      if (now.score !== null && now.step > 0 && now.score !== now.before)
        of.firstScore ??= { seconds, ...now };
      if (seconds <= MINUTE) of.atMinute = now;
    }
    if (state === 'finished') {
      await context.close();
      return { ...of, seconds, end: now, machine };
    }
    await sleep(LOOK_EVERY_MS);
  }
}

/** @returns the record of one way */
async function measure(name, { kind, hasWebGpu }, url) {
  const load = loadavg()[0];
  const browser = await launch(launchOptions(kind, hasWebGpu));
  try {
    // With a software adapter alone the page would choose onnxruntime.
    const engine = `&engine=${hasWebGpu ? 'webgpu' : 'onnxruntime'}`;
    const preset = await pressOnce(browser, url, PRESET + engine);
    const head = await pressOnce(browser, url, HEAD + engine);
    return {
      name,
      browser: await browser.version(),
      hardware: `${cpus().length} × ${cpus()[0].model.trim()}`,
      load,
      date: new Date().toISOString().slice(0, 10),
      preset,
      head,
    };
  } finally {
    await browser.close();
  }
}

const chosen = argv.slice(2);
const strange = chosen.filter((name) => !(name in WAYS));
if (strange.length > 0) {
  stderr.write(`There is no way ${strange.join(', ')}; there are ${Object.keys(WAYS).join(', ')}.\n`);
  exit(2);
}
const docs = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'docs');
const json = join(docs, 'first-press.json');
const known = () => {
  try {
    return JSON.parse(readFileSync(json, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
};
const server = await serve();
try {
  for (const name of chosen.length > 0 ? chosen : Object.keys(WAYS)) {
    const record = await measure(name, WAYS[name], server.url);
    const kept = known().filter((one) => one.name !== name);
    const all = Object.keys(WAYS).flatMap((way) => [...kept, record].filter((one) => one.name === way));
    writeFileSync(json, `${JSON.stringify(all, null, 2)}\n`);
    writeFileSync(join(docs, 'first-press.md'), reportOf(all));
    stdout.write(
      `${name}: ${record.preset.seconds.toFixed(1)} s, ${(100 * record.preset.end.score).toFixed(1)} %\n`,
    );
  }
} finally {
  server.end();
}
