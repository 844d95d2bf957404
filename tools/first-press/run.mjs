/**
 * `npm run first-press -- [shared] [WAY …]`: what a first visitor waits for. Presses Train once on the first preset, in a fresh profile, and writes down when what
 * stands on the page; then the same with a head alone. Once in each browser, with WebGPU and without; what came of it goes to docs/first-press.json, and
 * from there to docs/first-press.md. `shared` says of the machine that it has other work meanwhile.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { argv, exit, stderr, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { launch } from 'puppeteer-core';
import { launchOptions } from '../../test/tools/launchOptions.mjs';
import { servePage } from '../../test/tools/server.mjs';
import { pressOnce } from './press.mjs';

const WAYS = {
  'chrome-processor': { kind: 'chrome', hasWebGpu: false },
  'firefox-processor': { kind: 'firefox', hasWebGpu: false },
  'chrome-webgpu': { kind: 'chrome', hasWebGpu: true },
  'firefox-webgpu': { kind: 'firefox', hasWebGpu: true },
};

const PRESET = 'v=1&preset=letters-boft';
/** The head alone at its best rate of five, by docs/figures.md. */
const HEAD = `${PRESET}&method=head&t.learningRate=0.03`;

/** @returns the record of one way */
async function measure(name, { kind, hasWebGpu }, url, isShared) {
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
      hardware: `${cpus().length} × ${cpus()[0].model.trim()}${isShared ? ', shared with other work' : ''}`,
      load,
      date: new Date().toISOString().slice(0, 10),
      preset,
      head,
    };
  } finally {
    await browser.close();
  }
}

const share = (value) => `${(100 * value).toFixed(1)} %`;
const seconds = (value) => (value === null ? 'none' : `${value.toFixed(1)} s`);

const row = ({ browser, hardware, load, date, preset, head }) =>
  [
    browser,
    preset.machine,
    seconds(preset.firstLoss),
    preset.firstScore === null
      ? 'none'
      : `${share(preset.firstScore.score)} at step ${preset.firstScore.step}, after ${seconds(preset.firstScore.seconds)}`,
    preset.atMinute === null
      ? 'nothing yet'
      : `${share(preset.atMinute.score)} at step ${preset.atMinute.step}`,
    `${share(preset.end.score)} after ${seconds(preset.seconds)}`,
    share(preset.end.before),
    `${share(head.end.score)} after ${seconds(head.seconds)}`,
    hardware,
    load.toFixed(1),
    date,
  ].join(' | ');

/** docs/first-press.md. @param records of ways, in the order of the rows */
function reportOf(records) {
  const [{ preset }] = records;
  return [
    '# The first minute',
    '',
    `Written by \`npm run first-press\`: one press of Train on the first preset, on the built page in a fresh profile. ${preset.end.total} steps with all evaluations, each on ${preset.end.examples} held-out letters, at the preset's own seed. Seconds are of the clock from the press, and hold loading, compiling and evaluating. Base model: the share that it reads before training. Head alone: as many steps of a new head and nothing else, at its best rate of five ([figures.md](figures.md)), with its own seconds. Load: how many programs wanted a processor in the minute before the press; what runs beside it takes from the pace.`,
    '',
    `| browser | trained by | first loss | first score after the start | after 60 s | all ${preset.end.total} steps | base model | head alone | hardware | load | date |`,
    '|---|---|---|---|---|---|---|---|---|---|---|',
    ...records.map((record) => `| ${row(record)} |`),
    '',
  ].join('\n');
}

const SHARED = 'shared';
const given = argv.slice(2);
const chosen = given.filter((word) => word !== SHARED);
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
const server = await servePage();
try {
  for (const name of chosen.length > 0 ? chosen : Object.keys(WAYS)) {
    const record = await measure(name, WAYS[name], server.url, given.includes(SHARED));
    const kept = known().filter((one) => one.name !== name);
    const all = Object.keys(WAYS).flatMap((way) => [...kept, record].filter((one) => one.name === way));
    writeFileSync(json, `${JSON.stringify(all, null, 2)}\n`);
    writeFileSync(join(docs, 'first-press.md'), reportOf(all));
    stdout.write(
      `${name}: ${record.preset.seconds.toFixed(1)} s, ${(100 * record.preset.end.score).toFixed(1)} %\n`,
    );
  }
} finally {
  await server.close();
}
