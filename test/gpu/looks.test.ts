/**
 * Other weights for the length of a question, on a GPU. Seen to fail with: own numbers not put back, a question asked while an update is in
 * flight.
 */
import { describe } from 'vitest';
import { looksSuite } from '../tools/looksSuite.ts';
import { openTiny } from './tinyRuns.ts';

describe('what if', () => {
  looksSuite('WebGPU', {
    open: (method, config) =>
      openTiny({
        method,
        config,
        training: { steps: 6, learningRate: 3e-2, warmupSteps: 0, evalExamples: 4 },
      }),
    tolerance: 1e-5,
  });
});
