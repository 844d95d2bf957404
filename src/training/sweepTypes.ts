/** What is asked of a comparison of methods at equal parameters, and what it tells. Types only: the page may import this file freely. */
import type { MethodId } from '../adapters/registry.ts';
import type { Sizes } from '../adapters/size.ts';
import type { ParameterCount } from '../adapters/types.ts';
import type { EvalMetric, RunRequest } from './protocol.ts';

/** Methods side by side at (nearly) equal parameters, on one task with one seed. */
export interface SweepRequest extends Pick<RunRequest, 'model' | 'data' | 'training'> {
  readonly methods: readonly MethodId[];
  /** Numbers that an adapter may keep; modules_to_save come on top, the same for all. */
  readonly budget: number;
  /** target_modules, modules_to_save and the like, the same for all. */
  readonly where: Readonly<Record<string, unknown>>;
  /** Where a method shall not start with its own. */
  readonly learningRates?: Readonly<Partial<Record<MethodId, number>>>;
}

export interface MethodRow {
  readonly method: MethodId;
  /** The size setting that was solved for the budget, as the layers have it. */
  readonly settings: Sizes;
  readonly config: Readonly<Record<string, unknown>>;
  readonly learningRate: number;
  /** The adapter's own numbers, nearest to the budget. */
  readonly adapter: number;
  readonly trainable: ParameterCount;
  readonly metric: EvalMetric['metric'];
  readonly before: number;
  readonly after: number;
  readonly examples: number;
  readonly words?: number;
  readonly steps: number;
  /** Null where nothing was measured: a run of very few steps, an engine off the GPU. */
  readonly secondsPerStep: number | null;
  readonly peakBytes: number | null;
  readonly dispatchesPerStep: number | null;
}

export type SweepEvent =
  | {
      readonly type: 'start';
      readonly method: MethodId;
      readonly settings: Sizes;
      readonly adapter: number;
    }
  | { readonly type: 'step'; readonly method: MethodId; readonly step: number; readonly total: number }
  | { readonly type: 'row'; readonly row: MethodRow }
  /** The method cannot take part; why. */
  | { readonly type: 'refused'; readonly method: MethodId; readonly reason: string };

export interface SweepReport {
  readonly rows: readonly MethodRow[];
  /** How each column was got, in words. */
  readonly provenance: Readonly<Record<string, string>>;
  /** False where it was stopped early. */
  readonly isWhole: boolean;
}
