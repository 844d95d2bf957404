/** The curves in figures, at every evaluation. */
import { say } from '../../../common.ts';
import { metricText, real, scoreText, whole } from '../../format.ts';
import { Fold } from '../../parts/Controls.tsx';
import { Table } from '../../parts/Facts.tsx';
import { useRun, useSeries } from '../../usePage.ts';
import { pacesOf, unitOf } from './series.ts';

/** The curves in figures, for those who cannot or would not read the charts. */
export function CurveTable() {
  const current = useRun((s) => s.current);
  const unit = useRun((s) => unitOf(s.open));
  useSeries(current?.series ?? null);
  if (current === null || current.series.evals.length === 0) return null;
  const { evals } = current.series;
  const steps = current.series.column('step');
  const losses = current.series.column('loss');
  const rates = current.series.column('learningRate');
  const norms = current.series.column('gradNorm');
  const paces = pacesOf(current.series, unit);
  const text = (value: number | undefined) => (value === undefined ? '–' : real(value));
  return (
    <Fold summary={say`The curves as a table`}>
      <Table
        words={[say`At step`]}
        numbers={[
          say`Loss of the step`,
          say`Held-out loss`,
          say`Held-out ${metricText(evals[0]!.metric)}`,
          say`Learning rate`,
          say`Gradient norm`,
          unit === 'tokens' ? say`Tokens a second` : say`Examples a second`,
          '‖ΔW‖ / ‖W‖',
          '‖RᵀR − I‖',
        ]}
      >
        {evals.map((one) => {
          const at = steps.indexOf(one.step);
          return (
            <tr key={one.step}>
              <th scope="row">{whole(one.step)}</th>
              <td className="number">{text(losses[at])}</td>
              <td className="number">{real(one.loss)}</td>
              <td className="number">{scoreText(one)}</td>
              <td className="number">{text(rates[at])}</td>
              <td className="number">{text(norms[at])}</td>
              <td className="number">{text(paces[at])}</td>
              <td className="number">{text(one.others?.relativeChange)}</td>
              <td className="number">{text(one.others?.orthogonality)}</td>
            </tr>
          );
        })}
      </Table>
    </Fold>
  );
}
