/** Hides tokens for a masked language model as BERT was trained: 15 % are to be guessed; of these 80 % become the mask, 10 % another token, 10 % stay. */
import { rng } from '../lib/rng.ts';
import type { Masking, SplitName } from './types.ts';

const HIDDEN = 0.15;
const MASKED = 0.8;
const REPLACED = 0.1;

const STREAMS: Readonly<Record<SplitName, number>> = { train: 1, held: 2 };

/**
 * Hides tokens of `ids` in place and writes their ids into `labels`. At least one token is hidden where any may be. The draw follows from
 * `which` alone.
 */
export function hideTokens(
  ids: Int32Array,
  labels: Int32Array,
  masking: Masking,
  vocabSize: number,
  which: { readonly split: SplitName; readonly example: number; readonly draw: number },
): void {
  const random = rng(0x3a5c, STREAMS[which.split]).fork(which.example).fork(which.draw);
  const open = [...ids.keys()].filter((t) => !masking.specials.has(ids[t]!));
  if (open.length === 0) return;
  const chosen = open.filter(() => random.uniform() < HIDDEN);
  if (chosen.length === 0) chosen.push(random.pick(open));
  for (const t of chosen) {
    labels[t] = ids[t]!;
    const fate = random.uniform();
    if (fate < MASKED) ids[t] = masking.id;
    else if (fate < MASKED + REPLACED) ids[t] = otherToken(random.int, vocabSize, masking.specials);
  }
}

function otherToken(draw: (n: number) => number, vocabSize: number, specials: ReadonlySet<number>): number {
  for (let tries = 0; tries < 32; tries++) {
    const id = draw(vocabSize);
    if (!specials.has(id)) return id;
  }
  return 0;
}
