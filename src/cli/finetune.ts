/** `papilio finetune`: the whole loop without a page - open, train, evaluate, merge, check against onnxruntime, write. */
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { methodById } from '../adapters/registry.ts';
import { openDevice } from '../gpu/device.ts';
import { openSession as openOrt } from '../inference/session.ts';
import { fail } from '../lib/errors.ts';
import { median } from '../lib/statistics.ts';
import { checkParity, paritySample } from '../training/parity.ts';
import type { RunRequest } from '../training/protocol.ts';
import { metricsCsv, openSession } from '../training/session.ts';
import { defaultsFor, type TrainingSettings, trainingSchema } from '../training/settings.ts';
import { progressBar } from './progress.ts';
import { openGpu, readText, runtimeName, writeBytes } from './runtime.ts';
import { dataSource, modelSource, surroundings } from './sources.ts';

const options = {
  model: { type: 'string' },
  data: { type: 'string' },
  method: { type: 'string' },
  config: { type: 'string' },
  steps: { type: 'string' },
  epochs: { type: 'string' },
  'batch-size': { type: 'string' },
  lr: { type: 'string' },
  seed: { type: 'string' },
  out: { type: 'string' },
  schedule: { type: 'string' },
  warmup: { type: 'string' },
  optimizer: { type: 'string' },
  'weight-decay': { type: 'string' },
  momentum: { type: 'string' },
  'max-grad-norm': { type: 'string' },
  accumulate: { type: 'string' },
  'sequence-length': { type: 'string' },
  'eval-every': { type: 'string' },
  'eval-examples': { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

type Values = Readonly<Record<string, string | boolean | undefined>>;

function required(values: Values, name: string): string {
  const value = values[name];
  return typeof value === 'string'
    ? value
    : fail('bad-argument', `finetune needs --${name}; see the README for an example.`);
}

/** Settings from flags over the method's defaults. */
function trainingSettings(values: Values, method: string): TrainingSettings {
  const flags: readonly (readonly [keyof TrainingSettings, string])[] = [
    ['steps', 'steps'],
    ['epochs', 'epochs'],
    ['batchSize', 'batch-size'],
    ['learningRate', 'lr'],
    ['seed', 'seed'],
    ['warmupSteps', 'warmup'],
    ['weightDecay', 'weight-decay'],
    ['momentum', 'momentum'],
    ['maxGradNorm', 'max-grad-norm'],
    ['gradientAccumulation', 'accumulate'],
    ['sequenceLength', 'sequence-length'],
    ['evalEvery', 'eval-every'],
    ['evalExamples', 'eval-examples'],
  ];
  const given: Record<string, unknown> = {};
  for (const [field, flag] of flags) {
    const word = values[flag];
    if (typeof word !== 'string') continue;
    const number = Number(word);
    if (word.trim() === '' || !Number.isFinite(number))
      fail('bad-argument', `--${flag} takes a number, not "${word}".`);
    given[field] = number;
  }
  if (typeof values.schedule === 'string') given.schedule = values.schedule;
  if (typeof values.optimizer === 'string') given.optimizer = values.optimizer;
  const parsed = trainingSchema.safeParse({ ...defaultsFor(methodById(method).id), ...given });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = String(issue.path[0]);
  const flag = flags.find(([f]) => f === field)?.[1] ?? field;
  return fail('bad-argument', `--${flag}: ${issue.message}.`);
}

async function adapterConfig(word: string | undefined): Promise<Record<string, unknown>> {
  if (word === undefined) return {};
  const text = word.trimStart().startsWith('{') ? word : await readText(word);
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    return fail(
      'bad-argument',
      `--config is no JSON (${(error as Error).message}); give an object such as {"target_modules": ["query"]}, or a file with one.`,
    );
  }
}

export async function finetuneCommand(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options });
  const [modelWord, dataWord, methodWord, out] = ['model', 'data', 'method', 'out'].map((n) =>
    required(values, n),
  ) as [string, string, string, string];
  const training = trainingSettings(values, methodWord);
  const request: RunRequest = {
    model: await modelSource(modelWord),
    data: await dataSource(dataWord),
    method: methodById(methodWord).id,
    config: await adapterConfig(values.config),
    training,
  };
  const device = await openDevice(await openGpu());
  const bar = progressBar('train');
  const say = (line: string): void => {
    if (!values.json) process.stdout.write(`${line}\n`);
  };
  const session = await openSession(device, request, surroundings, {
    onBytes: () => {},
    onCompile: () => {},
    onStep: (m) => bar.update(m.step, total, `loss ${m.loss.toFixed(4)}`),
    onEval: (e) =>
      bar.log(`step ${e.step}: held-out ${e.metric} ${e.value.toFixed(4)} on ${e.examples} examples`),
    onEnd: () => {},
  });
  const { total } = session.position();
  for (const warning of session.warnings) process.stderr.write(`${warning}\n`);
  say(
    `${session.counts.stored} trainable numbers (${session.counts.free} free), ${total} steps of ${training.batchSize * training.gradientAccumulation}`,
  );

  const before = await session.evaluate('base');
  say(`before: held-out ${before.metric} ${before.value.toFixed(4)} on ${before.examples} examples`);
  await session.play();
  bar.end();
  const after = session.history.evals.at(-1) ?? (await session.evaluate('adapted'));
  const { steps } = session.history;
  const curve = steps.map((s) => s.loss);
  const gaps = steps.slice(1).map((s, i) => s.seconds - steps[i]!.seconds);

  const adapter = await session.exportAdapter();
  const merged = await session.merge();
  const sample = await paritySample(session);
  const ort = await openOrt(merged.onnx, { providers: ['wasm'] });
  const parity = await checkParity(sample, ort);
  await ort.release();

  const stats = session.engine.stats;
  const result = {
    method: methodWord,
    model: modelWord,
    data: dataWord,
    seed: training.seed,
    steps: total,
    loss: { first: curve[0] ?? null, last: curve.at(-1) ?? null, curve },
    eval: { metric: after.metric, before: before.value, after: after.value, examples: after.examples },
    trainable: session.counts,
    secondsPerStep: gaps.length > 0 ? median(gaps) : (steps[0]?.seconds ?? 0),
    dispatchesPerStep: stats.dispatchesPerStep,
    submitsPerStep: stats.submitsPerStep,
    peakBytes: session.engine.peakBytes,
    parity,
    adapter: { vendor: device.info.vendor, architecture: device.info.architecture },
    out,
  };
  const run = {
    ...result,
    config: request.config,
    training,
    evaluations: session.history.evals,
    changedInitializers: merged.changedInitializers,
    warnings: [...session.warnings, ...adapter.warnings],
    runtime: runtimeName,
    device: device.info,
    date: new Date().toISOString(),
  };
  await writeBytes(join(out, 'adapter_config.json'), adapter['adapter_config.json']);
  await writeBytes(join(out, 'adapter_model.safetensors'), adapter['adapter_model.safetensors']);
  await writeBytes(join(out, 'model.onnx'), merged.onnx);
  await writeBytes(join(out, 'metrics.csv'), metricsCsv(steps, session.history.evals));
  await writeBytes(join(out, 'run.json'), `${JSON.stringify(run, null, 2)}\n`);
  for (const file of session.opened.sidecars) await writeBytes(join(out, file.name), file.bytes);
  for (const warning of adapter.warnings) process.stderr.write(`${warning}\n`);
  say(`after:  held-out ${after.metric} ${after.value.toFixed(4)} on ${after.examples} examples`);
  say(
    `parity with onnxruntime: max|a−b| ${parity.maxAbs.toExponential(1)}, relative ${parity.maxRel.toExponential(1)}`,
  );
  say(`written to ${out}`);
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  session.destroy();
  device.destroy();
  return 0;
}
