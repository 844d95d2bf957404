/**
 * The butterfly view driven as a person would, values read and not pixels: without WebGPU and before any training; its pictures linked;
 * and the steps of a run gone back to.
 */
import type { ElementHandle, Page } from 'puppeteer-core';
import { describe, expect, test } from 'vitest';
import { data, dial, lit, START, setting, toWiring } from './butterfly-tools.ts';
import {
  CAN_TRAIN,
  named,
  openPage,
  openTab,
  part,
  press,
  QUICK,
  unfold,
  until,
  untilState,
  withoutWebGpu,
  words,
} from './page-tools.ts';
import { untilSeen } from './seen.ts';
import { setStage } from './stage.ts';

const RUN = `${START}&engine=onnxruntime&t.batchSize=4&t.steps=2000&t.evalEvery=0&t.evalExamples=4&t.warmupSteps=1`;

/** Points at a place of an element, in shares of its width and height. */
async function pointAt(page: Page, element: ElementHandle<Element>, x: number, y: number): Promise<void> {
  await element.evaluate((one) => one.scrollIntoView({ block: 'center' }));
  const box = (await element.boundingBox())!;
  await page.mouse.move(box.x + x * box.width, box.y + y * box.height);
}

/** The place of a node in the graph, in shares: the sides are 26 pixels wide, top and bottom 8. */
async function pointAtNode(page: Page, [column, columns]: [number, number], node: number, nodes: number) {
  const graph = (await page.$(part('graph')))!;
  const { width, height } = (await graph.boundingBox())!;
  const x = 26 + (column / (columns - 1)) * (width - 52);
  const y = 8 + ((node + 0.5) / nodes) * (height - 16);
  await pointAt(page, graph, x / width, y / height);
}

const entry = async (page: Page, factor: number, size: number, row: number, column: number) => {
  const canvas = (await page.$(`${part(`factor-${factor}`)}`))!;
  await pointAt(page, canvas, (column + 0.5) / size, (row + 0.5) / size);
};

const said = (page: Page, what: RegExp) =>
  untilSeen(() => words(page, part('focus')), what, `the words ${what}`, 20);

/** Lines lit in the graph, factor by factor. */
const edges = (page: Page, counts: string) =>
  untilSeen(
    () => data(page, 'graph-lit', 'edges'),
    (seen) => seen === counts,
    `edges ${counts}`,
    20,
  );

describe('the butterfly view', () => {
  const stage = setStage();

  test('links graph, factors, product and numbers, by mouse and by keys, without WebGPU and without a run', async () => {
    const { page, errors } = await openPage(stage, START, 1280, withoutWebGpu);
    await openTab(page, 'Inside');
    await page.waitForSelector(part('graph'));
    expect(await setting(page)).toMatch(/^boft \d+ 4 2$/);
    // All pictures at once: what is not on screen is drawn when it comes there.
    await page.setViewport({ width: 1280, height: 2600 });
    await toWiring(page, 32, 4, 3);
    expect(await words(page, part('fill'))).toMatch(/reaches 16 of 32 outputs; 50.0 % of the product/);
    expect(await words(page, part('fill'))).toContain('Not dense with 3 factors');
    expect(await words(page, part('free'))).toContain('144 free numbers');
    expect(await words(page, part('equal'))).toMatch(/112 free numbers for 144/);

    // An input: its reach, column by column, in the graph and in every picture.
    await pointAtNode(page, [0, 4], 3, 32);
    await said(page, /^Input 3 reaches outputs 0–15 \(16 of 32\)\./);
    expect(await words(page, part('reach'))).toBe(
      'Inputs: 3 (1)\nAfter factor 0: 0–3 (4)\nAfter factor 1: 0–7 (8)\nOutputs: 0–15 (16)',
    );
    await lit(page, 'factor-0', 4);
    await lit(page, 'factor-1', 16);
    await lit(page, 'factor-2', 32);
    await lit(page, 'product', 16);
    await edges(page, '4 16 32');

    // An output: where it comes from.
    await pointAtNode(page, [3, 4], 31, 32);
    await said(page, /^Output 31 comes from inputs 16–31 \(16 of 32\)\./);

    // An entry of a factor: its edge, and its number in the list.
    await entry(page, 1, 32, 5, 1);
    await said(page, /^Factor 1: the edge from node 1 after factor 0 to node 5 after factor 1\./);
    await untilSeen(
      () => data(page, 'factor-1', 'entry'),
      (seen) => seen === '5,1',
      'the entry',
      20,
    );
    await lit(page, 'factor-0', 0);
    await edges(page, '0 1 0');
    const number = await until(() => page.$('.parameter[data-lit="true"]'), 'its number', 20);
    expect(await number.evaluate((one) => (one as HTMLElement).textContent)).toContain('(1, 5)');

    // The edge halfway between columns 1 and 2 of the graph is the same entry.
    const graph = (await page.$(part('graph')))!;
    const { width, height } = (await graph.boundingBox())!;
    const y = (node: number) => 8 + ((node + 0.5) / 32) * (height - 16);
    await pointAt(page, graph, (26 + 0.5 * (width - 52)) / width, (y(1) * 0.5 + y(5) * 0.5) / height);
    await until(async () => data(page, 'factor-1', 'entry'), 'an entry', 20);
    expect(await words(page, part('focus'))).toMatch(/^Factor 1: the edge from node \d after factor 0/);

    // A number of the list: its entry and its edge.
    const second = (await page.$$('.parameter'))[1]!;
    const rows = /\((\d+), (\d+)\)/.exec(await second.evaluate((one) => (one as HTMLElement).textContent))!;
    await pointAt(page, second, 0.5, 0.5);
    await said(page, new RegExp(`from node ${rows[2]} after factor 0 to node ${rows[1]} after`));
    await untilSeen(
      () => data(page, 'factor-1', 'entry'),
      (seen) => seen === `${rows[1]},${rows[2]}`,
      'the entry of the number',
      20,
    );
    await edges(page, '0 1 0');

    // Keys: arrows move over the nodes, Enter keeps one lit, which runs on column by column, Escape lets it go.
    await page.focus(part('graph'));
    await page.mouse.move(1, 1);
    await page.keyboard.press('ArrowDown');
    await said(page, /^Input 1 reaches outputs 0–15/);
    await page.keyboard.press('ArrowRight');
    await said(
      page,
      /^Node 1 after factor 0 comes from inputs 0–3 \(4 of 32\) and reaches outputs 0–1, 4–5, 8–9, 12–13/,
    );
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Enter');
    await page.$eval(part('graph'), (one) => (one as HTMLElement).blur());
    await said(page, /^Input 1 reaches .* Kept; Esc lets it go\./);
    await untilSeen(
      () => data(page, 'graph-lit', 'columns'),
      (seen) => seen === '4',
      'all columns lit',
      20,
    );
    await page.focus(part('graph'));
    await page.keyboard.press('Escape');
    await said(page, /^Point at an input/);
    expect(errors).toEqual([]);
    await page.close();
  });

  test('greys what is illegal with the reason, and carries the rest to the method', async () => {
    const { page, errors } = await openPage(stage, START, 1280, withoutWebGpu);
    await openTab(page, 'Inside');
    await page.waitForSelector(part('graph'));
    const at = await setting(page);
    const six = await until(
      () => page.$(`${named('Usual values of Block size')} ::-p-xpath(.//button[text()="6"])`),
      'blocks of 6',
      20,
    );
    expect(await six.evaluate((one) => one.ariaDisabled)).toBe('true');
    await pointAt(page, six, 0.5, 0.5);
    await untilSeen(() => words(page, '.stop-reason'), /6: 6 does not divide \d+\./, 'why', 20);
    await six.evaluate((one) => (one as HTMLElement).click());
    expect(await setting(page)).toBe(at);

    await dial(page, 'Block size', 8);
    await press(page, 'Use these settings');
    await untilSeen(
      () => words(page, named('Wiring to try')),
      (seen) => !seen.includes('back to'),
      'the way back gone',
      20,
    );
    await unfold(page, 'method');
    expect(await page.$eval('#config-boft_block_size', (one) => (one as HTMLInputElement).value)).toBe('8');
    expect(errors).toEqual([]);
    await page.close();
  });

  test('goes back through the steps of a run: the values shown are of that step', async () => {
    const { page, errors } = await openPage(stage, RUN);
    await page.waitForSelector(CAN_TRAIN, { timeout: 60_000 });
    await openTab(page, 'Inside');
    await press(page, 'Train');
    await untilState(page, 'running');
    // Whoever looks at something keeps it; what has come of the run is lit.
    await page.waitForSelector('::-p-aria([name="Before and after (new)"][role="tab"])');
    expect(await words(page, '[role=tab][aria-selected=true]')).toBe('Inside');
    // Nothing is evaluated: the steps between are taken because the view is on screen.
    const count = () => data(page, 'steps', 'count').catch(() => 0);
    await untilSeen(
      () => count(),
      (seen) => Number(seen) >= 4,
      'four steps',
      400,
    );
    await press(page, 'Pause');
    await untilState(page, 'paused');
    await until(async () => (await page.$(part('stale'))) === null, 'a look at the last step', 60);
    const step = () => data(page, 'steps', 'step');
    const end = await step();
    const angle = async () => Number(/([\d.]+)°/.exec(await words(page, part('rotation')))![1]);
    const values = () => words(page, part('parameters'));
    const [last, lastValues] = [await angle(), await values()];
    expect(last).toBeGreaterThan(0);

    const slider = (await page.$(`${part('steps')} input[type=range]`))!;
    await slider.focus();
    await page.keyboard.press('Home');
    await untilSeen(
      () => step(),
      (seen) => seen !== end,
      'the first step',
      20,
    );
    const [first, angleThen] = [Number(await step()), await angle()];
    expect(first).toBeLessThan(Number(end));
    expect(angleThen).toBeLessThan(last);
    expect(await values()).not.toBe(lastValues);
    await page.keyboard.press('ArrowRight');
    await untilSeen(
      () => step(),
      (seen) => Number(seen) > first,
      'the next step',
      20,
    );
    expect(await angle()).toBeGreaterThan(angleThen);
    await page.keyboard.press('End');
    await untilSeen(
      () => step(),
      (seen) => seen === end,
      'the last step again',
      20,
    );
    expect([await angle(), await values()]).toEqual([last, lastValues]);
    expect(errors).toEqual([]);
    await page.close();
  });

  test('is there for a method that does not rotate', async () => {
    const { page } = await openPage(stage, QUICK, 1280, withoutWebGpu);
    await openTab(page, 'Inside');
    await page.waitForSelector(part('graph'));
    expect(await setting(page)).toMatch(/^boft \d+ 4 2$/);
    await page.close();
  });
});
