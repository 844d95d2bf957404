/**
 * Several methods on one task at (nearly) equal trainable parameters: each is sized for the budget, trained in turn with the same seed, order of
 * examples and settings, and measured. Beside whatever run is open: it holds sessions of its own.
 */
import { METHODS, type MethodId } from '../adapters/registry.ts';
import { type Sized, sizeFor } from '../adapters/size.ts';
import { DEFAULT_METHOD, startPlaces } from '../adapters/start.ts';
import { PapilioError } from '../lib/errors.ts';
import { median } from '../lib/numbers.ts';
import type { Backend } from './backend.ts';
import { measureForgetting, trainedOf } from './forgetting.ts';
import type { Host } from './openModel.ts';
import type {
  EvalMetric,
  MethodComparisonEvent,
  MethodComparisonReport,
  MethodComparisonRequest,
  MethodRow,
} from './protocol.ts';
import { openSession } from './session.ts';
import { prepareTask } from './task.ts';

export interface MethodComparisonOptions {
  readonly on: Backend;
  /** What ran it, for the sentence on how a number was got: "NVIDIA …, deno 2.9.6". */
  readonly where: string;
  readonly host: Host;
  readonly signal: AbortSignal;
}

/** Results come some steps late and the last ones together, so that fewer times between them say nothing. */
const FEWEST_GAPS = 5;

/** The methods sized on the request's model, without a device. */
async function sizes(
  request: MethodComparisonRequest,
  host: Host,
): Promise<{ readonly method: MethodId; readonly sized: Sized | null; readonly reason: string | null }[]> {
  const { model, batches, data } = await prepareTask(request.model, request.data, request.training, host);
  const { totalSteps } = batches;
  // The same places for all: PEFT's tables differ between methods.
  const places = { ...model.targets, head: model.head, fresh: model.fresh };
  const where = startPlaces(METHODS[DEFAULT_METHOD], request.where, places, data.task).config;
  return request.methods.map((method) => {
    const found = sizeFor(METHODS[method], { ...where, bias: 'none' }, model.targets, request.budget, {
      totalSteps,
    });
    return 'reason' in found
      ? { method, sized: null, reason: found.reason }
      : { method, sized: found, reason: null };
  });
}

async function measure(
  request: MethodComparisonRequest,
  { on, host, signal }: MethodComparisonOptions,
  method: MethodId,
  sized: Sized,
  known: EvalMetric | null,
  onStep: (step: number, total: number) => void,
): Promise<{ readonly row: MethodRow; readonly before: EvalMetric }> {
  const learningRate = request.learningRates?.[method];
  let total = 0;
  const session = await openSession(
    on,
    {
      model: request.model,
      data: request.data,
      ...(request.tune === undefined ? {} : { tune: request.tune }),
      method,
      config: sized.config,
      // Evaluations between would be left out of the times, but not out of the wait.
      training: {
        ...request.training,
        ...(learningRate === undefined ? {} : { learningRate }),
        evalEvery: 0,
      },
      ownRate: learningRate === undefined,
    },
    host,
    (event) => {
      if (event.type === 'step') onStep(event.metric.step, total);
    },
  );
  const stop = () => void session.pause();
  try {
    total = session.position().total;
    // The base is the same for all: seed, data and head are.
    const before = known ?? (await session.evaluate('base'));
    signal.addEventListener('abort', stop);
    if (!signal.aborted) await session.play();
    signal.throwIfAborted();
    const after = session.history.evals.at(-1) ?? (await session.evaluate('adapted'));
    const own = await measureForgetting(await trainedOf(session), on, host);
    signal.throwIfAborted();
    const { steps } = session.history;
    const gaps = steps.slice(1).map((s, i) => s.seconds - steps[i]!.seconds);
    const { stats } = session.engine;
    const row: MethodRow = {
      method,
      settings: sized.used,
      config: sized.config,
      learningRate: session.setup.training.learningRate,
      adapter: sized.count.adapter,
      trainable: session.counts,
      metric: after.metric,
      before: before.value,
      after: after.value,
      examples: after.examples,
      ...(after.words === undefined ? {} : { words: after.words }),
      own,
      steps: steps.length,
      secondsPerStep: gaps.length >= FEWEST_GAPS ? median(gaps) : null,
      peakBytes: stats?.peakBytes ?? null,
      dispatchesPerStep: stats?.dispatchesPerStep ?? null,
    };
    return { row, before };
  } finally {
    signal.removeEventListener('abort', stop);
    await session.close();
  }
}

/**
 * Runs the comparison; an event for every start, step, finished row and method that cannot take part. Ends early, without an error, once
 * `signal` is aborted: its report has what was finished.
 * @throws PapilioError what ends all runs: a lost device, a model or data that cannot be opened
 */
export async function compareMethods(
  request: MethodComparisonRequest,
  options: MethodComparisonOptions,
  emit: (event: MethodComparisonEvent) => void,
): Promise<MethodComparisonReport> {
  const { signal } = options;
  const rows: MethodRow[] = [];
  let before: EvalMetric | null = null;
  for (const { method, sized, reason } of await sizes(request, options.host)) {
    if (signal.aborted) break;
    if (sized === null) {
      emit({ type: 'refused', method, reason: reason ?? '' });
      continue;
    }
    emit({ type: 'start', method, settings: sized.used, adapter: sized.count.adapter });
    try {
      const onStep = (step: number, total: number) => emit({ type: 'step', method, step, total });
      const done = await measure(request, options, method, sized, before, onStep);
      before = done.before;
      rows.push(done.row);
      emit({ type: 'row', row: done.row });
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof PapilioError) || error.kind === 'device-lost' || error.kind === 'internal')
        throw error;
      emit({ type: 'refused', method, reason: error.message });
    }
  }
  return { rows, ranOn: options.where, isWhole: !signal.aborted };
}
