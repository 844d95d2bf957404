/**
 * What a dataset is to the trainer: two splits of examples that never overlap. `train` is learnt from, `held` is all
 * that quality is ever measured on. Examples are addressed by number and may be made when asked for.
 */

/** Pictures `[channels, height, width]`, f32 in 0 … 1 (0 = dark); normalising belongs to the batch. */
export interface ImageSplit {
  readonly count: number;
  /** The picture of example i, C·H·W values. The view may be reused by the next call: copy what you keep. */
  pixels(i: number): Float32Array;
  label(i: number): number;
}

export interface ImageDataset {
  readonly kind: 'image';
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly labels: readonly string[];
  readonly train: ImageSplit;
  readonly held: ImageSplit;
}

/** One stream of token ids; documents follow each other, divided by the tokenizer's end token where it has one. */
export interface TextSplit {
  readonly tokens: Int32Array;
}

export interface TextDataset {
  readonly kind: 'text';
  readonly name: string;
  /** The share of the text, from its end, that is held; stated to the user. */
  readonly heldShare: number;
  /** Ids put before every window, such as Llama's `<s>`; empty where the tokenizer adds none. */
  readonly prefix: readonly number[];
  readonly vocabSize: number;
  readonly train: TextSplit;
  readonly held: TextSplit;
}

export interface TextClassSplit {
  readonly count: number;
  /** Token ids with the tokenizer's special tokens, not padded. */
  ids(i: number): Int32Array;
  label(i: number): number;
}

export interface TextClassDataset {
  readonly kind: 'text-class';
  readonly name: string;
  readonly labels: readonly string[];
  readonly padId: number;
  readonly vocabSize: number;
  readonly train: TextClassSplit;
  readonly held: TextClassSplit;
}

export type Dataset = ImageDataset | TextDataset | TextClassDataset;
export type SplitName = 'train' | 'held';

export interface FloatTensor {
  readonly dtype: 'float32';
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface IntTensor {
  readonly dtype: 'int32';
  readonly shape: readonly number[];
  readonly data: Int32Array;
}

/**
 * One batch, inputs by the names of Hugging Face's exports. The last batch of an epoch has its true `size`.
 * - image: `pixel_values` [B, C, H, W]; labels [B]
 * - text: `input_ids`, `attention_mask` [B, S]; labels [B, S] are the ids moved one to the left, −100 where there is
 *   nothing to predict (the last position, padding)
 * - text-class: `input_ids`, `attention_mask` [B, S]; labels [B]
 */
export interface Batch {
  readonly size: number;
  readonly inputs: Readonly<Record<string, FloatTensor | IntTensor>>;
  readonly labels: IntTensor;
}
