/**
 * What a run will take, before anything is uploaded: bytes from the plans that the run itself would compile, seconds from parts of a step that
 * are timed (`stepTime.ts`). WebGPU does not say how much memory a device has; the caller does.
 */
import { TRAINABLE } from '../adapters/inject.ts';
import { type AdapterPlan, planAdapter } from '../adapters/plan.ts';
import { programBytes } from '../gpu/compile.ts';
import { ringBytes } from '../gpu/readback.ts';
import { createBuilder } from '../graph/builder.ts';
import type { Plan } from '../graph/plan.ts';
import { schedule } from '../graph/schedule.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Caps, Graph, Value } from '../graph/types.ts';
import { fail, PapilioError } from '../lib/errors.ts';
import { fixed, say } from '../lib/say.ts';
import type { Precision } from '../models/import/emit.ts';
import { type MemoryOverhead, NO_OVERHEAD } from '../onnxruntime/runtime.ts';
import { storedParameter, widening } from '../ops/fuse/stored.ts';
import { fuse } from '../ops/fuse.ts';
import type { Backend } from './backend.ts';
import { type EngineRequest, RING_SLOTS } from './engine.ts';
import type { Host } from './openModel.ts';
import type { EngineName, Forecast, ForecastReport, RunRequest, WayToFit } from './protocol.ts';
import { type RunSetup, setUpRun } from './setup.ts';
import {
  type BaseGraph,
  evaluationGraph,
  lossAndGradients,
  names,
  recomputed,
  trainingGraph,
  updateGraph,
} from './stepGraph.ts';
import type { StepGraphs, StepTimer } from './stepTime.ts';
import { lossOf } from './task.ts';

export interface ForecastLimits {
  readonly engine: EngineName;
  readonly caps: Caps;
  readonly maxBufferBytes: number;
  /** Memory that the run may take; absent: whatever the device gives. */
  readonly budgetBytes?: number | undefined;
  /** Of what computes, beyond its plans. */
  readonly overhead?: MemoryOverhead | undefined;
}

export const limitsOf = (
  {
    info,
    caps,
    maxBufferBytes,
    memoryBytes,
    overhead,
  }: Pick<Backend, 'info' | 'caps' | 'maxBufferBytes' | 'memoryBytes'> & Partial<Pick<Backend, 'overhead'>>,
  budgetBytes: number | undefined = memoryBytes ?? undefined,
): ForecastLimits => ({ engine: info.engine, caps, maxBufferBytes, budgetBytes, overhead });

export type ForecastRequest = Pick<
  EngineRequest,
  'build' | 'plan' | 'settings' | 'sequence' | 'recompute'
> & {
  /** Classifiers are scored by their logits, which are then read as a whole. */
  readonly readsLogits: boolean;
};

/** The buffers that parameters and states get are made of whole vec4s. */
const storedBytes = (bytes: number): number => Math.max(16, Math.ceil(bytes / 16) * 16);

/** The plans of a run: a step, the update of accumulated gradients, evaluation of base and adapted model. */
function plansOf(
  request: ForecastRequest,
  { engine, caps }: ForecastLimits,
): { plans: Plan[]; rings: number; steps: Plan[] } {
  const { plan, settings, sequence = settings.sequenceLength, readsLogits } = request;
  const base = request.build(settings.batchSize, sequence);
  // Contents do not matter to a plan.
  const empty = () => new Float32Array(plan.size);
  const planned = (graph: Graph): Plan => schedule(fuse(graph, caps), caps);
  const whole = trainingGraph(base, plan, settings, empty);
  // onnxruntime keeps what it computed.
  const again = request.recompute && engine === 'webgpu';
  const step = planned((again ? recomputed(whole, caps) : whole).graph);
  const accumulates = settings.gradientAccumulation > 1;
  const update = accumulates ? planned(updateGraph(plan, settings, empty).graph) : null;
  const evaluated = (adapter: AdapterPlan | null): Plan =>
    planned(evaluationGraph(base, adapter, empty, readsLogits));
  const collected = (at: Plan, outputs: readonly string[]): number =>
    ringBytes(
      outputs.map((name) => at.outputs[name]!.type),
      RING_SLOTS,
    );
  const rings =
    collected(step, accumulates ? [names.loss] : [names.loss, names.normSquared]) +
    (update ? collected(update, [names.normSquared]) : 0);
  return {
    plans: [step, ...(update ? [update] : []), evaluated(null), evaluated(plan)],
    steps: [step, ...(update ? [update] : [])],
    rings,
  };
}

/** Bytes of the base's parameters that onnxruntime gets wider than they are stored, by name: as 32-bit numbers. */
function widened(base: BaseGraph): ReadonlyMap<string, number> {
  const { nodes } = evaluationGraph(base, null, () => new Float32Array(), false);
  return new Map(
    nodes.flatMap(({ outputs: [y] }) => {
      const from = y && widening(y) ? storedParameter(y) : null;
      return from ? [[from.name, 4 * sizeOf(y!.shape)] as const] : [];
    }),
  );
}

/** What the frozen weights take; null where the model cannot be planned. */
function weightBytes(request: ForecastRequest, { engine, caps }: ForecastLimits): number | null {
  const { settings, sequence = settings.sequenceLength } = request;
  try {
    const base = request.build(settings.batchSize, sequence);
    const { buffers } = schedule(
      evaluationGraph(base, null, () => new Float32Array(), false),
      caps,
    );
    const wide = engine === 'onnxruntime' ? widened(base) : null;
    const once = new Map(
      buffers.flatMap(({ persistent: v, bytes }) =>
        v?.role === 'parameter' ? [[storageOf(v), storedBytes(wide?.get(v.name) ?? bytes)] as const] : [],
      ),
    );
    return [...once.values()].reduce((n, bytes) => n + bytes, 0);
  } catch (error) {
    if (error instanceof PapilioError) return null;
    throw error;
  }
}

/** What a persistent value lies in: parameters of one source share a buffer. */
const storageOf = (v: Value): unknown => (v.role === 'parameter' ? (v.source ?? v.name) : v.name);

/** @throws PapilioError other than 'limit', as building and planning the run would */
export function forecastRun(
  request: ForecastRequest,
  limits: ForecastLimits,
): Omit<Forecast, 'secondsPerStep'> {
  let made: ReturnType<typeof plansOf>;
  try {
    made = plansOf(request, limits);
  } catch (error) {
    if (!(error instanceof PapilioError) || error.kind !== 'limit') throw error;
    const bytes = { weights: 0, adapter: 0, optimiser: 0, activations: 0, other: 0, peak: Number.NaN };
    const largest = { bytes: Number(error.details.bytes ?? 0), label: String(error.details.node ?? '') };
    return { bytes, dispatchesPerStep: null, largest, refusal: error.message };
  }
  const { plans, rings, steps } = made;
  const { settings, sequence = settings.sequenceLength } = request;
  const wide = limits.engine === 'onnxruntime' ? widened(request.build(settings.batchSize, sequence)) : null;
  const shared = new Map<string, { value: Value; bytes: number }>();
  // Frozen weights that the file stores once lie in memory once.
  const storage = new Set<unknown>();
  let largest = { bytes: 0, label: '' };
  for (const { buffers } of plans) {
    for (const { persistent: value, bytes, label } of buffers) {
      if (bytes > largest.bytes) largest = { bytes, label };
      if (value?.role !== 'parameter' && value?.role !== 'state') continue;
      const key = `${value.role} ${value.name}`;
      if (shared.has(key)) continue;
      const isAgain = storage.has(storageOf(value));
      storage.add(storageOf(value));
      shared.set(key, { value, bytes: isAgain ? 0 : storedBytes(wide?.get(value.name) ?? bytes) });
    }
  }
  const sum = (of: (value: Value) => boolean): number =>
    [...shared.values()].reduce((n, s) => (of(s.value) ? n + s.bytes : n), 0);
  // onnxruntime holds them in each of its graphs.
  const copies = limits.engine === 'onnxruntime' ? plans.length : 1;
  const weights = copies * sum((v) => v.role === 'parameter');
  const adapter = sum((v) => v.role === 'state' && v.name === TRAINABLE);
  const optimiser = sum((v) => v.role === 'state') - adapter;
  const { bytes: itself, temporaries } = limits.overhead ?? NO_OVERHEAD;
  const planned = plans.reduce((n, p) => n + p.temporaryBytes, 0);
  const activations = Math.ceil(temporaries * planned);
  const own = plans.reduce((n, p) => n + programBytes(p), 0);
  const other = own - planned + rings + itself;
  const peak = weights + adapter + optimiser + activations + other;

  const { gradientAccumulation: micro } = settings;
  const perStep = (of: (p: Plan) => number): number => of(steps[0]!) * micro + (steps[1] ? of(steps[1]) : 0);
  const dispatchesPerStep = perStep((p) => p.steps.filter((s) => s.kind === 'dispatch').length);
  return {
    bytes: { weights, adapter, optimiser, activations, other, peak },
    dispatchesPerStep: limits.engine === 'webgpu' ? dispatchesPerStep : null,
    largest,
    refusal: refusalOf(peak, largest, limits),
  };
}

export const mebibytes = (bytes: number): string => `${fixed(bytes / 2 ** 20, bytes < 2 ** 24 ? 1 : 0)} MiB`;

function refusalOf(peak: number, largest: Forecast['largest'], limits: ForecastLimits): string | null {
  if (largest.bytes > limits.maxBufferBytes)
    return say`${largest.label} needs a buffer of ${mebibytes(largest.bytes)}, but this device allows ${mebibytes(limits.maxBufferBytes)}.`;
  if (limits.budgetBytes !== undefined && peak > limits.budgetBytes)
    return limits.engine === 'webgpu'
      ? say`The run needs ${mebibytes(peak)} on the GPU, more than the ${mebibytes(limits.budgetBytes)} it may take.`
      : say`The run needs ${mebibytes(peak)} of memory, more than the ${mebibytes(limits.budgetBytes)} it may take.`;
  return null;
}

// The forecast of a run, with the three cheapest ways to make it fit, each planned like the run itself.

const WAYS = 3;
const SHORTEST = 16;

/** What is planned otherwise than asked for. */
type Change = WayToFit['change'];

export async function forecastReport(
  request: RunRequest,
  host: Host,
  limits: ForecastLimits,
  timer: StepTimer | null,
): Promise<ForecastReport> {
  const setup = await setUpRun(request, host);
  const forecast = await forecastSetup(setup, limits, timer);
  const weights = (precision: Precision): number | null => weightBytes(changed(setup, { precision }), limits);
  return {
    ...forecast,
    engine: limits.engine,
    limitBytes: limits.budgetBytes ?? null,
    bufferLimitBytes: limits.maxBufferBytes,
    weightBytes: { file: weights('file'), f16: weights('f16'), q4: weights('q4') },
    ways: forecast.refusal === null ? [] : waysToFit(setup, limits),
  };
}

/** The forecast of a run that is set up already. */
export async function forecastSetup(
  setup: RunSetup,
  limits: ForecastLimits,
  timer: StepTimer | null,
): Promise<Forecast> {
  const request = changed(setup, {});
  const forecast = forecastRun(request, limits);
  // What does not fit is not timed.
  const seconds = timer && forecast.refusal === null ? await timer(stepToTime(request, setup, limits)) : null;
  return { ...forecast, secondsPerStep: seconds };
}

/** The graphs of a step as its engine runs them. */
function stepToTime(
  { build, plan, settings, sequence = settings.sequenceLength, recompute }: ForecastRequest,
  { dataset }: RunSetup,
  { engine, caps }: ForecastLimits,
): StepGraphs {
  const { batchSize: batch, gradientAccumulation: micro } = settings;
  const empty = () => new Float32Array(plan.size);
  const at: StepGraphs['at'] = (rows, length) => {
    const base = build(rows, length);
    if (engine === 'onnxruntime') {
      const g = createBuilder();
      const { loss, gradients } = lossAndGradients(g, base, plan, micro, empty);
      return [{ graph: g.finish({ loss, gradients }), times: micro }];
    }
    const whole = trainingGraph(base, plan, settings, empty);
    const step = { graph: fuse((recompute ? recomputed(whole, caps) : whole).graph, caps), times: micro };
    return micro === 1
      ? [step]
      : [step, { graph: fuse(updateGraph(plan, settings, empty).graph, caps), times: 1 }];
  };
  return { batch, sequence, hasSequence: dataset.kind !== 'image', at };
}

function changed(setup: RunSetup, change: Change): ForecastRequest {
  const { engine, dataset } = setup;
  const model = change.precision ? setup.model.at(change.precision) : setup.model;
  const settings = {
    ...engine.settings,
    ...(change.batchSize === undefined ? {} : { batchSize: change.batchSize }),
    ...(change.gradientAccumulation === undefined
      ? {}
      : { gradientAccumulation: change.gradientAccumulation }),
  };
  const sequence = Math.min(
    engine.sequence ?? settings.sequenceLength,
    change.sequenceLength ?? Number.POSITIVE_INFINITY,
  );
  return {
    build: (batch, length) => ({ ...model.build(batch, length), loss: lossOf(dataset) }),
    plan: change.modules ? planOf(setup.plan, change.modules, setup) : setup.plan,
    settings,
    sequence,
    recompute: change.recompute ?? engine.recompute,
    readsLogits: dataset.kind !== 'text',
  };
}

/**
 * Whether a run has to compute activations again to stay within its memory; the numbers stay the same.
 * @throws PapilioError('limit') when it does not fit even so
 */
export function mustRecompute(setup: RunSetup, limits: ForecastLimits): boolean {
  if (setup.engine.recompute || forecastRun(changed(setup, {}), limits).refusal === null) return false;
  const { refusal } = forecastRun(changed(setup, { recompute: true }), limits);
  return refusal === null
    ? true
    : fail('limit', say`${refusal} Ask for the forecast: it names what would make it fit.`);
}

/** The same method on fewer layers. */
function planOf(plan: AdapterPlan, modules: readonly string[], { parameters }: RunSetup): AdapterPlan {
  const kept = new Set(modules);
  const layers = plan.groups.flatMap((g) => g.layers).filter((l) => kept.has(l.name));
  const saved = plan.saved.flatMap(({ name, also }) => {
    const parameter = parameters.get(name);
    return parameter ? [{ ...parameter, ...(also && { also }) }] : [];
  });
  return planAdapter(plan, plan.config, layers, saved);
}

/** From what changes nothing but time to what changes the result most; of each kind the mildest that fits. */
function waysToFit(setup: RunSetup, limits: ForecastLimits): WayToFit[] {
  const { settings, sequence } = setup.engine;
  const length = sequence ?? settings.sequenceLength;
  const halves = (from: number, least: number): number[] => {
    const out: number[] = [];
    for (let n = Math.floor(from / 2); n >= least; n = Math.floor(n / 2)) out.push(n);
    return out;
  };
  const batches = halves(settings.batchSize, 1).map((batchSize): Change => {
    const gradientAccumulation = Math.ceil(settings.batchSize / batchSize) * settings.gradientAccumulation;
    return { batchSize, gradientAccumulation };
  });
  const shorter =
    setup.dataset.kind === 'image'
      ? []
      : halves(length, SHORTEST).map((n): Change => ({ sequenceLength: n }));
  // onnxruntime keeps 32-bit weights and all that it computed.
  const isOnGpu = limits.engine === 'webgpu';
  const narrower = (isOnGpu ? (['f16', 'q4'] as const) : []).slice(
    setup.model.precision === 'file' ? 0 : setup.model.precision === 'f16' ? 1 : 2,
  );
  const layers = setup.plan.groups.flatMap((g) => g.layers.map((l) => l.name));
  const order = new Map(setup.model.modules.map((m, i) => [m.name, i]));
  const upper = layers
    .toSorted((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0))
    .slice(Math.ceil(layers.length / 2));
  const kinds: readonly (readonly Change[])[] = [
    batches,
    setup.engine.recompute || !isOnGpu ? [] : [{ recompute: true }],
    narrower.slice(0, 1).map((precision) => ({ precision })),
    upper.length > 0 ? [{ modules: upper }] : [],
    shorter,
    narrower.slice(1).map((precision) => ({ precision })),
    // Nothing alone is enough: everything together.
    [
      {
        ...(isOnGpu ? { recompute: true } : {}),
        ...batches.at(-1),
        ...shorter.at(-1),
        ...(narrower.at(-1) ? { precision: narrower.at(-1)! } : {}),
      },
    ],
  ];
  const ways: WayToFit[] = [];
  for (const [k, kind] of kinds.entries()) {
    if (ways.length === WAYS || (k === kinds.length - 1 && ways.length > 0)) break;
    for (const change of kind) {
      const { refusal, bytes } = forecastRun(changed(setup, change), limits);
      if (refusal !== null) continue;
      ways.push({ change, what: sentence(change), peakBytes: bytes.peak });
      break;
    }
  }
  return ways;
}

function sentence(change: Change): string {
  const parts: string[] = [];
  if (change.batchSize !== undefined)
    parts.push(
      say`a batch of ${change.batchSize}, accumulated over ${change.gradientAccumulation ?? 1} (the same updates)`,
    );
  if (change.recompute) parts.push(say`activations computed again (the same numbers, more time)`);
  if (change.precision === 'f16') parts.push(say`weights in f16`);
  if (change.precision === 'q4') parts.push(say`weights in 4 bits`);
  if (change.modules) parts.push(say`the upper ${change.modules.length} target layers only`);
  if (change.sequenceLength !== undefined) parts.push(say`texts of ${change.sequenceLength} tokens`);
  return parts.join(', ');
}
