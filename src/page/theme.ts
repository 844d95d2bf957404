/** Light, dark, or as the system has it. index.html resolves the kept choice before the first paint; this keeps it resolved. */
import { say } from '../common.ts';
import type { IconName } from './parts/Icon.tsx';
import type { UiState } from './stores.ts';

type Theme = UiState['theme'];

const KEY = 'papilio-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');

/** What a press of the button chooses: first the one that is not on screen, so that something is seen to change, then the other, then the system's. */
export function nextTheme(theme: Theme): Theme {
  const [first, second] = dark.matches ? (['light', 'dark'] as const) : (['dark', 'light'] as const);
  return theme === 'system' ? first : theme === first ? second : 'system';
}

const ICONS: Readonly<Record<Theme, IconName>> = { system: 'auto', light: 'sun', dark: 'moon' };

/** How the button that changes it looks. */
export const themeButton = (theme: Theme): { readonly icon: IconName; readonly label: string } => ({
  icon: ICONS[theme],
  label: { system: say`Theme: system`, light: say`Theme: light`, dark: say`Theme: dark` }[theme],
});

/** The choice that the browser keeps. */
function kept(): Theme {
  try {
    const theme = localStorage.getItem(KEY);
    return theme === 'light' || theme === 'dark' ? theme : 'system';
  } catch {
    return 'system';
  }
}

function apply(theme: Theme): Pick<UiState, 'theme' | 'scheme'> {
  const scheme = theme === 'system' ? (dark.matches ? 'dark' : 'light') : theme;
  document.documentElement.dataset.theme = scheme;
  return { theme, scheme };
}

/** Shows a theme from now on, and at the next visit. */
export function chooseTheme(theme: Theme): Pick<UiState, 'theme' | 'scheme'> {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // A browser that keeps nothing still shows the theme.
  }
  return apply(theme);
}

/** Takes up the kept choice, and follows the system while that is the choice. @param show is told what is shown, at once and at every change of the system's */
export function startTheme(show: (shown: Pick<UiState, 'theme' | 'scheme'>) => void): void {
  show(apply(kept()));
  dark.addEventListener('change', () => show(apply(kept())));
}
