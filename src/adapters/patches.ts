/** Convolutions as the matrices they are: their weight [out, channels, kh, kw] is [out, in] for patches of in = channels·kh·kw numbers. */
import type { Layer } from './types.ts';

export interface PatchSize {
  readonly channels: number;
  /** kh·kw. */
  readonly area: number;
  readonly kernel: readonly [number, number];
}

/** The patch of a convolution; any other layer is one of a single point. */
export function patchOf({ in: inputs, kernel = [1, 1] }: Layer): PatchSize {
  const area = kernel[0] * kernel[1];
  return { channels: inputs / area, area, kernel };
}
