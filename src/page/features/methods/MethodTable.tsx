/** The rows of a comparison so far, and how each column was got. */
import { METHODS } from '../../../adapters/registry.ts';
import { bytes, percent, real, whole } from '../../../app/format.ts';
import type { SweepView } from '../../../app/sweep.ts';
import { scoredOn } from '../../../training/outcome.ts';
import type { MethodRow } from '../../../training/protocol.ts';
import { settingsText } from '../../../training/sweepTable.ts';
import { Icon } from '../../parts/Icon.tsx';

const seconds = (value: number | null): string =>
  value === null ? '–' : value < 1 ? `${(value * 1000).toFixed(0)} ms` : `${value.toFixed(2)} s`;

/** The sentences of the trainer by the column they are about. */
const TITLES: Readonly<Record<string, string>> = {
  settings: 'Size',
  adapter: 'Adapter',
  stored: 'Stored',
  free: 'Free',
  before: 'Before',
  after: 'After',
  secondsPerStep: 'Step',
  peakBytes: 'Memory',
  dispatchesPerStep: 'Dispatches',
};

export function MethodTable({ view }: { readonly view: SweepView }) {
  const { rows, report, about } = view;
  const first = rows[0]!;
  const score = (row: MethodRow, value: number) => (row.metric === 'accuracy' ? percent(value) : real(value));
  return (
    <section className="block" aria-label="Methods compared">
      <div className="block-head">
        <h3>
          {about === null ? '' : `${about.model} on ${about.data}`}
          {report?.isWhole === false ? ', stopped early' : ''}
        </h3>
        <span className="hint">
          held-out {first.metric}, {scoredOn(first)}, {whole(first.steps)} steps
        </span>
      </div>
      <div className="table-scroll">
        <table className="runs">
          <thead>
            <tr>
              <th scope="col">Method</th>
              {['Adapter', 'Free', 'Before', 'After', 'Step', 'Memory', 'Dispatches'].map((title) => (
                <th key={title} scope="col" className="number">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.method}>
                <th scope="row">
                  {METHODS[row.method].title}
                  <span className="method-size">{settingsText(row)}</span>
                </th>
                <td className="number">{whole(row.adapter)}</td>
                <td className="number">{whole(row.trainable.free)}</td>
                <td className="number">{score(row, row.before)}</td>
                <td className="number">
                  <b>{score(row, row.after)}</b>
                </td>
                <td className="number">{seconds(row.secondsPerStep)}</td>
                <td className="number">{row.peakBytes === null ? '–' : bytes(row.peakBytes)}</td>
                <td className="number">
                  {row.dispatchesPerStep === null ? '–' : whole(row.dispatchesPerStep)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {report === null ? null : (
        <details className="advanced">
          <summary>
            <Icon name="chevron" /> How each number was got
          </summary>
          <dl className="facts provenance">
            {Object.entries(report.provenance).map(([column, words]) => (
              <div key={column}>
                <dt>{TITLES[column] ?? column}</dt>
                <dd>{words}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </section>
  );
}
