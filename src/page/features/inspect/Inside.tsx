/** A look inside one adapted module: its factors, their product, and what has been learnt. Patterns need no GPU. */
import { useMemo } from 'react';
import { say } from '../../../common.ts';
import { type AdapterMethod, type Layer, METHODS, type MethodId } from '../../../methods.ts';
import { methodTitle } from '../../format.ts';
import { Block } from '../../parts/Facts.tsx';
import { later } from '../../parts/later.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { OfStep } from '../../parts/Waiting.tsx';
import { useChoice, useDerived, usePage, useRun, useUi } from '../../usePage.ts';
import { drawnPattern, fullConfig } from '../setup/settings.ts';
import { Factors } from './Factors.tsx';
import { Learnt } from './Learnt.tsx';

const Loading = () => <p className="hint">{say`Loading the butterfly view …`}</p>;
const Butterfly = later('Butterfly', () => import('../butterfly/Butterfly.tsx'), <Loading />);

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
  const isRotation = pattern?.role === 'rotation';
  const shown =
    inspection !== null && inspection.value.module === layer?.name && runMethod === settings.method
      ? inspection
      : null;
  return (
    <>
      {layer === undefined ? null : (
        <div className="row see-head">
          <Picker
            label={say`Module`}
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
            {shown !== null && !isRotation
              ? say`values of step ${shown.step}`
              : hasRun
                ? isRotation
                  ? ''
                  : say`structure only`
                : say`structure; train to see values`}
          </span>
        </div>
      )}
      {isRotation ? (
        <Butterfly layer={layer ?? null} />
      ) : (
        <>
          {layer === undefined || pattern === null || pattern.role === 'none' ? (
            <p className="empty">{emptyText(method, layer)}</p>
          ) : (
            <>
              {shown === null ? null : <OfStep step={shown.step} isAsked={isInspecting} />}
              <Factors pattern={pattern} />
              {shown === null ? null : <Learnt inspection={shown.value} />}
            </>
          )}
          <Block title={say`How rotations are wired`} label={say`The butterfly view`}>
            <Butterfly layer={layer ?? null} />
          </Block>
        </>
      )}
    </>
  );
}

const emptyText = (method: AdapterMethod, layer: Layer | undefined): string =>
  method.targets === 'none'
    ? say`${methodTitle(method.id as MethodId)} has no factors: it trains whole modules only.`
    : layer !== undefined
      ? say`The factors of this module cannot be drawn.`
      : say`No module is targeted yet, so there is no factor to show.`;
