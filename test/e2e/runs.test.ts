/**
 * Runs side by side in a browser: three are trained and compared, a reload keeps them, one is deleted and taken back, a file brings them into
 * another browser, and a link the setup; a sweep. Seen to fail with: a list that is only in memory, a deletion that is not taken back, a queue that is only
 * in memory, a part of the setup that a link does not bring.
 */
import { readFile } from 'node:fs/promises';
import type { Page } from 'puppeteer-core';
import { expect, test } from 'vitest';
import {
  click,
  downloaded,
  named,
  onProcessor,
  openPage,
  openTab,
  part,
  press,
  QUICK,
  trainToTheEnd,
  unfold,
  until,
  untilState,
  untilWhole,
  words,
} from './page-tools.ts';
import { untilSeen } from './seen.ts';
import { setStage } from './stage.ts';

const stage = setStage();
const SECTIONS = ['model', 'data', 'method', 'targets', 'training'] as const;
const LINK = onProcessor(`${QUICK}&t.steps=2`);

/** The list of runs, row by row. */
const rows = async (page: Page): Promise<string[]> =>
  page.$$eval(`${named('All runs')} tbody tr`, (all) =>
    // biome-ignore lint/performance/useDomNodeTextContent: what a person sees is meant.
    all.map((one) => (one as HTMLElement).innerText.replace(/\s+/g, ' ').trim()),
  );

/** Settings of every kind that a link can hold: numbers, choices, lists, tables, switches, and what stands beside them. */
const CHANGED =
  'v=1&preset=tales-recipes&method=lora&engine=webgpu&seed=7&padding=longest&precision=f16&recompute=yes&t.batchSize=2&t.sequenceLength=32&t.schedule=linear&t.weightDecay=0.25&c.r=3&c.lora_alpha=5&c.target_modules=["q_proj","v_proj"]&c.rank_pattern={"layers.1.*":2}&c.lora_dropout=0.1&c.use_rslora=true&c.bias="all"';

/** Every control of Choose by its name, with what it is set to, and the sentences beside them. */
async function setup(page: Page): Promise<readonly string[]> {
  for (const section of SECTIONS) await unfold(page, section);
  // What makes a lesson of the setup is no part of it.
  await page.$$eval(`${named('Choose')} details:not(:has(> ${part('make-lesson')}))`, (all) => {
    for (const fold of all) fold.open = true;
  });
  const read = () =>
    page.$eval(named('Choose'), (choose) => [
      ...[...choose.querySelectorAll('input, textarea')].map((one) => {
        const { id, value, checked } = one as HTMLInputElement;
        const { labels } = one as HTMLInputElement;
        return `${id || labels?.[0]?.textContent}: ${one.matches('[type=checkbox], [type=radio]') ? checked : value}`;
      }),
      // biome-ignore lint/performance/useDomNodeTextContent: what a person sees is meant.
      ...(choose as HTMLElement).innerText.split('\n'),
    ]);
  // What is drawn, counted and previewed comes after what is chosen.
  await page.waitForSelector(`${named('Choose')} .method-picture`);
  await page.waitForSelector(`${named('Preview of the data')}[aria-busy="false"]`);
  let last: readonly string[] = [];
  const standsStill = (seen: readonly string[]): boolean => {
    const before = last;
    last = seen;
    return seen.join() === before.join() && !seen.some((line) => line.startsWith('Reading the data'));
  };
  return untilSeen(read, standsStill, 'the setup to stand still', 20);
}

/** A page of a browser that keeps nothing yet. */
async function freshPage(link: string) {
  const context = await stage.browser.createBrowserContext();
  const page = await context.newPage();
  await page.setViewport({ width: 1280, height: 900 });
  await page.goto(`${stage.url}#${link}`, { waitUntil: 'load' });
  await untilWhole(page);
  return { context, page };
}

const trains = async (page: Page, link: string): Promise<void> => {
  await page.evaluate((hash) => {
    location.hash = hash;
  }, link);
  const before = await words(page, part('run-name'));
  await press(page, 'Restart with changes');
  await untilSeen(
    () => words(page, part('run-name')),
    (seen) => ![before, ''].includes(seen),
    'the next run',
    30,
  );
  await untilState(page, 'finished');
};

test('three runs are compared, outlive a reload and a deletion, and move to another browser', async () => {
  const { page, errors } = await openPage(stage, LINK);
  await trainToTheEnd(page);
  await trains(page, LINK.replace('c.r=2', 'c.r=4'));
  await trains(page, LINK.replace('c.r=2', 'c.r=4').replace('seed=1', 'seed=2'));
  await openTab(page, 'Runs');
  await untilSeen(
    () => rows(page),
    (seen) => seen.length === 3,
    'three runs',
    30,
  );
  const said = await rows(page);
  expect(said[0]).toMatch(/ seed 1 → 2 on screen \d+\.\d+ /);
  expect(said[1]).toMatch(/ r 2 → 4 \d+\.\d+ /);
  expect(said[2]).toMatch(/LoRA, recipes/);
  await untilSeen(() => words(page, part('front')), / on recipes\. Not beaten/, 'the front', 30);
  // WebAssembly's memory has been grown by all of them: each is measured in a worker of its own.
  await click((await page.$(`${named('Quality against what it takes')} .picker-button`))!);
  await click((await page.waitForSelector('::-p-aria([name="MB of memory"][role="option"])'))!);
  await untilSeen(() => words(page, part('memory')), /^The memory of 3 runs /, 'what is not measured', 10);
  await press(page, 'Measure it');
  await untilSeen(
    () => words(page, part('front')),
    / on recipes\. Not beaten.*, \d+(\.\d)? MB\).*onnxruntime alone/s,
    'memory',
    120,
  );
  await until(() => page.$(`${named('Curves')} .js-plotly-plot .scatterlayer .trace`), 'curves', 30);
  await page.reload({ waitUntil: 'load' });
  await untilWhole(page);
  await openTab(page, 'Runs');
  await untilSeen(
    () => rows(page),
    (seen) => seen.length === 3,
    'the runs after a reload',
    30,
  );
  const [name] = /^\S+/.exec((await rows(page))[1]!)!;
  await press(page, name);
  await press(page, `Delete ${name}`);
  await untilSeen(
    () => rows(page),
    (seen) => seen.length === 2,
    'one run less',
    30,
  );
  await press(page, 'undo the deletion');
  await untilSeen(
    () => rows(page),
    (seen) => seen.length === 3,
    'the run that was taken back',
    30,
  );
  await press(page, 'Save all runs');
  const file = await downloaded(stage.downloads, '-runs.json');
  expect(JSON.parse(await readFile(file, 'utf8')).runs).toHaveLength(3);
  const kept = (await rows(page)).map((row) => row.replace(/ on screen/, ''));

  await page.evaluate((hash) => {
    location.hash = hash;
  }, CHANGED);
  // One by hand: it is the form that the link is made of.
  await unfold(page, 'training');
  const steps = (await page.waitForSelector('#training-steps'))!;
  await steps.evaluate((box) => (box as HTMLInputElement).select());
  await steps.type('11\n');
  await stage.browser
    .defaultBrowserContext()
    .overridePermissions(new URL(stage.url).origin, ['clipboard-read', 'clipboard-sanitized-write']);
  await press(page, 'Copy a link to these settings');
  expect(await until(() => words(page, part('notice')), 'what the link holds', 10)).toContain(
    'It holds the whole setup.',
  );
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const wanted = await setup(page);
  expect(wanted).toContain('training-steps: 11');
  expect(errors).toEqual([]);
  await page.close();

  const other = await freshPage(new URL(link).hash.slice(1));
  expect(await setup(other.page)).toEqual(wanted);
  await openTab(other.page, 'Runs');
  const [chooser] = await Promise.all([
    other.page.waitForFileChooser(),
    press(other.page, 'Open a file of runs'),
  ]);
  await chooser.accept([file]);
  await untilSeen(() => words(other.page, part('runs-said')), 'Added 3 runs', 'the runs', 30);
  expect(await rows(other.page)).toEqual(kept);
  await until(() => other.page.$(`${named('Curves')} .js-plotly-plot .scatterlayer .trace`), 'curves', 30);
  await other.context.close();
});

test('a sweep trains its runs in turn, is stopped, outlives a reload and goes on where it was', async () => {
  const { context, page } = await freshPage(LINK);
  await openTab(page, 'Runs');
  await click((await page.waitForSelector('::-p-xpath(//summary[contains(., "Sweep: several runs")])'))!);
  await press(page, '– Setting 1');
  await click((await page.waitForSelector('::-p-aria([name="Seed"][role="option"])'))!);
  expect(await words(page, part('sweep-cost'))).toMatch(/^6 steps in all/);
  await press(page, 'Train 3 runs');
  const queue = async (what: RegExp) =>
    what.exec(await untilSeen(() => words(page, part('sweep-state')), what, `the sweep ${what}`, 120))!;
  await queue(/^training: 1 of 3 done/);
  await press(page, 'Stop the sweep');
  const [, done] = (await queue(/^stopped: ([12]) of 3 done$/)) as unknown as [string, string];
  await page.reload({ waitUntil: 'load' });
  await untilWhole(page);
  await openTab(page, 'Runs');
  await queue(new RegExp(`^stopped: ${done} of 3 done$`));
  await press(page, 'Continue the sweep');
  await queue(/^over: 3 of 3 done$/);
  const said = await rows(page);
  expect(said.map((row) => / sweep of seed(, on screen)? \d/.test(row))).toEqual([true, true, true]);
  await context.close();
});
