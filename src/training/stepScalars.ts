/** The numbers that change from step to step, as the f32 [16] input `step` that the optimiser ops read. */
import type { TrainingSettings } from './settings.ts';

export const STEP_SCALARS = 16;

/**
 * @param update 0-based number of the update; bias corrections use update + 1 as torch does
 * @returns [lr, 1−β₁ᵗ, 1−β₂ᵗ, β₁, β₂, ε, weight decay, clip norm (0 = off), momentum, 0 …]
 */
export function stepScalars(settings: TrainingSettings, update: number, learningRate: number): Float32Array {
  const t = update + 1;
  const { beta1, beta2 } = settings;
  const scalars = new Float32Array(STEP_SCALARS);
  scalars.set([
    learningRate,
    1 - beta1 ** t,
    1 - beta2 ** t,
    beta1,
    beta2,
    settings.epsilon,
    settings.weightDecay,
    settings.maxGradNorm,
    settings.momentum,
  ]);
  return scalars;
}
