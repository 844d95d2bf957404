/** The words of fields that files, reports and screens share: what scores are of, and what computes. */
import { say, whole } from '../lib/say.ts';

/** `pseudo-perplexity` is exp of the mean loss of hidden tokens; `rmse` is in the unit of the numbers. */
export const METRICS = ['accuracy', 'perplexity', 'pseudo-perplexity', 'rmse'] as const;
export type Metric = (typeof METRICS)[number];

/** What a score counts; names of formulas stay. */
export const metricText = (metric: Metric): string =>
  ({
    accuracy: say`accuracy`,
    perplexity: say`perplexity`,
    'pseudo-perplexity': say`pseudo-perplexity`,
    rmse: 'rmse',
  })[metric];

/** What a score is of: `20 examples`, `31 tagged words of 6 examples`. */
export const scoredOn = (of: { readonly examples: number; readonly words?: number | undefined }): string =>
  of.words === undefined
    ? say`${whole(of.examples)} examples`
    : say`${whole(of.words)} tagged words of ${whole(of.examples)} examples`;

/** Whether more of a score is better: accuracy is a share, the others are errors. */
export const isMoreBetter = (metric: Metric | null): boolean => metric === 'accuracy';

/** What computes: WebGPU, or onnxruntime on the processor. */
export const ENGINES = ['webgpu', 'onnxruntime'] as const;
export type EngineName = (typeof ENGINES)[number];

export const ENGINE_TITLES: Readonly<Record<EngineName, string>> = {
  webgpu: 'WebGPU',
  onnxruntime: 'onnxruntime',
};
