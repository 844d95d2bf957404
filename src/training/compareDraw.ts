/** Held-out examples for comparisons, drawn by seed, with both models' logits. */
import { exampleCount } from '../data/batches.ts';
import { rng } from '../lib/rng.ts';
import type { FullBatch } from './batchPlan.ts';
import type { TrainerApi } from './protocol.ts';
import type { Session } from './session.ts';

export type CompareOptions = Parameters<TrainerApi['compare']>[0];

export const DEFAULT_EXAMPLES = 12;

/** Held-out examples drawn by seed. */
export function draw(session: Session, options: CompareOptions): Uint32Array {
  const count = exampleCount(session.dataset, 'held', session.batches.options);
  const all = Array.from({ length: count }, (_, i) => i);
  const wanted = options.examples ?? DEFAULT_EXAMPLES;
  return Uint32Array.from(rng(options.seed, 0xc0).shuffle(all).slice(0, wanted));
}

interface Answered {
  readonly batch: FullBatch;
  readonly base: Float32Array;
  readonly adapted: Float32Array;
  /** Numbers of the batch's examples. */
  readonly members: Uint32Array;
}

/** Both models' logits on the chosen examples, batch by batch. */
export async function* answers(session: Session, chosen: Uint32Array): AsyncGenerator<Answered> {
  const size = session.batches.batchSize;
  for (let at = 0; at < chosen.length; at += size) {
    const members = chosen.subarray(at, at + size);
    const batch = session.batches.load('held', members);
    const base = await session.logits('base', batch);
    yield { batch, members, base, adapted: await session.logits('adapted', batch) };
  }
}

/** Softmax of each row. */
export function probabilities(logits: Float32Array, classes: number): Float32Array[] {
  return Array.from({ length: logits.length / classes }, (_, row) => {
    const part = logits.subarray(row * classes, (row + 1) * classes);
    const top = part.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const weights = part.map((v) => Math.exp(v - top));
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((w) => w / sum);
  });
}
