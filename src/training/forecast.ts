/**
 * What a run will take, before anything is uploaded: bytes from the plans that the run itself would compile, seconds from a short probe
 * of the device. Nothing is guessed about how much memory a device has, which WebGPU does not tell; that is the caller's to say.
 */
import { TRAINABLE } from '../adapters/inject.ts';
import type { AdapterPlan } from '../adapters/plan.ts';
import { programBytes } from '../gpu/compile.ts';
import type { Device } from '../gpu/device.ts';
import { ringBytes } from '../gpu/readback.ts';
import type { Plan, Step } from '../graph/plan.ts';
import { schedule } from '../graph/schedule.ts';
import type { Caps, Graph, Value } from '../graph/types.ts';
import { PapilioError } from '../lib/errors.ts';
import { fuse } from '../ops/fuse.ts';
import { gemmWork } from '../ops/gemm.ts';
import { type EngineRequest, RING_SLOTS } from './engine.ts';
import type { Forecast } from './forecastReport.ts';
import type { DeviceSpeed } from './probe.ts';
import { recomputed } from './recomputed.ts';
import { evaluationGraph, names, trainingGraph, updateGraph } from './stepGraph.ts';

export interface ForecastLimits {
  readonly caps: Caps;
  readonly maxBufferBytes: number;
  /** GPU memory that the run may take; absent: whatever the device gives. */
  readonly budgetBytes?: number | undefined;
}

export const limitsOf = (device: Device, budgetBytes?: number): ForecastLimits => ({
  caps: device.caps,
  maxBufferBytes: device.raw.limits.maxBufferSize,
  budgetBytes,
});

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
function plansOf(request: ForecastRequest, caps: Caps): { plans: Plan[]; rings: number; steps: Plan[] } {
  const { plan, settings, sequence = settings.sequenceLength, readsLogits } = request;
  const base = request.build(settings.batchSize, sequence);
  // Contents do not matter to a plan.
  const empty = () => new Float32Array(plan.size);
  const planned = (graph: Graph): Plan => schedule(fuse(graph), caps);
  const whole = trainingGraph(base, plan, settings, empty);
  const step = planned((request.recompute ? recomputed(whole, caps) : whole).graph);
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

/** What the frozen weights take on the GPU; null where the model cannot be planned. */
export function weightBytes(request: ForecastRequest, caps: Caps): number | null {
  const { settings, sequence = settings.sequenceLength } = request;
  try {
    const base = request.build(settings.batchSize, sequence);
    const { buffers } = schedule(
      evaluationGraph(base, null, () => new Float32Array(), false),
      caps,
    );
    const once = new Map(
      buffers.flatMap(({ persistent: v, bytes }) =>
        v?.role === 'parameter' ? [[storageOf(v), storedBytes(bytes)] as const] : [],
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
  speed: DeviceSpeed | null = null,
): Forecast {
  let made: ReturnType<typeof plansOf>;
  try {
    made = plansOf(request, limits.caps);
  } catch (error) {
    if (!(error instanceof PapilioError) || error.kind !== 'limit') throw error;
    const bytes = { weights: 0, adapter: 0, optimiser: 0, activations: 0, other: 0, peak: Number.NaN };
    const largest = { bytes: Number(error.details.bytes ?? 0), label: String(error.details.node ?? '') };
    return { bytes, dispatchesPerStep: 0, secondsPerStep: null, largest, refusal: error.message };
  }
  const { plans, rings, steps } = made;
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
      shared.set(key, { value, bytes: isAgain ? 0 : storedBytes(bytes) });
    }
  }
  const sum = (of: (value: Value) => boolean): number =>
    [...shared.values()].reduce((n, s) => (of(s.value) ? n + s.bytes : n), 0);
  const weights = sum((v) => v.role === 'parameter');
  const adapter = sum((v) => v.role === 'state' && v.name === TRAINABLE);
  const optimiser = sum((v) => v.role === 'state') - adapter;
  const activations = plans.reduce((n, p) => n + p.temporaryBytes, 0);
  const own = plans.reduce((n, p) => n + programBytes(p), 0);
  const other = own - activations + rings;
  const peak = weights + adapter + optimiser + activations + other;

  const { gradientAccumulation: micro } = request.settings;
  const perStep = (of: (p: Plan) => number): number => of(steps[0]!) * micro + (steps[1] ? of(steps[1]) : 0);
  const dispatchesPerStep = perStep((p) => p.steps.filter((s) => s.kind === 'dispatch').length);
  return {
    bytes: { weights, adapter, optimiser, activations, other, peak },
    dispatchesPerStep,
    secondsPerStep: speed && perStep((p) => p.steps.reduce((n, s) => n + secondsOf(s, speed), 0)),
    largest,
    refusal: refusalOf(peak, largest, limits),
  };
}

/** Products by their multiplications, attention by the scores it looks at again and again, all else by the numbers it touches. */
function secondsOf(step: Step, speed: DeviceSpeed): number {
  if (step.kind === 'copy') return (step.from.bytes / 4) * speed.secondsPerElement;
  const product = gemmWork(step.dispatch);
  if (product !== null) return product * speed.secondsPerWork + speed.secondsPerDispatch;
  const elements = step.bindings.reduce((n, b) => n + b.bytes / 4, 0);
  const passes = step.dispatch.shader === 'attention.wgsl' ? ATTENTION_PASSES : 1;
  return elements * passes * speed.secondsPerElement + speed.secondsPerDispatch;
}

/** A score takes as many multiplications as a head is wide, about this many times the work of touching a number. */
const ATTENTION_PASSES = 8;

export const mebibytes = (bytes: number): string =>
  `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 24 ? 1 : 0)} MiB`;

function refusalOf(peak: number, largest: Forecast['largest'], limits: ForecastLimits): string | null {
  if (largest.bytes > limits.maxBufferBytes)
    return `${largest.label} needs a buffer of ${mebibytes(largest.bytes)}, but this device allows ${mebibytes(limits.maxBufferBytes)}.`;
  if (limits.budgetBytes !== undefined && peak > limits.budgetBytes)
    return `The run needs ${mebibytes(peak)} on the GPU, more than the ${mebibytes(limits.budgetBytes)} it may take.`;
  return null;
}
