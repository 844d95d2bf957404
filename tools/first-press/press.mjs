/** One press of Train on the built page, by what stands on the page meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';

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
      machine: [...document.querySelectorAll('[data-testid=machine] > span')]
        .slice(0, 2)
        .map((part) => part.textContent)
        .join(', '),
      trouble: text('run-error'),
    };
  });

/** @returns what the figures say: loss, held-out score now and before, steps; null for what is not there yet */
function read([[loss] = [], [score, note = ''] = [], , [, steps = ''] = []]) {
  const share = (words) => {
    const [, value] = /([\d.]+)\s%/.exec(words ?? '') ?? [];
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

/**
 * One press in a profile of its own, until the run has ended.
 * @returns when the first loss and the first score after the start stood there, what stood there after a minute and at the end, in seconds from the press,
 * and what it ran on
 * Throws what the page says of an error.
 */
export async function pressOnce(browser, url, hash) {
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
      if (seconds <= MINUTE && now.score !== null) of.atMinute = now;
    }
    if (state === 'finished') {
      await context.close();
      return { ...of, seconds, end: now, machine };
    }
    await sleep(LOOK_EVERY_MS);
  }
}
