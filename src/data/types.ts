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

/** How a masked language model's inputs are hidden. */
export interface Masking {
  /** The id of the mask token. */
  readonly id: number;
  /** Ids that are never hidden and never drawn. */
  readonly specials: ReadonlySet<number>;
  readonly suffix: readonly number[];
  readonly padId: number;
}

/** A running text for a masked language model, windows framed by `prefix` and `suffix`. */
export interface MaskedTextDataset extends Omit<TextDataset, 'kind'> {
  readonly kind: 'masked-text';
  readonly masking: Masking;
}

/** Examples of tokens, not padded, with their special tokens. */
export interface RowSplit {
  readonly count: number;
  ids(i: number): Int32Array;
  /** Where example i came from: `row 12 of a.csv`. */
  origin(i: number): string;
  /** 0 for the tokens of the first text, 1 for those of the second; absent where texts stand alone. */
  readonly segments?: (i: number) => Int32Array;
}

export interface TextClassSplit extends RowSplit {
  label(i: number): number;
}

export interface RowDataset {
  readonly name: string;
  readonly padId: number;
  readonly vocabSize: number;
}

export interface TextClassDataset extends RowDataset {
  readonly kind: 'text-class';
  readonly labels: readonly string[];
  readonly train: TextClassSplit;
  readonly held: TextClassSplit;
}

export interface TextValueSplit extends RowSplit {
  value(i: number): number;
}

/** Texts with a number to be predicted. */
export interface TextValueDataset extends RowDataset {
  readonly kind: 'text-value';
  readonly train: TextValueSplit;
  readonly held: TextValueSplit;
}

export interface TokenClassSplit extends RowSplit {
  /** A class for the first token of every word, −100 for the other tokens. */
  labels(i: number): Int32Array;
}

/** Words with a class each. */
export interface TokenClassDataset extends RowDataset {
  readonly kind: 'token-class';
  readonly labels: readonly string[];
  readonly train: TokenClassSplit;
  readonly held: TokenClassSplit;
}

export interface InstructionSplit extends RowSplit {
  /** 1 for the tokens that are learnt (the answers), 0 for those that are only read. */
  learnt(i: number): Uint8Array;
}

/** Prompts with answers, in the model's own chat format. */
export interface InstructionDataset extends RowDataset {
  readonly kind: 'instruction';
  /** The ids of a prompt up to where the answer begins. */
  readonly prompt: (text: string) => number[];
  /** The ids that end an answer. */
  readonly stop: ReadonlySet<number>;
  readonly train: InstructionSplit;
  readonly held: InstructionSplit;
}

/** Datasets whose examples have lengths of their own. */
export type Rows = TextClassDataset | TextValueDataset | TokenClassDataset | InstructionDataset;
export type Dataset = ImageDataset | TextDataset | MaskedTextDataset | Rows;

export const isRows = (dataset: Dataset): dataset is Rows => 'ids' in dataset.train;
export type SplitName = 'train' | 'held';

/** A stretch of a text, in UTF-16 units; `end` is not part of it. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

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
 * - masked-text: the same inputs with tokens hidden; labels [B, S] are the hidden ids, −100 elsewhere
 * - instruction: like text, −100 also where the prompt goes on
 * - token-class: labels [B, S], −100 for all but the first token of each word
 * - text-class: `input_ids`, `attention_mask` [B, S], for pairs `token_type_ids`; labels [B]
 * - text-value: labels f32 [2, B], values above weights (1 for every example)
 */
export interface Batch {
  readonly size: number;
  readonly inputs: Readonly<Record<string, FloatTensor | IntTensor>>;
  readonly labels: IntTensor | FloatTensor;
}
