/**
 * onnxruntime-web sessions. One queue holds every create and run of the process, because two overlapping runs on the WebGPU provider
 * freeze the thread for good. In a page's worker both providers are there; in Node and Deno the wasm one is, on a single
 * thread (its threaded build starts workers from blob addresses, which neither runtime accepts).
 */
import type { InferenceSession, Tensor, TypedTensor } from 'onnxruntime-web';
import { fail, PapilioError } from '../lib/errors.ts';
import { anyAdapter } from '../lib/gpuAdapter.ts';
import { float32ToHalf, halfToFloat32 } from '../lib/half.ts';
import { sizeOf } from '../lib/numbers.ts';
import { say } from '../lib/say.ts';
import { isSoftwareAdapter } from '../lib/softwareAdapter.mjs';
import { beginningThreads } from '../lib/threads.ts';
import { othersTurn } from '../lib/turn.ts';

export type Provider = 'webgpu' | 'wasm';

export interface OpenOptions {
  /** External data by the location that the model names. */
  readonly external?: Readonly<Record<string, Uint8Array>>;
  /** Providers in the order to try; by default WebGPU then wasm in a page on a GPU, else wasm alone. A parity
   * check names wasm, which rounds the same on every machine. */
  readonly providers?: readonly Provider[];
  /** False leaves the graph as it is: for files that run only once or twice. Default true. */
  readonly optimise?: boolean;
}

/** An input or output; a dim is a number or the name of a free one. */
export interface ValueInfo {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly dims: readonly (number | string)[];
}

export interface OrtSession {
  readonly provider: Provider;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * Runs once. Feeds are converted to the element type that the model declares; outputs are copies.
   * `outputs` narrows what is computed and returned. Throws 'not-found' for a missing or unknown name, 'shape' for a wrong count.
   */
  run(
    feeds: Readonly<Record<string, FeedTensor>>,
    outputs?: readonly string[],
  ): Promise<Record<string, HostTensor>>;
  /** Frees the session's memory; it cannot run afterwards. */
  release(): Promise<void>;
}

let queue: Promise<unknown> = Promise.resolve();

/** Runs `task` after everything queued before it, whether that succeeded or not. */
function enqueue<T>(task: () => Promise<T>): Promise<T> {
  const result = queue.then(task, task);
  queue = result.catch(() => undefined);
  return result;
}

type Ort = typeof import('onnxruntime-web');
/** Its two builds: the one for GPUs has both providers, and twice the size. */
const loading: { -readonly [provider in Provider]?: Promise<Ort> } = {};

/**
 * Loads the build that a provider needs, once; what could not be loaded is tried again by whoever asks next.
 *
 * @throws PapilioError 'not-found'
 */
function loadOrt(provider: Provider): Promise<Ort> {
  if (loading.webgpu !== undefined) return loading.webgpu;
  loading[provider] ??= (async () => {
    const ort: Ort = await (import.meta.env.SSR || provider === 'wasm'
      ? import('onnxruntime-web/wasm')
      : import('onnxruntime-web/webgpu'));
    if (import.meta.env.SSR || !globalThis.crossOriginIsolated) ort.env.wasm.numThreads = 1;
    ort.env.logLevel = 'error';
    return ort;
  })().catch((error: unknown) => {
    delete loading[provider];
    return fail(
      'not-found',
      say`onnxruntime-web, which opens the model, cannot be loaded (${reasonOf(error)}): see that it is installed and can be reached, and try again.`,
    );
  });
  return loading[provider];
}

/**
 * WebGPU comes first only on a GPU with 16-bit floats: on a software adapter the wasm provider is about fifty times faster and more
 * exact, and the WebGPU one opens a float16 model that its device then cannot run.
 */
async function defaultProviders(): Promise<readonly Provider[]> {
  if (import.meta.env.SSR) return ['wasm'];
  const gpu = globalThis.navigator?.gpu as GPU | undefined;
  const adapter = gpu === undefined ? null : await anyAdapter(gpu).catch(() => null);
  const isGpu = adapter !== null && !isSoftwareAdapter(adapter.info) && adapter.features.has('shader-f16');
  return isGpu ? ['webgpu', 'wasm'] : ['wasm'];
}

/**
 * Opens a model. Throws 'unsupported-onnx' with onnxruntime's reason when every provider refuses it, 'out-of-memory' when it does
 * not fit, 'not-found' when there is no onnxruntime.
 */
export function openSession(model: Uint8Array, options: OpenOptions = {}): Promise<OrtSession> {
  return enqueue(async () => {
    const externalData = Object.entries(options.external ?? {}).map(([path, data]) => ({ path, data }));
    const reasons: string[] = [];
    let missing: PapilioError | undefined;
    for (const provider of options.providers ?? (await defaultProviders())) {
      try {
        const ort = await loadOrt(provider);
        const session = await beginningThreads(ort, () =>
          ort.InferenceSession.create(model, {
            executionProviders: [provider],
            logSeverityLevel: 3,
            ...(options.optimise === false ? { graphOptimizationLevel: 'disabled' as const } : {}),
            ...(externalData.length > 0 ? { externalData } : {}),
          }),
        );
        return wrap(ort, session, provider);
      } catch (error) {
        if (error instanceof PapilioError) missing = error;
        else reasons.push(`${provider}: ${reasonOf(error)}`);
      }
    }
    if (reasons.length === 0 && missing !== undefined) throw missing;
    const why = reasons.join('; ');
    if (isMemory(why)) fail('out-of-memory', say`onnxruntime has no room for the model (${why}).`);
    return fail('unsupported-onnx', say`onnxruntime cannot open the model (${why}).`);
  });
}

function wrap(ort: Ort, session: InferenceSession, provider: Provider): OrtSession {
  const inputs = session.inputMetadata.map(valueInfo);
  const outputs = session.outputMetadata.map(valueInfo);
  let released = false;

  async function runNow(
    feeds: Readonly<Record<string, FeedTensor>>,
    wanted?: readonly string[],
  ): Promise<Record<string, HostTensor>> {
    if (released) fail('internal', 'This onnxruntime session has been released; open the model again.');
    const ortFeeds: Record<string, Tensor> = {};
    for (const input of inputs) {
      const feed = feeds[input.name];
      if (!feed) fail('not-found', say`The model wants the input ${input.name}, which was not given.`);
      ortFeeds[input.name] = toOrt(ort.Tensor, input.name, feed, input.dtype);
    }
    const unknown = Object.keys(feeds).find((name) => !inputs.some((input) => input.name === name));
    if (unknown !== undefined) fail('not-found', say`The model has no input ${unknown}.`);
    const missing = wanted?.find((name) => !session.outputNames.includes(name));
    if (missing !== undefined) fail('not-found', say`The model has no output ${missing}.`);
    const results = await (wanted ? session.run(ortFeeds, [...wanted]) : session.run(ortFeeds));
    await othersTurn();
    const copies: Record<string, HostTensor> = {};
    for (const [name, tensor] of Object.entries(results)) {
      copies[name] = await fromOrt(name, tensor);
      tensor.dispose();
    }
    return copies;
  }

  return {
    provider,
    inputs,
    outputs,
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    run: (feeds, wanted) =>
      enqueue(async () => {
        try {
          return await runNow(feeds, wanted);
        } catch (error) {
          if (error instanceof PapilioError) throw error;
          const why = reasonOf(error);
          return fail(
            isMemory(why) ? 'out-of-memory' : 'bad-data',
            say`onnxruntime could not run the model: ${why}.`,
          );
        }
      }),
    release: () =>
      enqueue(async () => {
        if (released) return;
        released = true;
        await session.release();
      }),
  };
}

function valueInfo(meta: InferenceSession.ValueMetadata): ValueInfo {
  if (!meta.isTensor) fail('unsupported-onnx', say`${meta.name} is not a tensor but a sequence or a map.`);
  return { name: meta.name, dtype: meta.type as TensorDtype, dims: [...meta.shape] };
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, ' ').trim().replace(/\.$/, '');
}

function isMemory(reason: string): boolean {
  return /out of memory|bad_alloc|failed to allocate|Array buffer allocation|memory access out of bounds/i.test(
    reason,
  );
}

// Tensors as callers of onnxruntime see them, and their way into and out of its own classes.

/** Element types that onnxruntime takes from JavaScript and that models here use. */
export type TensorDtype =
  | 'float32'
  | 'float16'
  | 'float64'
  | 'int64'
  | 'int32'
  | 'uint32'
  | 'int16'
  | 'uint16'
  | 'int8'
  | 'uint8'
  | 'bool';

export type NumberArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/**
 * Numbers with a shape, row-major. `dtype` is the element type in the model; `data` holds plain numbers: float16 as Float32Array,
 * int64 as Int32Array, bool as 0 and 1.
 */
export interface HostTensor {
  readonly dtype: TensorDtype;
  readonly dims: readonly number[];
  readonly data: NumberArray;
}

/** A tensor to feed; any list of numbers will do, it is converted to what the model wants. */
export interface FeedTensor {
  readonly dtype: TensorDtype;
  readonly dims: readonly number[];
  readonly data: ArrayLike<number>;
}

type Construct = typeof Tensor;

const plainArrays = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

/** onnxruntime's tensor of element type `dtype` from a feed; throws 'shape' when the count is not the product of the dims. */
function toOrt(construct: Construct, name: string, feed: FeedTensor, dtype: TensorDtype): Tensor {
  const count = sizeOf(feed.dims);
  if (feed.data.length !== count) {
    fail(
      'shape',
      say`Input ${name}: ${feed.data.length} values do not fill the shape [${feed.dims.join(', ')}].`,
      {
        input: name,
      },
    );
  }
  const dims = [...feed.dims];
  if (dtype === 'int64') {
    const wide = new BigInt64Array(count);
    for (let i = 0; i < count; i++) wide[i] = BigInt(feed.data[i]!);
    return new construct('int64', wide, dims);
  }
  if (dtype === 'float16') {
    return new construct('float16', float32ToHalf(feed.data), dims);
  }
  const array = plainArrays[dtype];
  const data = feed.data instanceof array ? feed.data : array.from(feed.data);
  return new construct(dtype, data as never, dims);
}

/** A copy in plain numbers of an output; throws 'unsupported-onnx' for strings and 'limit' for integers beyond 32 bits. */
async function fromOrt(name: string, tensor: Tensor): Promise<HostTensor> {
  const dtype = tensor.type as TensorDtype;
  const dims = [...tensor.dims];
  const data = (await tensor.getData()) as TypedTensor<keyof typeof plainArrays>['data'] | BigInt64Array;
  if (data instanceof BigInt64Array) return { dtype, dims, data: narrow(name, data) };
  if (dtype === 'float16') {
    const bits = new Uint16Array(data.buffer, data.byteOffset, data.length);
    return { dtype, dims, data: halfToFloat32(bits) };
  }
  if (!(dtype in plainArrays)) {
    fail('unsupported-onnx', say`Output ${name} has element type ${tensor.type}, which is not numeric.`, {
      output: name,
    });
  }
  return { dtype, dims, data: (data as Float32Array).slice() };
}

function narrow(name: string, wide: BigInt64Array): Int32Array {
  const narrowed = new Int32Array(wide.length);
  for (let i = 0; i < wide.length; i++) {
    const value = Number(wide[i]!);
    if (value !== (value | 0)) {
      fail('limit', say`Output ${name}: the integer ${String(wide[i])} does not fit into 32 bits.`, {
        output: name,
      });
    }
    narrowed[i] = value;
  }
  return narrowed;
}
