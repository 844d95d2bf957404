/**
 * What passes between the page (or the command line) and the trainer. The page talks to {@link TrainerApi} in a worker through
 * comlink; events come back through one callback. Types only: the page may import this file freely.
 */
import type { CombineOptions } from '../adapters/combine.ts';
import type { MethodId } from '../adapters/registry.ts';
import type { Sizes } from '../adapters/size.ts';
import type { StartTask } from '../adapters/start.ts';
import type { ParameterCount } from '../adapters/types.ts';
import type { ColumnMapping, FoundColumns } from '../data/files/columns.ts';
import type { TableOptions } from '../data/files/dialect.ts';
import type { DrawingTones } from '../data/pictures.ts';
import type { ExamplePreview } from '../data/preview.ts';
import type { Dataset } from '../data/types.ts';
import type { HubSource, UrlSource } from '../hub/types.ts';
import type { Both } from '../inference/beforeAfter.ts';
import type { InputFile, PickedFile } from '../lib/bytes.ts';
import type { ErrorReport } from '../lib/errors.ts';
import type { ModelTask } from '../models/gives.ts';
import type { Precision } from '../models/import/emit.ts';
import type { ActivationRounding } from '../models/import/operators/quant.ts';
import type { QuantisedMerge, WrittenWeight } from '../models/merge.ts';
import type { DeviceCheckEvent, DeviceCheckReport } from './checkReport.ts';
import type { SpeedReport } from './kernels.ts';
import type { ParitySample } from './parity.ts';
import type { TrainingSettings } from './settings.ts';
import type { TuningReport } from './tuning.ts';
import type {
  BeforeAfter,
  BeforeAfterOptions,
  Classified,
  EvalMetric,
  Forgetting,
  Inspection,
  LooksApi,
  OfStep,
} from './views.ts';
import type { EngineName } from './words.ts';

export type {
  BeforeAfter,
  BeforeAfterOptions,
  Classified,
  EvalMetric,
  Forgetting,
  ImageBeforeAfter,
  Inspection,
  OfStep,
  TextBeforeAfter,
  TextClassBeforeAfter,
  TextValueBeforeAfter,
  TokenOdds,
  WeightReport,
  WhatIf,
  WhatIfAnswer,
  WhatIfRequest,
} from './views.ts';
export type { EngineName };

/** Embedded by name, the files a user dropped (an .onnx, its external data, config.json, tokenizer.json), or fetched and kept. */
export type ModelSource = (
  | { readonly kind: 'embedded'; readonly name: string }
  | { readonly kind: 'files'; readonly files: readonly PickedFile[] }
  | HubSource
  | UrlSource
) & {
  /** What the weights are rounded to while loading; as the file has them, unless given. */
  readonly precision?: Precision;
};

/** Everything that decides a run: with the same request, device and kernel choices, the same curve bit for bit. */
export interface RunRequest {
  readonly model: ModelSource;
  readonly data: DataSource;
  readonly method: MethodId;
  /** PEFT's configuration of the method, as adapter_config.json would hold it (validated by the method's schema). */
  readonly config: Readonly<Record<string, unknown>>;
  readonly training: TrainingSettings;
  /** The learning rate of `training` is nobody's choice: the run takes the method's own for the layers that it adapts. */
  readonly ownRate?: boolean;
  /** What computes it; the one that suits the machine, unless given. */
  readonly engine?: EngineName;
  /** Whether kernels are tuned to the device first, which changes no number; unless given, on a GPU and on no software adapter. */
  readonly tune?: boolean;
  /** Computes activations again in the backward pass instead of keeping them: the same numbers in less memory and more time. */
  readonly recompute?: boolean;
  /** GPU memory that the run may take. Where it only fits with activations computed again, that is done, and said. */
  readonly budgetBytes?: number;
  /** adapter_config.json and adapter_model.safetensors of an adapter to go on from; `method` must be its own, its file's configuration counts. */
  readonly adapter?: readonly InputFile[];
}

export interface ModuleRow {
  /** PyTorch module path. */
  readonly name: string;
  readonly kind: 'linear' | 'conv1d' | 'embedding' | 'conv2d' | 'norm' | 'other';
  readonly in: number;
  readonly out: number;
  readonly hasBias: boolean;
  /** Of a convolution: height and width. */
  readonly kernel?: readonly [number, number];
  /** Numbers in the module's own parameters. */
  readonly parameters: number;
}

export interface ModelReport {
  readonly name: string;
  readonly family: string;
  /** What the file gives; the task that data is opened for is in its {@link DataPreview}. */
  readonly task: ModelTask;
  /** `model_type` of config.json. */
  readonly modelType: string | null;
  /** The module that gives the scores, and the task that the model is made for, where they are known. */
  readonly head: string | null;
  readonly trains: StartTask | null;
  /** Tokens of a text that it reads at most, and why; null where nothing limits them. */
  readonly limit: { readonly tokens: number; readonly because: string } | null;
  /** Tokens of each text, where the file takes no other number. */
  readonly exactly: number | null;
  /** Inputs of the file under other names than Hugging Face's: what each is for. */
  readonly feeds: Readonly<Record<string, string>>;
  readonly opset: number;
  readonly parameters: number;
  readonly bytes: number;
  readonly modules: readonly ModuleRow[];
  /** Names of parameters that are one, what owns it first. */
  readonly ties?: readonly (readonly string[])[];
}

export interface DeviceReport {
  readonly engine: EngineName;
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  readonly isSoftware: boolean;
  /** Of onnxruntime. */
  readonly threads?: number;
}

export type Progress =
  | {
      readonly clock: 'download';
      readonly doneBytes: number;
      readonly totalBytes: number;
      readonly what: string;
    }
  | {
      readonly clock: 'compile';
      readonly done: number;
      readonly total: number;
      /** What the engine makes ready: a GPU its pipelines, and before them products that it tunes, onnxruntime its graphs. */
      readonly of: 'pipelines' | 'products' | 'graphs';
    }
  | { readonly clock: 'train'; readonly done: number; readonly total: number };

/** One update. `gradNorm` is before clipping. */
export interface StepMetric {
  readonly step: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly gradNorm: number;
  readonly examples: number;
  readonly tokens: number;
  /** Seconds since the run began, pauses left out. */
  readonly seconds: number;
}

export interface RunCounts {
  readonly trainable: ParameterCount;
  /** What the run takes of a GPU; null where none computes. */
  readonly gpu: {
    readonly dispatchesPerStep: number;
    /** Bytes of GPU buffers held by this run. */
    readonly bytes: number;
    readonly peakBytes: number;
  } | null;
}

export type RunState =
  | 'idle'
  | 'loading'
  | 'compiling'
  | 'ready'
  | 'running'
  | 'paused'
  | 'finished'
  | 'failed';

/** What a run says of itself, in order: the only source of its state. Answers to what is asked of it come after the events that led to them. */
export type TrainerEvent =
  | { readonly type: 'state'; readonly state: RunState }
  | { readonly type: 'progress'; readonly progress: Progress }
  /** The run is open; a fresh one has been evaluated. `ready` follows. */
  | { readonly type: 'open'; readonly report: OpenReport }
  /** `submits` is what this step took; `heapBytes` the size of WebAssembly's memory by then, where the run computes in it. It never shrinks. */
  | {
      readonly type: 'step';
      readonly metric: StepMetric;
      readonly submits: number;
      readonly heapBytes?: number;
    }
  | { readonly type: 'eval'; readonly metric: EvalMetric }
  /** Stopped by an error: it can be gone on with from its last update or, where that is gone (`failed`), from a checkpoint. */
  | { readonly type: 'error'; readonly error: ErrorReport };

/** Hears events; the next answer waits until a promise that it gives has settled. */
type Listener<Event> = (event: Event) => unknown;

export interface OpenReport {
  readonly model: ModelReport;
  readonly data: DataReport;
  readonly device: DeviceReport;
  readonly counts: RunCounts;
  readonly tuning: TuningReport | null;
  readonly totalSteps: number;
  /** Set when the run was opened from a checkpoint: the curve so far. */
  readonly resumedAt: number;
  readonly history: { readonly steps: readonly StepMetric[]; readonly evals: readonly EvalMetric[] };
  readonly warnings: readonly string[];
  /** The same in English, for files that others read. */
  readonly warningsInEnglish: readonly string[];
}

/** An input or an output of a file, as the file declares it. */
export interface FileValue {
  readonly name: string;
  readonly dtype: string | null;
  /** A name or null where a size is open; null where even the rank is. */
  readonly dims: readonly (number | string | null)[] | null;
}

export interface MergeReport {
  readonly onnx: Blob;
  readonly inputs: readonly FileValue[];
  readonly outputs: readonly FileValue[];
  readonly changedInitializers: readonly string[];
  /** What writing did to each changed weight: exact, rounded, or in codes again. */
  readonly written: readonly WrittenWeight[];
  /** The file keeps or computes something in fewer than 32 bits, so that the bound of parity must be measured. */
  readonly rounds: boolean;
  /** When onnxruntime rounds its activations to 8 bits. */
  readonly activations: ActivationRounding;
  /** config.json, tokenizer and preprocessor as they go with the merged model. */
  readonly sidecars: readonly InputFile[];
}

/** Whose merged file it is: that of the open run, or of the opened adapters. */
export type MergedOf = 'run' | 'adapters';

/** Where a model or data came from, as far as it has a name. */
export interface SourceName {
  readonly kind: (ModelSource | DataSource)['kind'];
  /** Of what is embedded, of a file, of a repository or address; empty for what was written or drawn. */
  readonly name: string;
}

/** What a checkpoint's file says of its run. */
export interface CheckpointReport {
  readonly bytes: Uint8Array;
  /** The next update. */
  readonly step: number;
  /** The configuration has every field filled in. */
  readonly settings: Pick<RunRequest, 'method' | 'config' | 'training'>;
  /** What computed it, and what its model and data are called; absent in files of before. */
  readonly engine?: EngineName | undefined;
  readonly sources?: { readonly model: SourceName; readonly data: SourceName } | undefined;
  /** The run went on from an adapter. */
  readonly hasAdapter: boolean;
}

/**
 * The trainer, one run at a time. Every method rejects with a PapilioError. A caller in another thread is let go when its `signal` is aborted.
 */
export interface TrainerApi extends LooksApi {
  /** Reads a model's modules without starting a run. */
  describe(model: ModelSource, signal?: AbortSignal): Promise<ModelReport>;
  /** Reads data for a model without starting a run. */
  preview(
    model: ModelSource,
    data: DataSource,
    settings: Pick<TrainingSettings, 'seed' | 'sequenceLength' | 'batchSize'>,
    signal?: AbortSignal,
  ): Promise<DataPreview>;
  /** Plans a run without starting it; `budgetBytes` is the GPU memory it may take, which WebGPU does not say. */
  forecast(request: RunRequest, budgetBytes?: number, signal?: AbortSignal): Promise<ForecastReport>;
  /** Makes some steps of the request's method and of LoRA at the nearest size in turns, beside the open run, which must not be playing. */
  speed(request: RunRequest, signal?: AbortSignal): Promise<SpeedReport>;
  /**
   * Loads, compiles, evaluates the base; the run is then `ready`. `checkpoint` continues a stored run bit for bit. The run that was open before
   * is closed, and says nothing more.
   */
  open(request: RunRequest, events: Listener<TrainerEvent>, checkpoint?: Uint8Array): Promise<void>;
  /** Resolves when it runs. */
  play(): Promise<void>;
  /** Resolves when the last step in flight has ended. */
  pause(): Promise<void>;
  step(): Promise<void>;
  checkpoint(): Promise<Uint8Array>;
  /** Reads a checkpoint's file, with all the checks that need no run. @throws PapilioError('checkpoint') */
  readCheckpoint(file: PickedFile): Promise<CheckpointReport>;
  /** Whether this run can go on from a checkpoint, asked before another ends for it. @throws PapilioError('checkpoint') */
  requireGoesOn(request: RunRequest, checkpoint: Uint8Array): Promise<void>;
  beforeAfter(options: BeforeAfterOptions): Promise<OfStep<BeforeAfter>>;
  /** Probabilities of base and adapted model on one picture [size × size], 0 … 1. */
  classify(pixels: Float32Array): Promise<Classified>;
  inspect(module: string): Promise<OfStep<Inspection>>;
  /** adapter_config.json, adapter_model.safetensors, and sentences worth showing. */
  exportAdapter(): Promise<{ readonly files: readonly InputFile[]; readonly warnings: readonly string[] }>;
  /** The Python project that goes on with the run: files by path, and what cannot carry over. */
  continueInPython(): Promise<{ readonly files: readonly InputFile[]; readonly warnings: readonly string[] }>;
  /** `quantised` says what becomes of changed weights that the file keeps in codes; requantised unless given. */
  merge(quantised?: QuantisedMerge): Promise<MergeReport>;
  /** The file that training began from, weights inside, with the head that the data asked for; that is new where the classes are others. */
  baseModel(): Promise<{ readonly onnx: Blob; readonly hasNewHead: boolean }>;
  /** The trainer's own answers and the inputs they came from, of the run or of the opened adapters, for parity with onnxruntime. */
  paritySamples(of: MergedOf, withBase: boolean): Promise<readonly ParitySample[]>;
  /** A file that a merged one is checked beside: the unadapted one, or with a seed the same with last bits of its rounded weights moved. */
  parityFile(
    of: MergedOf,
    written: readonly WrittenWeight[],
    quantised: QuantisedMerge,
    seed?: number,
  ): Promise<Blob | null>;
  /**
   * Methods at equal parameters, beside the open run, which is paused and otherwise left alone. Resolves at the end, or early after
   * {@link TrainerApi.stopMethodComparison} or when a run is opened, played or closed; its report has what was finished.
   */
  compareMethods(
    request: MethodComparisonRequest,
    events: Listener<MethodComparisonEvent>,
  ): Promise<MethodComparisonReport>;
  stopMethodComparison(): Promise<void>;
  /**
   * Every op's cases on an engine, against float64 references and finite differences, on a device of its own. Resolves at the end, or early after
   * {@link TrainerApi.stopDeviceCheck} or when a run is opened, played or closed. @throws PapilioError 'bad-argument' while a run trains
   */
  checkDevice(engine: EngineName, events: Listener<DeviceCheckEvent>): Promise<DeviceCheckReport>;
  stopDeviceCheck(): Promise<void>;
  /** Opened adapters beside the run: a command changes all or nothing and answers with what there is then. */
  changeAdapters(command: AdapterCommand): Promise<AdapterSetReport>;
  /** Of these adapters alone, or of everything as it stands (null), on the bound model's held-out examples. */
  scoreAdapters(names: readonly string[] | null): Promise<AdapterScore>;
  inspectAdapter(name: string, module: string): Promise<Inspection>;
  /** The bound model's file with what is merged, or, if nothing is, with the active adapters. */
  mergeAdapters(): Promise<MergeReport>;
  /** PEFT's folder of one adapter; of several, each in a subfolder. */
  adapterFiles(names: readonly string[]): Promise<readonly InputFile[]>;
  close(): Promise<void>;
}

// ── Data: where it comes from, how it is read, what was found ──

/** What a model can be trained for. A model's own task follows from what it takes and gives; some take another with a new head. */
export type Task = StartTask;

/** How files are read. What is left out is guessed, and the guess is noted. */
export interface DataOptions extends TableOptions {
  /** Which column is text, label, prompt …: `{"text": "review", "label": "stars"}`. */
  readonly mapping?: ColumnMapping;
  readonly task?: Task;
  /** Labels that the model does not have are errors, instead of reason for a new classifier. */
  readonly keepClasses?: boolean;
  /** Rows are padded with others of their length ('length'), or all to the longest. Default 'length'. */
  readonly padding?: 'length' | 'longest';
}

/** Embedded by name, dropped or fetched files, pasted text, or drawings (classes with 32×32 grey pictures, 0 … 1). */
export type DataSource = (
  | { readonly kind: 'embedded'; readonly name: string }
  | { readonly kind: 'files'; readonly files: readonly PickedFile[] }
  | HubSource
  | UrlSource
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'drawings';
      readonly size: number;
      readonly classes: readonly { readonly label: string; readonly images: readonly Float32Array[] }[];
    }
) & { readonly options?: DataOptions };

export interface DataReport {
  readonly name: string;
  readonly kind: Dataset['kind'];
  readonly labels: readonly string[];
  readonly trainExamples: number;
  readonly heldExamples: number;
  /** Of pictures: what the model is fed, (x − mean) / std per channel for x in 0 … 1. */
  readonly picture?: {
    readonly width: number;
    readonly height: number;
    readonly channels: number;
    readonly mean: readonly number[];
    readonly std: readonly number[];
    /** How a drawing looks that is like the first pictures. */
    readonly tones: DrawingTones;
  };
  /** What was dropped, truncated or assumed while reading: sentences. */
  readonly notes: readonly string[];
  /** The same in English, for files that others read. */
  readonly notesInEnglish: readonly string[];
}

/** Data as it will be trained on, before a run: what was found in the files, and the first examples as tokens with their loss mask. */
export interface DataPreview {
  readonly report: DataReport;
  readonly task: Task;
  /** Every task that the model can be trained for. */
  readonly tasks: readonly Task[];
  /** The table's columns and which is read as what; empty without a table. */
  readonly columns: readonly string[];
  readonly mapping: FoundColumns;
  /** Whether the first row names the columns, and what each column begins with; null without a table. */
  readonly hasHeader: boolean | null;
  readonly firstCells: Readonly<Record<string, string>>;
  readonly examples: readonly ExamplePreview[];
}

// ── Methods at equal parameters ──

/** Methods side by side at (nearly) equal parameters, on one task with one seed. */
export interface MethodComparisonRequest extends AdapterSetTask, Pick<RunRequest, 'tune'> {
  readonly methods: readonly MethodId[];
  /** Numbers that an adapter may keep; modules_to_save come on top, the same for all. */
  readonly budget: number;
  /** target_modules, modules_to_save and the like, the same for all. */
  readonly where: Readonly<Record<string, unknown>>;
  /** Where a method shall not start with its own. */
  readonly learningRates?: Readonly<Partial<Record<MethodId, number>>>;
}

export interface MethodRow {
  readonly method: MethodId;
  /** The size setting that was solved for the budget, as the layers have it. */
  readonly settings: Sizes;
  readonly config: Readonly<Record<string, unknown>>;
  readonly learningRate: number;
  /** The adapter's own numbers, nearest to the budget. */
  readonly adapter: number;
  readonly trainable: ParameterCount;
  readonly metric: EvalMetric['metric'];
  readonly before: number;
  readonly after: number;
  readonly examples: number;
  readonly words?: number;
  /** The base model's own task, on its own held-out data; null where that is not known. */
  readonly own: Forgetting | null;
  readonly steps: number;
  /** Null where nothing was measured: a run of very few steps, an engine off the GPU. */
  readonly secondsPerStep: number | null;
  readonly peakBytes: number | null;
  readonly dispatchesPerStep: number | null;
}

export type MethodComparisonEvent =
  | {
      readonly type: 'start';
      readonly method: MethodId;
      readonly settings: Sizes;
      readonly adapter: number;
    }
  | { readonly type: 'step'; readonly method: MethodId; readonly step: number; readonly total: number }
  | { readonly type: 'row'; readonly row: MethodRow }
  /** The method cannot take part; why. */
  | { readonly type: 'refused'; readonly method: MethodId; readonly reason: string };

export interface MethodComparisonReport {
  readonly rows: readonly MethodRow[];
  /** What ran it, for the sentences on how each number was got: "NVIDIA …, deno 2.9.6". */
  readonly ranOn: string;
  /** False where it was stopped early. */
  readonly isWhole: boolean;
}

// ── Opened adapters ──

/** The model that adapters are held against, and the data they are scored on. */
export type AdapterSetTask = Pick<RunRequest, 'model' | 'data' | 'training' | 'engine'>;

export type AdapterCommand =
  /** Holds all adapters against this model; merged weights are forgotten. Null: against none. */
  | { readonly kind: 'bind'; readonly task: AdapterSetTask | null }
  /** Folders, loose files and zips. All of them are taken, or none. `name` is for an adapter without a folder's name. */
  | { readonly kind: 'open'; readonly files: readonly PickedFile[]; readonly name?: string }
  | { readonly kind: 'activate'; readonly names: readonly string[] }
  | { readonly kind: 'enable' }
  | { readonly kind: 'disable' }
  | { readonly kind: 'delete'; readonly name: string }
  /** In this order, each into the weights that the one before left. */
  | { readonly kind: 'merge'; readonly names: readonly string[] }
  | { readonly kind: 'unmerge' }
  | {
      readonly kind: 'combine';
      readonly name: string;
      readonly names: readonly string[];
      readonly options: CombineOptions;
    };

export interface AdapterRow {
  readonly name: string;
  readonly method: MethodId;
  readonly title: string;
  /** Modules that the file has tensors for. */
  readonly modules: readonly string[];
  /** Names of the base parameters that it brings along: saved modules and trained biases. */
  readonly saved: readonly string[];
  /** Numbers in the file. */
  readonly parameters: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly warnings: readonly string[];
  /** Whether it belongs to the bound model; null while there is none. */
  readonly fit: { readonly reason: string | null; readonly warnings: readonly string[] } | null;
}

export interface AdapterSetReport {
  readonly rows: readonly AdapterRow[];
  /** Names in the order of the forward pass. */
  readonly active: readonly string[];
  readonly enabled: boolean;
  /** Names in the order they were merged. */
  readonly merged: readonly string[];
  /** What the last command is worth saying. */
  readonly warnings: readonly string[];
}

/** Held-out scores of the base model and of some adapters on it. */
export type AdapterScore = Both<EvalMetric>;

// ── A forecast ──

/** Bytes on the GPU, or of memory where onnxruntime computes. */
export interface ForecastBytes {
  /** Frozen weights in the form they are kept in. */
  readonly weights: number;
  /** The packed adapter. */
  readonly adapter: number;
  /** Moments, and gradients that are added up. */
  readonly optimiser: number;
  /** The pools of values that steps and evaluations make and drop. */
  readonly activations: number;
  /** Batches, tables, kernels' parameters, read-back. */
  readonly other: number;
  readonly peak: number;
}

export interface Forecast {
  readonly bytes: ForecastBytes;
  /** Of WebGPU. */
  readonly dispatchesPerStep: number | null;
  /** Null where nothing was timed. */
  readonly secondsPerStep: number | null;
  /** The largest single buffer, and what it holds. */
  readonly largest: { readonly bytes: number; readonly label: string };
  /** Why it does not fit this device or the given memory: a sentence; null where it does. */
  readonly refusal: string | null;
}

/** What a run will take, planned but not run. */
export interface ForecastReport extends Forecast {
  readonly engine: EngineName;
  /** The memory that it may take. */
  readonly limitBytes: number | null;
  /** The largest buffer that the device allows. */
  readonly bufferLimitBytes: number;
  /** What the frozen weights take in each precision; null where the model cannot be planned in it. */
  readonly weightBytes: Readonly<Record<Precision, number | null>>;
  /** Where it does not fit: up to three ways that do, the cheapest first. */
  readonly ways: readonly WayToFit[];
}

export interface WayToFit {
  readonly what: string;
  readonly change: {
    readonly recompute?: boolean;
    readonly batchSize?: number;
    readonly gradientAccumulation?: number;
    readonly sequenceLength?: number;
    readonly precision?: Precision;
    readonly modules?: readonly string[];
  };
  readonly peakBytes: number;
}
