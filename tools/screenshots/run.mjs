/**
 * `npm run screenshots`: the page as it is, every area, tab and dialog that it has, and every lab and page of the textbook in every language, wide and narrow,
 * light and dark, into out/screenshots/; those that the repository keeps into docs/screenshots/, with a page that shows them. What there is to take is found on the page: a new tab is in the next set without
 * a word here. One run is trained for it, on the processor; `npm run screenshots -- WORD` takes only pictures whose name has the word, or what the pattern says, in it.
 */
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stdout } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch } from 'puppeteer-core';
import { launchOptions } from '../../test/tools/launchOptions.mjs';
import { servePage } from '../../test/tools/server.mjs';
import {
  everything,
  folder,
  isWanted,
  MOST_HEIGHT,
  only,
  root,
  SCHEMES,
  SIZES,
  settle,
  take,
} from './camera.mjs';
import { takeLabs } from './labs.mjs';

/** The first preset with fewer steps: enough to see curves and changed answers. */
const RUN = 'v=1&preset=letters-boft&engine=onnxruntime&seed=1&t.steps=60&t.evalEvery=20&t.evalExamples=130';

const slug = (title) =>
  title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');

/** An area in full: the window is made as high as what is in it, which may come only when it is seen. */
async function takeArea(page, name, look, panel, size) {
  const selector = `#panel-${panel}`;
  for (let i = 0; i < 2; i++) {
    await settle(page);
    const needed = await page.$eval(selector, (area) => {
      const scroll = area.querySelector('.panel-scroll');
      const hidden = scroll.scrollHeight - scroll.clientHeight;
      return Math.max(innerHeight + hidden, document.documentElement.scrollHeight);
    });
    const height = Math.min(MOST_HEIGHT, Math.max(size.height, needed));
    await page.setViewport({ width: size.width, height });
  }
  await settle(page);
  await take(page, name, look, { element: await page.$(selector) });
  await page.setViewport({ width: size.width, height: size.height });
}

/** Brings an area to the front where there is room for one at a time. */
async function toPanel(page, panel) {
  await page.evaluate((name) => {
    const titles = { choose: 'Choose', train: 'Train', see: 'See' };
    [...document.querySelectorAll('.panel-tabs button')]
      .find((button) => button.textContent === titles[name])
      ?.click();
  }, panel);
}

const tabsOf = (page) =>
  page.$$eval('#panel-see [role=tab]', (tabs) => tabs.map((tab) => tab.textContent.trim()));

/** Everything of the page at one size and in one scheme. */
async function takeAll(page, size, scheme) {
  const look = `${size.name}-${scheme}`;
  await page.setViewport({ width: size.width, height: size.height });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await toPanel(page, 'train');
  await settle(page);
  await take(page, 'window', look);
  await takeArea(page, 'train', look, 'train', size);
  await toPanel(page, 'choose');
  await page.$$eval('#panel-choose [data-testid^=section-][aria-expanded=false]', (all) => {
    for (const one of all) one.click();
  });
  await takeArea(page, 'choose', look, 'choose', size);
  await toPanel(page, 'see');
  for (const title of await tabsOf(page)) {
    const name = `see-${slug(title)}`;
    if (!isWanted(`${name}-${look}.webp`)) continue;
    await page.$$eval(
      '#panel-see [role=tab]',
      (tabs, wanted) => tabs.find((tab) => tab.textContent.trim() === wanted).click(),
      title,
    );
    await settle(page);
    await takeArea(page, name, look, 'see', size);
  }
  await takeDialogs(page, look);
}

/** Whatever opens as a dialog from the header. */
async function takeDialogs(page, look) {
  const names = await page.$$eval('.header-tools button', (all) => all.map((one) => one.ariaLabel));
  for (const name of names) {
    // Others change how the page looks.
    if (/^(Theme|Copy)/.test(name)) continue;
    const press = async () => (await page.$(`.header-tools [aria-label="${name}"]`)).click();
    await press();
    await settle(page);
    const dialog = await page.$('[role=dialog]');
    if (dialog) {
      await take(page, `dialog-${slug(name)}`, look, { element: dialog });
      await page.keyboard.press('Escape');
    } else await press();
    await sleep(300);
    // What has the focus would show its tooltip in the next picture.
    await page.evaluate(() => document.activeElement.blur());
    await page.mouse.move(1, 1);
  }
}

/** A first visit: nothing trained, nothing put away. */
async function takeStart(browser, url, size, scheme) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.setViewport({ width: size.width, height: size.height });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.goto(url, { waitUntil: 'networkidle0' });
  await settle(page);
  await take(page, 'first-visit', `${size.name}-${scheme}`);
  await context.close();
}

async function train(page, url) {
  await page.goto(`${url}#${RUN}`, { waitUntil: 'load' });
  await page.waitForSelector('[data-testid=toggle]:not([data-disabled])', { timeout: 60_000 });
  await page.click('[data-testid=toggle]');
  stdout.write('Training …\n');
  await page.waitForSelector('[data-testid=run-state][data-state=finished]', { timeout: 600_000 });
}

/** The page of docs/ that shows what is kept, by what it is of, wide ones above narrow ones. */
function pageOf(files) {
  const nameOf = (file) => file.replace(/(-(en|zh))?-\d+-(light|dark)\.webp$/, '');
  const names = [...new Set(files.map(nameOf))];
  const pictures = (name, { name: size }, width) =>
    files
      .filter((file) => nameOf(file) === name && file.includes(`-${size}-`))
      .toSorted((a, b) => b.localeCompare(a))
      .map((file) => `<img src="screenshots/${file}" width="${width}" alt="${file.replace('.webp', '')}">`)
      .join(' ');
  return [
    '# Screenshots',
    '',
    'Every area, tab and dialog of the page, with a run of 60 steps, at 1280 and 400 pixels, light and dark; every lab and page of the textbook at 1280 pixels, light, in English, and at 400 pixels, dark, in Chinese. Written by `npm run screenshots`, which takes labs and textbook in every size, scheme and language; what is not kept here it leaves in `out/screenshots/`.',
    '',
    ...names.flatMap((name) => [
      `## ${name.replaceAll('-', ' ')}`,
      '',
      pictures(name, SIZES[0], 420),
      '',
      pictures(name, SIZES[1], 240),
      '',
    ]),
  ].join('\n');
}

// The shader lab runs on WebGPU alone; what may choose takes the processor before a software adapter.
const options = launchOptions('chrome', true);
if (only === '')
  for (const path of [folder, everything]) for (const file of readdirSync(path)) rmSync(join(path, file));
const server = await servePage();
const browser = await launch({
  ...options,
  args: [...options.args, '--hide-scrollbars', '--force-color-profile=srgb'],
});
try {
  if (!only.startsWith('lab'))
    for (const size of SIZES)
      for (const scheme of SCHEMES) await takeStart(browser, server.url, size, scheme);
  if (!only.startsWith('lab')) {
    const page = await browser.newPage();
    await page.setViewport({ width: 1280, height: 900 });
    await train(page, server.url);
    for (const size of SIZES) for (const scheme of SCHEMES) await takeAll(page, size, scheme);
    await page.close();
  }
  await takeLabs(browser, server.url);
} finally {
  await browser.close();
  await server.close();
}
const files = readdirSync(folder).sort();
writeFileSync(join(root, 'docs', 'screenshots.md'), pageOf(files));
for (const path of [everything, folder]) {
  const all = readdirSync(path);
  const total = all.reduce((sum, file) => sum + statSync(join(path, file)).size, 0);
  stdout.write(`${path}: ${all.length} pictures, ${(total / 2 ** 20).toFixed(1)} MB\n`);
}
