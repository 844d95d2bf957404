/** Takes pictures of pages into docs/screenshots/, once nothing on them changes any more. */
import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv, stdout } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const folder = join(root, 'docs', 'screenshots');
/** Only pictures whose name has this are taken. */
export const [only = ''] = argv.slice(2);

export const SIZES = [
  { name: '1280', width: 1280, height: 900 },
  { name: '400', width: 400, height: 800 },
];
export const SCHEMES = ['light', 'dark'];
/** Of a picture, in pixels: what lies further down is cut. */
export const MOST_HEIGHT = 4000;
const QUALITY = 55;

/** What is drawn comes in turns, and some of it from workers: done when nothing on the page has changed for a second. */
export async function settle(page) {
  let before = '';
  for (let i = 0; i < 40; i++) {
    const now = await page.evaluate(
      () => `${document.body.textContent.length} ${document.querySelectorAll('*').length}`,
    );
    if (now === before && !(await page.evaluate(() => / …(?!\S)/.test(document.body.textContent)))) break;
    before = now;
    await sleep(500);
  }
  await sleep(700);
}

/** @param element what is taken; absent: what the window shows */
export async function take(page, name, look, element, quality = QUALITY) {
  const file = `${name}-${look}.webp`;
  if (!file.includes(only)) return;
  const path = join(folder, file);
  await (element ?? page).screenshot({ path, type: 'webp', quality });
  stdout.write(`${file} ${Math.round(statSync(path).size / 1024)} kB\n`);
}
