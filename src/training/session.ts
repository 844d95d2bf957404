/**
 * One run from a request: opens model and data, compiles, trains under control of play, pause, step and stop, evaluates, looks inside,
 * merges. The page's worker and the command line both hold one; it knows neither.
 */
import { adaptGraph } from '../adapters/adaptGraph.ts';
import { chooseAdapter } from '../adapters/choose.ts';
import { validateConfig } from '../adapters/config.ts';
import { TRAINABLE } from '../adapters/inject.ts';
import { type Adapter, writeAdapter } from '../adapters/peft.ts';
import {
  type AdapterPlan,
  type BaseParameter,
  countPlan,
  initialValues,
  moduleTensors,
  savedParameters,
} from '../adapters/plan.ts';
import { methodById } from '../adapters/registry.ts';
import type { Dataset } from '../data/types.ts';
import type { Device } from '../gpu/device.ts';
import { PapilioError } from '../lib/errors.ts';
import type { LoadedModel } from '../models/load.ts';
import { mergeWeights } from '../models/merge.ts';
import { encodeModel } from '../onnx/encode.ts';
import { type BatchPlan, type FullBatch, planBatches } from './batchPlan.ts';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint, hashOf, requireSameRun } from './checkpoint.ts';
import { createEngine, type Engine, type MakeEngine, type Which } from './engine.ts';
import { inspectModule } from './inspect.ts';
import type { EvalMetric, Inspection, MergeReport, RunRequest, StepMetric } from './protocol.ts';
import { type OpenedModel, openData, openModel, type Surroundings, taskOf } from './source.ts';
import { toTorch } from './torchLayout.ts';

export interface SessionEvents {
  onBytes(done: number, total: number, what: string): void;
  onCompile(done: number, total: number): void;
  onStep(metric: StepMetric): void;
  onEval(metric: EvalMetric): void;
  /** The run stopped by itself: the end, or an error. */
  onEnd(error: PapilioError | null): void;
}

export interface Session {
  readonly opened: OpenedModel;
  readonly model: LoadedModel;
  readonly dataset: Dataset;
  readonly batches: BatchPlan;
  readonly plan: AdapterPlan;
  readonly engine: Engine;
  readonly warnings: readonly string[];
  readonly counts: { readonly stored: number; readonly free: number };
  /** The next update, and how many there are. */
  readonly position: () => { readonly step: number; readonly total: number };
  /** The curve so far; grows as the run does. */
  readonly history: { readonly steps: readonly StepMetric[]; readonly evals: EvalMetric[] };
  /** Runs until the end, an error, or {@link Session.pause}. Resolves when the last step has been heard of. */
  play(steps?: number): Promise<void>;
  pause(): Promise<void>;
  readonly isRunning: () => boolean;
  evaluate(which: Which): Promise<EvalMetric>;
  /** Logits of a batch, for comparisons and parity. */
  logits(which: Which, batch: FullBatch): Promise<Float32Array>;
  checkpoint(): Promise<Uint8Array>;
  inspect(module: string): Promise<Inspection>;
  adapter(): Promise<Adapter>;
  exportAdapter(): Promise<ReturnType<typeof writeAdapter>>;
  /** @throws PapilioError('non-finite') rather than write a weight that is not a number */
  merge(): Promise<MergeReport>;
  destroy(): void;
}

/** @param on the GPU, or what makes an engine that executes elsewhere */
export async function openSession(
  on: Device | MakeEngine,
  request: RunRequest,
  around: Surroundings,
  events: SessionEvents,
  options: { readonly checkpoint?: Uint8Array; readonly adapter?: Adapter } = {},
): Promise<Session> {
  const { training } = request;
  const method = methodById(request.method);
  const { config, warnings: configWarnings } = validateConfig(method, request.config);
  const first = await openModel(request.model, around, events.onBytes);
  const { dataset, bytes: dataBytes } = await openData(
    request.data,
    first,
    taskOf(first),
    training.seed,
    around,
  );
  const labels = dataset.kind === 'text' ? null : dataset.labels;
  const model = labels ? first.model.withClasses(labels, training.seed) : first.model;
  const opened = { ...first, model };
  const parameters: ReadonlyMap<string, BaseParameter> = new Map(model.parameters.map((p) => [p.name, p]));
  const { plan, warnings } = chooseAdapter(method, config, model.targets, model.parameters);
  const batches = planBatches(dataset, training, model.normalisation);

  const modelHash = await hashOf(opened.bytes);
  const dataHash = await hashOf(dataBytes);
  const resumed = options.checkpoint ? decodeCheckpoint(options.checkpoint) : null;
  if (resumed) requireSameRun(resumed, modelHash, dataHash);

  const initial = () => initialValues(plan, training.seed, parameters, options.adapter);
  const engineRequest = {
    build: model.build,
    plan,
    settings: training,
    totalSteps: batches.totalSteps,
    initial,
    onCompile: events.onCompile,
  };
  const engine = await (typeof on === 'function'
    ? on(engineRequest)
    : createEngine({ device: on, ...engineRequest }));
  for (const [name, data] of resumed?.states ?? []) engine.writeState(name, data);

  const steps: StepMetric[] = [...(resumed?.steps ?? [])];
  const evals: EvalMetric[] = [...(resumed?.evals ?? [])];
  const total = batches.totalSteps;
  const perExample = dataset.kind === 'image' ? 1 : training.sequenceLength;
  const examplesPerStep = training.batchSize * training.gradientAccumulation;
  let next = resumed?.step ?? 0;
  let seconds = resumed?.seconds ?? 0;
  let startedMs = 0;
  let running: Promise<void> | null = null;
  let stopping = false;
  let failure: PapilioError | null = null;

  engine.onResult(({ step, loss, gradNorm, learningRate }) => {
    if (failure) return;
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
      failure = new PapilioError(
        'non-finite',
        `The ${Number.isFinite(loss) ? 'gradient' : 'loss'} became infinite or not a number at step ${step + 1}: the weights are still those of step ${step}; lower the learning rate (${learningRate.toPrecision(2)} now) or clip at 1, and go on.`,
        { step },
      );
      return;
    }
    const metric: StepMetric = {
      step: step + 1,
      loss,
      learningRate,
      gradNorm,
      examples: (step + 1) * examplesPerStep,
      tokens: (step + 1) * examplesPerStep * perExample,
      seconds: seconds + (performance.now() - startedMs) / 1000,
    };
    steps.push(metric);
    events.onStep(metric);
  });

  const evaluate = async (which: Which): Promise<EvalMetric> => {
    let lossSum = 0;
    let valid = 0;
    let correct = 0;
    let examples = 0;
    const classify = dataset.kind !== 'text';
    for (const indices of batches.held(training.evalExamples)) {
      const batch = batches.load('held', indices);
      const { loss, logits } = await engine.evaluate(which, batch, classify);
      lossSum += loss;
      valid += batch.validLabels;
      examples += batch.count;
      if (logits) correct += countCorrect(logits, batch);
    }
    const mean = lossSum / Math.max(1, valid);
    return {
      step: next,
      metric: classify ? 'accuracy' : 'perplexity',
      value: classify ? correct / Math.max(1, examples) : Math.exp(mean),
      loss: mean,
      examples,
    };
  };

  const record = async (): Promise<void> => {
    const metric = await evaluate('adapted');
    evals.push(metric);
    events.onEval(metric);
  };

  const loop = async (until: number): Promise<void> => {
    startedMs = performance.now();
    try {
      while (next < until && !stopping && !failure) {
        await engine.train(next, batches.update(next));
        next++;
        const due = training.evalEvery > 0 && next % training.evalEvery === 0;
        if (due || next === total) {
          await engine.settle();
          if (failure) break;
          seconds += (performance.now() - startedMs) / 1000;
          await record();
          startedMs = performance.now();
        }
      }
      await engine.settle();
    } catch (error) {
      failure ??= error instanceof PapilioError ? error : new PapilioError('internal', String(error));
    }
    seconds += (performance.now() - startedMs) / 1000;
    running = null;
    if (failure) {
      // A skipped update did not happen: the run goes on from the last one that did.
      if (failure.kind === 'non-finite') next = steps.at(-1)?.step ?? 0;
      const error = failure;
      failure = null;
      events.onEnd(error);
      throw error;
    }
    if (next >= total) events.onEnd(null);
  };

  const packed = () => engine.readState(TRAINABLE);
  const adapter = async (): Promise<Adapter> => {
    const data = await packed();
    return { method, config, tensors: moduleTensors(plan, data), parameters: savedParameters(plan, data) };
  };

  return {
    opened,
    model,
    dataset,
    batches,
    plan,
    engine,
    warnings: [
      ...configWarnings,
      ...warnings,
      ...model.warnings,
      ...staysRandom(model !== first.model, model.head, plan),
    ],
    counts: countPlan(plan),
    position: () => ({ step: next, total }),
    history: { steps, evals },
    play(count = Number.POSITIVE_INFINITY) {
      if (running) return running;
      stopping = false;
      running = loop(Math.min(total, next + count));
      return running;
    },
    async pause() {
      stopping = true;
      await running?.catch(() => {});
    },
    isRunning: () => running !== null,
    evaluate,
    async logits(which, batch) {
      return (await engine.evaluate(which, batch, true)).logits!;
    },
    async checkpoint() {
      const states = new Map<string, Float32Array>();
      // Between two steps every state belongs to the same update.
      await engine.settle();
      const step = next;
      for (const name of engine.stateNames) states.set(name, await engine.readState(name));
      const checkpoint: Checkpoint = {
        step,
        settings: { method: request.method, config: request.config, training },
        modelHash,
        dataHash,
        steps,
        evals,
        seconds,
        states,
      };
      return encodeCheckpoint(checkpoint);
    },
    async inspect(module) {
      return inspectModule({ plan, parameters, initial, module, once: engine.once, packed: await packed() });
    },
    adapter,
    async exportAdapter() {
      return writeAdapter(toTorch(await adapter(), model.modules), chosenTargets(plan));
    },
    async merge() {
      const weights = new Map<string, Float32Array>();
      for (const group of plan.groups) {
        for (const layer of group.layers) {
          const outputs = await engine.once(adaptGraph(plan, parameters, initial, [layer.name]));
          for (const [name, data] of Object.entries(outputs)) weights.set(name, data);
        }
      }
      for (const [name, tensor] of savedParameters(plan, await packed())) {
        if (!weights.has(name)) weights.set(name, tensor.data);
      }
      const { onnx, changed } = mergeWeights(model.onnx, model.modules, weights);
      return { onnx: encodeModel(onnx), changedInitializers: changed };
    },
    destroy: () => engine.destroy(),
  };
}

/** A new head that nothing trains makes every answer a guess. */
function staysRandom(isNew: boolean, head: string | null, plan: AdapterPlan): string[] {
  const trains = plan.saved.some((p) => p.name === `${head}.weight`);
  return isNew && !trains
    ? [`It stays random: list ${head?.split('.').at(-1)} in modules_to_save so that it trains.`]
    : [];
}

/** What "all-linear" and null became, for the file; lists and expressions are written as they were given. */
function chosenTargets(plan: AdapterPlan): readonly string[] | undefined {
  const given = plan.config.target_modules ?? null;
  const isGiven = Array.isArray(given) || (typeof given === 'string' && given.toLowerCase() !== 'all-linear');
  return isGiven || plan.groups.length === 0
    ? undefined
    : plan.groups.flatMap((g) => g.layers.map((l) => l.name));
}

/** Rows whose largest logit is at their label. */
function countCorrect(logits: Float32Array, batch: FullBatch): number {
  const classes = logits.length / batch.labels.length;
  let correct = 0;
  for (let i = 0; i < batch.count; i++) {
    let best = 0;
    for (let k = 1; k < classes; k++) if (logits[i * classes + k]! > logits[i * classes + best]!) best = k;
    if (best === batch.labels[i]) correct++;
  }
  return correct;
}

/** Metrics as CSV, one row per update, evaluations in their own columns. */
export function metricsCsv(steps: readonly StepMetric[], evals: readonly EvalMetric[]): string {
  const byStep = new Map(evals.map((e) => [e.step, e]));
  const metric = evals[0]?.metric ?? 'eval';
  const rows = steps.map((s) => {
    const e = byStep.get(s.step);
    return [
      s.step,
      s.loss,
      s.learningRate,
      s.gradNorm,
      s.examples,
      s.tokens,
      s.seconds.toFixed(3),
      e?.loss ?? '',
      e?.value ?? '',
    ].join(',');
  });
  return [
    `step,loss,learning_rate,grad_norm,examples,tokens,seconds,eval_loss,eval_${metric}`,
    ...rows,
    '',
  ].join('\n');
}
