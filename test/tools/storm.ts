/**
 * An input storm: seeded random clicks, keys and drops on a page, sent at a fixed rate whether it keeps up or not. What ends or pauses a run by
 * design is kept from it (see GUARDED); everything else is hit, text boxes and junk files included.
 */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CDPSession, Page } from 'puppeteer-core';
import { rng } from '../../src/lib/rng.ts';

export interface StormReport {
  readonly clicks: number;
  readonly keys: number;
  readonly drops: number;
  /** Inputs that reached the page. */
  readonly inputs: number;
  /** Milliseconds from an input to its handler: of the Event Timing API, where what it does not report took at most 16. */
  readonly timing: Delays;
  /** The same, of every input, as a handler on the window measures it. */
  readonly handled: Delays;
  /** Inputs that took longest, by kind. */
  readonly slowest: readonly string[];
}

interface Delays {
  readonly median: number;
  readonly p95: number;
  readonly worst: number;
}

/** What the page keeps for the storm. */
interface Record {
  isOn: boolean;
  readonly handled: { readonly type: string; readonly delay: number }[];
  readonly entries: { readonly type: string; readonly delay: number }[];
}
type Stormy = typeof globalThis & { storm?: Record };

/** Milliseconds between two inputs. */
const EVERY_MS = 40;
/**
 * Names of buttons that the storm does not reach: those that end or pause the run by design, go out to the network or open what only a person can
 * close. The run's own button (Pause) is among them: how a run pauses has tests of its own.
 */
const GUARDED = [
  'Pause|Train|Continue|Step|Reset|Restart.*|undo.*|Resume.*|Take it over|Keep this run.*|forget it|Start over|Try again|Halve.*',
  'Merge.*|Compare methods|Write the project|Choose files|Choose a folder|Find|Open|Download.*|Use .*|Free.*',
].join('|');

const KEYS = [
  'Tab',
  'Tab',
  'Enter',
  'Escape',
  'ArrowDown',
  'ArrowUp',
  'ArrowLeft',
  'Backspace',
  'Delete',
  'Home',
  'End',
];
const LETTERS = ['1', '2', '3', '0', '9', '-', '.', '/', '[', ']', '?', 's', 'a', 'x', 'é', '日'];

/** Junk of the kinds that the page takes, and of others. */
async function junkFiles(): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'papilio-storm-'));
  const random = rng(5);
  const noise = (length: number) => Uint8Array.from({ length }, () => random.int(256));
  const files: readonly (readonly [string, string | Uint8Array])[] = [
    ['table.csv', 'text,label\nwarm,yes\ncold,no\n"open,quote\n'],
    ['words.txt', 'once upon a time\n'.repeat(200)],
    ['noise.onnx', noise(4000)],
    ['noise.zip', noise(3000)],
    ['config.json', '{"model_type": ["constructor"]}'],
    ['noise.parquet', noise(2000)],
    ['page.html', '<script>document.title = "dropped"</script>'],
  ];
  return Promise.all(
    files.map(async ([name, content]) => {
      await writeFile(join(folder, name), content);
      return join(folder, name);
    }),
  );
}

/** Before the page is loaded: measures, and keeps the storm from what is guarded. */
export async function prepareStorm(page: Page): Promise<void> {
  await page.evaluateOnNewDocument((guarded: string) => {
    const storm: Record = { isOn: false, handled: [], entries: [] };
    (globalThis as Stormy).storm = storm;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as PerformanceEventTiming[])
        storm.entries.push({ type: entry.name, delay: entry.processingStart - entry.startTime });
    }).observe({ type: 'event', durationThreshold: 16, buffered: true } as PerformanceObserverInit);
    const isGuarded = (target: EventTarget | null): boolean => {
      if (!(target instanceof Element)) return false;
      const control = target.closest('button, a, label, input, [role=button]');
      if (control === null) return false;
      const name = (control.getAttribute('aria-label') ?? control.textContent ?? '').trim();
      return (
        control.matches('a, input[type=file]') ||
        control.closest('.hub') !== null ||
        new RegExp(`^(?:${guarded})$`).test(name)
      );
    };
    const counted = ['pointerdown', 'keydown', 'click', 'drop'];
    for (const type of [...counted, 'mousedown', 'pointerup', 'mouseup', 'keyup'])
      addEventListener(
        type,
        (event) => {
          if (!event.isTrusted || !storm.isOn) return;
          if (counted.includes(type))
            storm.handled.push({ type, delay: performance.now() - event.timeStamp });
          const isKey = event instanceof KeyboardEvent;
          // R resets and space pauses wherever they are pressed outside a box.
          const isCommand = isKey && /^[r ]$/i.test(event.key);
          if (isCommand || ((!isKey || event.key === 'Enter') && isGuarded(event.target))) {
            event.preventDefault();
            event.stopImmediatePropagation();
          }
        },
        { capture: true },
      );
  }, GUARDED);
}

function summed(delays: readonly number[]): Delays {
  const sorted = [...delays].sort((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return { median: at(0.5), p95: at(0.95), worst: at(1) };
}

/** Sends inputs for so long; they are not waited for, as a person's are not. */
export async function storm(page: Page, seconds: number, seed: number): Promise<StormReport> {
  const random = rng(seed);
  const files = await junkFiles();
  const client: CDPSession = await page.createCDPSession();
  const { width, height } = page.viewport()!;
  const counts = { clicks: 0, keys: 0, drops: 0 };
  const under: Promise<unknown>[] = [];
  const send = (task: Promise<unknown>) => under.push(task.catch(() => {}));
  const place = () => ({ x: Math.floor(random.uniform() * width), y: Math.floor(random.uniform() * height) });

  const click = () => {
    counts.clicks++;
    const where = { ...place(), button: 'left', clickCount: 1 } as const;
    send(client.send('Input.dispatchMouseEvent', { ...where, type: 'mouseMoved', button: 'none' }));
    send(client.send('Input.dispatchMouseEvent', { ...where, type: 'mousePressed' }));
    send(client.send('Input.dispatchMouseEvent', { ...where, type: 'mouseReleased' }));
  };
  const scroll = () =>
    send(
      client.send('Input.dispatchMouseEvent', {
        ...place(),
        type: 'mouseWheel',
        deltaX: 0,
        deltaY: random.uniform() * 1200 - 600,
      }),
    );
  const press = () => {
    counts.keys++;
    const isText = random.uniform() < 0.5;
    const key = isText ? random.pick(LETTERS) : random.pick(KEYS);
    const codes: { readonly [name: string]: number } = {
      Tab: 9,
      Enter: 13,
      Escape: 27,
      Backspace: 8,
      Delete: 46,
    };
    const codesOfKey = codes[key] === undefined ? {} : { windowsVirtualKeyCode: codes[key] };
    const text = isText ? { text: key } : key === 'Enter' ? { text: '\r' } : {};
    send(client.send('Input.dispatchKeyEvent', { type: 'keyDown', key, ...codesOfKey, ...text }));
    send(client.send('Input.dispatchKeyEvent', { type: 'keyUp', key, ...codesOfKey }));
  };
  const drop = () => {
    counts.drops++;
    const where = place();
    const data = { items: [], files: [random.pick(files)], dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
      send(client.send('Input.dispatchDragEvent', { ...where, type, data }));
  };

  await page.evaluate(() => {
    (globalThis as Stormy).storm!.isOn = true;
  });
  const end = performance.now() + seconds * 1000;
  for (let due = performance.now(); due < end; due += EVERY_MS) {
    const wait = due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const kind = random.uniform();
    if (kind < 0.5) click();
    else if (kind < 0.8) press();
    else if (kind < 0.95) scroll();
    else drop();
  }
  // The driver never hears of some drops, which the page has had nevertheless.
  await Promise.race([Promise.all(under), new Promise((resolve) => setTimeout(resolve, 3000))]);
  // The observer tells of what was drawn after the input.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const { handled, entries } = await page.evaluate(() => {
    const { storm } = globalThis as Stormy;
    storm!.isOn = false;
    return storm!;
  });
  await client.detach();
  const kinds = new Set(handled.map(({ type }) => type));
  const reported = entries.filter(({ type }) => kinds.has(type));
  const quick = Math.max(0, handled.length - reported.length);
  return {
    ...counts,
    inputs: handled.length,
    timing: summed([...reported.map(({ delay }) => delay), ...Array<number>(quick).fill(16)]),
    handled: summed(handled.map(({ delay }) => delay)),
    slowest: [...handled]
      .sort((a, b) => b.delay - a.delay)
      .slice(0, 5)
      .map(({ type, delay }) => `${type} ${delay.toFixed(0)} ms`),
  };
}
