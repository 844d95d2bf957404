/** What a forecast says, as it passes to the page. Types only. */
import type { Precision } from '../models/import/quantStore.ts';

/** Bytes on the GPU. */
export interface ForecastBytes {
  /** Frozen weights in the form they are kept in. */
  readonly weights: number;
  /** The packed adapter. */
  readonly adapter: number;
  /** Moments, and gradients that are added up. */
  readonly optimiser: number;
  /** The pools of values that steps and evaluations make and drop. */
  readonly activations: number;
  /** Batches, tables, kernels' parameters, read-back. */
  readonly other: number;
  readonly peak: number;
}

export interface Forecast {
  readonly bytes: ForecastBytes;
  readonly dispatchesPerStep: number;
  /** Null without a probe. */
  readonly secondsPerStep: number | null;
  /** The largest single buffer, and what it holds. */
  readonly largest: { readonly bytes: number; readonly label: string };
  /** Why it does not fit this device or the given memory: a sentence; null where it does. */
  readonly refusal: string | null;
}

/** What a run will take, planned but not run. Bytes on the GPU. */
export interface ForecastReport extends Forecast {
  /** The memory it was told it may take. */
  readonly limitBytes: number | null;
  /** The largest buffer that the device allows. */
  readonly bufferLimitBytes: number;
  /** What the frozen weights take in each precision; null where the model cannot be planned in it. */
  readonly weightBytes: Readonly<Record<Precision, number | null>>;
  /** Where it does not fit: up to three ways that do, the cheapest first. */
  readonly ways: readonly WayToFit[];
}

export interface WayToFit {
  readonly what: string;
  readonly change: {
    readonly recompute?: boolean;
    readonly batchSize?: number;
    readonly gradientAccumulation?: number;
    readonly sequenceLength?: number;
    readonly precision?: Precision;
    readonly modules?: readonly string[];
  };
  readonly peakBytes: number;
}
