/** The first examples of a dataset as the model will see them: tokens, what counts in the loss, labels, and where they came from. */
import { type BatchOptions, batch, exampleCount } from './batches.ts';
import { IGNORED_LABEL } from './tensors.ts';
import type { Tokenizer } from './tokenizer.ts';
import { type Dataset, isRows } from './types.ts';

export interface TokenPreview {
  readonly id: number;
  readonly text: string;
  /** Whether the loss counts a prediction of this token, or the class of this token. */
  readonly counts: boolean;
  /** Its class, or for a hidden token what it was. */
  readonly label?: string;
}

export interface ExamplePreview {
  /** `row 12 of a.csv`; empty for windows of a running text and pictures. */
  readonly origin: string;
  /** Empty for pictures. */
  readonly tokens: readonly TokenPreview[];
  /** Class or number of the whole example. */
  readonly label?: string;
  /** As the model sees it before normalising: [channels, height, width], 0 … 255. */
  readonly picture?: {
    readonly width: number;
    readonly height: number;
    readonly channels: number;
    readonly pixels: Uint8Array;
  };
}

/**
 * The first `n` training examples, padding left out, or `n` pictures from all over the training set. Pure in its arguments.
 * @param tokenizer null for pictures
 */
export function previewExamples(
  dataset: Dataset,
  tokenizer: Tokenizer | null,
  n: number,
  options: BatchOptions = {},
): ExamplePreview[] {
  const count = Math.min(n, exampleCount(dataset, 'train', options));
  if (dataset.kind === 'image')
    return Array.from({ length: count }, (_, i) => {
      // Folders come class by class: from all over the set, or they would all be alike.
      const at = Math.floor((i * dataset.train.count) / count);
      return {
        origin: '',
        tokens: [],
        label: dataset.labels[dataset.train.label(at)]!,
        picture: {
          width: dataset.width,
          height: dataset.height,
          channels: dataset.channels,
          pixels: Uint8Array.from(dataset.train.pixels(at), (v) => Math.round(v * 255)),
        },
      };
    });
  return Array.from({ length: count }, (_, i) => {
    const { inputs, labels } = batch(dataset, 'train', [i], options);
    const ids = inputs.input_ids!.data as Int32Array;
    const used = (inputs.attention_mask!.data as Int32Array).reduce((sum, v) => sum + v, 0);
    const tokens = Array.from({ length: used }, (_, t) => tokenAt(dataset, tokenizer, ids, labels.data, t));
    const origin = isRows(dataset) ? dataset.train.origin(i) : '';
    const label =
      dataset.kind === 'text-class'
        ? dataset.labels[dataset.train.label(i)]
        : dataset.kind === 'text-value'
          ? String(dataset.train.value(i))
          : undefined;
    return { origin, tokens, ...(label === undefined ? {} : { label }) };
  });
}

function tokenAt(
  dataset: Dataset,
  tokenizer: Tokenizer | null,
  ids: Int32Array,
  labels: ArrayLike<number>,
  t: number,
): TokenPreview {
  const textOf = (id: number): string =>
    tokenizer?.decode([id], { specials: true }) || tokenizer?.token(id) || String(id);
  const token = { id: ids[t]!, text: textOf(ids[t]!) };
  switch (dataset.kind) {
    // The label before a token is the token itself, where it is learnt.
    case 'text':
    case 'instruction':
      return { ...token, counts: t > 0 && labels[t - 1] !== IGNORED_LABEL };
    case 'masked-text':
      return labels[t] === IGNORED_LABEL
        ? { ...token, counts: false }
        : { ...token, counts: true, label: textOf(labels[t]!) };
    case 'token-class':
      return labels[t] === IGNORED_LABEL
        ? { ...token, counts: false }
        : { ...token, counts: true, label: dataset.labels[labels[t]!]! };
    default:
      return { ...token, counts: false };
  }
}
