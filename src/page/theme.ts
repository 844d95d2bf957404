/** Light, dark, or as the system has it. index.html resolves the kept choice before the first paint; this keeps it resolved. */
import type { Page } from './page.ts';
import type { UiState } from './stores.ts';

const KEY = 'papilio-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');

function apply(page: Page, theme: UiState['theme']): void {
  const scheme = theme === 'system' ? (dark.matches ? 'dark' : 'light') : theme;
  document.documentElement.dataset.theme = scheme;
  page.ui.setState({ theme, scheme });
}

export function chooseTheme(page: Page, theme: UiState['theme']): void {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // A browser that keeps nothing still shows the theme.
  }
  apply(page, theme);
}

/** Takes up the kept choice and follows the system while that is the choice. */
export function startTheme(page: Page): void {
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(KEY);
  } catch {
    // As above.
  }
  apply(page, kept === 'light' || kept === 'dark' ? kept : 'system');
  dark.addEventListener('change', () => apply(page, page.ui.getState().theme));
}
