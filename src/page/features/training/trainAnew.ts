/** Training from the start on one press, with settings that something on the page names. */
import type { Page } from '../../page.ts';
import { isLeft } from '../setup/holds.ts';
import type { PageSettings } from '../setup/settings.ts';

/** Chooses these settings and trains by them from the start, unless the lesson that is open keeps some of them; the run of before can be taken back. */
export function trainAnew(page: Page, settings: PageSettings): void {
  if (isLeft(page, { settings })) return;
  page.choice.setState({ startFrom: null });
  page.setSettings(settings);
  void page.controller.restart();
}
