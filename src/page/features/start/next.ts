/** The control that a first visitor needs next: it is marked until it has been used once, and is never in the way. */
import type { Guided, Stores } from '../../stores.ts';
import { ELSEWHERE } from '../training/runs.ts';
import { asking, type Kept } from './started.ts';

const KEY = 'papilio-used';

/** In the order in which they are needed: the button that trains, then the tabs of what came of it. */
const GUIDED: readonly Guided[] = ['train', 'compare', 'merge'];

/** @param storage the browser's own; where it keeps nothing, every visit is a first one */
export function startNext({ ui, run }: Pick<Stores, 'ui' | 'run'>, storage: () => Kept): void {
  const ask = asking(storage);
  const used = new Set(ask((one) => one.getItem(KEY))?.split(' '));
  const use = (what: Guided): void => {
    if (used.has(what)) return;
    used.add(what);
    ask((one) => one.setItem(KEY, [...used].join(' ')));
  };
  const look = (): void => {
    const { current, open, runs, state, merged } = run.getState();
    const { seeTab } = ui.getState();
    if ((current !== null && current.id !== ELSEWHERE) || runs.some(({ outcome }) => outcome !== null))
      use('train');
    if (open !== null && seeTab === 'compare') use('compare');
    if (open !== null && (seeTab === 'merge' || merged !== null)) use('merge');
    // What came of a run is looked at when there is something to see.
    const isThere = open !== null && (state === 'paused' || state === 'finished');
    const first = GUIDED.find((one) => !used.has(one)) ?? null;
    const next = first === 'train' || isThere ? first : null;
    if (next !== ui.getState().next) ui.setState({ next });
  };
  run.subscribe(look);
  ui.subscribe((now, before) => {
    if (now.seeTab !== before.seeTab) look();
  });
  look();
}
