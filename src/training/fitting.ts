/** A run's forecast with the three cheapest ways to make it fit, each planned like the run itself. */
import type { AdapterPlan } from '../adapters/plan.ts';
import { planAdapter } from '../adapters/plan.ts';
import { fail } from '../lib/errors.ts';
import type { Precision } from '../models/import/quantStore.ts';
import { type ForecastLimits, type ForecastRequest, forecastRun, weightBytes } from './forecast.ts';
import type { Forecast, ForecastReport, WayToFit } from './forecastReport.ts';
import type { DeviceSpeed } from './probe.ts';
import type { RunRequest } from './protocol.ts';
import { type RunSetup, setUpRun } from './setup.ts';
import type { Surroundings } from './source.ts';
import { lossOf } from './tasks.ts';

const WAYS = 3;
const SHORTEST = 16;

/** What is planned otherwise than asked for. */
type Change = WayToFit['change'];

export async function forecastReport(
  request: RunRequest,
  around: Surroundings,
  limits: ForecastLimits,
  speed: DeviceSpeed | null,
): Promise<ForecastReport> {
  const setup = await setUpRun(request, around);
  const forecast = forecastRun(changed(setup, {}), limits, speed);
  const weights = (precision: Precision): number | null =>
    weightBytes(changed(setup, { precision }), limits.caps);
  return {
    ...forecast,
    limitBytes: limits.budgetBytes ?? null,
    bufferLimitBytes: limits.maxBufferBytes,
    weightBytes: { file: weights('file'), f16: weights('f16'), q4: weights('q4') },
    ways: forecast.refusal === null ? [] : waysToFit(setup, limits),
  };
}

/** The forecast of a run that is set up already. */
export const forecastSetup = (
  setup: RunSetup,
  limits: ForecastLimits,
  speed: DeviceSpeed | null = null,
): Forecast => forecastRun(changed(setup, {}), limits, speed);

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
    : fail('limit', `${refusal} Ask for the forecast: it names what would make it fit.`);
}

/** The same method on fewer layers. */
function planOf(plan: AdapterPlan, modules: readonly string[], { parameters }: RunSetup): AdapterPlan {
  const kept = new Set(modules);
  const layers = plan.groups.flatMap((g) => g.layers).filter((l) => kept.has(l.name));
  const saved = plan.saved.flatMap(({ name, also }) => {
    const parameter = parameters.get(name);
    return parameter ? [{ ...parameter, ...(also && { also }) }] : [];
  });
  return planAdapter(plan.method, plan.config, layers, saved);
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
  const narrower = (['f16', 'q4'] as const).slice(
    setup.model.precision === 'file' ? 0 : setup.model.precision === 'f16' ? 1 : 2,
  );
  const layers = setup.plan.groups.flatMap((g) => g.layers.map((l) => l.name));
  const order = new Map(setup.model.modules.map((m, i) => [m.name, i]));
  const upper = layers
    .toSorted((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0))
    .slice(Math.ceil(layers.length / 2));
  const kinds: readonly (readonly Change[])[] = [
    batches,
    setup.engine.recompute ? [] : [{ recompute: true }],
    narrower.slice(0, 1).map((precision) => ({ precision })),
    upper.length > 0 ? [{ modules: upper }] : [],
    shorter,
    narrower.slice(1).map((precision) => ({ precision })),
    // Nothing alone is enough: everything together.
    [
      {
        recompute: true,
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
      `a batch of ${change.batchSize}, accumulated over ${change.gradientAccumulation} (the same updates)`,
    );
  if (change.recompute) parts.push('activations computed again (the same numbers, more time)');
  if (change.precision === 'f16') parts.push('weights in f16');
  if (change.precision === 'q4') parts.push('weights in 4 bits');
  if (change.modules) parts.push(`the upper ${change.modules.length} target layers only`);
  if (change.sequenceLength !== undefined) parts.push(`texts of ${change.sequenceLength} tokens`);
  return parts.join(', ');
}
