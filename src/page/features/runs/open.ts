/** The runs that the browser keeps, and the sweeps that add to them, as one page has them. */
import type { Tabs } from '../training/tabs.ts';
import { RunBook } from './book.ts';
import { browserRuns } from './database.ts';
import { MemoryMeter } from './memory.ts';
import { Sweeper, type SweepPage } from './sweeper.ts';

export interface KeptRuns {
  readonly book: RunBook;
  readonly sweeper: Sweeper;
  readonly meter: MemoryMeter;
}

/**
 * Reads what is kept, as far as the browser keeps anything; what another tab has kept is read when that is gone.
 *
 * @param measure how much the browser keeps, whenever that changes
 */
export async function openRuns(
  page: SweepPage,
  tabs: Pick<Tabs, 'view'>,
  measure: () => Promise<void>,
): Promise<KeptRuns> {
  const book = new RunBook(page.run, browserRuns(), measure);
  const sweeper = new Sweeper(page, book);
  await book.load();
  await sweeper.load();
  tabs.view.subscribe((now, before) => {
    if (before.owner === 'other' && now.owner !== 'other') void book.load();
  });
  return { book, sweeper, meter: new MemoryMeter(page.choice, book) };
}
