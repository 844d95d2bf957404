/**
 * A person's own model and table in Chromium: the files are dropped; a CSV whose columns no one can guess is refused in a sentence, its columns are
 * named, the preview follows, two steps train, the merged file and the one before it write side by side, and after a reload the run is there with its
 * files. Seen to fail: padded rows compared under a mask that the trainer does not use, a dropped row that is not told, a page that
 * grows by what its areas hide.
 */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import type { ElementHandle, Page } from 'puppeteer-core';
import { beforeAll, expect, test } from 'vitest';
import {
  click,
  downloaded,
  keptStep,
  mergeAndCheck,
  named,
  openPage,
  part,
  press,
  takeAway,
  trainToTheEnd,
  until,
  untilWhole,
  words,
} from './page-tools.ts';
import { untilSeen } from './seen.ts';
import { setStage } from './stage.ts';

const LINK =
  'v=1&preset=own-model&method=oft&c.oft_block_size=16&engine=webgpu&seed=1&t.steps=2&t.batchSize=2&t.sequenceLength=32&t.evalEvery=0&t.evalExamples=2&t.warmupSteps=0';

const MODEL = ['model.onnx', 'config.json', 'tokenizer.json', 'tokenizer_config.json'];

type Input = ElementHandle<HTMLInputElement>;

const stage = setStage();
/** How many tokens both files shall write. */
const TOKENS = `${named('Run it')} ::-p-aria([name="Tokens"][role="textbox"])`;
let table: string;

beforeAll(async () => {
  const rows = Array.from({ length: 24 }, (_, i) =>
    i === 4 ? '"Where did nobody go?",""' : `"Where did fox ${i} go?","Fox ${i} ran home to the river."`,
  );
  table = join(await mkdtemp(join(tmpdir(), 'papilio-table-')), 'odd.csv');
  await writeFile(table, ['frage,erwiderung', ...rows].join('\n'));
});

/** Says what a column is, as a person does: opens its list and takes a line of it. */
async function pick(page: Page, column: string, what: string): Promise<void> {
  const list = await until(() => page.$(`${part(`column-${column}`)} button`), `the column ${column}`, 30);
  await click(list);
  const line = await until(() => page.$(`::-p-aria([name="${what}"][role="option"])`), what, 30);
  await click(line);
}

const dropped = (page: Page): Promise<string> =>
  page.$$eval(part('dropped'), (lists) => lists.map((list) => list.textContent).join());

const PREVIEW = named('Preview of the data');

const preview = (page: Page, wanted: RegExp) =>
  untilSeen(() => words(page, PREVIEW), wanted, `${wanted}`, 30);

test('a table with odd columns is mapped, trained on, merged, and both files write', async () => {
  const { page, errors } = await openPage(stage, LINK, 1440);
  // Both wait for files, so both are open.
  const [forModel, forData] = await untilSeen(
    () => page.$$(`${part('drop')} input[type=file]:not([webkitdirectory])`) as Promise<Input[]>,
    (found) => found.length === 2,
    'the places for model and data',
  );
  expect(await words(page, part('run-state'))).toBe('waiting for a model');
  await forModel!.uploadFile(...MODEL.map((name) => `public/models/tales-gpt/${name}`));
  await untilSeen(() => words(page, part('model-facts')), /Family\s+llama/i, 'the model', 30);
  expect(await words(page, part('run-state'))).toBe('waiting for data');
  expect(await forData!.evaluate((box) => box.accept)).toContain('.parquet');
  await forData!.uploadFile(table);

  // No name says what the columns are, so what they hold is the guess: the longest texts.
  const asText = await preview(page, /windows of 32/);
  expect(asText).toMatch(/"erwiderung" as text/);
  expect(asText).toMatch(/Texts are packed/);
  expect(await dropped(page)).toContain('odd.csv');

  expect(asText).not.toMatch(/frage" as/);

  await pick(page, 'frage', 'prompt');
  await preview(page, /belong together/);
  await pick(page, 'erwiderung', 'answer');
  const asChat = await preview(page, /the prompt is only read/);
  expect(asChat).toMatch(/"frage" as prompt, "erwiderung" as answer/);
  expect(asChat).toMatch(/row 6/);
  const counted = await page.$$eval(`${PREVIEW} ol li:first-child mark`, (all) =>
    all.map((one) => one.textContent).join(''),
  );
  expect(counted).toMatch(/^Fox␣\d+␣ran␣home/);

  // Areas scroll, the page does not: once it grew by what they hid.
  expect(await page.evaluate(() => document.documentElement.scrollHeight - innerHeight)).toBe(0);

  // A model of one's own is forecast unasked; once more, so that it is of the columns as they are now.
  await press(page, 'Forecast again');
  await page.waitForSelector(`${named('Forecast')}[aria-busy=false]`, { timeout: 60_000 });
  const PEAK = /Peak\s+([\d.]+ [kM]B)/;
  const said = await untilSeen(() => words(page, named('Forecast')), PEAK, 'a forecast', 60);
  const forecast = PEAK.exec(said)![1]!;

  await trainToTheEnd(page);
  const beside = await words(page, named('Forecast and measurement'));
  expect(beside).toContain(forecast);
  expect(beside).toMatch(/GPU memory, peak\s+\S+ [kM]B\s+\S+ [kM]B/);

  await mergeAndCheck(page);
  await page.type(`${named('Run it')} textarea`, 'Where did fox 3 go?');
  await page.$eval(TOKENS, (box) => (box as HTMLInputElement).select());
  await page.type(TOKENS, '12');
  await press(page, 'Write with both files');
  const sides = await untilSeen(
    () =>
      page.$$eval(`${named('Run it')} [aria-busy=false]`, (both) => both.map((one) => one.textContent ?? '')),
    (all) => all.length === 2,
    'both files’ texts',
    60,
  );
  for (const side of sides)
    expect(side).toMatch(/prompt tokens in [\d.]+\sm?s.*\d+ new, with the file’s cache/s);
  expect(sides[0]).toMatch(/^before/);
  expect(sides[1]).toMatch(/^merged/);

  await takeAway(page, 'Folder');
  const zip = unzipSync(new Uint8Array(await readFile(await downloaded(stage.downloads, '.zip'))));
  const names = Object.keys(zip).map((name) => name.slice(name.indexOf('/') + 1));
  expect(names).toEqual(expect.arrayContaining(['onnx/model.onnx', 'config.json', 'tokenizer.json']));

  // The page anew: the browser keeps the run with the table it was made of.
  await untilSeen(
    () => keptStep(page),
    (seen) => seen === 2,
    'the last checkpoint',
    20,
  );
  await page.reload({ waitUntil: 'load' });
  await untilWhole(page);
  await press(page, 'Resume');
  await untilSeen(() => words(page, part('figures')), /step 2 of 2/, 'the resumed run', 60);
  for (const name of ['model.onnx', 'odd.csv']) expect(await dropped(page)).toContain(name);
  expect(errors).toEqual([]);
  await page.close();
});
