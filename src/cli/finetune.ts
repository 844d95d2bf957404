/** `papilio finetune`: the whole loop without a page - open, train, evaluate, merge, check against onnxruntime, write. */
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { methodById } from '../adapters/registry.ts';
import { type Device, type DeviceInfo, openDevice } from '../gpu/device.ts';
import { openSession as openOrt } from '../inference/session.ts';
import { fail } from '../lib/errors.ts';
import { median } from '../lib/statistics.ts';
import type { MakeEngine } from '../training/engine.ts';
import { metricsCsv } from '../training/evaluation.ts';
import { checkParity, paritySample } from '../training/parity.ts';
import type { RunRequest } from '../training/protocol.ts';
import { sessionProject } from '../training/python.ts';
import { openSession } from '../training/session.ts';
import { hubFolder } from '../training/sidecars.ts';
import {
  adapterConfig,
  describeWritten,
  options,
  precisionOf,
  quantisedOf,
  required,
  trainingSettings,
  type Values,
} from './finetuneOptions.ts';
import { saveUnfinished, trainInParts } from './finetuneParts.ts';
import { ortEngines } from './pretrain/ortEngine.ts';
import { loadOrtRuntime } from './pretrain/ortRuntime.ts';
import { progressBar } from './progress.ts';
import { writeProject } from './python.ts';
import { openGpu, readBytes, runtimeName, writeBytes } from './runtime.ts';
import { dataSource, modelSource, surroundings } from './sources.ts';

export async function finetuneCommand(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options });
  const [modelWord, dataWord, methodWord, out] = ['model', 'data', 'method', 'out'].map((n) =>
    required(values, n),
  ) as [string, string, string, string];
  const training = trainingSettings(values, methodWord);
  const request: RunRequest = {
    model: { ...(await modelSource(modelWord)), precision: precisionOf(values.precision) },
    data: await dataSource(dataWord),
    method: methodById(methodWord).id,
    config: await adapterConfig(values.config),
    training,
  };
  const checkpoint = values.resume === undefined ? null : await readBytes(values.resume);
  const on = await openExecutor(values);
  const bar = progressBar('train');
  const say = (line: string): void => {
    if (!values.json) process.stdout.write(`${line}\n`);
  };
  const session = await openSession(
    on.engines,
    request,
    surroundings,
    {
      onBytes: () => {},
      onCompile: () => {},
      onStep: (m) => bar.update(m.step, total, `loss ${m.loss.toFixed(4)}`),
      onEval: (e) =>
        bar.log(`step ${e.step}: held-out ${e.metric} ${e.value.toFixed(4)} on ${e.examples} examples`),
      onEnd: () => {},
    },
    checkpoint ? { checkpoint } : {},
  );
  const { total } = session.position();
  for (const warning of session.warnings) process.stderr.write(`${warning}\n`);
  say(
    `${session.counts.stored} trainable numbers (${session.counts.free} free), ${total} steps of ${training.batchSize * training.gradientAccumulation}`,
  );

  const before = await session.evaluate('base');
  say(`before: held-out ${before.metric} ${before.value.toFixed(4)} on ${before.examples} examples`);
  const ended = await trainInParts(session, training.evalEvery);
  bar.end();
  if (ended.kind !== 'finished') {
    const run = { method: methodWord, model: modelWord, data: dataWord, config: request.config, training };
    return saveUnfinished(session, ended, out, {
      ...run,
      evaluations: [before, ...session.history.evals],
      runtime: on.runtime,
      device: on.info,
      date: new Date().toISOString(),
    }).finally(() => {
      session.destroy();
      on.close();
    });
  }
  const after = session.history.evals.at(-1) ?? (await session.evaluate('adapted'));
  const { steps } = session.history;
  const curve = steps.map((s) => s.loss);
  const gaps = steps.slice(1).map((s, i) => s.seconds - steps[i]!.seconds);

  const adapter = await session.exportAdapter();
  const merged = await session.merge(quantisedOf(values.quantised));
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
    dispatchesPerStep: stats?.dispatchesPerStep ?? null,
    submitsPerStep: stats?.submitsPerStep ?? null,
    peakBytes: stats?.peakBytes ?? null,
    parity,
    adapter: { vendor: on.info.vendor, architecture: on.info.architecture },
    out,
  };
  const run = {
    ...result,
    config: request.config,
    training,
    evaluations: session.history.evals,
    changedInitializers: merged.changedInitializers,
    written: merged.written,
    warnings: [...session.warnings, ...adapter.warnings],
    runtime: on.runtime,
    device: on.info,
    date: new Date().toISOString(),
  };
  await writeBytes(join(out, 'adapter_config.json'), adapter['adapter_config.json']);
  await writeBytes(join(out, 'adapter_model.safetensors'), adapter['adapter_model.safetensors']);
  await writeBytes(join(out, 'model.onnx'), merged.onnx);
  await writeBytes(join(out, 'metrics.csv'), metricsCsv(steps, session.history.evals));
  await writeBytes(join(out, 'run.json'), `${JSON.stringify(run, null, 2)}\n`);
  for (const file of merged.sidecars) await writeBytes(join(out, file.name), file.bytes);
  if (values.folder !== undefined) {
    for (const file of hubFolder(merged.onnx, merged.sidecars))
      await writeBytes(join(values.folder, file.name), file.bytes);
  }
  for (const warning of adapter.warnings) process.stderr.write(`${warning}\n`);
  if (values.python !== undefined) await writeProject(await sessionProject(session, training), values.python);
  say(`after:  held-out ${after.metric} ${after.value.toFixed(4)} on ${after.examples} examples`);
  say(
    `parity with onnxruntime: max|a−b| ${parity.maxAbs.toExponential(1)}, relative ${parity.maxRel.toExponential(1)}`,
  );
  for (const line of describeWritten(merged.written)) say(line);
  say(`written to ${out}`);
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  session.destroy();
  on.close();
  return 0;
}

interface Executor {
  readonly engines: Device | MakeEngine;
  readonly info: DeviceInfo;
  readonly runtime: string;
  close(): void;
}

/** The GPU, or onnxruntime's native CPU build for machines whose WebGPU is software. */
async function openExecutor(values: Values): Promise<Executor> {
  if (values.executor === 'onnxruntime') {
    const folder = values['executor-path'];
    const ort = loadOrtRuntime(
      typeof folder === 'string' ? folder : undefined,
      values.threads === undefined ? undefined : Number(values.threads),
    );
    const info = { vendor: 'cpu', architecture: ort.cpu, description: `${ort.threads} threads` };
    return { engines: ortEngines(ort), info, runtime: `${ort.name} ${ort.version}`, close: () => {} };
  }
  if (values.executor !== 'webgpu')
    return fail('bad-argument', `--executor must be webgpu or onnxruntime, not "${values.executor}".`);
  const device = await openDevice(await openGpu());
  return { engines: device, info: device.info, runtime: runtimeName, close: () => device.destroy() };
}
