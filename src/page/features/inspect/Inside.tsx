/** A look inside one adapted module: its factors, their product, and what has been learnt. Patterns need no GPU. */
import { useMemo } from 'react';
import { METHODS } from '../../../methods.ts';
import { Picker } from '../../parts/Picker.tsx';
import { OfStep } from '../../parts/Waiting.tsx';
import { useChoice, useDerived, usePage, useRun, useUi } from '../../usePage.ts';
import { drawnPattern, fullConfig } from '../setup/settings.ts';
import { Factors } from './Factors.tsx';
import { Learnt } from './Learnt.tsx';

export function Inside() {
  const page = usePage();
  const settings = useChoice((s) => s.settings);
  const report = useChoice((s) => s.report);
  const derived = useDerived();
  const wanted = useUi((s) => s.module);
  const inspection = useRun((s) => s.inspection);
  const isInspecting = useRun((s) => s.isInspecting);
  const hasRun = useRun((s) => s.open !== null);
  const runMethod = useRun((s) => s.current?.settings.method ?? null);
  const targets = useMemo(
    () => derived.rows.filter((row) => row.isTarget && row.reason === null).map((row) => row.layer),
    [derived],
  );
  const layer = targets.find(({ name }) => name === wanted) ?? targets[0];
  const method = METHODS[settings.method];
  const pattern = useMemo(
    () => (layer === undefined ? null : drawnPattern(settings.method, layer, fullConfig(settings, report))),
    [layer, settings, report],
  );
  if (layer === undefined || pattern === null || pattern.role === 'none') {
    return (
      <p className="empty">
        {method.targets === 'none'
          ? `${method.title} has no factors: it trains whole modules only.`
          : layer !== undefined
            ? 'The factors of this module cannot be drawn.'
            : 'No module is targeted yet, so there is no factor to show.'}
      </p>
    );
  }
  const shown =
    inspection !== null && inspection.value.module === layer.name && runMethod === settings.method
      ? inspection
      : null;
  return (
    <>
      <div className="row see-head">
        <Picker
          label="Module"
          value={layer.name}
          items={targets.map(({ name, in: inputs, out }) => ({
            id: name,
            title: name,
            detail: `${inputs} → ${out}`,
          }))}
          onChange={(module) => {
            page.ui.setState({ module });
            void page.inspection.inspect();
          }}
        />
        <span className="hint">
          {shown === null
            ? hasRun
              ? 'structure only'
              : 'structure; train to see values'
            : `values of step ${shown.step}`}
        </span>
      </div>
      {shown === null ? null : <OfStep step={shown.step} isAsked={isInspecting} />}
      <Factors pattern={pattern} inspection={shown?.value ?? null} />
      {shown === null ? null : <Learnt inspection={shown.value} step={shown.step} />}
    </>
  );
}
