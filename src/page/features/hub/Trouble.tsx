/** What went wrong with the Hub or a download, in one sentence, and the ways on. */
import { useStore } from 'zustand';
import type { ErrorReport } from '../../../common.ts';
import { say } from '../../../common.ts';
import { guideOf } from '../../errorGuide.ts';
import { Action } from '../../parts/Action.tsx';
import { rich } from '../../parts/rich.ts';
import { useHeard } from '../../parts/useHeard.ts';
import { TokenField } from './Access.tsx';
import type { Finder, HubState } from './hub.ts';

const AGAIN = (): Readonly<Record<string, string>> => ({
  resume: say`Resume`,
  again: say`Download again`,
  token: say`Try again`,
  free: say`Try again`,
});

export function Trouble(props: {
  readonly state: HubState;
  readonly finder: Finder;
  readonly report: ErrorReport;
  readonly onWords: (words: string) => void;
}) {
  const { state, finder, report, onWords } = props;
  const now = useHeard();
  const failed = useStore(finder.view, (s) => s.failed);
  const way = String(report.details.way ?? '');
  const near = Array.isArray(report.details.near) ? report.details.near.map(String) : [];
  return (
    <div className="error-text stack" role="alert" data-testid="hub-trouble">
      <p>{rich`${<b>{guideOf(report.kind).title}</b>}. ${now(report.message)}`}</p>
      {way === 'token' ? <TokenField state={state} /> : null}
      {way === 'free' ? (
        <p className="hint">{say`What is kept stands below, with the way to free it.`}</p>
      ) : null}
      <p className="row error-actions">
        {near.map((repo) => (
          <Action
            text={say`Open ${repo}`}
            key={repo}
            onPress={() => {
              onWords(repo);
              void finder.open(repo);
            }}
          />
        ))}
        {AGAIN()[way] === undefined ? null : (
          <Action
            kind="strong"
            text={failed === 'download' ? AGAIN()[way] : say`Try again`}
            onPress={() => void finder.retry()}
          />
        )}
      </p>
    </div>
  );
}
