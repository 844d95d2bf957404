/** The runs that the browser keeps, the sweeps that add to them, and the last comparison of methods, as one page has them. */
import type { StoreApi } from 'zustand/vanilla';
import { keepComparison } from '../methods/keptComparison.ts';
import type { MethodComparisonView } from '../methods/methodComparison.ts';
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
  page: SweepPage & { readonly methodComparison: { readonly view: StoreApi<MethodComparisonView> } },
  tabs: Pick<Tabs, 'view'>,
  measure: () => Promise<void>,
): Promise<KeptRuns> {
  const book = new RunBook(page.run, browserRuns(), measure);
  const sweeper = new Sweeper(page, book);
  await book.load();
  await sweeper.load();
  await keepComparison(page.methodComparison.view, book);
  tabs.view.subscribe((now, before) => {
    if (before.owner === 'other' && now.owner !== 'other') void book.load();
  });
  return { book, sweeper, meter: new MemoryMeter(page.choice, book) };
}
