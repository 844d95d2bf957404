/** Opened adapters: dropped as folders or zips, listed with what they are, used alone or together, merged, combined, taken away. */
import { Button } from 'react-aria-components';
import { useStore } from 'zustand';
import type { ShelfView } from '../../../app/shelf.ts';
import { scoredOn } from '../../../training/outcome.ts';
import { FileDrop } from '../../parts/FileDrop.tsx';
import { ParityVerdict } from '../../parts/ParityVerdict.tsx';
import { Waiting } from '../../parts/Waiting.tsx';
import { usePage, useRun, useUi } from '../../usePage.ts';
import { scoreText } from '../training/Figures.tsx';
import { AdapterItem } from './AdapterItem.tsx';
import { AdapterLook } from './AdapterLook.tsx';
import { Combine } from './Combine.tsx';
import { ShelfError } from './ShelfError.tsx';

export function Adapters() {
  const { shelf } = usePage();
  const view = useStore(shelf.view);
  const run = useRun((s) => (s.open === null || s.state === 'loading' ? null : (s.current?.name ?? null)));
  return (
    <>
      <FileDrop
        label="Open adapters"
        hint="A PEFT folder, its adapter_config.json with adapter_model.safetensors, or a zip; several at once, subfolders too. Nothing leaves this tab."
        accepts={['.zip', '.json', '.safetensors']}
        files={[]}
        onFiles={(files) => void shelf.open(files)}
        onClear={() => {}}
      />
      {run === null ? null : (
        <Button className="text-button" isDisabled={view.busy !== null} onPress={() => void shelf.takeRun()}>
          add the adapter of {run}
        </Button>
      )}
      <ShelfError view={view} at="open" />
      <p className="hint shelf-busy" aria-live="polite">
        {view.busy === null ? null : (
          <Waiting what={view.busy} news={view.busy}>
            <Button className="text-button" onPress={() => void shelf.stop()}>
              stop
            </Button>
          </Waiting>
        )}
      </p>
      {view.rows.length === 0 ? null : (
        <>
          <ul className="shelf" aria-label="Opened adapters">
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

/** What is done with the ticked ones, and what stands now. */
function Together({ view }: { readonly view: ShelfView }) {
  const { shelf } = usePage();
  const hasGpu = useUi((s) => s.gpu?.state === 'ready');
  const { ticked, active, merged, enabled, standing, parity, warnings, rows } = view;
  const isBusy = view.busy !== null;
  const fitting = ticked.filter((name) => rows.find((row) => row.name === name)?.fit?.reason === null);
  const isOff = isBusy || fitting.length === 0 || fitting.length < ticked.length;
  const stands = active.length > 0 || merged.length > 0;
  return (
    <section className="block" aria-label="Adapters on the model">
      <div className="block-head">
        <h3>On the model</h3>
        <span className="hint">
          {ticked.length === 0
            ? 'tick adapters, in the order they shall work'
            : `ticked: ${ticked.join(' → ')}`}
        </span>
      </div>
      <p className="shelf-tools">
        <Button className="button" isDisabled={isOff} onPress={() => void shelf.activate(fitting)}>
          Activate
        </Button>
        <Button className="button" isDisabled={isOff || !hasGpu} onPress={() => void shelf.merge(fitting)}>
          {fitting.length > 1 ? 'Merge in this order' : 'Merge'}
        </Button>
        <Button
          className="button"
          isDisabled={isBusy || !hasGpu || fitting.length === 0}
          onPress={() => void shelf.scoreEach(fitting)}
        >
          Score each
        </Button>
        <Button
          className="button"
          isDisabled={isBusy || ticked.length === 0}
          onPress={() => void shelf.saveZip(ticked)}
        >
          {ticked.length > 1 ? 'Save one zip' : 'Save as zip'}
        </Button>
      </p>
      {stands ? (
        <>
          <p className="shelf-state" data-testid="adapters-state">
            {merged.length > 0
              ? `Merged into the weights: ${merged.join(' → ')}.`
              : `Active: ${active.join(' → ')}${enabled ? '' : ', switched off'}.`}{' '}
            {standing === null
              ? ''
              : `Held-out ${standing.after.metric}: ${scoreText(standing.before)} without, ${scoreText(standing.after)} with them, on ${scoredOn(standing.after)}.`}
          </p>
          <p className="shelf-tools">
            {merged.length > 0 ? (
              <Button className="button" isDisabled={isBusy} onPress={() => void shelf.unmerge()}>
                Take out again
              </Button>
            ) : (
              <Button className="button" isDisabled={isBusy} onPress={() => void shelf.setEnabled(!enabled)}>
                {enabled ? 'Switch off' : 'Switch on'}
              </Button>
            )}
            <Button
              className="button"
              isDisabled={isBusy || !hasGpu}
              onPress={() => void shelf.scoreStanding()}
            >
              Score as it stands
            </Button>
            <Button
              className="button"
              isDisabled={isBusy || !hasGpu || (merged.length === 0 && !enabled)}
              onPress={() => void shelf.saveMerged()}
            >
              Save merged model
            </Button>
          </p>
        </>
      ) : null}
      {parity === null ? null : <ParityVerdict parity={parity} />}
      <ShelfError view={view} at="model" />
      {warnings.map((warning) => (
        <p key={warning} className="warning">
          {warning}
        </p>
      ))}
    </section>
  );
}
