/** Methods side by side: at one budget, on the chosen task, one after the other, in a table that says how each number was got. */
import { useMemo, useState } from 'react';
import { Button } from 'react-aria-components';
import { useStore } from 'zustand';
import { METHODS, type MethodId } from '../../../adapters/registry.ts';
import { saveFile } from '../../../app/exports.ts';
import { whole } from '../../../app/format.ts';
import { sweepCsv } from '../../../app/sweep.ts';
import { sweepMarkdown } from '../../../training/sweepTable.ts';
import { ErrorText } from '../../parts/ErrorCard.tsx';
import { Waiting } from '../../parts/Waiting.tsx';
import { useChoice, useDerived, usePage, useUi } from '../../usePage.ts';
import { MethodChart } from './MethodChart.tsx';
import { MethodTable } from './MethodTable.tsx';

/** Methods whose size can be solved for a budget; the others have the size that the modules give them. */
const OFFERED = Object.values(METHODS).filter(({ targets }) => targets === 'required');

export function Methods() {
  const { sweep } = usePage();
  const settings = useChoice((s) => s.settings);
  const hasGpu = useUi((s) => s.gpu?.state === 'ready');
  const derived = useDerived();
  const view = useStore(sweep.view);
  const known = derived.count?.adapter || null;
  const [chosen, setChosen] = useState<ReadonlySet<string>>(
    () => new Set(['oft', 'boft', 'fourierft', 'lora']),
  );
  const [budgetText, setBudget] = useState<string | null>(null);
  const [stepsText, setSteps] = useState<string | null>(null);
  const budget = Number(budgetText ?? known ?? Number.NaN);
  const steps = Number(stepsText ?? settings.training.steps);
  const isAsked = Number.isInteger(budget) && budget > 0 && Number.isInteger(steps) && steps > 0;
  const methods = useMemo(
    () => OFFERED.filter(({ id }) => chosen.has(id)).map(({ id }) => id as MethodId),
    [chosen],
  );
  const toggle = (id: string, isOn: boolean) =>
    setChosen((old) => new Set(isOn ? [...old, id] : [...old].filter((other) => other !== id)));
  return (
    <>
      <p>
        The same model, data, seed and steps for every method, each sized to keep about as many numbers. A run
        that is open is paused and left alone.
      </p>
      <fieldset className="method-boxes" disabled={view.isRunning}>
        <legend className="field-label">Methods</legend>
        {OFFERED.map(({ id, title }) => (
          <label key={id} className="check">
            <input
              type="checkbox"
              checked={chosen.has(id)}
              onChange={(event) => toggle(id, event.target.checked)}
            />
            {title}
          </label>
        ))}
      </fieldset>
      <div className="combine-fields">
        <label className="field">
          <span className="field-label">Numbers an adapter may keep</span>
          <input
            className="box box-number"
            inputMode="numeric"
            value={budgetText ?? known ?? ''}
            disabled={view.isRunning}
            onChange={(event) => setBudget(event.target.value)}
          />
          <span className="hint">
            {known === null ? 'the present settings have no adapter' : `now chosen: ${whole(known)}`}
          </span>
        </label>
        <label className="field">
          <span className="field-label">Steps each</span>
          <input
            className="box box-number"
            inputMode="numeric"
            value={stepsText ?? settings.training.steps}
            disabled={view.isRunning}
            onChange={(event) => setSteps(event.target.value)}
          />
          <span className="hint">of {settings.training.batchSize} examples</span>
        </label>
      </div>
      <p className="shelf-tools">
        {view.isRunning ? (
          <Button className="button" onPress={() => void sweep.stop()}>
            Stop
          </Button>
        ) : (
          <Button
            className="button button-strong"
            isDisabled={!hasGpu || !isAsked || methods.length === 0}
            onPress={() => void sweep.start({ methods, budget, steps })}
          >
            Compare methods
          </Button>
        )}
        <span className="hint" aria-live="polite">
          {view.isRunning ? (
            <Waiting
              what={
                view.now === null
                  ? 'preparing'
                  : `${METHODS[view.now.method].title}: step ${view.now.step} of ${view.now.total}`
              }
              news={view.now}
              way="Stop ends it"
            />
          ) : null}
        </span>
      </p>
      {view.error === null ? null : <ErrorText report={view.error} />}
      {view.rows.length > 0 ? <MethodTable view={view} /> : null}
      {view.refused.map(({ method, reason }) => (
        <p key={method} className="warning">
          {METHODS[method].title} takes no part: {reason}
        </p>
      ))}
      {view.rows.length > 1 ? <MethodChart rows={view.rows} /> : null}
      {view.report === null || view.rows.length === 0 ? null : (
        <p className="shelf-tools">
          <Button
            className="text-button"
            onPress={() => saveFile('methods.csv', sweepCsv(view.rows), 'text/csv')}
          >
            save as CSV
          </Button>
          <Button
            className="text-button"
            onPress={() => view.report && saveFile('methods.md', sweepMarkdown(view.report), 'text/markdown')}
          >
            save as Markdown
          </Button>
        </p>
      )}
    </>
  );
}
