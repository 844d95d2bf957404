/** Labelled texts for a classifier, split by a seeded draw per class. */
import { orderLabels, requireHeld, stratifiedSplit } from './split.ts';
import type { Tokenizer } from './tokenizer.ts';
import type { TextClassDataset, TextClassSplit } from './types.ts';

/** Rows of text and label → a dataset. Throws 'bad-data' for one class or nothing to hold. */
export function textClassDataset(
  name: string,
  rows: readonly { readonly text: string; readonly label?: string }[],
  tokenizer: Tokenizer,
  options: { readonly seed: number; readonly labels?: readonly string[] },
): TextClassDataset {
  const labels = orderLabels(
    rows.map((row) => row.label ?? ''),
    name,
    options.labels,
  );
  const numbers = Int32Array.from(rows, (row) => labels.indexOf(row.label ?? ''));
  const ids = rows.map((row) => Int32Array.from(tokenizer.encode(row.text, { specials: true })));
  const split = requireHeld(stratifiedSplit(numbers, options.seed), name);
  const part = (members: Uint32Array): TextClassSplit => ({
    count: members.length,
    ids: (i) => ids[members[i]!]!,
    label: (i) => numbers[members[i]!]!,
  });
  return {
    kind: 'text-class',
    name,
    labels,
    padId: tokenizer.pad,
    vocabSize: tokenizer.vocabSize,
    train: part(split.train),
    held: part(split.held),
  };
}
