/** What is kept in this browser, with sizes and the way to free it; and whom the page asks. */
import { useEffect, useState } from 'react';
import { Button } from 'react-aria-components';
import { useStore } from 'zustand';
import { bytes } from '../../../app/format.ts';
import type { Finder, HubDesk } from '../../../app/hub.ts';
import { HUB_ADDRESS } from '../../../hub/names.ts';
import type { RepoKind } from '../../../hub/types.ts';
import { Icon } from '../../parts/Icon.tsx';
import { TokenField } from './HubTrouble.tsx';

export function HubShelf(props: {
  readonly desk: HubDesk;
  readonly finder: Finder;
  readonly kind: RepoKind;
}) {
  const { desk, finder, kind } = props;
  const shelf = useStore(desk.shared, (s) => s.shelf);
  const hub = useStore(desk.shared, (s) => s.hub);
  const kept = shelf?.kept ?? [];
  const total = kept.reduce((sum, one) => sum + one.bytes, 0);
  return (
    <>
      <details className="advanced" open={kept.length > 0}>
        <summary>
          <Icon name="chevron" /> Kept in this browser: {bytes(total)}
          {shelf?.room == null ? '' : `, room for ${bytes(shelf.room)} more`}
        </summary>
        {kept.length === 0 ? (
          <p className="hint">Nothing yet. What is fetched stays here and needs no network the next time.</p>
        ) : (
          <ul className="hub-list" aria-label="Kept">
            {kept.map((one) => (
              <li key={one.folder} className="hub-item">
                <span className="hub-offer">
                  {one.kind === kind ? (
                    <Button
                      className="text-button"
                      onPress={() =>
                        void finder.look(
                          one.kind === 'url' ? one.name : `${one.name}@${one.commits[0]?.commit}`,
                        )
                      }
                    >
                      {one.name}
                    </Button>
                  ) : (
                    <b>{one.name}</b>
                  )}
                  <span className="hint">
                    {one.kind === 'url'
                      ? 'an address'
                      : `${one.kind}, ${one.commits[0]?.paths.length ?? 0} files whole`}
                    {one.partBytes > 0 ? `, ${bytes(one.partBytes)} in parts` : ''}
                  </span>
                </span>
                <span className="hub-size">{bytes(one.bytes)}</span>
                <Button
                  className="button"
                  aria-label={`Free ${one.name}`}
                  onPress={() => void desk.free(one.folder)}
                >
                  Free
                </Button>
              </li>
            ))}
          </ul>
        )}
      </details>
      <details className="advanced" open={hub !== HUB_ADDRESS}>
        <summary>
          <Icon name="chevron" /> Access{hub === HUB_ADDRESS ? '' : `: asking ${new URL(hub).host}`}
        </summary>
        <TokenField desk={desk} />
        <HubAddress desk={desk} />
      </details>
    </>
  );
}

function HubAddress({ desk }: { readonly desk: HubDesk }) {
  const hub = useStore(desk.shared, (s) => s.hub);
  const [text, setText] = useState(hub);
  const [refusal, setRefusal] = useState<string | null>(null);
  useEffect(() => setText(hub), [hub]);
  return (
    <label className="field">
      <span className="field-label">Address of the Hub</span>
      <input
        className="box"
        type="text"
        spellCheck={false}
        autoComplete="off"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onBlur={() => setRefusal(desk.setHub(text))}
      />
      <span className="hint">A mirror, or the Hub of your company. Remembered in this browser.</span>
      {refusal === null ? null : (
        <span className="field-refusal" role="alert">
          {refusal}
        </span>
      )}
    </label>
  );
}
