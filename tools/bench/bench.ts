/**
 * `papilio bench`: speed and cost of a training step for every method, beside LoRA with as many parameters and beside @jax-js/jax making
 * the same LoRA step in the same run. A table, and JSON on request.
 */
import type { MethodId } from '../../src/adapters/registry.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import { command, type OptionTable, type Values } from '../../src/cli/options.ts';
import { withOut } from '../../src/cli/outFolder.ts';
import { openGpu, runtimeName, writeBytes } from '../../src/cli/runtime.ts';
import { print } from '../../src/cli/terminal.ts';
import { openDevice } from '../../src/gpu/device.ts';
import { fail } from '../../src/lib/errors.ts';
import { benchSubject, tableOf } from './measure.ts';
import { openPeer } from './peer.ts';
import { openSubject, SUBJECTS, type SubjectName } from './subjects.ts';

const options = {
  only: {
    type: 'string',
    multiple: true,
    value: 'NAME',
    about: `one of ${SUBJECTS.join(', ')}`,
    otherwise: 'all',
  },
  methods: { type: 'string', value: 'a,b', about: 'methods with commas between them', otherwise: 'all' },
  steps: { type: 'number', default: 10, about: 'steps of which the median is taken' },
  layers: {
    type: 'number',
    about: 'layers of the models that are made for this',
    otherwise: "the models' own",
  },
  'no-peer': { type: 'boolean', about: 'leaves @jax-js/jax out' },
  out: { type: 'string', value: 'FILE', about: 'where all figures go, as JSON' },
  json: { type: 'boolean', about: 'one line of figures instead of the table' },
} as const satisfies OptionTable;

function wholeNumber(flag: string, n: number): number {
  return Number.isInteger(n) && n >= 1
    ? n
    : fail('bad-argument', `--${flag} takes a whole number above 0, not "${n}".`);
}

/** The names given, checked against those there are; all of them when none is given. */
function chosen<T extends string>(
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
      'Speed, dispatches, submits and memory of a training step for every method, beside LoRA at the nearest parameter count and beside @jax-js/jax.',
    options,
  },
  bench,
);

type BenchValues = Values<typeof options>;

function bench(values: BenchValues): Promise<number> {
  const { out: path } = values;
  return withOut(path === undefined ? [] : [{ path, isFile: true, overwrite: true }], () =>
    benchInto(values),
  );
}

async function benchInto(values: BenchValues): Promise<number> {
  const steps = wholeNumber('steps', values.steps);
  const names = chosen<SubjectName>('only', values.only.length > 0 ? values.only : undefined, SUBJECTS);
  const methods = chosen<MethodId>('methods', values.methods?.split(','), Object.keys(METHODS) as MethodId[]);
  const layers = values.layers === undefined ? {} : { layers: wholeNumber('layers', values.layers) };

  const gpu = await openGpu();
  const device = await openDevice(gpu);
  const { vendor, architecture, description } = device.info;
  const words = [vendor, architecture, description].filter(Boolean).join(', ');
  const software = device.caps.software;
  const peer = values['no-peer'] ? null : await openPeer(gpu);
  const say = (line: string): void => {
    if (!values.json) print(`${line}\n`);
  };
  const date = new Date().toISOString();
  say(`${runtimeName} on ${words}${software ? ' (a software adapter)' : ''}, ${date}`);
  say(`median of ${steps} steps, lanes that are compared taking turns`);

  const subjects = [];
  for (const name of names) {
    const subject = await openSubject(name, { caps: device.caps, software, ...layers });
    say(`\n${subject.name}: ${subject.about}`);
    const result = await benchSubject({ device, peer, subject, methods, steps });
    for (const line of tableOf(result)) say(line);
    subjects.push(result);
  }
  const report = { date, runtime: runtimeName, adapter: { ...device.info, software }, steps, subjects };
  if (values.out !== undefined) await writeBytes(values.out, `${JSON.stringify(report, null, 2)}\n`);
  if (values.json) print(`${JSON.stringify(report)}\n`);
  device.destroy();
  return 0;
}
