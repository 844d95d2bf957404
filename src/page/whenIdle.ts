/** Once the page is there and has nothing else to do. */
export function whenIdle(start: () => void): void {
  const wait = () => (window.requestIdleCallback ?? setTimeout)(start);
  if (document.readyState === 'complete') wait();
  else window.addEventListener('load', wait, { once: true });
}
