/** One opened adapter: what it is, whether it belongs to the model, and what can be done with it alone. */
import { Button } from 'react-aria-components';
import { whole } from '../../../app/format.ts';
import type { ShelfView } from '../../../app/shelf.ts';
import type { ShelfRow } from '../../../training/protocol.ts';
import { Icon } from '../../parts/Icon.tsx';
import { usePage, useUi } from '../../usePage.ts';
import { scoreText } from '../training/Figures.tsx';

const some = (names: readonly string[]): string =>
  names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');

function targetsText({ config, modules }: ShelfRow): string {
  const given = config.target_modules ?? null;
  const what = Array.isArray(given)
    ? some(given.map(String))
    : given === null
      ? 'chosen by PEFT'
      : String(given);
  return `${modules.length} modules: ${what}`;
}

export function AdapterItem({ row, view }: { readonly row: ShelfRow; readonly view: ShelfView }) {
  const page = usePage();
  const { shelf } = page;
  const hasGpu = useUi((s) => s.gpu?.state === 'ready');
  const { name, fit } = row;
  const score = Object.hasOwn(view.scores, name) ? view.scores[name] : undefined;
  const isBusy = view.busy !== null;
  const place = view.ticked.indexOf(name);
  const fits = fit !== null && fit.reason === null;
  return (
    <li className="shelf-item">
      <label className="shelf-head">
        <input
          type="checkbox"
          checked={place >= 0}
          onChange={(event) => shelf.tick(name, event.target.checked)}
        />
        <b className="shelf-name">{name}</b>
        <span className="tag">{row.title}</span>
        {view.merged.includes(name) ? <span className="tag">merged</span> : null}
        {view.active.includes(name) && view.merged.length === 0 ? <span className="tag">active</span> : null}
      </label>
      <p className="shelf-facts">
        {whole(row.parameters)} parameters · {targetsText(row)}
        {row.saved.length > 0 ? ` · brings ${some(row.saved)}` : ''}
      </p>
      {score === undefined ? null : (
        <p className="shelf-facts">
          Held-out {score.after.metric} <b>{scoreText(score.after)}</b>, {scoreText(score.before)} without it
        </p>
      )}
      {fit === null ? (
        <p className="hint">Choose a model and data to see whether it fits.</p>
      ) : fit.reason === null ? null : (
        <p className="error-text">Does not fit the chosen model. {fit.reason}</p>
      )}
      {[...row.warnings, ...(fit?.warnings ?? [])].map((warning) => (
        <p key={warning} className="warning">
          {warning}
        </p>
      ))}
      <p className="shelf-tools">
        <Button
          className="text-button"
          aria-label={`Train ${name} further`}
          isDisabled={isBusy || !fits}
          onPress={() =>
            void shelf.goOn(name).then(() => {
              if (page.choice.getState().startFrom?.name === name) page.show('method');
            })
          }
        >
          train further
        </Button>
        <Button
          className="text-button"
          aria-label={`Look inside ${name}`}
          isDisabled={isBusy || !fits || !hasGpu || row.modules.length === 0}
          onPress={() => void shelf.inspect(name)}
        >
          look inside
        </Button>
        <Button
          className="text-button"
          aria-label={`Save ${name}`}
          isDisabled={isBusy}
          onPress={() => void shelf.saveZip([name])}
        >
          save
        </Button>
        <Button
          className="icon-button shelf-remove"
          aria-label={`Remove ${name}`}
          isDisabled={isBusy}
          onPress={() => void shelf.remove(name)}
        >
          <Icon name="trash" />
        </Button>
      </p>
    </li>
  );
}
