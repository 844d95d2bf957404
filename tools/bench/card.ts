/**
 * `papilio card`: all that is to be measured on a GPU, in one go: every kernel against its reference, then kernels and steps of GPT-2 small with each method,
 * the same in PyTorch + PEFT, and what was measured beside the times by a card's data sheet.
 */
import type { MethodId } from '../../src/adapters/registry.ts';
import { engineOptions, openEngine, programOf, runtimeOf } from '../../src/cli/engine.ts';
import { command, type OptionTable, type Values } from '../../src/cli/options.ts';
import { writeBytes } from '../../src/cli/runtime.ts';
import { print } from '../../src/cli/terminal.ts';
import { check } from '../verify/check.ts';
import { chosen, intoFile, measureOptions, sizesOf, stepsOf, wordsOf } from './bench.ts';
import { benchSubject, type MethodResult } from './measure.ts';
import { type Beside, besideSheet, type Card, cardOf, H100 } from './sheetTimes.ts';
import { CONTEXT, openSubject } from './subjects.ts';
import { aligned, tableOf } from './table.ts';
import { benchTorch, type TorchResult } from './torch.ts';

const METHODS = ['lora', 'boft', 'oft', 'fourierft'] as const satisfies readonly MethodId[];

const options = {
  methods: {
    type: 'string',
    value: 'a,b',
    default: METHODS.join(','),
    about: `of ${METHODS.join(', ')}`,
  },
  ops: { type: 'string', value: 'a,b', about: 'only these ops are checked', otherwise: 'all' },
  ...measureOptions,
  peak: {
    type: 'number',
    about:
      'what the card makes of f32 at most by its data sheet, in TFLOP/s; goes with --bandwidth, and the best product is held against it',
  },
  bandwidth: {
    type: 'number',
    about:
      'what its memory gives at most by its data sheet, in GB/s; goes with --peak: the times by the data sheet are then its own',
    otherwise: `the times are by the data sheet of an ${H100.name}`,
  },
  tune: engineOptions.tune,
} as const satisfies OptionTable;

export const cardCommand = command(
  {
    name: 'card',
    about:
      'All that is to be measured on a GPU, in one go: check, then kernels and steps of GPT-2 small with each method, PyTorch with PEFT, and what was measured beside the times by a data sheet.',
    options,
  },
  card,
);

type CardValues = Values<typeof options>;

function card(values: CardValues): Promise<number> {
  return intoFile(values, () => cardInto(values));
}

/** @returns the exit code: 1 when a check fails, since figures of wrong kernels say nothing */
async function cardInto(values: CardValues): Promise<number> {
  const say = (line: string): void => print(`${line}\n`);
  const methods = chosen('methods', values.methods.split(','), METHODS);
  const sizes = sizesOf(values);
  const card = cardOf(values.peak, values.bandwidth);
  say('1. Every kernel and gradient against its reference');
  const failed = await check({ ops: values.ops, json: false });
  if (failed !== 0) {
    say('Nothing is timed before every check passes.');
    return failed;
  }

  const { tune, peak } = values;
  const on = await openEngine({ engine: 'webgpu', 'engine-path': undefined, threads: undefined, tune });
  const { isSoftware } = on.info;
  const steps = stepsOf(values, on);
  const device = `${programOf(on)} on ${wordsOf(on)}${isSoftware ? ' (no GPU)' : ''}`;
  say(`\n2. Kernels and steps: ${device}, median of ${steps} steps`);
  const wanted = isSoftware ? sizes : { tokens: CONTEXT, ...sizes };
  const subject = await openSubject('gpt2', { caps: on.caps, software: isSoftware, ...wanted });
  say(`${subject.name}: ${subject.about}`);
  const result = await benchSubject({ on, kernels: true, peers: [], subject, methods, steps });
  for (const line of tableOf(result)) say(line);

  say('\n3. The same steps in PyTorch + PEFT');
  const torch = await benchTorch(subject, methods, steps);
  for (const line of torch.lines) say(line);

  say(`\n4. By the data sheet of ${card === H100 ? 'an ' : ''}${card.name}, and measured here`);
  const beside = besideSheet(result.methods, card);
  for (const line of linesOf(beside, card)) say(line);

  say('\n5. The aims');
  for (const line of aimsOf(result.methods, torch.result, peak)) say(line);
  if (values.out !== undefined) {
    const report = {
      ...{ date: new Date().toISOString(), runtime: runtimeOf(on), adapter: { ...on.info } },
      ...{ steps, subject: result, torch: torch.result, card, sheetTimes: beside },
    };
    await writeBytes(values.out, `${JSON.stringify(report, null, 2)}\n`);
  }
  on.close();
  return 0;
}

function linesOf(beside: readonly Beside[], { teraflops, gigabytesPerSecond }: Card): string[] {
  if (beside.length === 0) return ['Not timed: the device has no timestamps.'];
  const rows = beside.map(({ what, method, bySheet, measured }) => [
    ...[what, method, bySheet.toPrecision(3), measured.toPrecision(3)],
    `${(measured / bySheet).toFixed(2)} times`,
  ]);
  return [
    `At ${teraflops} TFLOP/s in products and ${gigabytesPerSecond} GB/s, if nothing stays in cache; of what is no product only its bytes are counted.`,
    ...aligned([['', 'method', 'by the data sheet, ms', 'measured, ms', 'measured over that'], ...rows]),
  ];
}

/** Each with its figure, or why there is none. */
function aimsOf(
  methods: readonly MethodResult[],
  torch: TorchResult | null,
  peakTeraflops: number | undefined,
): string[] {
  const lines = methods.flatMap(({ method, secondsPerStep }) => {
    const other = torch?.methods[method];
    if (!other) return [];
    const times = secondsPerStep / other.secondsPerStep;
    return [`${method}: ${times.toFixed(2)} times as long as PyTorch + PEFT (at most 1.5)`];
  });
  if (lines.length === 0) lines.push('beside PyTorch + PEFT: not measured');
  for (const { method, timesLora } of methods)
    if (timesLora !== null)
      lines.push(`${method}: ${timesLora.toFixed(2)} times the nearest LoRA (at most 1.10)`);
  const best = Math.max(0, ...methods.map(({ kernels }) => kernels?.peaks.workPerSecond ?? 0));
  const teraflops = (2 * best) / 1e12;
  const share =
    peakTeraflops === undefined
      ? '--peak says of how much'
      : `${Math.round((100 * teraflops) / peakTeraflops)} % of ${peakTeraflops} (at least 70 %)`;
  lines.push(
    best === 0
      ? 'the best product: not timed, the device has no timestamps'
      : `the best product: ${teraflops.toPrecision(3)} TFLOP/s, ${share}`,
  );
  return lines;
}
