/** What the trainer answers when base and adapted model are asked side by side. Types only. */

/** Base and adapted model on the same held-out examples. Probabilities are softmaxes of the logits read from the GPU. */
export interface ImageComparison {
  readonly kind: 'image';
  readonly labels: readonly string[];
  readonly examples: readonly {
    readonly width: number;
    readonly height: number;
    /** Grey, 0 … 255. */
    readonly pixels: Uint8Array;
    readonly label: number;
    readonly before: Float32Array;
    readonly after: Float32Array;
  }[];
}

export interface TextComparison {
  readonly kind: 'text';
  readonly prompt: string;
  readonly before: string;
  readonly after: string;
  readonly seed: number;
  readonly temperature: number;
}

export interface TextClassComparison {
  readonly kind: 'text-class';
  readonly labels: readonly string[];
  readonly examples: readonly {
    readonly text: string;
    readonly label: number;
    readonly before: Float32Array;
    readonly after: Float32Array;
  }[];
}

/** Numbers predicted for held-out texts. */
export interface TextValueComparison {
  readonly kind: 'text-value';
  readonly examples: readonly {
    readonly text: string;
    readonly value: number;
    readonly before: number;
    readonly after: number;
  }[];
}

export type Comparison = ImageComparison | TextComparison | TextClassComparison | TextValueComparison;
