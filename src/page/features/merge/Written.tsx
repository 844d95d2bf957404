/** What writing did to each changed weight, and what becomes of those that the file keeps in codes. */
import { Radio, RadioGroup } from 'react-aria-components';
import { percent } from '../../../app/format.ts';
import type { MergeResult } from '../../../app/stores.ts';
import { Icon } from '../../parts/Icon.tsx';
import { useChoice, usePage } from '../../usePage.ts';

type Quantised = 'requantise' | 'float';

const HOW = {
  exact: 'exact',
  f16: 'rounded to 16 bits',
  bf16: 'rounded to bfloat16',
  requantised: 'in codes again',
  float: 'in floats',
} as const;

export function Written({ written }: { readonly written: MergeResult['written'] }) {
  const page = usePage();
  const quantised = useChoice((s) => s.quantised);
  const inCodes = written.filter(({ how }) => how === 'requantised' || how === 'float');
  const inexact = written.filter(({ maxError }) => maxError > 0);
  if (inCodes.length === 0 && inexact.length === 0) return null;
  const worst = inexact.reduce((most, { relativeError }) => Math.max(most, relativeError), 0);
  return (
    <div className="written">
      {inCodes.length === 0 ? null : (
        <>
          <span className="field-label">Changed layers that the file keeps in codes</span>
          <RadioGroup
            className="segments"
            aria-label="Changed layers that the file keeps in codes"
            value={quantised}
            onChange={(to) => page.choice.setState({ quantised: to as Quantised })}
          >
            <Radio value="requantise" className="segment">
              requantise
            </Radio>
            <Radio value="float" className="segment">
              keep in floats
            </Radio>
          </RadioGroup>
          <p className="hint">
            {quantised === 'requantise'
              ? 'Same size, rounded once more, by the errors below.'
              : 'Exact, and larger: these layers take four bytes a weight, or two in a file of 16 bits.'}{' '}
            {(inCodes[0]!.how === 'float') === (quantised === 'float') ? '' : 'Merge again to write it so.'}
          </p>
        </>
      )}
      {inexact.length === 0 ? null : (
        <details className="advanced">
          <summary>
            <Icon name="chevron" /> Rounding of {inexact.length} weights, at most {percent(worst)} of a
            weight’s norm
          </summary>
          <div className="table-scroll">
            <table className="beside">
              <thead>
                <tr>
                  <th scope="col">weight</th>
                  <th scope="col">written</th>
                  <th scope="col">largest error</th>
                  <th scope="col">of the norm</th>
                </tr>
              </thead>
              <tbody>
                {inexact.map(({ name, how, maxError, relativeError }) => (
                  <tr key={name}>
                    <th scope="row">
                      <code>{name}</code>
                    </th>
                    <td>{HOW[how]}</td>
                    <td>{maxError.toExponential(1).replace('e', ' e')}</td>
                    <td>{percent(relativeError)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </details>
      )}
    </div>
  );
}
