/** What went wrong with the Hub or a download, in one sentence, and the ways on. */
import { useState } from 'react';
import { Button } from 'react-aria-components';
import { useStore } from 'zustand';
import { ERROR_GUIDE } from '../../../app/errorGuide.ts';
import type { Finder, HubDesk } from '../../../app/hub.ts';
import type { ErrorReport } from '../../../training/protocol.ts';

const AGAIN: Readonly<Record<string, string>> = {
  resume: 'Resume',
  again: 'Download again',
  token: 'Try again',
  free: 'Try again',
};

export function HubTrouble(props: {
  readonly desk: HubDesk;
  readonly finder: Finder;
  readonly report: ErrorReport;
  readonly onWords: (words: string) => void;
}) {
  const { desk, finder, report, onWords } = props;
  const failed = useStore(finder.view, (s) => s.failed);
  const way = String(report.details.way ?? '');
  const near = Array.isArray(report.details.near) ? report.details.near.map(String) : [];
  return (
    <div className="error-text hub-trouble" role="alert" data-testid="hub-trouble">
      <p>
        <b>{ERROR_GUIDE[report.kind].title}.</b> {report.message}
      </p>
      {way === 'token' ? <TokenField desk={desk} /> : null}
      {way === 'free' ? <p className="hint">What is kept stands below, with the way to free it.</p> : null}
      <p className="error-actions">
        {near.map((repo) => (
          <Button
            key={repo}
            className="button"
            onPress={() => {
              onWords(repo);
              void finder.open(repo);
            }}
          >
            Open {repo}
          </Button>
        ))}
        {AGAIN[way] === undefined ? null : (
          <Button className="button button-strong" onPress={() => void finder.retry()}>
            {failed === 'download' ? AGAIN[way] : 'Try again'}
          </Button>
        )}
      </p>
    </div>
  );
}

/** The user's own access token; typed anew in every sitting. */
export function TokenField({ desk }: { readonly desk: HubDesk }) {
  const token = useStore(desk.shared, (s) => s.token);
  const hub = useStore(desk.shared, (s) => s.hub);
  const [text, setText] = useState(token);
  return (
    <label className="field">
      <span className="field-label">Access token</span>
      <input
        className="box"
        type="password"
        autoComplete="off"
        spellCheck={false}
        placeholder="hf_…"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          desk.setToken(event.target.value);
        }}
      />
      <span className="hint">
        Kept in memory until this page is closed, and sent to {new URL(hub).host} alone. Never stored, never
        in a link.
      </span>
    </label>
  );
}
