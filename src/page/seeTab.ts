/** Which tab of See is open: a run that begins opens its answers for whoever has not been there yet, and lights that tab for whoever has. */
import type { Stores } from './stores.ts';

/** These do not depend on the run: they stay open when one begins or ends. */
const STAYING = ['adapters', 'methods', 'runs'];

export function followSeeTab({ ui, run }: Pick<Stores, 'ui' | 'run'>): void {
  run.subscribe((now, before) => {
    const hasRun = now.open !== null;
    if (hasRun === (before.open !== null)) return;
    ui.setState(({ seeTab, isSeeUsed }) => {
      if (isSeeUsed || STAYING.includes(seeTab)) return { isCompareNew: hasRun && seeTab !== 'compare' };
      return { seeTab: hasRun ? 'compare' : 'inside', isCompareNew: false };
    });
  });
  ui.subscribe(({ seeTab, isCompareNew }) => {
    if (isCompareNew && seeTab === 'compare') ui.setState({ isCompareNew: false });
  });
}
