/** Starting weights as Hugging Face's models draw them: normal with one standard deviation, zeros, ones. */
import { sizeOf } from '../../../src/graph/shape.ts';
import { rng, streamOf } from '../../../src/lib/rng.ts';
import type { Init } from './blocks.ts';

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
