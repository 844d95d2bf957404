/** Where one stands: a link opens its place at the top, and back and forward return to where one was, whenever what is there has come. */

/** Scrolling has ended when nothing has moved for so long. */
const REST_MS = 150;
/** What comes late, a lab's chunk or its first picture, is waited for so long. */
const LATE_MS = 10_000;

interface Stood {
  readonly y: number;
}

const stoodAt = (state: unknown): number | null =>
  typeof state === 'object' && state !== null && 'y' in state && typeof state.y === 'number'
    ? (state as Stood).y
    : null;

/** Goes back to an address that has just been left, as a new entry, and stays where one stood there. */
export const standAgain = (address: string): void =>
  history.pushState({ y: scrollY } satisfies Stood, '', address);

/** Begins to keep it, in the entries of the browser's history. */
export function keepScrolling(): void {
  history.scrollRestoration = 'manual';
  let rest: ReturnType<typeof setTimeout> | undefined;
  let last = 0;
  let returning = 0;
  const note = () => {
    clearTimeout(rest);
    rest = undefined;
    history.replaceState({ y: scrollY } satisfies Stood, '');
  };
  const returnTo = (y: number) => {
    const mine = ++last;
    returning = mine;
    const began = performance.now();
    const go = () => {
      if (mine !== returning) return;
      scrollTo(0, y);
      if (Math.abs(scrollY - y) > 1 && performance.now() - began < LATE_MS) requestAnimationFrame(go);
      else returning = 0;
    };
    go();
  };
  const stop = () => {
    returning = 0;
  };
  addEventListener(
    'scroll',
    () => {
      if (returning !== 0) return;
      clearTimeout(rest);
      rest = setTimeout(note, REST_MS);
    },
    { passive: true },
  );
  // A link leaves this entry as it stands now.
  addEventListener('click', () => rest !== undefined && note(), { capture: true });
  for (const own of ['wheel', 'touchmove', 'keydown', 'pointerdown'])
    addEventListener(own, stop, { passive: true });
  addEventListener('hashchange', () => {
    clearTimeout(rest);
    rest = undefined;
    returnTo(stoodAt(history.state) ?? 0);
  });
  const before = stoodAt(history.state);
  if (before !== null) returnTo(before);
}
