/** The curve in figures, for those who cannot or would not read the chart. */
import { real, whole } from '../../../app/format.ts';
import { Icon } from '../../parts/Icon.tsx';
import { useRun } from '../../usePage.ts';
import { scoreText } from './Figures.tsx';
import { useSeries } from './useSeries.ts';

export function CurveTable() {
  const current = useRun((s) => s.current);
  useSeries(current?.series ?? null);
  if (current === null || current.series.evals.length === 0) return null;
  const { evals } = current.series;
  const steps = current.series.column('step');
  const losses = current.series.column('loss');
  const lossAt = (step: number) => losses[steps.indexOf(step)];
  return (
    <details className="advanced">
      <summary>
        <Icon name="chevron" /> As a table
      </summary>
      <div className="table-scroll">
        <table className="runs">
          <thead>
            <tr>
              <th scope="col">Step</th>
              <th scope="col" className="number">
                Loss of the step
              </th>
              <th scope="col" className="number">
                Held-out loss
              </th>
              <th scope="col" className="number">
                Held-out {evals[0]!.metric}
              </th>
            </tr>
          </thead>
          <tbody>
            {evals.map((one) => {
              const loss = lossAt(one.step);
              return (
                <tr key={one.step}>
                  <th scope="row">{whole(one.step)}</th>
                  <td className="number">{loss === undefined ? '–' : real(loss)}</td>
                  <td className="number">{real(one.loss)}</td>
                  <td className="number">{scoreText(one)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </details>
  );
}
