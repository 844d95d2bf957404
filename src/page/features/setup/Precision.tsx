/** What a person's own model is loaded as: the file's numbers, 16 bits, or 4; with the bytes that the forecast finds for each. */
import { Radio, RadioGroup } from 'react-aria-components';
import { useStore } from 'zustand';
import { bytes } from '../../../app/format.ts';
import type { ModelSource } from '../../../training/protocol.ts';
import { Tip } from '../../parts/Tip.tsx';
import { useChoice, usePage } from '../../usePage.ts';

type Precision = NonNullable<ModelSource['precision']>;

const CHOICES: readonly { readonly id: Precision; readonly title: string }[] = [
  { id: 'file', title: 'as the file' },
  { id: 'f16', title: '16 bits' },
  { id: 'q4', title: '4 bits' },
];

export function Precision() {
  const page = usePage();
  const precision = useChoice((s) => s.precision);
  const report = useStore(page.forecast.view, (s) => s.report);
  return (
    <div className="precision">
      <span className="field-label">
        Weights are kept{' '}
        <Tip about="precision">
          Frozen weights are rounded while loading and stay so on the GPU; the adapter, norms and losses are
          in 32 bits. The merged file holds the rounded weights.
        </Tip>
      </span>
      <RadioGroup
        className="segments"
        aria-label="Precision of the weights"
        value={precision}
        onChange={(id) => page.choice.setState({ precision: id as Precision })}
      >
        {CHOICES.map(({ id, title }) => {
          const size = report?.weightBytes[id] ?? null;
          return (
            <Radio key={id} value={id} className="segment">
              {title}
              {size === null ? null : <small className="segment-size">{bytes(size)}</small>}
            </Radio>
          );
        })}
      </RadioGroup>
      {report === null ? (
        <p className="hint">What each takes on the GPU stands here once a forecast was made, beside Train.</p>
      ) : null}
    </div>
  );
}
