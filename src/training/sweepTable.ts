/** A comparison of methods as a table in Markdown: the page saves it, the command line prints it. */
import { METHODS } from '../adapters/registry.ts';
import { scoredOn } from './outcome.ts';
import type { MethodRow, SweepReport } from './protocol.ts';

const COLUMNS = [
  'method',
  'settings',
  'learning rate',
  'adapter',
  'trainable stored / free',
  'before',
  'after',
  's/step',
  'peak MiB',
  'dispatches/step',
];

/** `oft_block_size 16 and 20`; nothing where the method has no size. */
export const settingsText = ({ settings }: MethodRow): string =>
  Object.entries(settings)
    .map(([field, values]) => `${field} ${values.join(' and ')}`)
    .join(', ');

/** The table with what it was got by beneath. */
export function sweepMarkdown({ rows, provenance, isWhole }: SweepReport): string {
  const quality = (row: MethodRow, value: number) =>
    row.metric === 'accuracy' ? `${(100 * value).toFixed(1)} %` : value.toPrecision(4);
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  const body = rows.map((row) =>
    line([
      METHODS[row.method].title,
      settingsText(row) || '–',
      row.learningRate,
      row.adapter,
      `${row.trainable.stored} / ${row.trainable.free}`,
      quality(row, row.before),
      quality(row, row.after),
      row.secondsPerStep?.toPrecision(3) ?? '–',
      row.peakBytes === null ? '–' : (row.peakBytes / 2 ** 20).toFixed(1),
      row.dispatchesPerStep ?? '–',
    ]),
  );
  const first = rows[0];
  return [
    ...(first
      ? [
          `Held-out ${first.metric} on ${scoredOn(first)}, ${first.steps} steps each, same seed and data order.`,
          '',
        ]
      : []),
    line(COLUMNS),
    line(COLUMNS.map(() => '---')),
    ...body,
    '',
    ...Object.entries(provenance).map(([column, words]) => `- ${column}: ${words}`),
    ...(isWhole ? [] : ['', 'Stopped before the last method.']),
    '',
  ].join('\n');
}
