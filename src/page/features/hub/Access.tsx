/** Whom the page asks for models and data, and as whom. */
import { useEffect, useState } from 'react';
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import { HUB_ADDRESS } from '../../../hub.ts';
import { Fold, TextField } from '../../parts/Controls.tsx';
import type { HubState } from './hub.ts';

export function Access({ state }: { readonly state: HubState }) {
  const hub = useStore(state.shared, (s) => s.hub);
  const isOther = hub !== HUB_ADDRESS;
  return (
    <Fold summary={isOther ? say`Access: asking ${new URL(hub).host}` : say`Access`} isOpen={isOther}>
      <TokenField state={state} />
      <HubAddress state={state} />
    </Fold>
  );
}

function HubAddress({ state }: { readonly state: HubState }) {
  const hub = useStore(state.shared, (s) => s.hub);
  const [text, setText] = useState(hub);
  const [refusal, setRefusal] = useState<string | null>(null);
  useEffect(() => setText(hub), [hub]);
  return (
    <TextField
      label={say`Address of the Hub`}
      hint={say`A mirror, or the Hub of your company. Remembered in this browser.`}
      type="text"
      spellCheck={false}
      autoComplete="off"
      value={text}
      onText={setText}
      onBlur={() => setRefusal(state.setHub(text))}
    >
      {refusal === null ? null : (
        <span className="field-refusal" role="alert">
          {refusal}
        </span>
      )}
    </TextField>
  );
}

/** The user's own access token; typed anew in every sitting. */
export function TokenField({ state }: { readonly state: HubState }) {
  const token = useStore(state.shared, (s) => s.token);
  const hub = useStore(state.shared, (s) => s.hub);
  const [text, setText] = useState(token);
  return (
    <TextField
      label={say`Access token`}
      hint={say`Kept in memory until this page is closed, and sent to ${new URL(hub).host} alone. Never stored, never in a link.`}
      type="password"
      autoComplete="off"
      spellCheck={false}
      placeholder="hf_…"
      value={text}
      onText={(next) => {
        setText(next);
        state.setToken(next);
      }}
    />
  );
}
