/** `papilio finetune`: the whole loop without a page - open, train, evaluate; finetuneResult.ts merges, checks and writes. */
import process from 'node:process';
import { fail } from '../lib/errors.ts';
import type { RunRequest } from '../training/protocol.ts';
import { openSession } from '../training/session.ts';
import { reportData } from '../training/source.ts';
import { DATA_NOTES, dataOptions } from './dataOptions.ts';
import { type Executor, openExecutor } from './executor.ts';
import { budgetBytes, type FinetuneValues, options, trainingSettings } from './finetuneOptions.ts';
import { saveUnfinished, trainInParts } from './finetuneParts.ts';
import { placesOf, roomForModel, roomForRun } from './finetunePlaces.ts';
import { finishRun, type RunOfCommand, scoreOf, settingsOf } from './finetuneResult.ts';
import { describeForecast, forecastBefore, forecastOf } from './forecast.ts';
import { command } from './options.ts';
import { type OutFolder, withOut } from './outFolder.ts';
import { progressBar, wordsOf } from './progress.ts';
import { readBytes } from './runtime.ts';
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
  if (values.forecast) {
    const request = await requestOf(values);
    return withExecutor(values, (on) => forecastOnly(values, request, on));
  }
  // What cannot be written is found out before an hour of training.
  return withOut(placesOf(values), async (places) => {
    const request = await requestOf(values);
    await roomForModel(request.model, places);
    const checkpoint = values.resume === undefined ? null : await readBytes(values.resume);
    return withExecutor(values, (on) => train(values, request, on, checkpoint, places));
  });
}

async function withExecutor(values: FinetuneValues, use: (on: Executor) => Promise<number>): Promise<number> {
  const on = await openExecutor(values);
  try {
    return await use(on);
  } finally {
    on.close();
  }
}

async function requestOf(values: FinetuneValues): Promise<RunRequest> {
  const start = await startFrom(values);
  const budget = budgetBytes(values.budget);
  return {
    model: { ...(await modelSource(values.model)), precision: values.precision },
    data: { ...(await dataSource(values.data)), ...dataOptions(values) },
    ...start,
    training: trainingSettings(values, start.method),
    ownRate: values.lr === undefined,
    ...(values.recompute ? { recompute: true } : {}),
    ...(budget === undefined ? {} : { budgetBytes: budget }),
  };
}

async function forecastOnly(values: FinetuneValues, request: RunRequest, on: Executor): Promise<number> {
  if (typeof on.engines === 'function') return fail('bad-argument', '--forecast needs --executor webgpu.');
  const report = await forecastOf(on.engines, request, request.budgetBytes);
  process.stdout.write(
    values.json ? `${JSON.stringify(report)}\n` : `${describeForecast(report).join('\n')}\n`,
  );
  return report.refusal === null ? 0 : 1;
}

async function train(
  values: FinetuneValues,
  request: RunRequest,
  on: Executor,
  checkpoint: Uint8Array | null,
  places: readonly OutFolder[],
): Promise<number> {
  const bar = progressBar('train', { isQuiet: values.json });
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
      onStep: (m) => bar.update(m.step, total, wordsOf(m)),
      onEval: (e) => bar.log(`step ${e.step}: held-out ${scoreOf(e)}`),
      onEnd: () => {},
    },
    checkpoint ? { checkpoint } : {},
  );
  const { total } = session.position();
  const { training } = session.setup;
  try {
    await roomForRun(session, places);
    const data = reportData(session.data, session.batches.options);
    for (const line of [...data.notes, ...session.warnings]) process.stderr.write(`${line}\n`);
    say(
      `${request.method}${request.adapter === undefined && values.method === undefined ? ' (no --method given)' : ''}: ${session.counts.stored} trainable numbers (${session.counts.free} free), ${total} steps of ${training.batchSize * training.gradientAccumulation} at rate ${training.learningRate}`,
    );
    const forecast =
      typeof on.engines === 'function' ? null : await forecastBefore(on.engines, session.setup);
    const before = await session.evaluate('base');
    say(`before: held-out ${scoreOf(before)}`);
    // A run that goes on from an adapter begins with it.
    const start =
      request.adapter && session.position().step === 0 ? await session.evaluate('adapted') : before;
    if (start !== before) say(`with the adapter as given: held-out ${scoreOf(start)}`);
    const ended = await trainInParts(session, training.evalEvery);
    bar.end();
    const run: RunOfCommand = { values, request, on, data, forecast, before, start };
    return ended.kind === 'finished'
      ? await finishRun(session, run, say)
      : await saveUnfinished(session, ended, values.out, {
          ...settingsOf(session, run),
          evaluations: [before, ...session.history.evals],
        });
  } finally {
    session.destroy();
  }
}
