/**
 * Every lab from its link in a fresh profile, where labs are not the same: in Firefox, on WebGPU, and without it. Its picture speaks, a control is driven by
 * keys, its question is answered wrong and right. What each says in full: labs.test.ts.
 */
import type { Page } from 'puppeteer-core';
import { describe, expect, test } from 'vitest';
import { LABS } from '../../src/page/labs/catalogue.ts';
import { answer, openLab, says } from './labs-tools.ts';
import { part } from './page-tools.ts';
import { type Stage, setStage } from './stage.ts';

type Locale = 'en-GB' | 'zh-Hans';
type Said = Readonly<Record<Locale, RegExp>>;

interface Walk {
  readonly lab: string;
  readonly link: string;
  /** A picture, what it says at first, and once the control has been moved by a key. */
  readonly picture: string;
  readonly first: Said;
  readonly control: string;
  readonly key: 'ArrowLeft' | 'ArrowRight';
  readonly last: Said;
  readonly question: string;
  readonly wrong: string;
  readonly right: string;
}

const WALKS: readonly Walk[] = [
  {
    ...{ lab: 'cayley', link: 'q12=1', picture: 'rotation', control: 'q12', key: 'ArrowRight' },
    first: { 'en-GB': /one plane by 90\.0°/, 'zh-Hans': /转过 90\.0°/ },
    last: { 'en-GB': /by 90\.6°/, 'zh-Hans': /转过 90\.6°/ },
    ...{ question: 'quarter', wrong: '0.5', right: '1' },
  },
  {
    ...{
      lab: 'butterfly',
      link: 'target=hadamard&d=8&m=3',
      picture: 'matrices',
      control: 'm',
      key: 'ArrowLeft',
    },
    first: { 'en-GB': /\d\.\d e−\d/, 'zh-Hans': /剩余部分是目标大小的 \d\.\d e−\d/ },
    last: { 'en-GB': /0\.765/, 'zh-Hans': /剩余部分是目标大小的 0\.765/ },
    ...{ question: 'factors', wrong: '3', right: '4' },
  },
];

const REPLIES: Readonly<Record<Locale, readonly [wrong: RegExp, right: RegExp]>> = {
  'en-GB': [/^Not yet\./, /^Right\./],
  'zh-Hans': [/^还不对。/, /^正确。/],
};

async function walk(
  stage: Stage,
  { lab, link, ...of }: Walk,
  locale: Locale,
  more = '',
  before?: (page: Page) => Promise<void>,
): Promise<void> {
  const { page, errors } = await openLab(stage, `lab=${lab}&${link}${more}`, locale, before);
  await says(page, of.picture, of.first[locale], 120);
  await page.focus(`${part(`control-${of.control}`)} input`);
  await page.keyboard.press(of.key);
  await says(page, of.picture, of.last[locale], 120);
  const [wrong, right] = REPLIES[locale];
  expect(await answer(page, of.question, of.wrong)).toMatch(wrong);
  expect(await answer(page, of.question, of.right)).toMatch(right);
  expect(errors).toEqual([]);
  await page.browserContext().close();
}

test('every lab has a walk', () => {
  expect(WALKS.map(({ lab }) => lab)).toEqual(LABS.map(({ id }) => id));
});

describe('in Firefox', () => {
  const stage = setStage('firefox');
  test.each(WALKS)('$lab, on what suits the machine, in Chinese', (of) => walk(stage, of, 'zh-Hans'));
  test.each(WALKS)('$lab, on WebGPU', (of) => walk(stage, of, 'en-GB', '&engine=webgpu'));
});

describe('in Chromium', () => {
  const stage = setStage();
  test.each(WALKS)('$lab, on WebGPU', (of) => walk(stage, of, 'en-GB', '&engine=webgpu'));
  test.each(WALKS)('$lab, without WebGPU', (of) =>
    walk(stage, of, 'en-GB', '', async (page) => {
      await page.evaluateOnNewDocument(() => {
        Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined });
      });
    }),
  );
});
