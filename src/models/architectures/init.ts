/** Starting weights as Hugging Face's models draw them: normal with one standard deviation, zeros, ones. */
import { sizeOf } from '../../graph/shape.ts';
import { rng } from '../../lib/rng.ts';
import type { Init } from './blocks.ts';

/** A stream number from a name (FNV-1a), so that a weight's values depend on seed and name alone. */
function streamOf(name: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/**
 * Linear weights and embeddings normal(0, std), norms one, biases zero.
 * @param spread also draws biases and norm weights at random, for tests: zeros and ones hide mistakes
 */
export function normalInit(seed: number, std = 0.02, spread = false): Init {
  return (kind, name, dims) => {
    const data = new Float32Array(sizeOf(dims));
    const mean = kind === 'one' ? 1 : 0;
    if (!spread && (kind === 'one' || kind === 'zero' || kind === 'bias')) return data.fill(mean);
    const random = rng(seed, streamOf(name));
    for (let i = 0; i < data.length; i++) data[i] = mean + std * random.normal();
    return data;
  };
}
