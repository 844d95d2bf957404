/** Training as a program asks for it: a run over an opened model and data, its events one by one, what it leaves; and adapters without a run. */
import { type LoadedAdapter, readAdapter } from '../adapters/peft.ts';
import { METHODS, methodById, methodByPeftType } from '../adapters/registry.ts';
import { DEFAULT_METHOD } from '../adapters/start.ts';
import { type OpenOptions, type OrtSession, openSession as openOrt } from '../inference/session.ts';
import { type InputFile, plainBytes } from '../lib/bytes.ts';
import { fail } from '../lib/errors.ts';
import type { QuantisedMerge, WrittenWeight } from '../models/merge.ts';
import { encodeModel } from '../onnx/encode.ts';
import { type Backend, openBackend } from '../training/backend.ts';
import { mergeModel, mergeReport, mergeAdapters as merging } from '../training/merging.ts';
import type { ParityReport } from '../training/parity.ts';
import type {
  DeviceReport,
  EngineName,
  EvalMetric,
  Inspection,
  Progress,
  RunRequest,
  StepMetric,
} from '../training/protocol.ts';
import { openSession, type Session, type SessionEvent } from '../training/session.ts';
import type { TrainingSettings } from '../training/settings.ts';
import { adapterFiles, adapterPair } from '../training/setup.ts';
import { type Data, type Model, settingsOf } from './open.ts';

export type { Inspection, ParityReport, QuantisedMerge };

/** What a program trains; the fields are those of PEFT's adapter_config.json, and what is left out suits the model. */
export type AdapterConfig = Readonly<Record<string, unknown>> & {
  /** `LORA`, `OFT`, `BOFT`, `FOURIERFT` …; OFT where nothing is said. Papilio's own `PAPILIO_FULL` and `PAPILIO_HEAD` train whole weights. */
  readonly peft_type?: string;
};

/** An adapter that was read from its files. */
export interface Adapter {
  readonly method: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly warnings: readonly string[];
  /** @internal */
  readonly files: readonly InputFile[];
  /** @internal */
  readonly loaded: LoadedAdapter;
}

export interface ComputeOptions {
  /** The browser's own unless given; in Node `create([])` of the package webgpu. */
  readonly gpu?: GPU;
  /**
   * What computes: WebGPU, or onnxruntime-web, which must be installed, on the processor. Unless given: WebGPU where `gpu` is given or there is a GPU,
   * else onnxruntime.
   */
  readonly engine?: EngineName;
}

export interface RunOptions extends ComputeOptions {
  /** The configuration of a new adapter, or an adapter to go on from. */
  readonly adapter?: AdapterConfig | Adapter;
  /** Settings of the training; the learning rate is the method's own for these layers unless given. */
  readonly training?: Partial<TrainingSettings>;
  /** What {@link Run.checkpoint} gave: the same run goes on, bit for bit. */
  readonly checkpoint?: Uint8Array;
  /** Computes activations again in the backward pass: the same numbers in less memory and more time. */
  readonly recompute?: boolean;
  /** GPU memory that the run may take; activations are computed again where it fits only so. */
  readonly budgetBytes?: number;
  /** Whether half a second goes to finding the fastest kernels for the device, which changes no number; unless given, on a GPU and on no software adapter. */
  readonly tune?: boolean;
  readonly onProgress?: (progress: Progress) => void;
}

/** A score on held-out examples: accuracy, perplexity or error, with the loss. */
export type Score = EvalMetric;

export type TrainEvent = ({ readonly type: 'step' } & StepMetric) | ({ readonly type: 'eval' } & EvalMetric);

/** A merged model. */
export interface Merged {
  readonly onnx: Uint8Array;
  /** config.json, tokenizer.json and their like, which go with it. */
  readonly sidecars: readonly InputFile[];
  readonly changedInitializers: readonly string[];
  /** What writing did to each changed weight: exact, rounded, or in codes again. */
  readonly written: readonly WrittenWeight[];
  /** Those of the run, or of the adapters on this model. */
  readonly warnings: readonly string[];
}

export interface Run {
  readonly device: DeviceReport;
  readonly training: TrainingSettings;
  readonly totalSteps: number;
  /** Numbers that are trained, and those of them that are free. */
  readonly trainable: { readonly stored: number; readonly free: number };
  readonly warnings: readonly string[];
  /**
   * Trains to the end, or so many updates, while its events are read; who leaves the loop pauses it. May be called again then, to go on.
   * @throws PapilioError 'non-finite', 'out-of-memory', 'device-lost' …, with what can be done; 'bad-argument' while another one is read
   */
  train(steps?: number): AsyncGenerator<TrainEvent, void>;
  /** On the held-out examples, by the adapted model or the one before. */
  evaluate(which?: 'adapted' | 'base'): Promise<Score>;
  /** ΔW and the adapter's own tensors of one module. */
  inspect(module: string): Promise<Inspection>;
  /** adapter_config.json and adapter_model.safetensors, as PEFT reads them. */
  save(): Promise<{ readonly files: readonly InputFile[]; readonly warnings: readonly string[] }>;
  checkpoint(): Promise<Uint8Array>;
  /** @param quantised what becomes of changed weights that the file keeps in codes; requantised unless given */
  merge(quantised?: QuantisedMerge): Promise<Merged>;
  /** The same, compared with the trainer on held-out examples in onnxruntime-web, which must be installed. */
  mergeChecked(quantised?: QuantisedMerge): Promise<Merged & { readonly parity: ParityReport }>;
  /** Pauses it, breaks off what else is under way ('aborted'), and frees the GPU; nothing can be asked of it from then on. */
  close(): Promise<void>;
}

/** Compiles a run. @throws PapilioError 'illegal-config', 'no-target', 'limit' … before anything is trained */
export async function startRun(model: Model, data: Data, options: RunOptions = {}): Promise<Run> {
  const { adapter = {}, training = {}, onProgress, checkpoint } = options;
  const start = isAdapter(adapter)
    ? { method: adapter.loaded.method.id, config: adapter.config, adapter: adapter.files }
    : { ...methodOf(adapter), config: adapter };
  const {
    id: method,
    start: { learningRate },
  } = methodById(start.method);
  const request: RunRequest = {
    model: model.source,
    data: data.source,
    ...start,
    method,
    training: settingsOf({ learningRate, ...training }),
    ownRate: training.learningRate === undefined,
    ...(options.tune === undefined ? {} : { tune: options.tune }),
    ...(options.recompute === undefined ? {} : { recompute: options.recompute }),
    ...(options.budgetBytes === undefined ? {} : { budgetBytes: options.budgetBytes }),
  };
  const backend = await openFor(options);
  const events = createEvents();
  const emit = (event: SessionEvent): void => {
    if (event.type === 'progress') onProgress?.(event.progress);
    else if (event.type === 'step') events.add({ ...event.metric, type: 'step' });
    else events.add({ ...event.metric, type: 'eval' });
  };
  // The model was read: no source is asked for it again.
  const host = { ...data.host, modelCache: async () => model.opened };
  try {
    const session = await openSession(
      backend,
      request,
      host,
      emit,
      checkpoint ? { checkpoint: plainBytes(checkpoint) } : {},
    );
    return runOver(session, backend, events);
  } catch (error) {
    backend.close();
    throw error;
  }
}

const isAdapter = (adapter: AdapterConfig | Adapter): adapter is Adapter => 'loaded' in adapter;

function methodOf({ peft_type }: AdapterConfig): { readonly method: string } {
  if (peft_type === undefined) return { method: DEFAULT_METHOD };
  const method = methodByPeftType(peft_type);
  if (method) return { method: method.id };
  const known = Object.values(METHODS).map(({ peftType }) => peftType);
  return fail('illegal-config', `There is no peft_type "${peft_type}"; choose one of ${known.join(', ')}.`);
}

/** @throws PapilioError 'no-webgpu', 'no-adapter', 'not-found' */
const openFor = ({ gpu, engine }: ComputeOptions): Promise<Backend> =>
  openBackend(
    {
      gpu: async () =>
        gpu ??
        globalThis.navigator?.gpu ??
        fail(
          'no-webgpu',
          'There is no WebGPU here: use a browser that has it, in Node give `gpu`, which create([]) of the package webgpu makes, or take the engine onnxruntime.',
        ),
      onnxruntime: async () => (await import('../onnxruntime/webRuntime.ts')).loadWebRuntime(),
    },
    engine ?? (gpu ? 'webgpu' : undefined),
  );

/** Events in order for one reader, who may come later than they do. */
function createEvents() {
  const waiting: TrainEvent[] = [];
  let wake: () => void = () => {};
  return {
    add(event: TrainEvent): void {
      waiting.push(event);
      wake();
    },
    /** What comes until `task` has ended, and what it throws. */
    async *during(task: Promise<void>): AsyncGenerator<TrainEvent, void> {
      let isOver = false;
      const ended = task.finally(() => {
        isOver = true;
        wake();
      });
      ended.catch(() => {});
      while (!isOver || waiting.length > 0) {
        const event = waiting.shift();
        if (event) yield event;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
      await ended;
    },
  };
}

function runOver(session: Session, backend: Backend, events: ReturnType<typeof createEvents>): Run {
  const { warnings } = session;
  let isTraining = false;
  let closing: Promise<void> | null = null;
  /** @throws PapilioError 'bad-argument' once the run is closed */
  const open = (): Session =>
    closing ? fail('bad-argument', 'The run is closed; start another, from a checkpoint to go on.') : session;
  async function close(): Promise<void> {
    await session.pause();
    await session.close();
    backend.close();
  }
  return {
    device: backend.info,
    training: session.setup.training,
    totalSteps: session.position().total,
    trainable: session.counts,
    warnings,
    async *train(steps) {
      const playing = open();
      if (isTraining)
        fail(
          'bad-argument',
          'The run is being trained already, and one loop hears of it: leave the loop over the first train(), or read it to its end, before training again.',
        );
      isTraining = true;
      try {
        yield* events.during(playing.play(steps));
      } finally {
        await session.pause();
        isTraining = false;
      }
    },
    evaluate: async (which = 'adapted') => open().evaluate(which),
    inspect: async (module) => open().inspect(module),
    async save() {
      const written = await open().exportAdapter();
      return { files: adapterFiles(written), warnings: written.warnings };
    },
    checkpoint: async () => open().checkpoint(),
    merge: async (quantised) => mergedOf(await open().merge(quantised), warnings),
    async mergeChecked(quantised) {
      const made = await open().mergeChecked(openExactly, quantised);
      return { ...mergedOf(made, warnings), parity: made.parity };
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

const mergedOf = (
  { onnx, sidecars, changedInitializers, written }: Omit<Merged, 'warnings'>,
  warnings: readonly string[],
): Merged => ({ onnx, sidecars, changedInitializers, written, warnings });

/** Reads adapter_config.json and adapter_model.safetensors. @throws PapilioError 'malformed-adapter', 'not-found' */
export function openAdapter(files: readonly InputFile[]): Adapter {
  const [config, tensors] = adapterPair(files, 'The adapter');
  const json = new TextDecoder().decode(config.bytes);
  const loaded = readAdapter(json, plainBytes(tensors.bytes));
  return {
    method: loaded.method.id,
    config: JSON.parse(json) as Record<string, unknown>,
    warnings: loaded.warnings,
    files: [config, { ...tensors, bytes: plainBytes(tensors.bytes) }],
    loaded,
  };
}

/** Merges adapters into a model without training, each into the weights that the one before left. */
export async function mergeAdapters(
  model: Model,
  adapters: readonly Adapter[],
  options: ComputeOptions & { readonly quantised?: QuantisedMerge } = {},
): Promise<Merged> {
  const { opened } = model;
  const backend = await openFor(options);
  try {
    const loaded = adapters.map((adapter) => adapter.loaded);
    const made = await merging(opened.model, loaded, backend.once);
    const merged = mergeModel(made.model, new Map(made.weights), options.quantised ?? 'requantise');
    return mergedOf(mergeReport(opened, made.model, merged, encodeModel), made.warnings);
  } finally {
    backend.close();
  }
}

/** An ONNX file opened by onnxruntime-web: `run(feeds)` gives its outputs by name. */
export type OnnxSession = OrtSession;

/** Opens a file by onnxruntime-web, which must be installed beside Papilio. */
export const openOnnx = (onnx: Uint8Array, options: OpenOptions = {}): Promise<OnnxSession> =>
  openOrt(onnx, options);

/** The provider that rounds the same on every machine. */
const openExactly = (onnx: Uint8Array): Promise<OrtSession> => openOrt(onnx, { providers: ['wasm'] });
