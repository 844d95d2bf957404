/**
 * What is shown of a run's models: scores, answers side by side, the inside of a module, its weights before and after, and the same as they
 * might be. Types only.
 */
import type { Both } from '../inference/beforeAfter.ts';
import type { SingularValues } from '../lib/singular.ts';
import type { Neurons } from './neurons.ts';
import type { Metric } from './words.ts';

export interface EvalMetric {
  readonly step: number;
  readonly metric: Metric;
  readonly value: number;
  readonly loss: number;
  readonly examples: number;
  /** How many tagged words the score is of, where it is of words and not of examples. */
  readonly words?: number;
  /** Further figures by name: `macroF1` of tags, `accuracy` on hidden tokens, `r2` and `pearson` of numbers; of the adapter `relativeChange` and `orthogonality`. */
  readonly others?: Readonly<Record<string, number>>;
}

/** Something of the weights as they were after so many steps. */
export interface OfStep<T> {
  readonly step: number;
  readonly value: T;
}

/** A look inside one adapted module, computed on the device by the same graph that trains. */
export interface Inspection {
  readonly module: string;
  readonly method: string;
  /** R (input side rotation, [in, in]) for OFT and BOFT. */
  readonly rotation?: {
    readonly size: number;
    readonly data: Float32Array;
    readonly orthogonality: number;
    readonly maxAngle: number;
  };
  /** The factors of R, B_0 first: the blocks [in / block, block, block], rows ascending, and the largest angle (radians) that each turns by. */
  readonly factors?: readonly { readonly data: Float32Array; readonly angles: Float32Array }[];
  /** W' − W [out, in] for every method, with ‖ΔW‖_F / ‖W‖_F. */
  readonly delta: {
    readonly rows: number;
    readonly columns: number;
    readonly data: Float32Array;
    readonly relative: number;
  };
  /** The module's own tensors by PEFT's names, as matrices; vectors have one column. */
  readonly tensors?: readonly {
    readonly name: string;
    readonly rows: number;
    readonly columns: number;
    readonly data: Float32Array;
  }[];
  /** FourierFT's frequencies and coefficients. */
  readonly spectrum?: {
    readonly rows: Int32Array;
    readonly columns: Int32Array;
    readonly values: Float32Array;
  };
}

/** Base and adapted model on the same held-out examples. Probabilities are softmaxes of the logits read from the GPU. */
export interface ImageBeforeAfter {
  readonly kind: 'image';
  readonly labels: readonly string[];
  readonly examples: readonly ({
    readonly width: number;
    readonly height: number;
    /** Grey, 0 … 255. */
    readonly pixels: Uint8Array;
    readonly label: number;
  } & Both<Float32Array>)[];
}

/** A token of a text with the probability that each model gives it there, at temperature 1. */
export interface TokenOdds extends Both<number> {
  readonly text: string;
}

export interface TextBeforeAfter extends Both<string> {
  readonly kind: 'text';
  /** Of the new tokens of both texts. */
  readonly odds: Both<readonly TokenOdds[]>;
  readonly prompt: string;
  readonly seed: number;
  readonly temperature: number;
}

export interface TextClassBeforeAfter {
  readonly kind: 'text-class';
  readonly labels: readonly string[];
  readonly examples: readonly ({
    readonly text: string;
    readonly label: number;
  } & Both<Float32Array>)[];
}

/** Numbers predicted for held-out texts. */
export interface TextValueBeforeAfter {
  readonly kind: 'text-value';
  readonly examples: readonly ({
    readonly text: string;
    readonly value: number;
  } & Both<number>)[];
}

export type BeforeAfter = ImageBeforeAfter | TextBeforeAfter | TextClassBeforeAfter | TextValueBeforeAfter;

/** Probabilities of a drawing's classes. */
export interface Classified extends Both<Float32Array> {
  /** Of the new head as trained, without the adapter; null where there is no new head, or nothing but it. */
  readonly head: Float32Array | null;
}

/** What base and adapted model are asked. */
export interface BeforeAfterOptions {
  readonly prompt?: string;
  readonly seed: number;
  readonly temperature?: number;
  readonly maxTokens?: number;
  readonly examples?: number;
}

/** One module's weight W before and W′ after, as far as one looks at it in float64. */
export interface WeightReport {
  readonly module: string;
  /** [out, in]; of an embedding [tokens, width]. */
  readonly rows: number;
  readonly columns: number;
  /** Of ΔW. */
  readonly singular: SingularValues & {
    /** How many stand above `floor`, which is what rounding W′ to 32 bits explains. */
    readonly rank: number;
    readonly floor: number;
    /** ‖ΔW‖_F. */
    readonly norm: number;
  };
  readonly neurons: Neurons;
  /** A LoRA that keeps about as many numbers on this module: its rank, and the share of ‖ΔW‖² that any ΔW of that rank could have. */
  readonly lora: { readonly rank: number; readonly parameters: number; readonly share: number } | null;
}

/** How the base model's own task goes, with its own head unless the run trained that very one. */
export interface Forgetting {
  /** Name of the data that the base was made for. */
  readonly data: string;
  readonly before: EvalMetric;
  readonly after: EvalMetric;
  readonly head: 'base' | 'trained';
}

/** Weights that differ from the trained ones for as long as a question takes; the run never sees them. */
export interface WhatIf {
  /** How much of each factor counts, factor 0 first, 0 … 1; as trained where it is left out. */
  readonly strengths?: readonly number[];
  /** FourierFT's coefficients of one module, in the order of its frequencies. */
  readonly spectrum?: { readonly module: string; readonly values: Float32Array };
}

export interface WhatIfRequest {
  readonly change: WhatIf;
  /** Looks inside this module. */
  readonly module?: string;
  /** Scores so many held-out examples. */
  readonly scored?: number;
  /** Has both models answer. */
  readonly compared?: BeforeAfterOptions;
}

export interface WhatIfAnswer {
  readonly inspection: Inspection | null;
  readonly metric: EvalMetric | null;
  readonly comparison: BeforeAfter | null;
  /** How many strengths the run's adapter has; 0 where nothing can go back to the base. */
  readonly strengths: number;
}

/** Questions about the weights of the open run that take a while. A new one of a kind ends the one before, which rejects with 'aborted'. */
export interface LooksApi {
  /** Asks with other weights, between two updates; then the run has its own again, bit for bit. */
  whatIf(request: WhatIfRequest): Promise<OfStep<WhatIfAnswer>>;
  weights(module: string): Promise<OfStep<WeightReport>>;
  /** Null where the base model's own task is not known, or its head is another's. */
  forgetting(): Promise<OfStep<Forgetting | null>>;
  /** Ends what is being worked out of {@link LooksApi.weights}. */
  stopLooking(): Promise<void>;
}
