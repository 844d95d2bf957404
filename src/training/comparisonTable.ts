/** A comparison of methods as a table in Markdown, with how its numbers were got: the page saves it, the command line prints it. */
import { METHODS } from '../adapters/registry.ts';
import { inEnglish, listOf, say } from '../lib/say.ts';
import type { MethodComparisonReport, MethodRow } from './protocol.ts';
import { scoredOn } from './words.ts';

/**
 * How each column of a table was got, in words.
 *
 * @param ranOn what ran it: "NVIDIA …, deno 2.9.6"
 */
export function provenance(ranOn: string): Readonly<Record<string, string>> {
  return {
    settings: say`derived: the value of the size setting whose count is nearest to the budget, as the layers have it: where a method fits it to each layer, every value that came of it; everything else is the method’s start.`,
    adapter: say`derived from the shapes of the adapter’s tensors: what the budget was held against.`,
    stored: say`derived: the adapter’s numbers with the modules and biases that train beside it.`,
    free: say`derived: the same without numbers that have no effect.`,
    before: say`measured in this run on ${ranOn}, on held-out examples, without the adapter.`,
    after: say`measured in this run on ${ranOn}, on the same held-out examples, after the last step.`,
    own: say`measured in this run on ${ranOn}: the base model’s own task on its own held-out examples, before and after, with its own head unless that was trained; where it is not known, none.`,
    secondsPerStep: say`measured in this run on ${ranOn}: the median of the times between two steps.`,
    peakBytes: say`derived from the plan that ran: bytes of all buffers that it holds at once.`,
    dispatchesPerStep: say`counted in the program that ran.`,
  };
}

const COLUMNS = [
  'method',
  'settings',
  'learning rate',
  'adapter',
  'trainable stored / free',
  'before',
  'after',
  'own task, before → after',
  's/step',
  'peak MiB',
  'dispatches/step',
];

/** `oft_block_size 16 and 20`; nothing where the method has no size. */
export const settingsText = ({ settings }: MethodRow): string =>
  Object.entries(settings)
    .map(([field, values]) => `${field} ${listOf(values.map(String))}`)
    .join(', ');

/** The table with what it was got by beneath, in English. */
export const methodComparisonMarkdown = (report: MethodComparisonReport): string =>
  inEnglish(() => markdown(report));

function markdown({ rows, ranOn, isWhole }: MethodComparisonReport): string {
  const quality = ({ metric }: Pick<MethodRow, 'metric'>, value: number) =>
    metric === 'accuracy' ? `${(100 * value).toFixed(1)} %` : value.toPrecision(4);
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
      row.own
        ? `${quality(row.own.before, row.own.before.value)} → ${quality(row.own.after, row.own.after.value)}`
        : '–',
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
    ...Object.entries(provenance(ranOn)).map(([column, words]) => `- ${column}: ${words}`),
    ...(isWhole ? [] : ['', 'Stopped before the last method.']),
    '',
  ].join('\n');
}
