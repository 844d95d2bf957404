/**
 * A model and data by name, in Chromium against a stand-in of the Hub: listed, fetched with progress, broken off, resumed, kept, and trained with the
 * Hub gone; and what goes wrong ends in a sentence with a way on.
 */
import { readFile } from 'node:fs/promises';
import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type HubRepo, type HubServer, startHub } from '../tools/hub.ts';
import { CAN_TRAIN, part, press, unfold, untilState, words } from './page-tools.ts';
import { untilSeen } from './seen.ts';
import { setStage } from './stage.ts';

const LINK =
  'v=1&preset=own-model&model=hub&data=hub&method=oft&c.oft_block_size=16&engine=onnxruntime&seed=1&t.steps=2&t.batchSize=2&t.sequenceLength=32&t.evalEvery=0&t.evalExamples=2&t.warmupSteps=0';
const MODEL = 'onnx/model.onnx';
const MODEL_PART = part('hub-model');
const DATA_PART = part('hub-dataset');
/** A piece of the model arrives, and the rest waits: nothing depends on who is quicker. */
const HOLD = { kind: 'hold', after: 800_000 } as const;

const stage = setStage('chrome', { elsewhere: () => [hub.url], takesAnyCertificate: true });
let hub: HubServer;
let repos: HubRepo[];

beforeAll(async () => {
  const read = (name: string) => readFile(`public/models/tales-gpt/${name}`).then((b) => new Uint8Array(b));
  const files = {
    'config.json': await read('config.json'),
    'tokenizer.json': await read('tokenizer.json'),
    'tokenizer_config.json': await read('tokenizer_config.json'),
    [MODEL]: await read('model.onnx'),
  };
  const text = Array.from({ length: 300 }, (_, i) => `The ${i}th day was warm, and the fox ran home.`);
  repos = [
    { kind: 'model', name: 'makers/Tales-ONNX', files, tags: ['onnx'], downloads: 9 },
    { kind: 'model', name: 'makers/Tales', files: { 'model.safetensors': files[MODEL] } },
    { kind: 'model', name: 'makers/closed-ONNX', files, tags: ['onnx'], isGated: true },
    {
      kind: 'dataset',
      name: 'makers/days',
      files: { 'data/train.txt': new TextEncoder().encode(text.join('\n')) },
    },
  ];
  hub = await startHub(repos, 0, 'https');
});
afterAll(async () => {
  await hub?.close();
});

/** A page of its own storage that asks the stand-in: its user has set the address, a link could not. */
async function openHere(): Promise<Page> {
  const context = await stage.browser.createBrowserContext();
  const page = await context.newPage();
  await page.setViewport({ width: 1280, height: 900 });
  await page.evaluateOnNewDocument((url) => localStorage.setItem('papilio.hub', url), hub.url);
  await load(page);
  return page;
}

async function load(page: Page): Promise<void> {
  await page.goto('about:blank');
  await page.goto(`${stage.url}#${LINK}`, { waitUntil: 'load' });
  await page.waitForSelector('main h2');
  for (const section of ['model', 'data'] as const) await unfold(page, section);
  await page.waitForSelector('#hub-model');
  await page.waitForSelector('#hub-dataset');
}

async function find(page: Page, what: 'model' | 'dataset', name: string): Promise<void> {
  await page.$eval(`#hub-${what}`, (box) => (box as HTMLInputElement).select());
  await page.type(`#hub-${what}`, name);
  await page.keyboard.press('Enter');
}

/** Waits for words in an element. */
const shown = (page: Page, wanted: RegExp | string, where = MODEL_PART): Promise<string> =>
  untilSeen(() => words(page, where), wanted, `${where} to say ${wanted}`, 60);
const trouble = (page: Page, wanted: RegExp | string) => shown(page, wanted, part('hub-trouble'));
const DOWNLOAD = 'Download f32 · model';

/** The Hub is there again, where it was. */
async function comeBack(): Promise<void> {
  await hub.close();
  hub = await startHub(repos, Number(new URL(hub.url).port), 'https');
}
// One test that leaves it closed does not fail the next.
beforeEach(comeBack);

test('found by name, fetched, broken off, resumed, kept; trained with the Hub gone', async () => {
  const page = await openHere();
  await find(page, 'model', 'tales');
  await press(page, 'makers/Tales-ONNX');
  await shown(page, /f32 · model[\s\S]*onnx\/model\.onnx\s+3\.7 MB/);
  await shown(page, new RegExp(`commit\\s+${hub.commitOf('makers/Tales-ONNX').slice(0, 7)}`));

  hub.faults.set(MODEL, HOLD);
  await press(page, DOWNLOAD);
  await shown(page, /model\.onnx: [1-9][\d.]* [kM]B of 3\.7 MB/);
  await press(page, 'Stop');
  await trouble(page, 'broken off; what has arrived is kept');
  await shown(page, /[1-9]\d* % here/);
  await press(page, 'Resume');
  await untilSeen(
    () => hub.requests,
    (all) => all.some((line) => /model\.onnx bytes=[1-9]/.test(line)),
    'the rest to be asked for',
    20,
  );
  await hub.close();
  await trouble(page, /cannot be reached|connection ended/);

  await comeBack();
  await press(page, 'Resume');
  await shown(page, /In use: hub:makers\/Tales-ONNX@[0-9a-f]{40}\/onnx\/model\.onnx/);
  expect(hub.requests.find((line) => /model\.onnx bytes=/.test(line))).toMatch(/bytes=[1-9]\d{4,}-/);
  await shown(page, /Family\s+llama[\s\S]*3\.7 MB/i, part('model-facts'));

  await find(page, 'dataset', 'makers/days');
  await press(page, 'Download train');
  await shown(page, /In use: hub:makers\/days@/, DATA_PART);
  await hub.close();

  // The page anew, and no Hub: what is kept is enough.
  await load(page);
  await press(page, 'makers/Tales-ONNX');
  await press(page, 'Use f32 · model');
  await shown(page, /In use: hub:makers\/Tales-ONNX/);
  // What it is appears above the data, and would push the next button away.
  await shown(page, /Family/, part('model-facts'));
  await press(page, 'makers/days');
  await press(page, 'Use train');
  await shown(page, /In use: hub:makers\/days/, DATA_PART);
  await page.waitForSelector(CAN_TRAIN, { timeout: 120_000 });
  await press(page, 'Train');
  await untilState(page, 'finished');
  expect(await page.title()).toMatch(/^100 % – loss \d/);
  await page.browserContext().close();
});

test('what goes wrong ends in a sentence and a way on', async () => {
  const page = await openHere();
  await find(page, 'model', 'makers/Tales-ONX');
  await trouble(page, /no model makers\/Tales-ONX[\s\S]*Near to it: makers\/Tales-ONNX/);
  await find(page, 'model', 'makers/Tales');
  await trouble(page, /holds no \.onnx file; these do: makers\/Tales-ONNX/);
  await press(page, 'Open makers/Tales-ONNX');
  await shown(page, /f32 · model/);

  hub.faults.set(MODEL, { kind: 'short', by: 1000 });
  await press(page, DOWNLOAD);
  await trouble(page, /where \d+ were promised[\s\S]*Download again/);
  hub.faults.set(MODEL, { kind: 'wrong' });
  await press(page, 'Download again');
  await trouble(page, /SHA-256 does not fit[\s\S]*Download again/);
  hub.faults.clear();

  const client = await page.createCDPSession();
  const { origin } = new URL(stage.url);
  const quota = (quotaSize?: number) =>
    client.send('Storage.overrideQuotaForOrigin', {
      origin,
      ...(quotaSize === undefined ? {} : { quotaSize }),
    });
  let fill = () => {};
  hub.faults.set(MODEL, { ...HOLD, until: new Promise<void>((resolve) => (fill = resolve)) });
  await press(page, 'Download again');
  await shown(page, /model\.onnx: [1-9][\d.]* [kM]B of 3\.7 MB/);
  await quota(1_500_000);
  fill();
  await trouble(page, /no more room for this page/);
  await quota();
  hub.faults.clear();
  await press(page, 'Try again');
  await shown(page, /In use: hub:makers\/Tales-ONNX/);
  // The trainer reads it; what is freed under its hands it would fetch again.
  await shown(page, /Family/, part('model-facts'));
  await press(page, 'Free makers/Tales-ONNX');
  await shown(page, /Kept in this browser: 0 B/);

  await find(page, 'model', 'makers/closed-ONNX');
  await shown(page, /makers\/closed-ONNX\s+gated/);
  await press(page, DOWNLOAD);
  await trouble(page, 'accept its licence on');
  await page.type(`${part('hub-trouble')} input[type=password]`, hub.token);
  await press(page, 'Try again');
  await shown(page, /In use: hub:makers\/closed-ONNX/);
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage }) + location.href);
  expect(kept).not.toContain(hub.token);
  await page.browserContext().close();
});
