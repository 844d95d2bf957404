/** AdamW over packed parameters on the CPU, in place: the rule of the op `adamw` with clipping by the global norm. */

export interface AdamwBuffers {
  readonly params: Float32Array;
  readonly grads: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

/**
 * @param scalars as {@link ../../training/stepScalars.ts} lays them out
 * @returns the squared norm of the gradients; one that is not finite changes nothing
 */
export function applyAdamw({ params, grads, m, v }: AdamwBuffers, scalars: Float32Array): number {
  let normSquared = 0;
  for (let i = 0; i < grads.length; i++) normSquared += grads[i]! * grads[i]!;
  const norm = Math.sqrt(normSquared);
  if (!Number.isFinite(norm)) return normSquared;
  const [rate, correction1, correction2, beta1, beta2, epsilon, decay, maxNorm] = scalars as unknown as [
    ...[number, number, number, number],
    ...[number, number, number, number],
  ];
  const factor = maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
  const keep = 1 - rate * decay;
  const stride = rate / correction1;
  const rootCorrection = 1 / Math.sqrt(correction2);
  for (let i = 0; i < params.length; i++) {
    const g = grads[i]! * factor;
    const mean = beta1 * m[i]! + (1 - beta1) * g;
    const square = beta2 * v[i]! + (1 - beta2) * g * g;
    m[i] = mean;
    v[i] = square;
    params[i] = params[i]! * keep - (stride * mean) / (Math.sqrt(square) * rootCorrection + epsilon);
  }
  return normSquared;
}
