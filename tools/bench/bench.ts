/**
 * `papilio bench`: speed and cost of a training step for every method, beside LoRA with as many parameters, and beside other libraries that make
 * the same LoRA step in the same run. A table, and JSON on request.
 */
import type { MethodId } from '../../src/adapters/registry.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import { engineOptions, openEngine, programOf, runtimeOf } from '../../src/cli/engine.ts';
import { command, type OptionTable, type Values } from '../../src/cli/options.ts';
import { withOut } from '../../src/cli/outFolder.ts';
import { openGpu, writeBytes } from '../../src/cli/runtime.ts';
import { print } from '../../src/cli/terminal.ts';
import { fail } from '../../src/lib/errors.ts';
import type { Backend } from '../../src/training/backend.ts';
import { openJax } from './jax.ts';
import { benchSubject } from './measure.ts';
import type { Peer } from './peers.ts';
import { CONTEXT, openSubject, type Sizes, SUBJECTS, type SubjectName } from './subjects.ts';
import { tableOf } from './table.ts';
import { openTfjs } from './tfjs.ts';
import { benchTorch } from './torch.ts';

/** Steps of which the median is taken. */
const STEPS = { hardware: 10, software: 3 } as const;

/** Options of every measurement; the sizes are of the graphs of GPT-2's shape that are made for it. */
export const measureOptions = {
  steps: {
    type: 'number',
    about: 'steps of which the median is taken',
    otherwise: `${STEPS.hardware}; ${STEPS.software} where there is no GPU`,
  },
  layers: {
    type: 'number',
    about: 'layers of the models that are made for this',
    otherwise: "the models' own",
  },
  batch: { type: 'number', about: 'examples of a batch of theirs', otherwise: 'what suits the device' },
  tokens: { type: 'number', about: `tokens of each, at most ${CONTEXT}`, otherwise: 'what suits the device' },
  out: { type: 'string', value: 'FILE', about: 'where all figures go, as JSON' },
} as const satisfies OptionTable;

type MeasureValues = Values<typeof measureOptions>;

const options = {
  only: {
    type: 'string',
    multiple: true,
    value: 'NAME',
    about: `one of ${SUBJECTS.join(', ')}`,
    otherwise: 'all',
  },
  methods: { type: 'string', value: 'a,b', about: 'methods with commas between them', otherwise: 'all' },
  ...measureOptions,
  peers: {
    type: 'string',
    value: 'a,b',
    default: 'jax,tfjs,torch',
    about:
      'who makes the same LoRA step in turns: jax (@jax-js/jax), tfjs (TensorFlow.js on WebGPU), torch (PyTorch + PEFT on the same GPU, where Python has them); none: nobody',
  },
  kernels: {
    type: 'boolean',
    about: 'times each kernel of a step by itself, and says how near it and the step are to the roofline',
  },
  json: { type: 'boolean', about: 'one line of figures instead of the table' },
  ...engineOptions,
  engine: { ...engineOptions.engine, default: 'webgpu' },
} as const satisfies OptionTable;

function wholeNumber(flag: string, n: number): number {
  return Number.isInteger(n) && n >= 1
    ? n
    : fail('bad-argument', `--${flag} takes a whole number above 0, not "${n}".`);
}

/** @throws PapilioError('bad-argument') */
export function sizesOf({ layers, batch, tokens }: MeasureValues): Sizes {
  if (tokens !== undefined && tokens > CONTEXT)
    fail(
      'bad-argument',
      `--tokens takes at most ${CONTEXT}, the positions that the models have, not ${tokens}.`,
    );
  return {
    ...(layers === undefined ? {} : { layers: wholeNumber('layers', layers) }),
    ...(batch === undefined ? {} : { batch: wholeNumber('batch', batch) }),
    ...(tokens === undefined ? {} : { tokens: wholeNumber('tokens', tokens) }),
  };
}

export const stepsOf = ({ steps }: MeasureValues, { info }: Backend): number =>
  wholeNumber('steps', steps ?? STEPS[info.isSoftware ? 'software' : 'hardware']);

/** Measures, once it is known that the figures can be kept where they are wanted. @param measure gives the exit code */
export const intoFile = ({ out }: MeasureValues, measure: () => Promise<number>): Promise<number> =>
  withOut(out === undefined ? [] : [{ path: out, isFile: true, overwrite: true }], measure);

/** The device, in words. */
export const wordsOf = ({ info: { vendor, architecture, description } }: Backend): string =>
  [...new Set([vendor, architecture, description])].filter(Boolean).join(', ');

/** The names given, checked against those there are; all of them when none is given. */
export function chosen<T extends string>(
  flag: string,
  given: readonly string[] | undefined,
  all: readonly T[],
): T[] {
  const unknown = given?.find((name) => !all.includes(name as T));
  if (unknown !== undefined) fail('bad-argument', `--${flag} takes ${all.join(', ')}, not "${unknown}".`);
  return all.filter((name) => !given || given.includes(name));
}

export const benchCommand = command(
  {
    name: 'bench',
    about:
      'Speed, dispatches, submits, memory and share of the roofline of a training step for every method, beside LoRA at the nearest parameter count and beside other libraries.',
    options,
  },
  bench,
);

type BenchValues = Values<typeof options>;

function bench(values: BenchValues): Promise<number> {
  return intoFile(values, () => benchInto(values));
}

async function benchInto(values: BenchValues): Promise<number> {
  const names = chosen<SubjectName>('only', values.only.length > 0 ? values.only : undefined, SUBJECTS);
  const methods = chosen<MethodId>('methods', values.methods?.split(','), Object.keys(METHODS) as MethodId[]);
  const sizes = sizesOf(values);
  const wanted = chosen('peers', values.peers === 'none' ? [] : values.peers.split(','), PEERS);

  const on = await openEngine(values);
  const { isSoftware } = on.info;
  const steps = stepsOf(values, on);
  const say = (line: string): void => {
    if (!values.json) print(`${line}\n`);
  };
  const date = new Date().toISOString();
  say(`${on.info.engine} in ${programOf(on)} on ${wordsOf(on)}${isSoftware ? ' (no GPU)' : ''}, ${date}`);
  say(`median of ${steps} steps, lanes that are compared taking turns`);
  if (isSoftware) say('without a GPU a lane is compared by the seconds of all processors that it took');
  const peers: Peer[] = [];
  if (wanted.includes('jax')) peers.push(await openJax(await openGpu()));
  if (wanted.includes('tfjs')) peers.push(await openTfjs(await openGpu()));

  const subjects = [];
  for (const name of names) {
    const subject = await openSubject(name, { caps: on.caps, software: isSoftware, ...sizes });
    say(`\n${subject.name}: ${subject.about}`);
    const result = await benchSubject({ on, kernels: values.kernels, peers, subject, methods, steps });
    for (const line of tableOf(result)) say(line);
    const torch = wanted.includes('torch') ? await benchTorch(subject, methods, steps) : null;
    if (torch) for (const line of torch.lines) say(line);
    subjects.push({ ...result, torch: torch?.result ?? null });
  }
  const report = {
    date,
    runtime: runtimeOf(on),
    adapter: { ...on.info, software: on.caps.software },
    steps,
    subjects,
  };
  if (values.out !== undefined) await writeBytes(values.out, `${JSON.stringify(report, null, 2)}\n`);
  if (values.json) print(`${JSON.stringify(report)}\n`);
  on.close();
  return 0;
}

const PEERS = ['jax', 'tfjs', 'torch'] as const;
