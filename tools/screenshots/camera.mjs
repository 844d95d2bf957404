/** Takes pictures of pages into out/screenshots/, once nothing on them changes any more, and those that the repository keeps into docs/screenshots/ as well. */
import { copyFileSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv, stdout } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const folder = join(root, 'docs', 'screenshots');
/** All of them; git leaves it out, since a set is some ten megabytes. */
export const everything = join(root, 'out', 'screenshots');
for (const path of [folder, everything]) mkdirSync(path, { recursive: true });
/** Only pictures whose name has this are taken; a pattern, as `lab-.*-en-1280-light`. */
export const [only = ''] = argv.slice(2);
export const isWanted = (file) => new RegExp(only).test(file);

export const SIZES = [
  { name: '1280', width: 1280, height: 900 },
  { name: '400', width: 400, height: 800 },
];
export const SCHEMES = ['light', 'dark'];
/** Of a picture, in pixels: what lies further down is cut. */
export const MOST_HEIGHT = 4000;
const QUALITY = 35;

/** Whether a line on the page says that something is still to come. */
const isWaiting = () =>
  / …(?!\S)/.test(document.body.textContent) ||
  [...document.querySelectorAll('p')].some((line) => line.textContent.trim().endsWith('…'));

/** What is drawn comes in turns, and some of it from workers: done when nothing on the page has changed for a second. */
export async function settle(page) {
  let before = '';
  for (let i = 0; i < 40; i++) {
    const now = await page.evaluate(
      () => `${document.body.textContent.length} ${document.querySelectorAll('*').length}`,
    );
    if (now === before && !(await page.evaluate(isWaiting))) break;
    before = now;
    await sleep(500);
  }
  await sleep(700);
}

/**
 * @param element what is taken; absent: what the window shows
 * @param isKept whether the repository has it
 */
export async function take(page, name, look, { element = page, isKept = true } = {}) {
  const file = `${name}-${look}.webp`;
  if (!isWanted(file)) return;
  const path = join(everything, file);
  await element.screenshot({ path, type: 'webp', quality: QUALITY });
  if (isKept) copyFileSync(path, join(folder, file));
  stdout.write(`${file} ${Math.round(statSync(path).size / 1024)} kB\n`);
}
