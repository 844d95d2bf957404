/** Models or data from the Hub or an address: find, see sizes, fetch, resume; and what is kept in this browser. */
import { useEffect, useState } from 'react';
import { useStore } from 'zustand';
import { facts, say } from '../../../common.ts';
import { pageAddress, type RepoKind } from '../../../hub.ts';
import { bytes, whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Fold } from '../../parts/Controls.tsx';
import { rich } from '../../parts/rich.ts';
import { Silence, useSilence, Waiting } from '../../parts/Waiting.tsx';
import { useChoice, usePage } from '../../usePage.ts';
import { Access } from './Access.tsx';
import type { Finder, HubState, Offer } from './hub.ts';
import { Trouble } from './Trouble.tsx';
import { transferText } from './transfer.ts';

const WORDS = () =>
  ({
    model: {
      label: say`Name on the Hub, or the address of an .onnx file`,
      placeholder: 'onnx-community/SmolLM2-135M-ONNX',
      none: say`No model with ONNX files has a name like this.`,
    },
    dataset: {
      label: say`Dataset on the Hub, or the address of a data file`,
      placeholder: 'owner/dataset',
      none: say`No dataset has a name like this.`,
    },
  }) as const;

export function Hub({ kind }: { readonly kind: RepoKind }) {
  const page = usePage();
  const [state, setState] = useState<HubState | null>(null);
  useEffect(() => {
    let isHere = true;
    void page.hub().then((opened) => {
      if (isHere) setState(opened);
      void opened.refresh();
    });
    return () => {
      isHere = false;
    };
  }, [page]);
  const named = useChoice((s) => s.named[kind === 'dataset' ? 'data' : 'model'] ?? '');
  if (state === null) return null;
  return <Find key={named} state={state} finder={state[kind]} kind={kind} named={named} />;
}

/** Where models or data are asked for, and whom. */
interface Asked {
  readonly state: HubState;
  readonly finder: Finder;
  readonly kind: RepoKind;
}

function Find({ state, finder, kind, named }: Asked & { readonly named: string }) {
  const { busy, found, repo, offers, error, taken } = useStore(finder.view);
  const [words, setWords] = useState(named);
  return (
    <div className="stack hub" data-testid={`hub-${kind}`}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void finder.look(words);
        }}
      >
        <label className="field-label" htmlFor={`hub-${kind}`}>
          {WORDS()[kind].label}
        </label>
        <div className="row hub-row">
          <input
            id={`hub-${kind}`}
            className="box"
            type="text"
            spellCheck={false}
            autoComplete="off"
            placeholder={WORDS()[kind].placeholder}
            value={words}
            onChange={(event) => setWords(event.target.value)}
          />
          <Action text={say`Find`} type="submit" isDisabled={busy !== null || words.trim() === ''} />
        </div>
      </form>
      {named !== '' && words === named && repo === null && busy === null ? (
        <p className="hint">{say`The link that opened this page names it; Find asks for it.`}</p>
      ) : null}
      {busy === 'search' || busy === 'list' ? (
        <p className="hint">
          <Waiting what={say`Asking`} onStop={() => void finder.stop()} />
        </p>
      ) : null}
      {error === null ? null : <Trouble state={state} finder={finder} report={error} onWords={setWords} />}
      {found === null ? null : <Found finder={finder} kind={kind} found={found} />}
      {repo === null ? null : <OpenRepo state={state} finder={finder} kind={kind} repo={repo} />}
      {repo !== null && offers.length === 0 && busy === null ? (
        <p className="hint">{say`It holds no file that Papilio reads; the revision refs/convert/parquet may.`}</p>
      ) : null}
      {offers.length === 0 ? null : (
        <ul className="stack" aria-label={say`Files`}>
          {offers.map((offer) => (
            <OfferRow key={offer.id} finder={finder} offer={offer} isBusy={busy !== null} />
          ))}
        </ul>
      )}
      <Downloading finder={finder} />
      {taken === null ? null : <p className="hint hub-taken">{rich`In use: ${<code>{taken}</code>}`}</p>}
      <Kept state={state} finder={finder} kind={kind} />
      <Access state={state} />
    </div>
  );
}

type FinderView = ReturnType<Finder['view']['getState']>;

function Found(props: {
  readonly finder: Finder;
  readonly kind: RepoKind;
  readonly found: NonNullable<FinderView['found']>;
}) {
  const { finder, kind, found } = props;
  return (
    <ul className="stack" aria-label={say`Found`}>
      {found.map((hit) => (
        <li key={hit.repo} className="row hub-item">
          <Action kind="link" text={hit.repo} onPress={() => void finder.open(hit.repo)} />
          <span className="hint">
            {[hit.task, say`${whole(hit.downloads)} downloads`, hit.isGated ? say`gated` : null]
              .filter(Boolean)
              .join(' · ')}
          </span>
        </li>
      ))}
      {found.length === 0 ? <li className="hint">{WORDS()[kind].none}</li> : null}
    </ul>
  );
}

function OpenRepo({ state, finder, kind, repo }: Asked & { readonly repo: NonNullable<FinderView['repo']> }) {
  const hub = useStore(state.shared, (s) => s.hub);
  const [revision, setRevision] = useState(repo.revision);
  useEffect(() => setRevision(repo.revision), [repo.revision]);
  const open = () => void finder.open(repo.name, revision.trim() || 'main');
  return (
    <div className="hub-repo">
      <p>
        <a href={pageAddress(hub, kind, repo.name)} target="_blank" rel="noreferrer">
          {repo.name}
        </a>{' '}
        {repo.isGated ? <span className="tag">{say`gated`}</span> : null}
      </p>
      <form
        className="row hub-row"
        onSubmit={(event) => {
          event.preventDefault();
          open();
        }}
      >
        <label className="field-label" htmlFor={`hub-revision-${kind}`}>{say`Revision`}</label>
        <input
          id={`hub-revision-${kind}`}
          className="box"
          type="text"
          spellCheck={false}
          value={revision}
          onChange={(event) => setRevision(event.target.value)}
        />
        <Action text={say`Open`} type="submit" />
        <span className="hint">{rich`commit ${<code>{repo.commit.slice(0, 7)}</code>}`}</span>
      </form>
      {repo.isOld ? (
        <p className="hint">{say`The Hub cannot be reached: this is what it held when it was last seen.`}</p>
      ) : null}
    </div>
  );
}

function OfferRow(props: { readonly finder: Finder; readonly offer: Offer; readonly isBusy: boolean }) {
  const { finder, offer, isBusy } = props;
  const { title, detail, have, isWhole } = offer;
  const share = offer.bytes === null || offer.bytes === 0 ? 0 : have / offer.bytes;
  const verb = isWhole ? say`Use` : have > 0 ? say`Resume` : say`Download`;
  return (
    <li className="row hub-item">
      <span className="hub-offer">
        <b>{title}</b>
        <span className="hint">{detail}</span>
      </span>
      <span className="hub-size">
        {offer.bytes === null ? say`size unknown` : bytes(offer.bytes)}
        {isWhole ? ` · ${say`kept`}` : have > 0 ? ` · ${say`${Math.floor(share * 100)} % here`}` : ''}
      </span>
      <Action
        kind={isWhole ? 'strong' : 'plain'}
        text={verb}
        isDisabled={isBusy}
        aria-label={`${verb} ${title}`}
        onPress={() => void finder.download(offer)}
      />
    </li>
  );
}

function Downloading({ finder }: { readonly finder: Finder }) {
  const { busy, progress } = useStore(finder.view);
  const silence = useSilence(progress, busy === 'download');
  if (busy !== 'download') return null;
  const { done, total, what } = progress ?? { done: 0, total: 0, what: '' };
  return (
    <div className="row hub-row hub-progress">
      <progress aria-label={say`Downloaded`} max={Math.max(1, total)} value={done} />
      <span className="hint">
        {progress === null
          ? say`Beginning …`
          : facts([
              say`${what}: ${bytes(done)} of ${bytes(total)}`,
              transferText(progress, performance.now()),
            ])}
        {silence === 0 ? null : rich`; nothing has come for ${<Silence seconds={silence} />}`}
      </span>
      <Action text={say`Stop`} onPress={() => void finder.stop()} />
    </div>
  );
}

/** What is kept in this browser, with sizes and the way to free it. */
function Kept({ state, finder, kind }: Asked) {
  const cached = useStore(state.shared, (s) => s.cached);
  const kept = cached?.kept ?? [];
  const total = kept.reduce((sum, one) => sum + one.bytes, 0);
  const summary =
    cached?.room == null
      ? say`Kept in this browser: ${bytes(total)}`
      : say`Kept in this browser: ${bytes(total)}, room for ${bytes(cached.room)} more`;
  return (
    <Fold summary={summary} isOpen={kept.length > 0}>
      {kept.length === 0 ? (
        <p className="hint">{say`Nothing yet. What is fetched stays here and needs no network the next time.`}</p>
      ) : (
        <ul className="stack" aria-label={say`Kept`}>
          {kept.map((one) => (
            <li key={one.folder} className="row hub-item">
              <span className="hub-offer">
                {one.kind === kind ? (
                  <Action
                    kind="link"
                    text={one.name}
                    onPress={() =>
                      void finder.look(
                        one.kind === 'url' ? one.name : `${one.name}@${one.commits[0]?.commit}`,
                      )
                    }
                  />
                ) : (
                  <b>{one.name}</b>
                )}
                <span className="hint">
                  {one.kind === 'url'
                    ? say`an address`
                    : one.kind === 'model'
                      ? say`model, ${one.commits[0]?.paths.length ?? 0} files whole`
                      : say`dataset, ${one.commits[0]?.paths.length ?? 0} files whole`}
                  {one.partBytes > 0 ? <>, {say`${bytes(one.partBytes)} in parts`}</> : null}
                </span>
              </span>
              <span className="hub-size">{bytes(one.bytes)}</span>
              <Action
                text={say`Free`}
                aria-label={say`Free ${one.name}`}
                onPress={() => void state.free(one.folder)}
              />
            </li>
          ))}
        </ul>
      )}
    </Fold>
  );
}
