/** The tab on weights: what a run's change is made of, what it keeps of the base, and the way back to it. */
import { useMemo } from 'react';
import { say } from '../../../common.ts';
import { Picker } from '../../parts/Picker.tsx';
import { OfStep } from '../../parts/Waiting.tsx';
import { usePage, useRun, useUi } from '../../usePage.ts';
import { derive } from '../setup/derive.ts';
import { Back } from './Back.tsx';
import { Kept } from './Kept.tsx';
import { OwnTask } from './OwnTask.tsx';
import { SpectrumEditor } from './SpectrumEditor.tsx';
import { weightsOf } from './weights.ts';

export function Weights() {
  const page = usePage();
  const weights = weightsOf(page);
  const current = useRun((s) => s.current);
  const open = useRun((s) => s.open);
  const inspection = useRun((s) => s.inspection);
  const isInspecting = useRun((s) => s.isInspecting);
  const wanted = useUi((s) => s.module);
  const targets = useMemo(
    () =>
      current === null || open === null
        ? []
        : (derive(current.settings, open.model).selection?.targets ?? []),
    [current, open],
  );
  const module = wanted !== null && targets.includes(wanted) ? wanted : (targets[0] ?? null);
  if (current === null || open === null)
    return (
      <p className="empty">{say`Train, and this shows what the change of a weight is made of, what of the base model it keeps, and the way back: the trained adapter taken back towards the base with the model answering all along.`}</p>
    );
  const shown = inspection !== null && inspection.value.module === module ? inspection : null;
  return (
    <>
      {module === null ? null : (
        <div className="row see-head">
          <Picker
            label={say`Module`}
            value={module}
            items={targets.map((name) => ({ id: name, title: name }))}
            onChange={(next) => {
              page.ui.setState({ module: next });
              void page.inspection.inspect();
            }}
          />
          <span className="hint">
            {shown === null ? say`not looked at yet` : say`values of step ${shown.step}`}
          </span>
        </div>
      )}
      {shown === null ? null : <OfStep step={shown.step} isAsked={isInspecting} />}
      {shown?.value.spectrum === undefined ? null : (
        <SpectrumEditor
          weights={weights}
          step={shown.step}
          inspection={shown.value}
          spectrum={shown.value.spectrum}
        />
      )}
      {module === null ? null : <Kept weights={weights} module={module} />}
      <OwnTask weights={weights} />
      <Back weights={weights} module={module} />
    </>
  );
}
