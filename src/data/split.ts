/** Which examples are held: a seeded draw per class, so that every class is in both splits where it has two examples. */
import { fail } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import type { SplitName } from './types.ts';

/** The share of labelled examples that is held. */
const HELD_EXAMPLES_SHARE = 0.15;

export interface Split {
  readonly train: Uint32Array;
  readonly held: Uint32Array;
}

/** Splits examples by their class numbers; pure in (labels, seed, share). */
export function stratifiedSplit(labels: ArrayLike<number>, seed: number, share = HELD_EXAMPLES_SHARE): Split {
  const byClass = new Map<number, number[]>();
  for (let i = 0; i < labels.length; i++) {
    const known = byClass.get(labels[i]!);
    if (known) known.push(i);
    else byClass.set(labels[i]!, [i]);
  }
  const train: number[] = [];
  const held: number[] = [];
  for (const [label, members] of [...byClass].sort(([a], [b]) => a - b)) {
    rng(seed, 0x5b117).fork(label).shuffle(members);
    const count =
      members.length < 2 ? 0 : Math.min(members.length - 1, Math.max(1, Math.round(members.length * share)));
    members.forEach((member, i) => {
      (i < count ? held : train).push(member);
    });
  }
  return { train: Uint32Array.from(train).sort(), held: Uint32Array.from(held).sort() };
}

/**
 * The split that the files state, where some examples are held by it and others are not (those that say nothing are learnt from); else a draw by
 * seed, per class where there are classes. Throws 'bad-data' when nothing can be held.
 */
export function chooseSplit(
  rows: readonly { readonly split?: SplitName | undefined }[],
  labels: ArrayLike<number> | null,
  seed: number,
  name: string,
): Split {
  const given = (isHeld: boolean) =>
    Uint32Array.from(rows.flatMap((row, i) => ((row.split === 'held') === isHeld ? [i] : [])));
  const split = { train: given(false), held: given(true) };
  if (split.train.length > 0 && split.held.length > 0) return split;
  return requireHeld(stratifiedSplit(labels ?? new Uint8Array(rows.length), seed), name);
}

/**
 * The class names in order: the model's own where every found name is one of them, else numbers by size and the rest
 * by alphabet. Throws 'bad-data' when there is only one class.
 */
export function orderLabels(found: Iterable<string>, name: string, known?: readonly string[]): string[] {
  const names = [...new Set(found)];
  if (names.length < 2)
    fail('bad-data', `${name} has only one class ("${names[0] ?? ''}"); a classifier needs at least two.`);
  if (known && names.every((label) => known.includes(label))) return [...known];
  const numeric = names.every((label) => label.trim() !== '' && Number.isFinite(Number(label)));
  return names.sort((a, b) => (numeric ? Number(a) - Number(b) : a < b ? -1 : a > b ? 1 : 0));
}

/** Throws 'bad-data' unless something is left to measure on. */
export function requireHeld(split: Split, name: string): Split {
  if (split.held.length === 0)
    fail(
      'bad-data',
      `${name} has one example per class, so none can be held for measuring; add at least one more.`,
    );
  return split;
}
