/**
 * `papilio record`: makes the run that the page shows before anybody has trained, with the first preset: curve, scores, the inside of a module and
 * answers, as one file under 100 kB. To be run again whenever the preset, the model or its data change, which test/unit/page-recorded.test.ts tells.
 */
import { createHash } from 'node:crypto';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { engineOptions, openEngine, runtimeOf } from '../src/cli/engine.ts';
import { command, type OptionTable, type Values } from '../src/cli/options.ts';
import { writeBytes } from '../src/cli/runtime.ts';
import { cliHost } from '../src/cli/sources.ts';
import { print, progressBar, wordsOf } from '../src/cli/terminal.ts';
import { fail } from '../src/lib/errors.ts';
import { greatest } from '../src/lib/numbers.ts';
import { RECORDED_PATH } from '../src/page/features/recorded/recorded.ts';
import type { RecordedFile } from '../src/page/features/recorded/recordedFile.ts';
import { PRESETS } from '../src/page/features/setup/presets.ts';
import { baseSettings } from '../src/page/features/setup/settings.ts';
import { MEASURED } from '../src/page/features/training/series.ts';
import type { Backend } from '../src/training/backend.ts';
import { beforeAfter } from '../src/training/beforeAfter.ts';
import type { BeforeAfter, Inspection, RunRequest, StepMetric } from '../src/training/protocol.ts';
import { reportData, reportModel } from '../src/training/reports.ts';
import { openSession, type Session, type SessionEvent } from '../src/training/session.ts';

const MOST_BYTES = 100_000;
/** Nearly as many as the page asks for; those that changed most are shown. */
const EXAMPLES = 28;

const { engine, 'engine-path': enginePath, threads } = engineOptions;
const options = {
  out: { type: 'string', value: 'DIR', default: 'public', about: `the folder that ${RECORDED_PATH} goes to` },
  steps: {
    type: 'number',
    about: "updates, to try the command; a recording of another number than the preset's is not shipped",
    otherwise: "the preset's",
  },
  ...{ engine, 'engine-path': enginePath, threads },
} as const satisfies OptionTable;

export const recordCommand = command(
  {
    name: 'record',
    about: 'Trains the first preset and records the run for the page, which shows it before the first press.',
    options,
  },
  record,
);

async function record(values: Values<typeof options>): Promise<number> {
  const preset = PRESETS[0]!;
  const own = baseSettings(preset.id);
  const training = { ...own.training, ...(values.steps === undefined ? {} : { steps: values.steps }) };
  const settings = { ...own, training };
  const request: RunRequest = {
    model: { kind: 'embedded', name: settings.model },
    data: { kind: 'embedded', name: settings.data },
    ...{ method: settings.method, config: settings.config, training: settings.training },
  };
  const on = await openEngine({ ...values, tune: undefined });
  const bar = progressBar(preset.id, { isQuiet: false });
  const heard = (event: SessionEvent): void => {
    if (event.type === 'step') bar.update(event.metric.step, settings.training.steps, wordsOf(event.metric));
  };
  const session = await openSession(on, request, cliHost, heard, { measuresAdapter: true });
  try {
    session.history.evals.push({ ...(await session.evaluate('base')), step: 0 });
    await session.play();
    bar.end();
    const file = await fileOf(session, on, settings);
    const text = `${JSON.stringify(file)}\n`;
    if (text.length > MOST_BYTES)
      fail('limit', `The recording has ${text.length} bytes, more than ${MOST_BYTES}.`);
    await writeBytes(join(values.out, RECORDED_PATH), text);
    const { evals } = session.history;
    print(
      `${RECORDED_PATH}: ${text.length} bytes; ${evals[0]!.value} before, ${evals.at(-1)!.value} after\n`,
    );
    return 0;
  } finally {
    await session.close();
    on.close();
  }
}

const coded = (data: ArrayBufferView): string =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');

async function fileOf(
  session: Session,
  on: Backend,
  settings: RecordedFile['settings'],
): Promise<RecordedFile> {
  const module = session.plan.groups[0]!.layers[0]!.name;
  const { step, value } = await session.atStep(async (one) => ({
    inspection: await one.inspect(module),
    comparison: await beforeAfter(one, { seed: 1, examples: EXAMPLES }),
  }));
  const { stats, tuning } = session.engine;
  return {
    version: 1,
    date: new Date().toISOString().slice(0, 10),
    runtime: runtimeOf(on),
    hardware: on.info.engine === 'webgpu' ? gpuOf(on) : cpus()[0]!.model.trim(),
    modelSha256: createHash('sha256').update(session.opened.bytes[0]!).digest('hex'),
    settings,
    open: {
      model: reportModel(session.opened),
      data: reportData(session.data, session.batches.options),
      device: on.info,
      counts: {
        trainable: session.counts,
        gpu: stats && {
          dispatchesPerStep: stats.dispatchesPerStep,
          bytes: stats.gpuBytes,
          peakBytes: stats.peakBytes,
        },
      },
      tuning,
      totalSteps: session.position().total,
      resumedAt: 0,
      warnings: session.warnings,
      warningsInEnglish: session.warnings,
    },
    curve: curveOf(session.history.steps),
    evals: session.history.evals,
    step,
    inspection: codedInspection(value.inspection),
    comparison: codedComparison(value.comparison),
  };
}

const gpuOf = ({ info }: Backend): string =>
  info.description || [info.vendor, info.architecture].filter(Boolean).join(' ') || 'a GPU without a name';

const curveOf = (steps: readonly StepMetric[]): RecordedFile['curve'] =>
  Object.fromEntries(
    MEASURED.map((name) => [name, coded(Float32Array.from(steps, (one) => one[name]))]),
  ) as unknown as RecordedFile['curve'];

function codedInspection({ module, rotation, factors, delta }: Inspection): RecordedFile['inspection'] {
  if (!rotation || !factors) return fail('internal', `${module} is not turned by factors.`);
  const { size, orthogonality, maxAngle } = rotation;
  const { rows, columns, relative } = delta;
  const largest = greatest(delta.data.map(Math.abs));
  return {
    ...{ module, size, orthogonality, maxAngle },
    factors: factors.map(({ data, angles }) => ({ data: coded(data), angles: coded(angles) })),
    delta: {
      ...{ rows, columns, relative, largest },
      codes: coded(Int8Array.from(delta.data, (entry) => Math.round((127 * entry) / largest))),
    },
  };
}

function codedComparison(comparison: BeforeAfter): RecordedFile['comparison'] {
  if (comparison.kind !== 'image') return fail('internal', `There are no pictures in a ${comparison.kind}.`);
  const { labels, examples } = comparison;
  const joined = (parts: readonly Float32Array[]): string =>
    coded(Float32Array.from(parts.flatMap((part) => [...part])));
  return {
    labels,
    width: examples[0]!.width,
    height: examples[0]!.height,
    truth: examples.map(({ label }) => label),
    pixels: coded(Uint8Array.from(examples.flatMap(({ pixels }) => [...pixels]))),
    before: joined(examples.map(({ before }) => before)),
    after: joined(examples.map(({ after }) => after)),
  };
}
