/** Driving the page as a person would: by what is written on it. */
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import axe from 'axe-core';
import type { ElementHandle, Page } from 'puppeteer-core';
import { expect } from 'vitest';
import type { SectionName } from '../../src/page/page.ts';
import { downloadFolder } from '../tools/browser.ts';
import type { Stage } from './stage.ts';

/** A small run: the default preset unless the link says more. */
export const SMALL =
  'v=1&preset=letters-boft&engine=webgpu&seed=1&t.batchSize=4&t.evalEvery=3&t.evalExamples=16&t.warmupSteps=1';

/** The language model and its preset: the quickest to train. */
export const TALES =
  'v=1&preset=tales-recipes&engine=webgpu&seed=1&t.batchSize=2&t.sequenceLength=32&t.evalEvery=0&t.evalExamples=4&t.warmupSteps=0';

/** An adapter of few numbers on it, with a dropout that a checkpoint has to know of: for what happens to runs. */
export const QUICK = `${TALES}&method=lora&c.r=2&c.target_modules=["q_proj"]&c.lora_dropout=0.1`;

/** The same run by onnxruntime, which is quicker here: for what is no matter of the engine. */
export const onProcessor = (link: string): string => link.replace('engine=webgpu', 'engine=onnxruntime');

/** The default preset with fewer steps: enough to see that it learns. */
export const LEARNING =
  'v=1&preset=letters-boft&engine=webgpu&seed=1&t.steps=16&t.warmupSteps=1&t.evalEvery=0&t.evalExamples=40';

/** The selector of a part of the page by its test id. */
export const part = (id: string): string => `[data-testid="${id}"]`;

/** The selector of a part of the page by the name that is read out. */
export const named = (name: string): string => `[aria-label="${name}"]`;

/** The button that trains, when it can be pressed. */
export const CAN_TRAIN = `${part('toggle')}:not([data-disabled])`;

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** For {@link openPage}: a browser that has none. */
export const withoutWebGpu = async (page: Page): Promise<void> => {
  await page.evaluateOnNewDocument(() => {
    Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined });
  });
};

/** Waits for the parts of the page that come when it is there: what is chosen from, the charts, the tools in the header. */
export async function untilWhole(page: Page): Promise<void> {
  const late = [
    part('section-model'),
    part('figures'),
    `${named('Train')} [role=img]`,
    named('Speed of this machine'),
    named('Keyboard help'),
  ];
  for (const selector of late) await page.waitForSelector(selector);
}

/** Opens the page at a hash; errors that reach its console are kept in `errors`. */
export async function openPage(
  { browser, url }: Stage,
  hash: string,
  width = 1280,
  prepare: (page: Page) => Promise<void> = async () => {},
) {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  // Where the driver says nothing of violations, the page does.
  await page.evaluateOnNewDocument(() => {
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile }) =>
      console.error(`Content Security Policy: ${violatedDirective} ${blockedURI} ${sourceFile}`),
    );
  });
  await prepare(page);
  await page.setViewport({ width, height: 900 });
  await page.goto(`${url}#${hash}`, { waitUntil: 'load' });
  await untilWhole(page);
  return { page, errors };
}

/** The words inside the first element that a selector matches, a gap that does not break as any other; '' while there is none. */
export const words = (page: Page, selector: string): Promise<string> =>
  page.evaluate(
    // biome-ignore lint/performance/useDomNodeTextContent: what a person sees is meant, line by line.
    (s) => ((document.querySelector(s) as HTMLElement | null)?.innerText ?? '').replaceAll('\u00a0', ' '),
    selector,
  );

/** Between two looks: one costs a millisecond or two, and a step of a test waits half of this for nothing. */
const LOOK_EVERY_MS = 50;

/** Waits until `read` gives a value that is not empty. */
export async function until<T>(read: () => Promise<T>, what: string, seconds = 240): Promise<NonNullable<T>> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await pause(LOOK_EVERY_MS)) {
    const value = await read();
    if (value) return value as NonNullable<T>;
  }
  throw new Error(`Waited ${seconds} s for ${what}.`);
}

/** Clicks where an element is, once it stands still: what appears above it pushes it away from under the mouse. */
export async function click(element: ElementHandle<Element>): Promise<void> {
  await element.evaluate((one) => one.scrollIntoView({ block: 'center' }));
  await element.asLocator().setTimeout(30_000).click();
}

/** Presses a button by its name. */
export async function press(page: Page, name: string): Promise<void> {
  const button = await until(
    () => page.$(`::-p-aria([name="${name}"][role="button"])`),
    `the button ${name}`,
    30,
  );
  await click(button);
}

/** Opens a section of Choose. */
export async function unfold(page: Page, section: SectionName): Promise<void> {
  const button = await page.waitForSelector(part(`section-${section}`));
  await button!.evaluate((one) => {
    if (one.ariaExpanded !== 'true') (one as HTMLElement).click();
  });
}

/** Takes away the file of this title from the Merge tab. */
export async function takeAway(page: Page, title: string): Promise<void> {
  const item = await until(
    () => page.$(`${named('Downloads')} ::-p-xpath(.//button[b[text()="${title}"]])`),
    `the download ${title}`,
    30,
  );
  await click(item);
}

export async function openTab(page: Page, name: string): Promise<void> {
  const tab = await until(() => page.$(`::-p-aria([name="${name}"][role="tab"])`), `the tab ${name}`, 30);
  await click(tab);
}

/** Waits for a state of the run; an error on screen ends the wait with its words. */
export async function untilState(page: Page, wanted: string): Promise<void> {
  await until(
    async () => {
      const trouble = await words(page, part('run-error'));
      if (trouble !== '' && wanted !== 'failed') throw new Error(`The page says: ${trouble}`);
      return page.$(`${part('run-state')}[data-state="${wanted}"]`);
    },
    `the run to be ${wanted}`,
    480,
  );
}

/** Starts the run on screen and waits for its end. */
export async function trainToTheEnd(page: Page): Promise<void> {
  await page.waitForSelector(CAN_TRAIN, { timeout: 60_000 });
  await press(page, 'Train');
  await untilState(page, 'finished');
}

/** The held-out accuracy on screen, in per cent: now, and before training. */
async function heldOut(page: Page): Promise<{ now: number; before: number }> {
  const said = await until(
    async () => /([\d.]+) %\s+was ([\d.]+) %/.exec(await words(page, part('figures'))),
    'held-out accuracy before and after',
    60,
  );
  return { now: Number(said[1]), before: Number(said[2]) };
}

/** After {@link LEARNING}: what was near chance among 26 letters (3.8 %) is known far better. */
export async function expectLearning(page: Page): Promise<void> {
  const { now, before } = await heldOut(page);
  expect(before).toBeLessThan(15);
  expect(now).toBeGreaterThan(before + 15);
}

/** Merges the run on screen; the page's figure for parity with onnxruntime is at most 1e-4. */
export async function mergeAndCheck(page: Page): Promise<void> {
  await openTab(page, 'Merge');
  await press(page, 'Merge and check');
  const verdict = await until(() => words(page, part('verdict')), 'the verdict on parity');
  expect(verdict).toContain('answers as the trained model does');
  const figures = await words(page, named('Parity with onnxruntime'));
  const parity = /max \|a−b\| \/ max \|b\|\s+([\d.]+ e[+−]?\d+)/i.exec(figures)?.[1];
  expect(Number(parity?.replace(' ', '').replace('−', '-'))).toBeLessThanOrEqual(1e-4);
}

/** The file that a download leaves, once it is whole: a browser makes an empty one first and then puts the whole one in its place. */
export async function downloaded(folder: string, ending: string): Promise<string> {
  const find = async (): Promise<string | undefined> => {
    const name = (await readdir(folder)).find((file) => file.endsWith(ending));
    return name && (await stat(join(folder, name))).size > 0 ? name : undefined;
  };
  return join(folder, await until(find, `a download ending in ${ending}`, 60));
}

/** A folder of its own for what the page saves from now on; Firefox has no such way. */
async function savedHere(page: Page): Promise<string> {
  const into = await downloadFolder();
  const client = await page.createCDPSession();
  await client.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: into });
  return into;
}

/**
 * Step and loss of every step that the page has on record, read from the table it offers for download.
 *
 * @param into where the browser saves, if no other folder can be named to it
 */
export async function metrics(page: Page, into?: string): Promise<string[]> {
  const folder = into ?? (await savedHere(page));
  await openTab(page, 'Merge');
  await takeAway(page, 'Metrics');
  const path = await downloaded(folder, '-metrics.csv');
  const csv = await readFile(path, 'utf8');
  await rm(path);
  return csv
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(',').slice(0, 2).join(' '));
}

/** The step of the checkpoint that the browser keeps; null while it keeps none. */
export const keptStep = (page: Page): Promise<number | null> =>
  page.evaluate(
    () =>
      new Promise<number | null>((resolve) => {
        const opening = indexedDB.open('papilio');
        opening.onerror = () => resolve(null);
        opening.onsuccess = () => {
          const reading = opening.result.transaction('sessions').objectStore('sessions').get('last');
          reading.onsuccess = () => resolve((reading.result as { step: number } | undefined)?.step ?? null);
        };
      }),
  );

interface Finding {
  readonly id: string;
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary: string }[];
}

/** What axe finds against WCAG 2.2 AA and its own best practices, or against some rules alone, a line each. */
export async function findings(
  page: Page,
  where: string,
  rules: readonly string[] | null = null,
): Promise<string[]> {
  if (!(await page.evaluate('"axe" in window'))) await page.evaluate(axe.source);
  // The one rule that WCAG 2.2 AA added, which axe leaves out unless it is asked for.
  const all = { rules: { 'target-size': { enabled: true } } };
  const options = { resultTypes: ['violations'], ...(rules === null ? all : { runOnly: rules }) };
  const found = (await page.evaluate(
    `axe.run(document, ${JSON.stringify(options)}).then(({ violations }) => violations)`,
  )) as Finding[];
  return found.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${where}: ${id}: ${node.target.join(' ')}: ${node.failureSummary}`),
  );
}

/** One step, its checkpoint kept, the page loaded anew, and the run taken up again; it is paused then. */
export async function stepReloadResume(page: Page): Promise<void> {
  await page.waitForSelector(CAN_TRAIN);
  await press(page, 'Step');
  await untilState(page, 'paused');
  await until(async () => (await keptStep(page)) === 1, 'the checkpoint of step 1');
  await page.reload({ waitUntil: 'load' });
  await page.waitForSelector(named('A run to resume'));
  await press(page, 'Resume');
  await untilState(page, 'paused');
}

/** Continues a run whose worker never answers the second step, until the page says so and names the way out; takes that. */
export async function leaveHanging(page: Page): Promise<void> {
  await press(page, 'Continue');
  await until(
    async () => /waiting for step 2 … \d+ s; Reset ends it/.test(await words(page, part('run-state'))),
    'what is waited for, and the way out',
    30,
  );
  await press(page, 'Reset');
}
