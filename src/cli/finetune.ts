/** `papilio finetune`: the whole loop without a page - open, train, evaluate, merge, check against onnxruntime, write. */
import { join } from 'node:path';
import process from 'node:process';
import { openSession as openOrt } from '../inference/session.ts';
import { fail } from '../lib/errors.ts';
import { median } from '../lib/statistics.ts';
import { metricsCsv } from '../training/evaluation.ts';
import { checkParity, paritySample } from '../training/parity.ts';
import type { RunRequest } from '../training/protocol.ts';
import { sessionProject } from '../training/python.ts';
import { openSession } from '../training/session.ts';
import { hubFolder } from '../training/sidecars.ts';
import { reportData } from '../training/source.ts';
import { DATA_NOTES, dataOptions } from './dataOptions.ts';
import { openExecutor } from './executor.ts';
import {
  budgetBytes,
  describeWritten,
  type FinetuneValues,
  options,
  trainingSettings,
} from './finetuneOptions.ts';
import { saveUnfinished, trainInParts } from './finetuneParts.ts';
import { describeForecast, forecastBefore, forecastOf, sideBySide } from './forecast.ts';
import { command } from './options.ts';
import { progressBar } from './progress.ts';
import { writeProject } from './python.ts';
import { readBytes, writeBytes } from './runtime.ts';
import { dataSource, modelSource, surroundings } from './sources.ts';
import { startFrom } from './startFrom.ts';

export const finetuneCommand = command(
  {
    name: 'finetune',
    about:
      'Trains an adapter, evaluates on held-out examples, merges it and checks the merged file against onnxruntime.',
    options,
    notes: DATA_NOTES,
  },
  finetune,
);

async function finetune(values: FinetuneValues): Promise<number> {
  const { model: modelWord, data: dataWord, out } = values;
  const start = await startFrom(values);
  const methodWord = start.method;
  const training = trainingSettings(values, methodWord);
  const budget = budgetBytes(values.budget);
  const request: RunRequest = {
    model: { ...(await modelSource(modelWord)), precision: values.precision },
    data: { ...(await dataSource(dataWord)), ...dataOptions(values) },
    ...start,
    training,
    ...(values.recompute ? { recompute: true } : {}),
    ...(budget === undefined ? {} : { budgetBytes: budget }),
  };
  const checkpoint = values.resume === undefined ? null : await readBytes(values.resume);
  const on = await openExecutor(values);
  const bar = progressBar('train');
  const say = (line: string): void => {
    if (!values.json) process.stdout.write(`${line}\n`);
  };
  if (values.forecast) {
    if (typeof on.engines === 'function') return fail('bad-argument', '--forecast needs --executor webgpu.');
    const report = await forecastOf(on.engines, request, budget);
    process.stdout.write(
      values.json ? `${JSON.stringify(report)}\n` : `${describeForecast(report).join('\n')}\n`,
    );
    on.close();
    return report.refusal === null ? 0 : 1;
  }
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
  const data = reportData(session.data, session.batches.options);
  for (const line of [...data.notes, ...session.warnings]) process.stderr.write(`${line}\n`);
  say(
    `${methodWord}${start.adapter === undefined && values.method === undefined ? ' (no --method given)' : ''}: ${session.counts.stored} trainable numbers (${session.counts.free} free), ${total} steps of ${training.batchSize * training.gradientAccumulation} at rate ${training.learningRate}`,
  );

  const forecast = typeof on.engines === 'function' ? null : await forecastBefore(on.engines, session.setup);
  const before = await session.evaluate('base');
  say(`before: held-out ${before.metric} ${before.value.toFixed(4)} on ${before.examples} examples`);
  const ended = await trainInParts(session, training.evalEvery);
  bar.end();
  if (ended.kind !== 'finished') {
    const run = {
      method: methodWord,
      model: modelWord,
      data: dataWord,
      dataOptions: request.data.options ?? {},
      config: request.config,
      training,
    };
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

  // Before merging, which needs programs of its own.
  const trainedPeak = session.engine.stats?.peakBytes ?? 0;
  const adapter = await session.exportAdapter();
  const merged = await session.merge(values.quantised);
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
    eval: {
      metric: after.metric,
      before: before.value,
      after: after.value,
      examples: after.examples,
      ...(after.others ? { others: { before: before.others, after: after.others } } : {}),
    },
    trainable: session.counts,
    secondsPerStep: gaps.length > 0 ? median(gaps) : (steps[0]?.seconds ?? 0),
    dispatchesPerStep: stats?.dispatchesPerStep ?? null,
    submitsPerStep: stats?.submitsPerStep ?? null,
    peakBytes: stats?.peakBytes ?? null,
    forecast,
    parity,
    adapter: { vendor: on.info.vendor, architecture: on.info.architecture },
    out,
  };
  const run = {
    ...result,
    dataOptions: request.data.options ?? {},
    config: request.config,
    training,
    dataset: data,
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
  if (values.python !== undefined) await writeProject(await sessionProject(session), values.python);
  say(`after:  held-out ${after.metric} ${after.value.toFixed(4)} on ${after.examples} examples`);
  say(
    `parity with onnxruntime: max|a−b| ${parity.maxAbs.toExponential(1)}, relative ${parity.maxRel.toExponential(1)}`,
  );
  if (forecast) say(sideBySide(forecast, { peakBytes: trainedPeak, secondsPerStep: result.secondsPerStep }));
  for (const line of describeWritten(merged.written)) say(line);
  say(`written to ${out}`);
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  session.destroy();
  on.close();
  return 0;
}
