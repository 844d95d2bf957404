/**
 * The times by a card's data sheet are counted in the plans of the steps, and stand in docs/performance.md as they are counted. Seen to fail with: a kernel that is
 * called something else, kernels of the head counted as other products, bytes of a product that are left out, a figure that is changed in the document, --bandwidth alone
 * taken as if nothing was given.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { MethodResult } from '../../tools/bench/measure.ts';
import {
  besideSheet,
  CHANGES,
  type Counted,
  cardOf,
  countedIn,
  H100,
  sheetTime,
} from '../../tools/bench/sheetTimes.ts';
import { METHODS, type Method, MODELS, plannedStep } from '../tools/plans.ts';

/** Of models of two layers and three: the lowest is another than those above it, of which each is as the next. */
const [TWO, THREE, ALL] = [2, 3, 12] as const;
const counted = new Map<string, Counted[]>();
const kernelsIn = (method: string, layers: number = TWO): Counted[] => counted.get(`${method} ${layers}`)!;
beforeAll(async () => {
  for (const layers of [TWO, THREE]) {
    const model = MODELS.gpt2.make(layers);
    for (const method of METHODS)
      counted.set(`${method} ${layers}`, countedIn(await plannedStep('gpt2', model, method, [4, 1024])));
  }
}, 60_000);

/** As they would come from a device, each dispatch taking a millisecond. */
const result = (method: Method): MethodResult =>
  ({
    ...{ method, secondsPerStep: 0.5 },
    kernels: { kernels: kernelsIn(method).map((kernel) => ({ ...kernel, microseconds: 1000 })) },
  }) as unknown as MethodResult;

/** Of GPT-2 small. */
function bySheet(method: string, isOf: (kernel: Counted) => boolean = () => true): string {
  const [two, three] = [TWO, THREE].map((layers) => sheetTime(H100, kernelsIn(method, layers).filter(isOf)));
  return (two! + (ALL - TWO) * (three! - two!)).toPrecision(3);
}

describe('times by the data sheet', () => {
  it('are of the card whose data sheet is given in full, or else of an H100', () => {
    expect(cardOf(undefined, undefined)).toBe(H100);
    expect(cardOf(30, 900)).toMatchObject({ teraflops: 30, gigabytesPerSecond: 900 });
    expect(() => cardOf(undefined, 900)).toThrow(/^--bandwidth needs --peak too: give both/);
    expect(() => cardOf(30, undefined)).toThrow(/^--peak needs --bandwidth too: give both/);
  });

  it('are of work or of bytes, whichever takes longer', () => {
    const card = { name: 'one', teraflops: 2, gigabytesPerSecond: 1 };
    const of = (bytes: number, work: number | null, count = 1) =>
      sheetTime(card, [{ label: '', kernel: '', count, bytes, work }]);
    expect([of(1e6, null), of(1e6, 1e9), of(1e6, 3e9), of(5e6, 3e9), of(1e6, 3e9, 4)]).toEqual([
      1, 1, 3, 5, 12,
    ]);
  });

  it('are of kernels that the steps have', () => {
    for (const { change, method, isOf } of CHANGES) expect(kernelsIn(method).some(isOf), change).toBe(true);
  });

  it('count each kernel for one change at most', () => {
    for (const method of METHODS)
      for (const kernel of kernelsIn(method)) {
        const changes = CHANGES.filter((one) => one.method === method && one.isOf(kernel));
        expect(changes.length, `${method} ${kernel.label}`).toBeLessThanOrEqual(1);
      }
  });

  it('stand beside the sum of what their kernels take, and beside whole steps', () => {
    const found = besideSheet([result('lora')], H100);
    const attention = kernelsIn('lora').filter(({ label }) => label.startsWith('attention'));
    // In each layer forwards and backwards.
    expect(found.find(({ what }) => what === 'Attention in tiles')).toEqual({
      ...{
        what: 'Attention in tiles',
        method: 'lora',
        bySheet: sheetTime(H100, attention),
        measured: 2 * TWO,
      },
    });
    expect(found.at(-1)).toEqual({
      ...{ what: 'a step', method: 'lora', bySheet: sheetTime(H100, kernelsIn('lora')), measured: 500 },
    });
    expect(new Set(found.map(({ method }) => method))).toEqual(new Set(['lora']));
    expect(besideSheet([{ ...result('lora'), kernels: null }], H100)).toEqual([]);
  });

  it('stand in the document, by the headings of the changes', () => {
    const document = readFileSync('docs/performance.md', 'utf8');
    for (const { change } of CHANGES) expect(document).toContain(`\n### ${change}\n`);
    const anchor = (change: string) =>
      change
        .toLowerCase()
        .replace(/[^a-z0-9 ]/g, '')
        .replaceAll(' ', '-');
    const rows = [
      ...CHANGES.map(
        ({ change, method, isOf }) =>
          `| [${change}](#${anchor(change)}) | ${method} | ${bySheet(method, isOf)} |`,
      ),
      ...METHODS.map((method) => `| a step | ${method} | ${bySheet(method)} |`),
    ];
    const [, table = ''] = document.split('| change | step of | by the data sheet, ms |\n|---|---|---|\n');
    expect(table.split('\n\n')[0]!.split('\n')).toEqual(rows);
    expect(document).toContain(`at ${H100.teraflops} TFLOP/s, or the bytes`);
    expect(document).toContain(`at ${H100.gigabytesPerSecond} GB/s, whichever`);
  });
});
