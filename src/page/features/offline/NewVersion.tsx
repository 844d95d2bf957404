/** A newer version of the page, and when it may be taken; and what is kept to work without a network. */
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import { Action } from '../../parts/Action.tsx';
import { Sentences } from '../../parts/Sentences.tsx';
import { isUnderWay } from '../../stores.ts';
import { usePage, useRun } from '../../usePage.ts';

export function NewVersion() {
  const page = usePage();
  const next = useStore(page.offline.view, (s) => s.next);
  const isBusy = useRun((s) => isUnderWay(s.state) || s.busy !== null);
  const isElsewhere = useStore(page.tabs.view, (s) => s.owner === 'other');
  if (next === null) return null;
  const why = isBusy
    ? say`It can be taken once the run here is paused or done.`
    : next === 'waiting' && isElsewhere
      ? say`Another tab holds a run: it can be taken there, or when that tab is closed.`
      : say`Runs that are kept stay, and open in it.`;
  return (
    <section className="toast" role="status" aria-label={say`A newer version`}>
      <span>
        <Sentences>
          {next === 'waiting'
            ? say`There is a newer version of this page.`
            : say`Another tab has taken a newer version of this page.`}
          {why}
        </Sentences>
      </span>
      <Action
        kind="link"
        data-testid="take-version"
        text={next === 'waiting' ? say`take it` : say`load it`}
        isDisabled={isBusy || (next === 'waiting' && isElsewhere)}
        onPress={() => void page.offline.take()}
      />
    </section>
  );
}

const FILES = () =>
  ({
    none: say`Needs a network: this browser, or this address, keeps no files for later.`,
    keeping: say`The files of this page are being kept, so that it opens without a network.`,
    kept: say`This page is kept in this browser: it opens, trains and merges without a network.`,
    failed: say`The files of this page could not all be kept: without a network it may not open.`,
  }) as const;

export function KeptFiles() {
  const files = useStore(usePage().offline.view, (s) => s.files);
  return (
    <p className="hint" data-testid="kept-files">
      {FILES()[files]}
    </p>
  );
}
