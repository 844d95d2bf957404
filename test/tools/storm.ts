/**
 * An input storm: seeded random clicks, keys and drops on a page, sent at a fixed rate whether it keeps up or not. What ends or pauses a run by
 * design is kept from it (see GUARDED); everything else is hit, text boxes and junk files included.
 */
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
  /** Drops a file where something is, which takes it as it would a person's. */
  drop(x: number, y: number, name: string, bytes: readonly number[]): void;
  readonly handled: { readonly type: string; readonly delay: number }[];
  readonly entries: { readonly type: string; readonly delay: number }[];
}
type Stormy = typeof globalThis & { storm?: Record };

/** Milliseconds between two inputs: ten a second, more than a person makes. */
const EVERY_MS = 100;
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
function junkFiles(): { readonly name: string; readonly bytes: readonly number[] }[] {
  const random = rng(5);
  const noise = (length: number) => Array.from({ length }, () => random.int(256));
  const text = (content: string) => [...new TextEncoder().encode(content)];
  return [
    { name: 'table.csv', bytes: text('text,label\nwarm,yes\ncold,no\n"open,quote\n') },
    { name: 'words.txt', bytes: text('once upon a time\n'.repeat(200)) },
    { name: 'config.json', bytes: text('{"model_type": ["constructor"]}') },
    { name: 'page.html', bytes: text('<script>document.title = "dropped"</script>') },
    ...['noise.onnx', 'noise.zip', 'noise.parquet'].map((name) => ({ name, bytes: noise(3000) })),
  ];
}

/** Before the page is loaded: measures, and keeps the storm from what is guarded. */
export async function prepareStorm(page: Page): Promise<void> {
  await page.evaluateOnNewDocument((guarded: string) => {
    const storm: Record = {
      isOn: false,
      handled: [],
      entries: [],
      drop(x, y, name, bytes) {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([Uint8Array.from(bytes)], name));
        const target = document.elementFromPoint(x, y) ?? document.body;
        const how = { bubbles: true, cancelable: true, clientX: x, clientY: y, dataTransfer };
        for (const type of ['dragenter', 'dragover', 'drop']) target.dispatchEvent(new DragEvent(type, how));
        // A box reads the files of a drop by a way that only the browser's own drops have; its dialog's files it reads alike.
        const input = target
          .closest('[data-testid=drop]')
          ?.querySelector<HTMLInputElement>('input[type=file]');
        if (!input) return;
        input.files = dataTransfer.files;
        input.dispatchEvent(new Event('change', { bubbles: true }));
      },
    };
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
        control.closest('[data-testid^=hub-]') !== null ||
        new RegExp(`^(?:${guarded})$`).test(name)
      );
    };
    const counted = ['pointerdown', 'keydown', 'click'];
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
  const files = junkFiles();
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
    const { x, y } = place();
    const { name, bytes } = random.pick(files);
    const expression = `storm.drop(${x}, ${y}, ${JSON.stringify(name)}, ${JSON.stringify(bytes)})`;
    send(client.send('Runtime.evaluate', { expression }));
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
  await Promise.all(under);
  // The observer tells of what was drawn after the input.
  await new Promise((resolve) => setTimeout(resolve, 2000));
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
