/**
 * When charts are read and what is left of them: on a page that is never idle they come all the same, and a chart that is gone keeps no listener.
 * Where the processor trains, they draw a smaller part of the time. Seen to fail with: a wait for idleness without an end, a chart that is not ended, one
 * that is ended while it is drawn, one share for all, a wait of many minutes after one slow drawing.
 */
import { beforeEach, expect, test, vi } from 'vitest';

const calls: string[] = [];

vi.mock('plotly.js-basic-dist-min', () => ({
  default: { purge: (element: { id: string }) => calls.push(`purge ${element.id}`) },
}));

beforeEach(() => {
  calls.length = 0;
  vi.stubGlobal('addEventListener', () => {});
  vi.stubGlobal('removeEventListener', () => {});
  vi.stubGlobal('window', {
    // A page that trains has no idle moment: only the end of the wait comes.
    requestIdleCallback: (start: () => void, { timeout = Number.POSITIVE_INFINITY } = {}) => {
      if (timeout < 10_000) setTimeout(start);
    },
  });
});

const chart = (id: string) => ({ id }) as unknown as HTMLElement;

test('Plotly is read on a page that is never idle; a chart that is gone is ended once it has been drawn', async () => {
  const { drawInTurn, endChart, plotlyInPause } = await import('../../src/page/parts/drawing.ts');
  await endChart(chart('never drawn, Plotly never read'));
  expect(calls).toEqual([]);

  expect(await plotlyInPause()).toHaveProperty('purge');

  let draw = () => {};
  const drawn = drawInTurn(() => new Promise((resolve) => (draw = resolve)));
  const ended = endChart(chart('loss'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(calls).toEqual([]);
  draw();
  await Promise.all([drawn, ended]);
  expect(calls).toEqual(['purge loss']);
});

test('charts draw a fifth of the time, and a fifteenth where the processor trains', async () => {
  const { drawInTurn, nextDrawing } = await import('../../src/page/parts/drawing.ts');
  const { processorTrains } = await import('../../src/page/parts/share.ts');
  let now = 1000;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
  /** Milliseconds from the start of a drawing of 10 ms to the next that may begin. */
  const between = async (): Promise<number> => {
    now += 1e6;
    const start = now;
    expect(await drawInTurn(async () => void (now += 10))).toBe(true);
    expect(await drawInTurn(async () => undefined)).toBe(false);
    return nextDrawing() - start;
  };
  expect(await between()).toBe(50);
  processorTrains(true);
  expect(await between()).toBe(150);
  processorTrains(false);
  expect(await between()).toBe(50);

  // A run that ends, and a drawing that took very long, hold up nobody.
  processorTrains(true);
  expect(await between()).toBe(150);
  processorTrains(false);
  expect(nextDrawing() - now).toBe(40);
  now += 1e6;
  await drawInTurn(async () => void (now += 60_000));
  expect(nextDrawing() - now).toBe(5000);
  clock.mockRestore();
});
