/**
 * Every lab from its link in a fresh profile, where labs are not the same: in Firefox, on WebGPU, and without it. Its pictures speak, a control is driven, it
 * trains, its question is answered wrong and right. What each says in full: labs.test.ts. Seen to fail with: a triple click that selects nothing in Firefox.
 */
import type { Page } from 'puppeteer-core';
import { describe, expect, test } from 'vitest';
import { LABS } from '../../src/page/labs/catalogue.ts';
import { answer, openLab, says } from './lab-tools.ts';
import { part } from './page-tools.ts';
import { type Stage, setStage } from './stage.ts';

type Locale = 'en-GB' | 'zh-Hans';

interface Visit {
  readonly page: Page;
  /** One of two, as the page's language is. */
  readonly either: (english: RegExp, chinese: RegExp) => RegExp;
  readonly hasWebGpu: boolean;
}

interface Walk {
  readonly lab: string;
  readonly link: string;
  readonly walk: (visit: Visit) => Promise<void>;
  readonly question: string;
  readonly wrong: string;
  readonly right: string;
}

const SECONDS = 120;

const press = async (page: Page, control: string, key: 'ArrowLeft' | 'ArrowRight'): Promise<void> => {
  await page.focus(`${part(`control-${control}`)} input`);
  await page.keyboard.press(key);
};

const WALKS: readonly Walk[] = [
  {
    ...{ lab: 'cayley', link: 'q12=1', question: 'quarter', wrong: '0.5', right: '1' },
    async walk({ page, either }) {
      await says(page, 'rotation', either(/one plane by 90\.0°/, /转过 90\.0°/), SECONDS);
      await press(page, 'q12', 'ArrowRight');
      await says(page, 'rotation', either(/by 90\.6°/, /转过 90\.6°/));
    },
  },
  {
    ...{ lab: 'butterfly', link: 'target=hadamard&d=8&m=3', question: 'factors', wrong: '3', right: '4' },
    async walk({ page }) {
      await says(page, 'matrices', /\d\.\d e−\d/, SECONDS);
      await press(page, 'm', 'ArrowLeft');
      await says(page, 'matrices', /0\.765/, SECONDS);
    },
  },
  {
    ...{ lab: 'fourier', link: 'target=random&r=1', question: 'shift', wrong: 'lora', right: 'fourier' },
    async walk({ page }) {
      await says(page, 'curve', /0\.94\d.*0\.96\d/s, SECONDS);
      await press(page, 'r', 'ArrowRight');
      await says(page, 'curve', /128.*0\.\d\d\d/s, SECONDS);
    },
  },
  {
    ...{ lab: 'first', link: 'steps=3&method=fourierft&n=50', question: 'own', wrong: '7882', right: '1200' },
    async walk({ page, either }) {
      for (const which of ['head', 'adapter']) {
        await (await page.waitForSelector(part(`train-${which}`)))!.click();
        await page.waitForSelector(`${part(`state-${which}`)}[data-state=finished]`, {
          timeout: SECONDS * 1000,
        });
      }
      await says(page, 'run', either(/trains 7,882 numbers\. At step 3 /, /7,882/));
    },
  },
  {
    ...{ lab: 'forgetting', link: 'budget=48&method=boft', question: 'directions', wrong: '2', right: '1' },
    async walk({ page, either }) {
      await page.waitForSelector(`${part('kept')}[data-done=true]`, { timeout: SECONDS * 1000 });
      await says(page, 'kept', either(/After \d+ steps/, /\d+ 步/));
      await (await page.waitForSelector(`${part('control-method')} ::-p-text(LoRA)`))!.click();
      await says(page, 'singular', either(/LoRA changes the weight in 1 of 32/, /LoRA.*32/));
    },
  },
  {
    ...{ lab: 'shader', link: 'kernel=butterfly', question: 'twice', wrong: '3', right: '2' },
    async walk({ page, hasWebGpu }) {
      if (!hasWebGpu) {
        // It can be read all the same.
        await page.waitForSelector(part('shader-without'));
        await page.waitForSelector(part('shader-text'));
        return;
      }
      await page.waitForSelector(`${part('shader-verdict')}.is-right`, { timeout: SECONDS * 1000 });
      await page.click(`${part('control-broken')} label:has(input[value="1"])`);
      await page.waitForSelector(`${part('shader-verdict')}.is-wrong`, { timeout: SECONDS * 1000 });
    },
  },
];

const REPLIES: Readonly<Record<Locale, readonly [wrong: RegExp, right: RegExp]>> = {
  'en-GB': [/^Not yet\./, /^Right\./],
  'zh-Hans': [/^还不对。/, /^正确。/],
};

async function visit(
  stage: Stage,
  { lab, link, walk, ...of }: Walk,
  locale: Locale,
  hasWebGpu: boolean,
): Promise<void> {
  const chosen = hasWebGpu ? '&engine=webgpu' : '';
  const { page, errors } = await openLab(stage, `lab=${lab}&${link}${chosen}`, locale);
  await walk({
    page,
    either: (english, chinese) => (locale === 'en-GB' ? english : chinese),
    hasWebGpu,
  });
  const [wrong, right] = REPLIES[locale];
  expect(await answer(page, of.question, of.wrong)).toMatch(wrong);
  expect(await answer(page, of.question, of.right)).toMatch(right);
  expect(errors).toEqual([]);
  await page.browserContext().close();
}

test('every lab has a walk', () => {
  expect(WALKS.map(({ lab }) => lab)).toEqual(LABS.map(({ id }) => id));
});

describe('in Firefox, on WebGPU', () => {
  const stage = setStage('firefox');
  test.each(WALKS)('$lab', (of) => visit(stage, of, 'en-GB', true));
});

describe('in Firefox, without WebGPU, in Chinese', () => {
  const stage = setStage('firefox', { hasWebGpu: false });
  test.each(WALKS)('$lab', (of) => visit(stage, of, 'zh-Hans', false));
});

describe('in Chromium, on WebGPU', () => {
  const stage = setStage();
  test.each(WALKS)('$lab', (of) => visit(stage, of, 'en-GB', true));
});

describe('in Chromium, without WebGPU', () => {
  const stage = setStage('chrome', { hasWebGpu: false });
  test.each(WALKS)('$lab', (of) => visit(stage, of, 'en-GB', false));
});
