/** Whether kernels are tuned before a run, where somebody has said so: kept in the browser, as the theme is. */
import type { Page } from '../../page.ts';

const KEY = 'papilio-tune';

export function chooseTuning(page: Page, isOn: boolean): void {
  try {
    localStorage.setItem(KEY, isOn ? 'on' : 'off');
  } catch {
    // A browser that keeps nothing still does as it is told.
  }
  page.choice.setState({ tune: isOn });
}

/** Takes up the kept choice. */
export function startTuning(page: Page): void {
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(KEY);
  } catch {
    // As above.
  }
  if (kept === 'on' || kept === 'off') page.choice.setState({ tune: kept === 'on' });
}
