/**
 * The labs, each from its link in a fresh profile, in both languages: what is said of the pictures, the controls by keys, a locked one, and the question answered
 * wrong and right; a run of the first fine-tuning from its data to its file. Seen to fail with: a lab
 * that writes its own link over the address of the start page, a symbol too pale for its ground, a worker that outlives its lab.
 */

import { expect, test } from 'vitest';
import { answer, openLab, says, speak } from './lab-tools.ts';
import { findings, part, words } from './page-tools.ts';
import { untilSeen } from './seen.ts';
import { setStage } from './stage.ts';

const stage = setStage();

test('the Cayley lab turns as its controls say, and its questions know right from wrong', async () => {
  const { page, errors } = await openLab(stage, 'lab=cayley&q12=1&lock=t', 'en-GB');
  await says(page, 'rotation', /one plane by 90\.0°.*RᵀR differs from I by 0 in all/s);
  await page.focus(`${part('control-q12')} input`);
  await page.keyboard.press('ArrowRight');
  await says(page, 'rotation', /by 90\.6°.*differs from I by \d\.\d e−[78] in all/s);
  expect(new URL(page.url()).hash).toBe('#lab=cayley&q12=1.01&lock=t');
  // Its value is read aloud, and why it cannot be moved.
  const locked = await page.$eval(`${part('control-t')} input`, (one) => [
    ...[one.disabled, one.value],
    document.getElementById(one.getAttribute('aria-describedby') ?? '')?.textContent,
  ]);
  expect(locked).toEqual([true, '5', 'Locked by whoever made this link.']);
  await says(page, 'series', /With 5 terms .* does not come to the rotation/s);

  expect(await answer(page, 'quarter', '0.5')).toMatch(/Not yet\. q = 0\.5 turns by 53\.1°/);
  expect(await answer(page, 'quarter', '1')).toMatch(/^Right\./);
  expect(await answer(page, 'beyond', 'closer')).toMatch(/Not yet\. Look at the second picture/);
  expect(await answer(page, 'beyond', 'away')).toMatch(/^Right\./);

  await speak(page, 'zh-Hans');
  await says(page, 'rotation', /这些数使一个平面转过 90\.6°/);
  expect(await findings(page, 'the lab')).toEqual([]);
  expect(errors).toEqual([]);
  await page.browserContext().close();
});

test('the butterfly lab finds what its factors reach, and says so in Chinese', async () => {
  const { page, errors } = await openLab(stage, 'lab=butterfly&target=hadamard&d=8&m=3', 'zh-Hans');
  await page.waitForSelector(`${part('fits')}[data-done=true]`, { timeout: 120_000 });
  await says(page, 'fits', /已找到目标，误差仅为其大小的 \d\.\d e−\d；所用的数最少的是：m = 3, b = 2/);
  await says(
    page,
    'matrices',
    /用 12 个自由数，剩余部分是目标大小的 \d\.\d e−\d；每个输出能由 8 个输入中的 8 个到达/,
  );
  // One factor less reaches half of each row: √(2 − √2).
  await page.focus(`${part('control-m')} input`);
  await page.keyboard.press('ArrowLeft');
  await says(page, 'matrices', /剩余部分是目标大小的 0\.765/);
  expect(await answer(page, 'factors', '3')).toMatch(/还不对。.*16 个输入中只有 8 个/s);
  expect(await answer(page, 'factors', '4')).toMatch(/^正确。/);
  expect(await answer(page, 'nearer', 'blocks')).toMatch(/页面还看不出来。.*随机旋转/s);
  expect(await findings(page, 'the lab')).toEqual([]);

  // In another language the fits are there as they were, and so are the answers, with what was said to them.
  await speak(page, 'en-GB');
  await page.waitForSelector(`${part('fits')}[data-done=true]`, { timeout: 2000 });
  expect(await words(page, `${part('factors')} [role=status]`)).toMatch(/^Right\. 2 · 2 · 2 · 2 = 16/);
  expect(await page.$eval(`${part('factors')} input`, (box) => (box as HTMLInputElement).value)).toBe('4');
  expect(await words(page, `${part('nearer')} [role=status]`)).toMatch(
    /The page cannot tell yet\. Take the random rotation/,
  );

  await page.click('a[href="#start"]');
  await page.waitForSelector(part('labs-start'));
  expect(errors).toEqual([]);
  await page.browserContext().close();
});

test('the shader lab finds a wrong sign in each kernel, says where a text does not compile or does not end, and brings it back', async () => {
  const { page, errors } = await openLab(stage, 'lab=shader', 'en-GB');
  const verdict = (expected: RegExp) =>
    untilSeen(() => words(page, part('shader-verdict')), expected, `the verdict to say ${expected}`, 60);
  const choose = (control: string, value: string) =>
    page.click(`${part(`control-${control}`)} label:has(input[value="${value}"])`);
  /** Types into the text before a part of it, as undo knows it. */
  const typeBefore = (text: string, typed: string) =>
    page.$eval(
      part('shader-text'),
      (one, before, what) => {
        const box = one as HTMLTextAreaElement;
        const at = box.value.indexOf(before);
        box.focus();
        box.setSelectionRange(at, at);
        document.execCommand('insertText', false, what);
      },
      text,
      typed,
    );
  const run = async () => {
    await page.focus(part('shader-text'));
    await page.keyboard.down('Control');
    await page.keyboard.press('Enter');
    await page.keyboard.up('Control');
  };

  await verdict(/All 362 cells of the three sizes are right/);
  const original = await page.$eval(part('shader-text'), (one) => (one as HTMLTextAreaElement).value);
  await choose('broken', '1');
  await verdict(/Wrong cells: 362 of 362/);
  // Another kernel comes whole.
  await choose('kernel', 'butterfly');
  await verdict(/All 201 cells of the three sizes are right/);
  await choose('broken', '1');
  await verdict(/Wrong cells: 117 of 201.*45 of 45.*0 of 84.*72 of 72/s);
  expect(await answer(page, 'twice', '3')).toMatch(
    /Not yet\. Wrong cells of the last run: 45 with one factor, 0 with two, 72/,
  );
  expect(await answer(page, 'twice', '2')).toMatch(/^Right\./);
  await choose('kernel', 'idft');
  await verdict(/All 254 cells of the three sizes are right/);
  await choose('broken', '1');
  await verdict(/Wrong cells: 98 of 254.*12 of 35.*16 of 54.*70 of 165/s);
  // The first wrong place is not in the first row or column, where the sines are zero.
  await says(page, 'cells', /Wrong cells, which are crossed out: 12 of 35\. At row 2, column 2, /);

  await choose('kernel', 'cayley');
  await choose('broken', '2');
  await verdict(/Wrong cells: 30 of 362/);
  expect(await answer(page, 'diagonal', '15')).toMatch(/Not yet\..*together: 15\./);
  expect(await answer(page, 'diagonal', '5')).toMatch(/^Right\./);
  const WHERE = '  for (var k = 0u; k < B; k++) {';
  await typeBefore(WHERE, '  let x = 1u + 1.0;\n');
  await run();
  await verdict(/does not compile.*Line 53 of shaders\/cayley\.wgsl/s);
  await page.keyboard.down('Control');
  await page.keyboard.press('z');
  await page.keyboard.up('Control');
  await typeBefore(WHERE, '  while (true) {\n  }\n');
  const seconds: number[] = [];
  for (let times = 0; times < 2; times++) {
    const from = Date.now();
    await run();
    if (times === 0) await verdict(/went round more than 32,768 times and was left.*Line 53 of/s);
    else await page.waitForSelector(`${part('shader-verdict')}[data-kind=budget]`);
    seconds.push((Date.now() - from) / 1000);
  }
  expect(Math.min(...seconds)).toBeLessThan(3);
  await page.click(part('shader-back'));
  await verdict(/All 362 cells of the three sizes are right/);
  expect(await page.$eval(part('shader-text'), (one) => (one as HTMLTextAreaElement).value)).toBe(original);
  expect(new URL(page.url()).hash).toBe('#lab=shader');
  // Tab leaves the text.
  await page.focus(part('shader-text'));
  await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('BUTTON');

  // What was typed and run outlives a change of language, and so does what was only typed.
  await typeBefore(WHERE, '  R[0] = 1.0;\n');
  await run();
  await verdict(/Line 53 of shaders\/cayley\.wgsl/);
  await typeBefore(WHERE, '  // mine\n');
  await speak(page, 'zh-Hans');
  await verdict(/shaders\/cayley\.wgsl 第 53 行/);
  expect(await page.$eval(part('shader-text'), (one) => (one as HTMLTextAreaElement).value)).toContain(
    '  R[0] = 1.0;\n  // mine\n',
  );
  expect(await words(page, `${part('diagonal')} [role=status]`)).toMatch(/^正确。/);
  expect(await findings(page, 'the lab')).toEqual([]);
  expect(errors).toEqual([]);
  await page.browserContext().close();
});

test('the lab of Fourier against low rank comes to the least that is possible, and its questions know right from wrong', async () => {
  const { page, errors } = await openLab(
    stage,
    'lab=fourier&target=random&r=1&lock=seed&hide=places',
    'en-GB',
  );
  await page.waitForSelector(`${part('curve')}[data-done=true]`, { timeout: 120_000 });
  await says(
    page,
    'curve',
    /With 64 numbers each, LoRA of rank 1 leaves 0\.94\d of the target; FourierFT, frequencies drawn, leaves 0\.96\d/,
  );
  await says(
    page,
    'spectrum',
    /\d\d\.\d % of the target is in cosines.*FourierFT, frequencies drawn: 64 coefficients make 6\d different waves/,
  );
  expect(await page.$(part('control-places'))).toBe(null);
  expect(await page.$eval(`${part('control-seed')} input`, (one) => one.disabled)).toBe(true);
  expect(await answer(page, 'half', '0.5')).toMatch(/Not yet\. On screen 0\.7\d\d is left/);
  expect(await answer(page, 'half', '0.7')).toMatch(/^Right\./);
  expect(await answer(page, 'shift', 'lora')).toMatch(/Not yet\. LoRA’s line is the same/);
  expect(await answer(page, 'shift', 'fourier')).toMatch(/^Right\./);
  expect(await findings(page, 'the lab')).toEqual([]);
  expect(errors).toEqual([]);
  await page.browserContext().close();
});

test('the first fine-tuning takes three steps, with the head alone and with a method, is asked about, merged and left', async () => {
  const { page, errors } = await openLab(stage, 'start', 'en-GB');
  const lab = '#lab=first&method=fourierft&n=50&steps=3&lock=steps';
  await page.evaluate((hash) => void (location.hash = hash), lab);
  await says(page, 'letters', /12 of the letters.*20,000 to learn from and 2,000 held out, of 26 classes/s);
  expect(await answer(page, 'own', '1200')).toMatch(
    /The page cannot tell yet\. Train the head alone and the adapter first/,
  );
  const train = async (which: string, meanwhile: () => Promise<unknown> = async () => {}) => {
    await page.click(part(`train-${which}`));
    await meanwhile();
    await page.waitForSelector(`${part(`state-${which}`)}[data-state=finished]`, { timeout: 60_000 });
  };
  // Back asks, and who stays finds everything as it was.
  await train('head', async () => {
    const asked = new Promise<string>((resolve) => {
      page.once('dialog', (dialog) => void dialog.dismiss().then(() => resolve(dialog.message())));
    });
    await page.evaluate(() => history.back());
    expect(await asked).toMatch(/^A run is under way, and leaving this lab ends it/);
    expect(await page.evaluate(() => location.hash)).toBe(lab);
  });
  await says(page, 'head', /The head alone trains 6,682 numbers\. At step 3 .* of 260 held-out letters/s);
  await train('adapter');
  await says(page, 'run', /FourierFT trains 7,882 numbers\. At step 3 .* Computed by onnxruntime-web/s);
  await says(
    page,
    'held-letters',
    /Of these 8 letters.*untrained: \d right; the head alone: \d right; FourierFT: \d right/s,
  );
  expect(await answer(page, 'own', '7882')).toMatch(/Not yet\. That is what the run trains in all/);
  expect(await answer(page, 'own', '1200')).toMatch(
    /^Right\. 7,882 numbers in all, 6,682 of them in the head/,
  );
  expect(await findings(page, 'the lab')).toEqual([]);
  await page.click(part('merge'));
  await says(
    page,
    'file',
    /26 of its weights .* what the run gave, to a relative difference of \d\.\d e−[67]/s,
  );

  expect(page.workers().length).toBeGreaterThan(0);
  await page.click('a[href="#start"]');
  await untilSeen(
    () => page.workers().map((one) => one.url()),
    (urls) => urls.length === 0,
    'the workers to be gone',
  );
  expect(errors).toEqual([]);
  await page.browserContext().close();
});

test('a run of the first lab stands beside the one before it, which goes on where it was paused', async () => {
  const { page, errors } = await openLab(stage, 'lab=first&method=fourierft&n=50&steps=60', 'en-GB');
  const state = (wanted: string) =>
    page.waitForSelector(`${part('state-adapter')}[data-state=${wanted}]`, { timeout: 60_000 });
  const press = async (name: string) =>
    (await page.waitForSelector(`main button ::-p-text(${name})`, { timeout: 60_000 }))!.click();
  const pausedAt = async () => Number(/step (\d+) of 60/.exec(await words(page, part('state-adapter')))![1]);
  await page.waitForSelector(`${part('train-adapter')}:not([data-disabled])`, { timeout: 60_000 });
  await page.click(part('train-adapter'));
  await says(page, 'run', /At step [2-9] /);
  await press('Pause');
  await state('paused');
  const before = await pausedAt();

  await page.click(`${part('control-method')} label:has(input[value=lora])`);
  await page.click(`${part('control-r')} label:has(input[value="1"])`);
  await page.waitForSelector(`${part('train-adapter')}:not([data-disabled])`, { timeout: 60_000 });
  await page.click(part('train-adapter'));
  await says(
    page,
    'run',
    /FourierFT trains 7,882 numbers\. At step .*LoRA trains 15,898 numbers\. At step [2-9] /s,
  );
  expect(await words(page, part('earlier-adapter'))).toMatch(
    new RegExp(`^FourierFT: paused at step ${before} of 60\\.`),
  );
  await press('Pause');
  await state('paused');
  await press('Go on with FourierFT');
  await says(
    page,
    'run',
    new RegExp(`FourierFT trains 7,882 numbers\\. At step (${before + 1}|${before + 2}|${before + 3}) `),
  );
  expect(await words(page, part('earlier-adapter'))).toMatch(/^LoRA: paused at step \d+ of 60\./);
  await press('Pause');
  await state('paused');
  expect(await pausedAt()).toBeGreaterThan(before);
  // Its whole curve is in the table, that before it was paused too.
  await page.click(`${part('run')} summary`);
  expect(await words(page, `${part('run')} table`)).toMatch(
    /FourierFT\s+0\s.*LoRA\s+0\s|LoRA\s+0\s.*FourierFT\s+0\s/s,
  );
  // Leaving would lose what is paused, so it is asked about.
  const asked = new Promise<string>((resolve) => {
    page.once('dialog', (dialog) => void dialog.accept().then(() => resolve(dialog.message())));
  });
  await page.click('a[href="#start"]');
  expect(await asked).toMatch(/^A run is paused, and after leaving this lab it cannot go on/);
  await page.waitForSelector(part('labs-start'));
  expect(errors).toEqual([]);
  await page.browserContext().close();
});

test('the lab on forgetting trains, says what each method kept, and its questions know right from wrong', async () => {
  const { page, errors } = await openLab(
    stage,
    'lab=forgetting&budget=48&method=boft&lock=budget&hide=seed',
    'en-GB',
  );
  await page.waitForSelector(`${part('kept')}[data-done=true]`, { timeout: 120_000 });
  await says(
    page,
    'kept',
    /After 200 steps.*OFT \d+(\.\d)? % \/ \d+(\.\d)? %.*With BOFT single networks keep/s,
  );
  await says(page, 'angles', /BOFT: .* changed by \d\.\d e−\d° at most/);
  // Another method is another look at the same run, another network too.
  await (await page.waitForSelector(`${part('control-method')} ::-p-text(LoRA)`))!.click();
  await says(page, 'angles', /LoRA: .* changed by \d+\.\d° at most/);
  await says(page, 'singular', /LoRA changes the weight in 1 of 32 directions/);
  await (await page.waitForSelector(`${part('control-method')} ::-p-text(Full)`))!.click();
  await says(page, 'angles', /Full fine-tuning: .* changed by \d+\.\d° at most/);
  await (await page.waitForSelector(`${part('control-network')} ::-p-text(3)`))!.click();
  await page.waitForSelector(`${part('plane')}[aria-label="The plane, as network 3 sees it"]`);
  expect(await page.$(part('control-seed'))).toBe(null);

  expect(await answer(page, 'angles-kept', 'updates')).toMatch(
    /Not yet\..*Largest changes .*BOFT \d\.\d e−\d°/s,
  );
  expect(await answer(page, 'angles-kept', 'rotations')).toMatch(/^Right\./);
  expect(await answer(page, 'task-kept', 'yes')).toMatch(
    /Not yet\. On screen OFT’s networks tell \d+(\.\d)? % /,
  );
  expect(await answer(page, 'task-kept', 'no')).toMatch(/^Right\./);
  expect(await answer(page, 'full', 'full')).toMatch(
    /Not yet\. Kept of the old task on screen, .*: \d+(\.\d)? % \/ \d+(\.\d)? %, /,
  );
  expect(await answer(page, 'full', 'mixed')).toMatch(/^Right\./);
  expect(await answer(page, 'directions', '2')).toMatch(/Not yet\./);
  expect(await answer(page, 'directions', '1')).toMatch(/^Right\..* Measured here: 1\./s);
  expect(await findings(page, 'the lab')).toEqual([]);
  expect(errors).toEqual([]);
  await page.browserContext().close();
});
