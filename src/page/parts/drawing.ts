/**
 * When charts may draw, so that an input never waits for them: Plotly is read in a pause of whoever is at the page, since reading it takes one task of
 * hundreds of milliseconds, and all charts together draw a share of the time at most (share.ts), each in a task of its own.
 */
import { soon } from '../whenIdle.ts';
import { chartShare } from './share.ts';

/** Milliseconds without a press of a key, a button or the wheel that count as a pause. */
const PAUSE_MS = 400;
const PRESSES = ['pointerdown', 'keydown', 'wheel'] as const;

/** From when on nobody has pressed anything for a while and the page has nothing else to do. */
function pause(): Promise<void> {
  let pressedAt = performance.now();
  const note = (event: Event) => {
    pressedAt = event.timeStamp;
  };
  for (const type of PRESSES) addEventListener(type, note, { capture: true, passive: true });
  return new Promise((resolve) => {
    const look = () => {
      const left = pressedAt + PAUSE_MS - performance.now();
      if (left > 0) return void setTimeout(() => soon(look), left);
      for (const type of PRESSES) removeEventListener(type, note, { capture: true });
      resolve();
    };
    soon(look);
  });
}

const read = async () => (await import('plotly.js-basic-dist-min')).default;
let reading: ReturnType<typeof read> | undefined;

/** Plotly, read at the next pause by the first who asks; where it cannot be fetched, by the next who does. */
export function plotlyInPause(): ReturnType<typeof read> {
  reading ??= pause()
    .then(read)
    .catch((error) => {
      reading = undefined;
      throw error;
    });
  return reading;
}

/** The longest that a drawing holds up the next one: the very first takes many times as long as the others, and one during which the machine slept, longer. */
const HELD_UP_MS = 5000;

const last = { start: 0, end: 0 };
let isDrawing = false;
let drawing: Promise<void> = Promise.resolve();

/** By what a drawing may take of the time now: once nothing is trained, what was drawn before holds up less. */
const freeAt = (): number => last.end + Math.min(HELD_UP_MS, (chartShare() - 1) * (last.end - last.start));

/** The time, as `performance.now` has it, from which on the next chart may draw; it comes nearer where a run ends. */
export const nextDrawing = (): number => (isDrawing ? performance.now() + 1 : freeAt());

/** Draws now, unless another does or has just done so. @returns whether it did */
export async function drawInTurn(draw: () => Promise<void>): Promise<boolean> {
  const start = performance.now();
  if (isDrawing || start < freeAt()) return false;
  isDrawing = true;
  try {
    drawing = draw();
    await drawing;
  } finally {
    isDrawing = false;
    Object.assign(last, { start, end: performance.now() });
  }
  return true;
}

/** Ends what Plotly has of a chart that is gone: its listeners at the window, and its numbers. */
export async function endChart(element: HTMLElement): Promise<void> {
  const plotly = await reading?.catch(() => undefined);
  await drawing.catch(() => undefined);
  plotly?.purge(element);
}
