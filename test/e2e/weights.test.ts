/**
 * The Weights tab driven as a person would, values read and not pixels: the way back from a trained rotation to the base, what the weight keeps, the
 * base's own task, and single frequencies, whose ΔW is what a sum of cosines in float64 says. Seen to fail with: a strength that is not sent, a
 * frequency that stays on, a norm of half the entries.
 */
import type { Page } from 'puppeteer-core';
import { expect, test } from 'vitest';
import {
  named,
  openPage,
  openTab,
  part,
  press,
  trainToTheEnd,
  until,
  untilState,
  words,
} from './page-tools.ts';
import { untilSeen } from './seen.ts';
import { setStage } from './stage.ts';

const stage = setStage();

const STEPS = 6;
/** The head keeps its classes, so that a run can be taken back to the base whole. */
const SMALL = `v=1&preset=wild-digits&engine=onnxruntime&seed=1&t.batchSize=8&t.steps=${STEPS}&t.warmupSteps=1&t.evalEvery=0&t.evalExamples=128`;
const TARGETS = 'c.target_modules=["query","value"]&c.modules_to_save=["classifier"]';
const TURNED = `${SMALL}&method=boft&c.boft_block_size=4&c.boft_n_butterfly_factor=1&${TARGETS}&t.learningRate=0.004`;
const FREQUENCIES = 6;
const SCALING = 1000;
const WAVES = `${SMALL}&method=fourierft&c.n_frequency=${FREQUENCIES}&c.scaling=${SCALING}&${TARGETS}`;

/** A number as the page writes it: "−3.4 e−10", "12.5 %", "≤ 0.01°". */
const number = (text: string): number =>
  Number(
    text
      .replaceAll('−', '-')
      .replace(/[≤%°,\s]/g, '')
      .replace(/^\+/, ''),
  );

/** The figure below its name in a list of figures. */
async function figure(page: Page, list: string, name: string): Promise<number> {
  const lines = (await words(page, part(list))).split('\n').filter((line) => line.trim() !== '');
  const at = lines.findIndex((line) => line.startsWith(name));
  expect(at, `${name} in ${lines.join(' | ')}`).toBeGreaterThanOrEqual(0);
  return number(lines[at + 1]!.split(' of ')[0]!);
}

/** The likeliest classes of the first example, in words, as the base has them and as the model on the way has them. */
const bars = (page: Page) =>
  page.$$eval(`${'[data-testid="back-answers"]'} .example`, (examples) =>
    examples.map((example) =>
      [...example.querySelectorAll('.bars')].map((one) =>
        [...one.querySelectorAll('.bar')].map((bar) =>
          [...bar.children].map(({ textContent }) => textContent).join(' '),
        ),
      ),
    ),
  );

/** Score and loss on the way, where the slider has just been moved. */
async function onTheWay(page: Page, at: number) {
  await page.waitForSelector(`${part('back-figures')}[data-at="${at}"]`);
  await untilSeen(() => words(page, part('back-answers')), `at ${at.toFixed(2)}`, `answers at ${at}`, 60);
  return {
    score: await figure(page, 'back-figures', 'Held out'),
    change: await figure(page, 'back-figures', '‖ΔW‖'),
    angle: await figure(page, 'back-figures', 'Largest angle'),
    apart: await figure(page, 'back-figures', '‖RᵀR'),
  };
}

interface Wave {
  readonly down: number;
  readonly across: number;
  readonly value: number;
}

/** The frequency that is chosen, as it is said in words. @param place by size, from 1 on */
async function wave(page: Page, place: number): Promise<Wave> {
  const said = await untilSeen(
    () => words(page, part('frequency')),
    `${place} of ${FREQUENCIES} by size`,
    `frequency ${place}`,
    20,
  );
  const [, down, across, value] =
    /wave of (\S+) periods along the outputs and (\S+) along the inputs, coefficient ([^(]+) \(/.exec(said)!;
  return { down: number(down!), across: number(across!), value: number(value!) };
}

/** ‖ΔW‖ of [rows, columns] as a sum of cosines. */
function normOf(waves: readonly Wave[], rows: number, columns: number): number {
  let sum = 0;
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) {
      let entry = 0;
      for (const { down, across, value } of waves)
        entry += value * Math.cos(2 * Math.PI * ((down * r) / rows + (across * c) / columns));
      sum += ((SCALING * entry) / (rows * columns)) ** 2;
    }
  return Math.sqrt(sum);
}

/** Where no frequency is learnt nearby, the page says which one that is, and what it takes to learn it. */
async function expectUnlearnt(
  page: Page,
  waves: readonly Wave[],
  [rows, columns]: readonly [number, number],
) {
  // Below the button that saves the plane, which stands in its corner.
  const grid = Array.from({ length: 48 }, (_, i) => [((i >> 3) + 2.5) / 8, ((i & 7) + 0.5) / 8] as const);
  const periodsAt = ([y, x]: (typeof grid)[number]) => [(y - 0.5) * rows, (x - 0.5) * columns] as const;
  const room = (at: (typeof grid)[number]) => {
    const [down, across] = periodsAt(at);
    // A wave is the same at its other place.
    return Math.min(
      ...waves.flatMap((one) =>
        [1, -1].map((sign) => Math.hypot(sign * one.down - down, sign * one.across - across)),
      ),
    );
  };
  const at = grid.reduce((best, one) => (room(one) > room(best) ? one : best));
  const plane = (await page.$(part('plane')))!;
  const box = (await plane.boundingBox())!;
  await plane.click({ offset: { x: at[1] * box.width, y: at[0] * box.height } });
  const told = () => words(page, part('more-frequencies'));
  const found = await until(
    async () => (await told()).match(/learnt at (\S+) periods .* and (\S+) along .* number ([\d,]+) of/),
    'what a place that is not learnt takes',
    20,
  );
  const [down, across] = periodsAt(at);
  expect(Math.abs(number(found[1]!) - down)).toBeLessThanOrEqual(1);
  expect(Math.abs(number(found[2]!) - across)).toBeLessThanOrEqual(1);
  expect(number(found[3]!)).toBeGreaterThan(FREQUENCIES);
  expect(await told()).toContain(`New run with ${found[3]} frequencies here`);
}

test('a rotation is taken back to the base, and a wave of another run is taken out', async () => {
  const { page, errors } = await openPage(stage, TURNED);
  await trainToTheEnd(page);
  const SCORES = /([\d.]+) %\s+was ([\d.]+) %/;
  const figures = () => words(page, part('figures'));
  const said = SCORES.exec(await untilSeen(figures, SCORES, 'held-out accuracy before and after', 60))!;
  const [trained, base] = [Number(said[1]), Number(said[2])];
  expect(trained).not.toBe(base);

  await openTab(page, 'Weights');
  const slider = await until(
    () => page.$(`${named('Back to the base')} input[type=range]`),
    'the slider',
    60,
  );
  const end = await onTheWay(page, 1);
  expect(end.score).toBe(trained);
  expect(end.apart).toBeLessThan(1e-5);
  await slider.focus();
  await page.keyboard.press('Home');
  const start = await onTheWay(page, 0);
  expect([start.score, start.change, start.angle]).toEqual([base, 0, 0]);
  const answers = await bars(page);
  expect(answers.length).toBeGreaterThan(2);
  for (const [before, now] of answers) expect(now).toEqual(before);
  for (let i = 0; i < 10; i++) await page.keyboard.press('ArrowRight');
  const half = await onTheWay(page, 0.5);
  expect(half.apart).toBeLessThan(1e-5);
  expect(half.angle).toBeGreaterThan(0.3 * end.angle);
  expect(half.angle).toBeLessThan(0.7 * end.angle);

  // A rotation keeps every angle between neurons, and so their energy.
  await page.waitForSelector(part('kept-figures'));
  expect(Math.abs(await figure(page, 'kept-figures', 'Energy'))).toBeLessThan(1e-5);
  expect(await figure(page, 'kept-figures', 'Angles moved')).toBeLessThan(0.01);
  await press(page, 'Measure');
  const own = await until(() => words(page, part('own-row')), 'how the digits go', 60);
  for (const [, share] of own.matchAll(/([\d.]+) %/g)) expect(Number(share)).toBeGreaterThan(50);
  expect([...own.matchAll(/%/g)]).toHaveLength(2);

  // Another run on the same page: six waves a layer.
  await page.evaluate((hash) => {
    location.hash = hash;
  }, WAVES);
  const first = await words(page, part('run-name'));
  await press(page, 'Restart with changes');
  await untilSeen(
    () => words(page, part('run-name')),
    (seen) => seen !== first,
    'another run',
    60,
  );
  await untilState(page, 'finished');
  await openTab(page, 'Weights');
  await until(() => page.$(part('plane')), 'the plane of frequencies', 60);
  // Until then they are of a step before, whose waves may stand in another order.
  await untilSeen(() => words(page, '[role=tabpanel]'), `values of step ${STEPS}`, 'the last look', 60);
  const [rows, columns] = (await page.$eval(part('plane'), (one) => one.ariaLabel!))
    .match(/of (\d+) by (\d+)/)!
    .slice(1)
    .map(Number) as [number, number];
  const sliders = await page.$$(`${part('frequency')} input[type=range]`);
  await sliders[0]!.focus();
  await page.keyboard.press('Home');
  const waves: Wave[] = [await wave(page, 1)];
  for (let place = 2; place <= FREQUENCIES; place++) {
    await page.keyboard.press('ArrowRight');
    waves.push(await wave(page, place));
  }
  expect(new Set(waves.map(({ down, across }) => `${down} ${across}`)).size).toBe(FREQUENCIES);
  await page.keyboard.press('Home');
  const whole = normOf(waves, rows, columns);
  const counting = () => words(page, part('spectrum-figures'));
  const share = () => figure(page, 'spectrum-figures', '‖ΔW‖');
  const all = await share();
  // The table of runs has the norm itself.
  const table = `${named('What the weight keeps')} table:not([aria-label]) tbody`;
  const rowsOf = () =>
    page.$$eval(`${table} tr`, (all) => all.map((row) => [...row.children].map((cell) => cell.textContent)));
  await untilSeen(
    () => rowsOf(),
    (seen) => seen.length === 2,
    'both runs side by side',
    60,
  );
  const [, norm] = (await rowsOf()).find(([name]) => name!.startsWith('FourierFT'))!;
  expect(Math.abs(number(norm!) - whole)).toBeLessThan(2e-3 * whole);
  expect(await figure(page, 'kept-figures', 'Rank')).toBeLessThanOrEqual(2 * FREQUENCIES);

  /** What the page shows after an edit, beside what the sum says of it. */
  const expectNorm = async (left: readonly Wave[], of: string) => {
    const wanted = (all * normOf(left, rows, columns)) / whole;
    await untilSeen(() => counting(), of, of, 20);
    await untilSeen(share, (seen) => Math.abs(seen - wanted) < 0.01 * all, `${wanted} % for ${of}`, 60);
    expect(wanted).toBeLessThan(0.98 * all);
  };
  await page.$eval(`${part('frequency')} [role=switch]`, (one) => (one as HTMLElement).click());
  await expectNorm(waves.slice(1), '5 of 6');
  await press(page, 'Only this one');
  await expectNorm(waves.slice(0, 1), '1 of 6');
  await press(page, 'As trained');
  await untilSeen(
    () => share(),
    (seen) => seen === all,
    'the run as it was trained',
    60,
  );
  await expectUnlearnt(page, waves, [rows, columns]);
  expect(errors).toEqual([]);
  await page.close();
});
