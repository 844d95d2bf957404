/** The words of fields that files, reports and screens share: what scores are of, and what computes. */

/** `pseudo-perplexity` is exp of the mean loss of hidden tokens; `rmse` is in the unit of the numbers. */
export const METRICS = ['accuracy', 'perplexity', 'pseudo-perplexity', 'rmse'] as const;
export type Metric = (typeof METRICS)[number];

/** Whether more of a score is better: accuracy is a share, the others are errors. */
export const isMoreBetter = (metric: Metric | null): boolean => metric === 'accuracy';

/** What computes: WebGPU, or onnxruntime on the processor. */
export const ENGINES = ['webgpu', 'onnxruntime'] as const;
export type EngineName = (typeof ENGINES)[number];

export const ENGINE_TITLES: Readonly<Record<EngineName, string>> = {
  webgpu: 'WebGPU',
  onnxruntime: 'onnxruntime',
};
