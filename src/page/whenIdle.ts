/** What can wait until the page has nothing else to do. */

/** Milliseconds after which what waits for an idle page is begun on one that never is. */
const AT_LAST_MS = 2000;

/** Once the page has nothing else to do, or has not had a pause for two seconds. */
export function soon(start: () => void): void {
  if (window.requestIdleCallback === undefined) setTimeout(start);
  else window.requestIdleCallback(start, { timeout: AT_LAST_MS });
}

/** Once the page is there and has nothing else to do. */
export function whenIdle(start: () => void): void {
  if (document.readyState === 'complete') soon(start);
  else window.addEventListener('load', () => soon(start), { once: true });
}
