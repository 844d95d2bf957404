/**
 * A visit in Simplified Chinese, from a fresh profile through one press and every tab, and through every lab and page of the textbook: no English but names and code.
 * Seen to fail with every English text that is not listed here.
 */
import type { Page } from 'puppeteer-core';
import { expect, test } from 'vitest';
import { hashOf, PLACES } from '../../src/page/labs/textbook/way.ts';
import { openLab } from './lab-tools.ts';
import { CAN_TRAIN, part, QUICK } from './page-tools.ts';
import { setStage } from './stage.ts';

const stage = setStage();

/** Names, which every language has alike: of models, data, methods, modules, settings, files and papers. */
const NAMES: readonly RegExp[] = [
  /^(Papilio|WebGPU|ONNX|MLP|CSV|Python|SwiftShader.*|GitHub|onnxruntime.*|British English|Language, 语言)$/,
  /^[A-Za-z0-9]*(OFT|FT|LoRA|LoHa|LoKr|VeRA)( \d+)?$/,
  /^[A-Z0-9]+(_[A-Z0-9]+)+$/,
  /^[\w.-]*[._][\w.*-]*$/,
  /^(dinov2|classifier|query|key|value|glyphs-vit.*|tales-gpt.*|letters|wild-digits|recipes|tales|adamw|sgd|lion|constant|cosine|linear|dense|none|all|default|logits)$/,
  // Of PEFT's settings, of a run with its method, of a tensor.
  /^(Alpha|Dropout|DoRA)$/,
  /Fan in、fan out$/,
  /^\w+, [a-z]+-[a-z]+$/,
  /^[\w.]+ · \d+ × \d+$/,
  // The software adapter, and what the data begins with and the model writes on.
  /^google swiftshader$/,
  /^A golden mushroom hotpot/,
  /\(arXiv:[\d.]+\)$/,
  /^[a-z]+-[a-z]+$/,
];

/** Texts and labels of what is on screen; what stands in code, formulas and pictures is none, nor is what a model wrote or a list of sources, which say so. */
const readAll = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    for (const fold of document.querySelectorAll('details')) fold.open = true;
    const out: string[] = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const { data, parentElement } = walker.currentNode as Text;
      const isCode = parentElement?.closest(
        'script, noscript, style, code, kbd, pre, svg, textarea, .katex, [translate=no], li[lang=en]',
      );
      if (!isCode) out.push(data.trim());
    }
    for (const name of ['aria-label', 'title', 'placeholder', 'alt'])
      for (const one of document.querySelectorAll(`[${name}]`))
        if (!one.closest('svg')) out.push(one.getAttribute(name)!);
    return out;
  });

/** Two words of English in a row, or a text that has nothing else. */
const isEnglish = (text: string): boolean =>
  /\p{Script=Han}/u.test(text) ? /\b[a-z]{2,} [a-z]{2,}\b/.test(text) : /[a-z]{3}/i.test(text);

test('a visit in Chinese finds no English but names and code', async () => {
  const context = await stage.browser.createBrowserContext();
  const page = await context.newPage();
  await page.evaluateOnNewDocument(() => localStorage.setItem('papilio-language', 'zh-Hans'));
  await page.goto(`${stage.url}${QUICK.startsWith('#') ? '' : '#'}${QUICK}&t.steps=3`, { waitUntil: 'load' });
  await page.waitForSelector(CAN_TRAIN);
  expect(await page.$eval('html', (root) => root.lang)).toBe('zh-Hans');
  const found = new Set(await readAll(page));
  await page.click(part('toggle'));
  await page.waitForSelector(`${part('run-state')}[data-state="finished"]`, { timeout: 120_000 });
  const tabs = await page.$$eval('[role=tab]', (all) => all.length);
  expect(tabs).toBeGreaterThan(5);
  for (let at = 0; at < tabs; at++) {
    await page.$$eval('[role=tab]', (all, k) => (all[k] as HTMLElement).click(), at);
    await page.waitForFunction(
      (k) => document.querySelectorAll('[role=tab]')[k]?.ariaSelected === 'true',
      {},
      at,
    );
    for (const text of await readAll(page)) found.add(text);
  }
  expect(found.size).toBeGreaterThan(200);
  expect(
    [...found].filter((text) => isEnglish(text) && !NAMES.some((pattern) => pattern.test(text))),
  ).toEqual([]);
  await context.close();
});

/** What is named on labs and pages of the textbook: files, kinds of numbers, matrices, functions and an optimiser. */
const QUOTED: readonly RegExp[] = [
  /^(R（float64）|float64|Hadamard|softmax|AdamW)$/,
  /^计算者：google swiftshader 上的 WebGPU。$/,
  /^shaders\/\w+\.wgsl$/,
];

test('labs and the textbook have no English either, with the form of a lesson open', async () => {
  const { page } = await openLab(stage, 'start', 'zh-Hans');
  const english: string[] = [];
  const read = async (where: string) => {
    const all = new Set(await readAll(page));
    expect(all.size, where).toBeGreaterThan(30);
    const known = [...NAMES, ...QUOTED];
    for (const text of all)
      if (isEnglish(text) && !known.some((pattern) => pattern.test(text))) english.push(`${where}: ${text}`);
  };
  await page.waitForSelector(`${part('labs-start')} h2`);
  await read('start');
  for (const place of PLACES) {
    const hash = hashOf(place);
    await page.evaluate((to) => {
      location.hash = to;
    }, hash);
    await page.waitForSelector(`${part(`lab-${place.id}`)} h2, ${part(`lab-${place.id}`)} dl`);
    if (place.id !== 'glossary') {
      await page.$eval(part('make-lesson'), (button) => (button as HTMLElement).click());
      await page.waitForSelector(part('lesson-form'));
    }
    await read(hash);
  }
  expect(english).toEqual([]);
  await page.browserContext().close();
});
