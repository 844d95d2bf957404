/** What a run is to the Python project that goes on with it. Plain data: the room knows neither sessions nor devices. */
import type { AdapterMethod } from '../adapters/types.ts';
import type { BatchOptions } from '../data/batches.ts';
import type { Dataset } from '../data/types.ts';
import type { LoadedModel } from '../models/load.ts';

/** A file by its path inside the project. */
export interface ProjectFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The training settings, field by field as the run had them. */
export type RunSettings = Readonly<Record<string, string | number>> & {
  readonly sequenceLength: number;
};

/** A quality measured in the run with the very weights that the project starts from. */
export interface RecordedQuality {
  readonly metric: string;
  readonly value: number;
  readonly loss: number;
  readonly step: number;
  readonly examples: number;
}

export interface PythonRun {
  /** Name of the model as Papilio has it, `glyphs-vit` or `model.onnx`. */
  readonly modelName: string;
  /** The model with the classes of the data. */
  readonly model: LoadedModel;
  /** config.json, tokenizer files and their like. */
  readonly sidecars: readonly ProjectFile[];
  readonly dataset: Dataset;
  readonly batchOptions: BatchOptions;
  readonly method: AdapterMethod;
  readonly settings: RunSettings;
  /** adapter_config.json and adapter_model.safetensors, as exported. */
  readonly adapter: readonly ProjectFile[];
  /** Numbers that train: stored. */
  readonly trainable: number;
  /** What quality is measured by: `accuracy`, `perplexity`, … */
  readonly metric: string;
  /** Null where the run was not evaluated at its last step. */
  readonly recorded: RecordedQuality | null;
  /** The text of ids, for people; null without a tokenizer. */
  readonly decode: ((ids: ArrayLike<number>) => string) | null;
}

export interface PythonProject {
  readonly files: readonly ProjectFile[];
  /** What cannot carry over: sentences, also in README.md. */
  readonly warnings: readonly string[];
}
