/** Pictures of every lab and page of the textbook, in every language: what the start page of the labs links to. Each is kept twice: wide, light, in English, and narrow, dark, in another. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isWanted, root, SCHEMES, SIZES, settle, take } from './camera.mjs';

/** English, and each language that has a file. */
const LANGUAGES = [
  'en-GB',
  ...readdirSync(join(root, 'src', 'languages'))
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.replace('.json', '')),
];

/** A lab is long. */
const MOST_HEIGHT = 8000;
/** Until what a lab fits is fitted. */
const PATIENCE_MS = 120_000;

/** What a lab needs pressed before there is something to see, in order, each with what it ends in. */
const PRESSES = {
  first: {
    link: '&steps=40',
    steps: [
      ['train-head', '[data-testid=state-head][data-state=finished]'],
      ['train-adapter', '[data-testid=state-adapter][data-state=finished]'],
    ],
  },
  shader: { link: '', steps: [], end: '[data-testid=shader-verdict]' },
};

const isKept = (language, size, scheme) =>
  language === LANGUAGES[0]
    ? size === SIZES[0] && scheme === SCHEMES[0]
    : size === SIZES[1] && scheme === SCHEMES[1];

async function open(browser, url, hash, language) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.evaluateOnNewDocument((chosen) => localStorage.setItem('papilio-language', chosen), language);
  await page.setViewport({ width: SIZES[0].width, height: SIZES[0].height });
  await page.goto(`${url}labs.html#${hash}`, { waitUntil: 'networkidle0', timeout: PATIENCE_MS });
  return page;
}

/** The hashes of all places, by the links of the start page. */
async function placesOf(browser, url) {
  const page = await open(browser, url, 'start', 'en-GB');
  await settle(page);
  const hashes = await page.$$eval('a[href^="#"]', (all) => all.map((one) => one.hash.slice(1)));
  await page.browserContext().close();
  return ['start', ...new Set(hashes.filter((hash) => /^(lab|page)=\w+$/.test(hash)))];
}

const nameOf = (hash) => `lab-${hash.replace(/^(lab|page)=/, '')}`;

async function takePlace(browser, url, hash, language) {
  const name = nameOf(hash);
  const short = language.split('-')[0];
  const looks = SIZES.flatMap((size) => SCHEMES.map((scheme) => ({ size, scheme }))).filter(
    ({ size, scheme }) => isWanted(`${name}-${short}-${size.name}-${scheme}.webp`),
  );
  if (looks.length === 0) return;
  const presses = PRESSES[hash.replace('lab=', '')];
  const page = await open(browser, url, hash + (presses?.link ?? ''), language);
  for (const [button, end] of presses?.steps ?? []) {
    await (await page.waitForSelector(`[data-testid=${button}]:not([disabled])`)).click();
    await page.waitForSelector(end, { timeout: PATIENCE_MS });
  }
  if (presses?.end) await page.waitForSelector(presses.end, { timeout: PATIENCE_MS });
  await settle(page);
  await page.waitForFunction(() => document.querySelector('[data-done=false]') === null, {
    timeout: PATIENCE_MS,
  });
  for (const { size, scheme } of looks) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.setViewport({ width: size.width, height: size.height });
    await settle(page);
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewport({ width: size.width, height: Math.min(MOST_HEIGHT, height) });
    await settle(page);
    await take(page, `${name}-${short}`, `${size.name}-${scheme}`, {
      isKept: isKept(language, size, scheme),
    });
  }
  await page.browserContext().close();
}

export async function takeLabs(browser, url) {
  for (const hash of await placesOf(browser, url))
    for (const language of LANGUAGES) await takePlace(browser, url, hash, language);
}
