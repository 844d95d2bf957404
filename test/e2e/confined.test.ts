/**
 * The browser confines the page and its workers: what the policy forbids is refused, and the stage hears of it, which fails every other file
 * on the first violation. Seen to fail: a server without the header, a built page without the element, a stage that does not listen.
 */
import { expect, test } from 'vitest';
import { unasked } from '../tools/asked.ts';
import { CAN_TRAIN, openPage, press, SMALL, until, untilState } from './page-tools.ts';
import { untilSeen } from './seen.ts';
import { setStage } from './stage.ts';

const stage = setStage();

test('header and element say the same policy; only the header can speak of frames', async () => {
  const response = await fetch(stage.url);
  const header = response.headers.get('content-security-policy');
  const element = /<meta http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(await response.text());
  expect(header).toBe(`${element?.[1]}; frame-ancestors 'none'`);
  expect(header).toMatch(/^default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'sha256-[^']+'; /);
  expect(header).toContain("; connect-src 'self' https:; ");
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  expect(response.headers.get('referrer-policy')).toBe('no-referrer');
});

test('scripts from text, other origins without TLS, frames, forms and bases are refused, in workers too', async () => {
  const { page, errors } = await openPage(stage, SMALL);
  const refused = async (part: RegExp, act: () => Promise<unknown>): Promise<void> => {
    stage.violations.length = 0;
    await act();
    await untilSeen(
      () => stage.violations,
      (all) => all.some((line) => part.test(line)),
      `a violation of ${part}`,
      10,
    );
  };
  await refused(/script-src.*inline/, () =>
    page.evaluate(() => {
      const script = document.createElement('script');
      script.textContent = 'window.wasRun = true';
      document.body.append(script);
    }),
  );
  expect(await page.evaluate(() => 'wasRun' in window)).toBe(false);
  await refused(/script-src/, () =>
    page.evaluate(() => {
      const button = document.createElement('button');
      button.setAttribute('onclick', 'window.wasRun = true');
      document.body.append(button);
      button.click();
    }),
  );
  const ask = () => void fetch('http://127.0.0.1:9/').catch(() => {});
  await refused(/connect-src/, () => page.evaluate(ask));
  await refused(/img-src/, () =>
    page.evaluate(() => {
      document.body.append(Object.assign(new Image(), { src: 'https://127.0.0.1:9/pixel.png' }));
    }),
  );
  await refused(/frame-src|default-src/, () =>
    page.evaluate(() => {
      document.body.append(Object.assign(document.createElement('iframe'), { src: './' }));
    }),
  );
  await refused(/form-action/, () =>
    page.evaluate(() => {
      const form = Object.assign(document.createElement('form'), { method: 'post', action: './' });
      document.body.append(form);
      form.submit();
    }),
  );
  await refused(/base-uri/, () =>
    page.evaluate(() => {
      document.head.append(Object.assign(document.createElement('base'), { href: 'https://127.0.0.1:9/' }));
    }),
  );
  await page.waitForSelector(CAN_TRAIN);
  // The trainer's worker comes when it is first needed; one that is still being loaded leaves questions unanswered.
  await press(page, 'Step');
  await untilState(page, 'paused');
  const inTrainer = <T>(task: () => T): Promise<NonNullable<Awaited<T>>> =>
    until(
      async () => {
        const worker = page.workers().find((w) => /\/worker-[^/]*$/.test(w.url()));
        return (await worker?.evaluate(task).catch(() => undefined)) ?? undefined;
      },
      'an answer of the trainer',
      30,
    ) as Promise<NonNullable<Awaited<T>>>;
  await refused(/connect-src/, () =>
    inTrainer(() =>
      fetch('http://127.0.0.1:9/').then(
        () => 'fetched',
        () => 'refused',
      ),
    ),
  );
  // A worker's log is silent on evaluation from text: that nothing tries is seen by what would.
  const asksFirst = () => (globalThis as { __zod_globalConfig?: { jitless?: boolean } }).__zod_globalConfig;
  expect(await page.evaluate(asksFirst)).toMatchObject({ jitless: true });
  expect(await inTrainer(asksFirst)).toMatchObject({ jitless: true });
  // Firefox has no such log: there, and wherever the log should change, the page itself tells.
  expect(errors.some((line) => line.startsWith('Content Security Policy: base-uri'))).toBe(true);
  stage.violations.length = 0;
  await page.close();
});

test('what counts as asked for: a plain GET of a built file, or another origin that the test names', () => {
  const { url } = stage;
  const odd = [
    { method: 'GET', url: `${url}index.html?who=me` },
    { method: 'POST', url },
    { method: 'GET', url: `${url}nothing.js` },
    { method: 'GET', url: `${url}../package.json` },
    { method: 'GET', url: 'https://example.org/' },
  ];
  const plain = [
    { method: 'GET', url },
    { method: 'GET', url: `${url}favicon.svg` },
    { method: 'OPTIONS', url: 'https://hub.example/api' },
  ];
  expect(unasked([...plain, ...odd], url, ['https://hub.example'])).toEqual(odd);
});
