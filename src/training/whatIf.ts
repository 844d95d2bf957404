/**
 * Questions about weights that a run might have: the adapter taken back towards the base, or coefficients of a spectrum moved. They are asked of
 * the run's own programs, by the graph that trains, with other numbers in its packed buffer; between two updates, so that no step sees them, and
 * the run's own numbers are put back bit for bit.
 */
import { TRAINABLE } from '../adapters/inject.ts';
import type { AdapterPlan } from '../adapters/plan.ts';
import { atStrengths, canGoBack, strengthCount } from '../adapters/strength.ts';
import { fail } from '../lib/errors.ts';
import { sizeOf } from '../lib/numbers.ts';
import { say } from '../lib/say.ts';
import { beforeAfter, classifyPixels } from './beforeAfter.ts';
import { evaluateHeld } from './evaluation.ts';
import type { Classified, EvalMetric, WhatIf, WhatIfAnswer, WhatIfRequest } from './protocol.ts';
import type { Session } from './session.ts';

/** The tensor that {@link WhatIf.spectrum} is about. */
const SPECTRUM = 'fourierft_spectrum';

/** @param session as {@link Session.atStep} gives it: nothing else is asked of it meanwhile */
export async function askWhatIf(
  session: Session,
  { change, module, scored = 0, compared }: WhatIfRequest,
): Promise<WhatIfAnswer> {
  const { plan, model } = session;
  return supposing(session, change, async () => ({
    inspection: module === undefined ? null : await session.inspect(module),
    metric: scored > 0 ? await score(session, scored) : null,
    comparison: compared === undefined ? null : await beforeAfter(session, compared),
    strengths: canGoBack(plan, model.fresh) ? strengthCount(plan) : 0,
  }));
}

/** Runs a task on other numbers; then the run has its own again. */
async function supposing<T>(session: Session, change: WhatIf, task: () => Promise<T>): Promise<T> {
  const { engine, setup, model } = session;
  const own = await engine.readState(TRAINABLE);
  engine.writeState(TRAINABLE, supposed(setup, model.fresh, own, change));
  try {
    return await task();
  } finally {
    engine.writeState(TRAINABLE, own);
  }
}

/**
 * Both models on a drawing, as {@link classifyPixels}, and the new head as it is trained on the base without the adapter, where there are both.
 * @param session as {@link Session.atStep} gives it
 */
export async function classifyDrawing(session: Session, pixels: Float32Array): Promise<Classified> {
  const { plan, model } = session;
  const both = await classifyPixels(session, pixels);
  if (model.fresh.length === 0 || plan.groups.length === 0) return { ...both, head: null };
  const strengths = Array.from({ length: strengthCount(plan) }, () => 0);
  const { after } = await supposing(session, { strengths }, () => classifyPixels(session, pixels));
  return { ...both, head: after };
}

const score = ({ engine, dataset, batches, position }: Session, examples: number): Promise<EvalMetric> =>
  evaluateHeld(engine, dataset, batches, 'adapted', { step: position().step, limit: examples });

/** @returns a packed buffer of its own */
function supposed(
  { plan, parameters }: Session['setup'],
  fresh: readonly string[],
  own: Float32Array,
  { strengths, spectrum }: WhatIf,
): Float32Array {
  const packed = strengths ? atStrengths(plan, own, strengths, parameters, fresh) : own.slice();
  if (spectrum) packed.set(spectrum.values, placeOf(plan, spectrum));
  return packed;
}

/** @throws PapilioError 'not-found' for a module without a spectrum, 'bad-argument' for other numbers than it has */
function placeOf(plan: AdapterPlan, { module, values }: NonNullable<WhatIf['spectrum']>): number {
  const group = plan.groups.find(({ layers }) => layers.some(({ name }) => name === module));
  const tensor = group?.tensors.find(({ spec }) => spec.name === SPECTRUM);
  if (!group || !tensor) return fail('not-found', say`${module} has no spectrum in this run.`);
  const n = sizeOf(tensor.spec.shape);
  if (values.length !== n || !values.every(Number.isFinite))
    return fail('bad-argument', say`The spectrum of ${module} has ${n} numbers, not these ${values.length}.`);
  return tensor.offset + group.layers.findIndex(({ name }) => name === module) * n;
}
