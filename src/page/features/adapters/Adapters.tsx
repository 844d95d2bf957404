/** Opened adapters: dropped as folders or zips, listed with what they are, looked into, used alone or together. */
import { useMemo } from 'react';
import { useStore } from 'zustand';
import { facts, say } from '../../../common.ts';
import { METHODS } from '../../../methods.ts';
import type { AdapterRow } from '../../../protocol.ts';
import { metricText, scoreText, whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Check } from '../../parts/Controls.tsx';
import { Block, Warnings } from '../../parts/Facts.tsx';
import { FileDrop } from '../../parts/FileDrop.tsx';
import { IconButton } from '../../parts/Icon.tsx';
import { later } from '../../parts/later.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { rich } from '../../parts/rich.ts';
import { Waiting } from '../../parts/Waiting.tsx';
import { useChoice, usePage, useRun, useUi } from '../../usePage.ts';
import { Factors } from '../inspect/Factors.tsx';
import { Learnt } from '../inspect/Learnt.tsx';
import { drawnPattern, layersOf } from '../setup/settings.ts';
import type { AdapterSetView } from './adapterSet.ts';
import { Combine, SetError, Together } from './Together.tsx';

export function Adapters() {
  const { adapterSet } = usePage();
  const view = useStore(adapterSet.view);
  const run = useRun((s) => (s.open === null || s.state === 'loading' ? null : (s.current?.name ?? null)));
  return (
    <>
      <FileDrop
        label={say`Open adapters`}
        hint={say`A PEFT folder, its adapter_config.json with adapter_model.safetensors, or a zip; several at once, subfolders too. Nothing leaves this tab.`}
        accepts={['.zip', '.json', '.safetensors']}
        files={[]}
        onFiles={(files) => void adapterSet.open(files)}
        onClear={() => {}}
      />
      {run === null ? null : (
        <Action
          kind="link"
          text={say`add the adapter of ${run}`}
          isDisabled={view.busy !== null}
          onPress={() => void adapterSet.openRun()}
        />
      )}
      <SetError view={view} at="open" />
      <p className="hint adapter-busy" aria-live="polite">
        {view.busy === null ? null : (
          <Waiting what={view.busy} news={view.busy} onStop={() => void adapterSet.stop()} />
        )}
      </p>
      {view.rows.length === 0 ? null : (
        <>
          <ul className="stack adapter-list" aria-label={say`Opened adapters`}>
            {view.rows.map((row) => (
              <AdapterItem key={row.name} row={row} view={view} />
            ))}
          </ul>
          <Together view={view} />
          {view.look === null ? null : <AdapterLook look={view.look} rows={view.rows} />}
          {view.rows.length > 1 ? <Combine view={view} /> : null}
        </>
      )}
    </>
  );
}

const some = (names: readonly string[]): string =>
  names.length > 3 ? say`${facts(names.slice(0, 3))} and ${names.length - 3} more` : facts(names);

function targetsText({ config, modules }: AdapterRow): string {
  const given = config.target_modules ?? null;
  const what = Array.isArray(given)
    ? some(given.map(String))
    : given === null
      ? say`chosen by PEFT`
      : String(given);
  return say`${modules.length} modules: ${what}`;
}

/** One opened adapter: what it is, whether it belongs to the model, and what can be done with it alone. */
function AdapterItem({ row, view }: { readonly row: AdapterRow; readonly view: AdapterSetView }) {
  const { adapterSet } = usePage();
  const { name, fit } = row;
  const score = Object.hasOwn(view.scores, name) ? view.scores[name] : undefined;
  return (
    <li className="adapter-item">
      <Check
        className="row adapter-head"
        isOn={view.ticked.includes(name)}
        onChange={(isOn) => adapterSet.tick(name, isOn)}
      >
        <b>{name}</b>
        <span className="tag">{row.title}</span>
        {view.merged.includes(name) ? <span className="tag">{say`merged`}</span> : null}
        {view.active.includes(name) && view.merged.length === 0 ? (
          <span className="tag">{say`active`}</span>
        ) : null}
      </Check>
      <p className="adapter-facts">
        {say`${whole(row.parameters)} parameters`}{' '}
        <Measured of="adapter-size" about={say`parameters of ${name}`} /> · {targetsText(row)}
        {row.saved.length > 0 ? <> · {say`brings ${some(row.saved)}`}</> : null}
      </p>
      {score === undefined ? null : (
        <p className="adapter-facts">
          {rich`Held-out ${metricText(score.after.metric)} ${<b>{scoreText(score.after)}</b>}, ${scoreText(score.before)} without it`}
          <Measured of="adapter-score" about={say`score of ${name}`} />
        </p>
      )}
      {fit === null ? (
        <p className="hint">{say`Choose a model and data to see whether it fits.`}</p>
      ) : fit.reason === null ? null : (
        <p className="error-text">{say`Does not fit the chosen model. ${fit.reason}`}</p>
      )}
      <Warnings of={[...row.warnings, ...(fit?.warnings ?? [])]} />
      <ItemTools row={row} isBusy={view.busy !== null} />
    </li>
  );
}

function ItemTools({ row, isBusy }: { readonly row: AdapterRow; readonly isBusy: boolean }) {
  const page = usePage();
  const { adapterSet } = page;
  const isKnown = useUi((s) => s.gpu !== null);
  const { name, fit, modules } = row;
  const fits = fit !== null && fit.reason === null;
  const goOn = async () => {
    await adapterSet.goOn(name);
    if (page.choice.getState().startFrom?.name === name) page.show('method');
  };
  return (
    <p className="row tools">
      <Action
        kind="link"
        text={say`train further`}
        aria-label={say`Train ${name} further`}
        isDisabled={isBusy || !fits}
        onPress={() => void goOn()}
      />
      <Action
        kind="link"
        text={say`look inside`}
        aria-label={say`Look inside ${name}`}
        isDisabled={isBusy || !fits || !isKnown || modules.length === 0}
        onPress={() => void adapterSet.inspect(name)}
      />
      <Action
        kind="link"
        text={say`save`}
        aria-label={say`Save ${name}`}
        isDisabled={isBusy}
        onPress={() => void adapterSet.saveZip([name])}
      />
      <IconButton
        icon="trash"
        label={say`Remove ${name}`}
        className="adapter-remove"
        isDisabled={isBusy}
        onPress={() => void adapterSet.remove(name)}
      />
    </p>
  );
}

const Wired = later('Wired', () => import('../butterfly/Wired.tsx'));

/** A look inside an opened adapter: its factors and what it does to one module's weight. */
function AdapterLook(props: {
  readonly look: NonNullable<AdapterSetView['look']>;
  readonly rows: readonly AdapterRow[];
}) {
  const { look, rows } = props;
  const { adapterSet } = usePage();
  const report = useChoice((s) => s.report);
  const row = rows.find(({ name }) => name === look.name);
  const pattern = useMemo(() => {
    const layer = report && layersOf(report).find(({ name }) => name === look.module);
    if (!row || !layer) return null;
    const method = METHODS[row.method];
    const config = method.schema.safeParse(row.config);
    return config.success ? drawnPattern(row.method, layer, config.data) : null;
  }, [report, row, look.module]);
  if (row === undefined) return null;
  return (
    <Block title={say`Inside ${look.name}`}>
      <Picker
        label={say`Module`}
        value={look.module}
        items={row.modules.map((name) => ({ id: name, title: name }))}
        onChange={(module) => void adapterSet.inspect(look.name, module)}
      />
      {pattern === null || pattern.role === 'none' ? null : pattern.role === 'rotation' ? (
        <Wired pattern={pattern} isSquare={row.method === 'boft'} inspection={look.value} />
      ) : (
        <Factors pattern={pattern} />
      )}
      {look.value === null ? (
        <p className="hint">{say`Reading the values …`}</p>
      ) : (
        <Learnt inspection={look.value} />
      )}
    </Block>
  );
}
