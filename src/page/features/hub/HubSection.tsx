/** Models or data from the Hub or an address: find, see sizes, fetch, resume; and what is kept in this browser. */
import { useEffect, useState } from 'react';
import { Button } from 'react-aria-components';
import { useStore } from 'zustand';
import { bytes, whole } from '../../../app/format.ts';
import type { Finder, HubDesk } from '../../../app/hub.ts';
import type { Offer } from '../../../app/hubOffers.ts';
import { pageAddress } from '../../../hub/names.ts';
import type { RepoKind } from '../../../hub/types.ts';
import { Silence, useSilence, Waiting } from '../../parts/Waiting.tsx';
import { usePage } from '../../usePage.ts';
import { HubShelf } from './HubShelf.tsx';
import { HubTrouble } from './HubTrouble.tsx';

const WORDS = {
  model: {
    label: 'Name on the Hub, or the address of an .onnx file',
    placeholder: 'onnx-community/SmolLM2-135M-ONNX',
    none: 'No model with ONNX files has a name like this.',
  },
  dataset: {
    label: 'Dataset on the Hub, or the address of a data file',
    placeholder: 'owner/dataset',
    none: 'No dataset has a name like this.',
  },
} as const;

export function HubSection({ kind }: { readonly kind: RepoKind }) {
  const page = usePage();
  const [desk, setDesk] = useState<HubDesk | null>(null);
  useEffect(() => {
    let isHere = true;
    void page.hub().then((opened) => {
      if (isHere) setDesk(opened);
      void opened.refresh();
    });
    return () => {
      isHere = false;
    };
  }, [page]);
  if (desk === null) return null;
  return <HubFinder desk={desk} finder={desk[kind]} kind={kind} />;
}

function HubFinder(props: { readonly desk: HubDesk; readonly finder: Finder; readonly kind: RepoKind }) {
  const { desk, finder, kind } = props;
  const { busy, found, repo, offers, error, taken } = useStore(finder.view);
  const [words, setWords] = useState('');
  const id = `hub-${kind}`;
  return (
    <div className="hub" data-testid={`hub-${kind}`}>
      <form
        className="hub-search"
        onSubmit={(event) => {
          event.preventDefault();
          void finder.look(words);
        }}
      >
        <label className="field-label" htmlFor={id}>
          {WORDS[kind].label}
        </label>
        <div className="hub-row">
          <input
            id={id}
            className="box"
            type="text"
            spellCheck={false}
            autoComplete="off"
            placeholder={WORDS[kind].placeholder}
            value={words}
            onChange={(event) => setWords(event.target.value)}
          />
          <Button className="button" type="submit" isDisabled={busy !== null || words.trim() === ''}>
            Find
          </Button>
        </div>
      </form>
      {busy === 'search' || busy === 'list' ? (
        <p className="hint">
          <Waiting what="Asking">
            <Button className="text-button" onPress={() => void finder.stop()}>
              stop
            </Button>
          </Waiting>
        </p>
      ) : null}
      {error === null ? null : <HubTrouble desk={desk} finder={finder} report={error} onWords={setWords} />}
      {found === null ? null : (
        <ul className="hub-list" aria-label="Found">
          {found.map((hit) => (
            <li key={hit.repo} className="hub-item">
              <Button className="text-button" onPress={() => void finder.open(hit.repo)}>
                {hit.repo}
              </Button>
              <span className="hint">
                {[hit.task, `${whole(hit.downloads)} downloads`, hit.isGated ? 'gated' : null]
                  .filter(Boolean)
                  .join(' · ')}
              </span>
            </li>
          ))}
          {found.length === 0 ? <li className="hint">{WORDS[kind].none}</li> : null}
        </ul>
      )}
      {repo === null ? null : <OpenRepo desk={desk} finder={finder} kind={kind} repo={repo} />}
      {repo !== null && offers.length === 0 && busy === null ? (
        <p className="hint">It holds no file that Papilio reads; the revision refs/convert/parquet may.</p>
      ) : null}
      {offers.length === 0 ? null : (
        <ul className="hub-list" aria-label="Files">
          {offers.map((offer) => (
            <OfferRow key={offer.id} finder={finder} offer={offer} isBusy={busy !== null} />
          ))}
        </ul>
      )}
      <Downloading finder={finder} />
      {taken === null ? null : (
        <p className="hint hub-taken">
          In use: <code>{taken}</code>
        </p>
      )}
      <HubShelf desk={desk} finder={finder} kind={kind} />
    </div>
  );
}

function OpenRepo(props: {
  readonly desk: HubDesk;
  readonly finder: Finder;
  readonly kind: RepoKind;
  readonly repo: NonNullable<ReturnType<Finder['view']['getState']>['repo']>;
}) {
  const { desk, finder, kind, repo } = props;
  const hub = useStore(desk.shared, (s) => s.hub);
  const [revision, setRevision] = useState(repo.revision);
  useEffect(() => setRevision(repo.revision), [repo.revision]);
  const open = () => void finder.open(repo.name, revision.trim() || 'main');
  return (
    <div className="hub-repo">
      <p>
        <a href={pageAddress(hub, kind, repo.name)} target="_blank" rel="noreferrer">
          {repo.name}
        </a>{' '}
        {repo.isGated ? <span className="tag">gated</span> : null}
      </p>
      <form
        className="hub-row"
        onSubmit={(event) => {
          event.preventDefault();
          open();
        }}
      >
        <label className="field-label" htmlFor={`hub-revision-${kind}`}>
          Revision
        </label>
        <input
          id={`hub-revision-${kind}`}
          className="box"
          type="text"
          spellCheck={false}
          value={revision}
          onChange={(event) => setRevision(event.target.value)}
        />
        <Button className="button" type="submit">
          Open
        </Button>
        <span className="hint">
          commit <code>{repo.commit.slice(0, 7)}</code>
        </span>
      </form>
      {repo.isOld ? (
        <p className="hint">The Hub cannot be reached: this is what it held when it was last seen.</p>
      ) : null}
    </div>
  );
}

function OfferRow(props: { readonly finder: Finder; readonly offer: Offer; readonly isBusy: boolean }) {
  const { finder, offer, isBusy } = props;
  const { title, detail, have, isWhole } = offer;
  const share = offer.bytes === null || offer.bytes === 0 ? 0 : have / offer.bytes;
  const verb = isWhole ? 'Use' : have > 0 ? 'Resume' : 'Download';
  return (
    <li className="hub-item">
      <span className="hub-offer">
        <b>{title}</b>
        <span className="hint">{detail}</span>
      </span>
      <span className="hub-size">
        {offer.bytes === null ? 'size unknown' : bytes(offer.bytes)}
        {isWhole ? ' · kept' : have > 0 ? ` · ${Math.floor(share * 100)} % here` : ''}
      </span>
      <Button
        className={isWhole ? 'button button-strong' : 'button'}
        isDisabled={isBusy}
        aria-label={`${verb} ${title}`}
        onPress={() => void finder.bring(offer)}
      >
        {verb}
      </Button>
    </li>
  );
}

function Downloading({ finder }: { readonly finder: Finder }) {
  const { busy, progress } = useStore(finder.view);
  const silence = useSilence(progress, busy === 'download');
  if (busy !== 'download') return null;
  const { done, total, what } = progress ?? { done: 0, total: 0, what: '' };
  return (
    <div className="hub-row hub-progress">
      <progress aria-label="Downloaded" max={Math.max(1, total)} value={done} />
      <span className="hint">
        {progress === null ? 'Beginning …' : `${what}: ${bytes(done)} of ${bytes(total)}`}
        {silence === 0 ? '' : '; nothing has come for'}
        <Silence seconds={silence} />
      </span>
      <Button className="button" onPress={() => void finder.stop()}>
        Stop
      </Button>
    </div>
  );
}
