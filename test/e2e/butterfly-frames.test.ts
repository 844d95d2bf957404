/** What a frame of the butterfly view costs at 1024 inputs. */
import type { ElementHandle } from 'puppeteer-core';
import { expect, test } from 'vitest';
import { lit, START, toWiring } from './butterfly-tools.ts';
import { openPage, part, withoutWebGpu, words } from './page-tools.ts';
import { setStage } from './stage.ts';

const stage = setStage();

const MOST_MS = 8;
const ACTS = 60;

test('at 1024 inputs pointing and drawing take at most 8 ms of a frame', async () => {
  const { page, errors } = await openPage(stage, START, 1280, withoutWebGpu);
  // Found by its words: asking for a name that is read out would have the page keep names for a reader from then on, at a cost in every frame.
  await page.click('[role=tab]::-p-text(Inside)');
  await page.waitForSelector(part('graph'));
  await toWiring(page, 1024, 4, 9);
  expect(await words(page, part('fill'))).toContain('Dense from 9 factors on');
  const client = await page.createCDPSession();
  // Time of the processor: what waits for others on a busy machine does not count.
  await client.send('Performance.enable', { timeDomain: 'threadTicks' });
  const worked = async (): Promise<number> => {
    const { metrics } = await client.send('Performance.getMetrics');
    return 1000 * metrics.find(({ name }) => name === 'TaskDuration')!.value;
  };
  const nextFrame = () =>
    page.evaluate(() => new Promise<void>((resolve) => requestAnimationFrame(() => resolve())));
  /** Milliseconds of work for each of 60 acts that follow each other, one a frame, as keys repeat and pointers move at the most. */
  const round = async (act: (i: number) => unknown): Promise<number> => {
    const before = await worked();
    for (let i = 0; i < ACTS; i++) {
      await act(i);
      await nextFrame();
    }
    return ((await worked()) - before) / ACTS;
  };
  /**
   * Of an act and what shows it: of four rounds the quickest, since other work on the machine only adds to them; of more where that is beyond what is allowed.
   * What waiting for the frame takes by itself is no part of it.
   */
  const measure = async (act: (i: number) => unknown) => {
    const waiting = await round(() => {});
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 4 || (i < 16 && best >= MOST_MS); i++)
      best = Math.min(best, (await round(act)) - waiting);
    return best;
  };
  const graph = (await page.$(part('graph')))!;
  const factor = (await page.$(part('factor-4')))!;
  const at = async (element: ElementHandle<Element>) => {
    await page.mouse.move(1, 1);
    await element.evaluate((one) => one.scrollIntoView({ block: 'center' }));
    return (await element.boundingBox())!;
  };
  const inGraph = await at(graph);
  const pointing = await measure((i) =>
    page.mouse.move(inGraph.x + 26, inGraph.y + 12 + ((inGraph.height - 24) * i) / ACTS),
  );
  const inFactor = await at(factor);
  const entries = await measure((i) =>
    page.mouse.move(
      inFactor.x + inFactor.width * (0.05 + (0.9 * i) / ACTS),
      inFactor.y + inFactor.height * (0.05 + (0.9 * i) / ACTS),
    ),
  );
  await lit(page, 'factor-4', 1);
  const slider = (await page.$(`${part('fill')} input[type=range]`))!;
  await at(slider);
  await slider.focus();
  const products = await measure((i) => page.keyboard.press(i % 2 === 0 ? 'ArrowLeft' : 'ArrowRight'));
  console.info(
    Object.entries({ pointing, entries, products })
      .map(([what, took]) => `${what}: ${took.toFixed(1)} ms a frame`)
      .join('; '),
  );
  for (const took of [pointing, entries, products]) expect(took).toBeLessThan(MOST_MS);
  expect(errors).toEqual([]);
  await page.close();
});
