/** AdaLoRA's schedule: how many triplets (a row of A, an entry of E, a column of B) a model may keep after each update. */
import type { AdaloraConfig } from './index.ts';

/** What happens after one update. */
export interface Allocation {
  /** Importance is measured. */
  readonly measures: boolean;
  /** So many of the least important triplets are dropped, or null where the choice of before stays. */
  readonly drop: number | null;
  /** E is cleared where its triplet is dropped. */
  readonly clears: boolean;
}

type Schedule = Pick<AdaloraConfig, 'tinit' | 'tfinal' | 'deltaT' | 'total_step' | 'target_r'>;

/**
 * PEFT's update_and_allocate, called after update `step` (from 0 on).
 * @param triplets of the whole model at the start
 * @param layers adapted layers, each worth `target_r` triplets in the end
 */
export function allocationAt(config: Schedule, triplets: number, layers: number, step: number): Allocation {
  const { tinit, tfinal, deltaT } = config;
  const last = (config.total_step ?? 0) - tfinal;
  const target = config.target_r * layers;
  if (step > last) return { measures: false, drop: null, clears: true };
  // A model that is within its budget from the start loses nothing.
  const dropTo = (budget: number) => Math.max(0, triplets - budget);
  if (step === last) return { measures: false, drop: dropTo(target), clears: true };
  if (step <= tinit || step % deltaT !== 0) return { measures: true, drop: null, clears: false };
  const left = 1 - (step - tinit) / (last - tinit);
  const budget = Math.trunc((triplets - target) * left ** 3 + target);
  return { measures: true, drop: dropTo(budget), clears: true };
}
