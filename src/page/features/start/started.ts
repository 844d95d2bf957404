/** Whether somebody has been here: the page says what it is on a first visit, until a run begins or that is put away. */
import type { Stores } from '../../stores.ts';

const KEY = 'papilio-started';

export type Kept = Pick<Storage, 'getItem' | 'setItem'>;

/** Asks the browser's own storage; null where it keeps nothing. */
export const asking =
  (storage: () => Kept) =>
  <T>(task: (storage: Kept) => T): T | null => {
    try {
      return task(storage());
    } catch {
      return null;
    }
  };

/** @param storage the browser's own; one that keeps nothing shows it at every visit */
export function startStart({ ui, run }: Pick<Stores, 'ui' | 'run'>, storage: () => Kept): void {
  const ask = asking(storage);
  if (ask((one) => one.getItem(KEY)) === null) ui.setState({ isStartOpen: true });
  ui.subscribe((now, before) => {
    if (before.isStartOpen && !now.isStartOpen) ask((one) => one.setItem(KEY, '1'));
  });
  run.subscribe(({ current }) => {
    if (current !== null && ui.getState().isStartOpen) ui.setState({ isStartOpen: false });
  });
}
