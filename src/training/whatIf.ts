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
import { beforeAfter } from './beforeAfter.ts';
import { evaluateHeld } from './evaluation.ts';
import type { EvalMetric, WhatIf, WhatIfAnswer, WhatIfRequest } from './protocol.ts';
import type { Session } from './session.ts';

/** The tensor that {@link WhatIf.spectrum} is about. */
const SPECTRUM = 'fourierft_spectrum';

/** @param session as {@link Session.atStep} gives it: nothing else is asked of it meanwhile */
export async function askWhatIf(
  session: Session,
  { change, module, scored = 0, compared }: WhatIfRequest,
): Promise<WhatIfAnswer> {
  const { engine, plan, setup, model } = session;
  const own = await engine.readState(TRAINABLE);
  engine.writeState(TRAINABLE, supposed(setup, model.fresh, own, change));
  try {
    return {
      inspection: module === undefined ? null : await session.inspect(module),
      metric: scored > 0 ? await score(session, scored) : null,
      comparison: compared === undefined ? null : await beforeAfter(session, compared),
      strengths: canGoBack(plan, model.fresh) ? strengthCount(plan) : 0,
    };
  } finally {
    engine.writeState(TRAINABLE, own);
  }
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
