/**
 * Adapters in the page: one from a short run is dropped as a zip, listed, merged, packed again, trained further; a broken zip says why and changes
 * nothing. One run of one step each way, since the adapter may be the processor.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import type { ElementHandle, Page } from 'puppeteer-core';
import { expect, test } from 'vitest';
import { type LoadedAdapter, readAdapter } from '../../src/adapters/peft.ts';
import {
  downloaded,
  named,
  onProcessor,
  openPage,
  openTab,
  part,
  press,
  SMALL,
  trainToTheEnd,
  until,
  untilState,
  words,
} from './page-tools.ts';
import { untilSeen } from './seen.ts';
import { setStage } from './stage.ts';

const stage = setStage();

const ONE_STEP = `${onProcessor(SMALL)}&method=lora&c.target_modules=["query"]&c.r=2&t.steps=1&t.evalEvery=0`;

/** The first adapter of the list. */
const ITEM = `${named('Opened adapters')} > li`;

function adapterIn(zip: Uint8Array): LoadedAdapter {
  const files = unzipSync(zip);
  return readAdapter(
    new TextDecoder().decode(files['adapter_config.json']),
    files['adapter_model.safetensors']!,
  );
}

async function drop(page: Page, path: string): Promise<void> {
  const box = (await page.$(
    `${named('See')} ${part('drop')} input[type=file]`,
  )) as ElementHandle<HTMLInputElement>;
  await box.uploadFile(path);
}

/** Waits until the list is at rest, then presses: what is under way disables the buttons. */
async function pressAtRest(page: Page, name: string): Promise<void> {
  await until(
    async () => {
      const button = await page.$(`::-p-aria([name="${name}"][role="button"])`);
      return button?.evaluate((element) => !element.hasAttribute('data-disabled'));
    },
    `the button ${name} to be enabled`,
    120,
  );
  await press(page, name);
}

test('an adapter is opened, merged, packed again and trained further; a broken one says why', async () => {
  const { page, errors } = await openPage(stage, ONE_STEP);
  await trainToTheEnd(page);
  await openTab(page, 'Adapters');
  const run = await words(page, part('run-name'));
  await press(page, `add the adapter of ${run}`);
  await pressAtRest(page, `Save ${run}`);
  const path = await downloaded(stage.downloads, `${run}.zip`);
  const zip = new Uint8Array(await readFile(path));
  await rename(path, join(stage.downloads, 'mine.zip'));
  await pressAtRest(page, `Remove ${run}`);
  await until(async () => (await page.$(ITEM)) === null, 'an empty list', 30);

  const broken = join(stage.downloads, 'broken.zip');
  await writeFile(broken, zip.subarray(0, zip.length >> 1));
  await drop(page, broken);
  const sentence = await until(
    () => words(page, `${named('See')} ${part('error')}`),
    'the sentence of a broken zip',
    30,
  );
  expect(sentence).toMatch(/The zip cannot be unpacked .*Pack the folder again/);
  expect(await page.$(ITEM)).toBeNull();
  expect(await words(page, part('run-state'))).toContain('finished');

  await drop(page, join(stage.downloads, 'mine.zip'));
  const item = await until(() => words(page, ITEM), 'the adapter in the list', 60);
  expect(item).toMatch(/LoRA[\s\S]+4 modules: query[\s\S]+classifier/);
  await untilSeen(
    () => words(page, ITEM),
    (seen) => !/does not fit|Choose a model/i.test(seen),
    'the fit',
    60,
  );
  expect(await words(page, `${named('See')} ${part('error')}`)).toBe('');
  const name = await words(page, `${ITEM} b`);

  await page.click(`${ITEM} input[type=checkbox]`);
  await pressAtRest(page, 'Merge');
  const state = await until(() => words(page, part('adapters-state')), 'the adapter to be merged');
  expect(state).toContain(`Merged into the weights: ${name}`);

  expect(name).toBe('mine');
  await rename(join(stage.downloads, 'mine.zip'), join(stage.downloads, 'dropped.zip'));
  await pressAtRest(page, 'Save as zip');
  const again = await downloaded(stage.downloads, 'mine.zip');
  const [first, second] = [adapterIn(zip), adapterIn(new Uint8Array(await readFile(again)))];
  expect(second.method.id).toBe('lora');
  expect([...second.tensors.keys()]).toEqual([...first.tensors.keys()]);
  expect(second.tensors).toEqual(first.tensors);

  await pressAtRest(page, `Train ${name} further`);
  await page.waitForSelector(named('Where the run begins'));
  await press(page, 'Restart with changes');
  await untilSeen(
    () => words(page, part('run-name')),
    (seen) => ![run, ''].includes(seen),
    'a new run',
  );
  await untilState(page, 'finished');
  expect(await words(page, part('clocks'))).toContain('1 of 1 step');
  expect(errors).toEqual([]);
  await page.close();
});
