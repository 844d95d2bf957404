/** What a page does about other tabs: shows the curve of the run that another holds, and offers what is kept once that is gone. */

import { asPapilioError } from '../lib/errors.ts';
import type { Controller } from './controller.ts';
import { addRun, freeLook, newRun, type RunRecord } from './runs.ts';
import type { Sessions } from './sessions.ts';
import type { Stores } from './stores.ts';
import type { TabNews, Tabs } from './tabs.ts';

/** No run of this tab has this number. */
const ELSEWHERE = -1;

export function lookOn({ run }: Stores, tabs: Tabs, sessions: Sessions, controller: Controller): void {
  function show(news: TabNews): void {
    const others = run.getState().runs.filter(({ id }) => id !== ELSEWHERE);
    const record = newRun(ELSEWHERE, news.settings, freeLook(others), `${news.name} (another tab)`);
    for (const metric of news.steps) record.series.add(metric);
    for (const metric of news.evals) record.series.addEval(metric);
    const isThere = (one: RunRecord) => one.id === ELSEWHERE;
    run.setState(({ runs }) => ({
      runs: runs.some(isThere)
        ? runs.map((one) => (isThere(one) ? { ...record, look: one.look, isShown: one.isShown } : one))
        : addRun(runs, record),
    }));
  }

  tabs.view.subscribe((now, before) => {
    if (now.news !== null && now.news !== before.news) show(now.news);
    if (now.owner === before.owner) return;
    if (before.owner === 'other')
      run.setState(({ runs }) => ({ runs: runs.filter(({ id }) => id !== ELSEWHERE) }));
    if (before.owner === 'this' && now.owner === 'other') {
      // Taken without asking, since this tab did not answer: the run goes on there.
      run.setState({ isKept: false });
      if (run.getState().state === 'running') void controller.pause();
    }
    if (before.owner === 'other' && now.owner === 'nobody') void loadSaved({ run }, sessions);
  });
}

/** Offers what the browser keeps, or says why it cannot be gone on with. */
export async function loadSaved({ run }: Pick<Stores, 'run'>, sessions: Sessions): Promise<void> {
  try {
    run.setState({ saved: await sessions.load(), savedProblem: null });
  } catch (error) {
    run.setState({ saved: null, savedProblem: asPapilioError(error).message });
  }
}
