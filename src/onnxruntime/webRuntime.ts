/**
 * onnxruntime's WebAssembly build, for a worker of a page and for Node. Threads need a page that is isolated from others
 * (`crossOriginIsolated`); elsewhere, and in Node, there is one.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-web';
import type { DeviceData } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { beginningThreads } from '../lib/threads.ts';
import { othersTurn } from '../lib/turn.ts';
import type { OrtRuntime } from './runtime.ts';

type Ort = typeof import('onnxruntime-web');

/** WebAssembly's memory ends here, whatever the machine has. */
const MEMORY_BYTES = 2 ** 32;

let loading: Promise<Ort> | undefined;

/** What onnxruntime computes in, its threads too. It only ever grows. */
let memory: WebAssembly.Memory | undefined;
const PAGE_BYTES = 65536;

/** Remembers the memory that onnxruntime makes while `work` is at work, the first time. */
async function rememberingMemory<T>(work: () => Promise<T>): Promise<T> {
  if (memory !== undefined) return work();
  const { Memory } = WebAssembly;
  WebAssembly.Memory = new Proxy(Memory, {
    construct(own, [size]: [WebAssembly.MemoryDescriptor]) {
      const made = new own(size);
      // One of no pages is made for its class alone.
      if (size.initial > 0) memory = made;
      return made;
    },
  });
  try {
    return await work();
  } finally {
    WebAssembly.Memory = Memory;
  }
}

/** The threads that WebAssembly may have here. */
export const webThreads = (): number =>
  !import.meta.env.SSR && globalThis.crossOriginIsolated
    ? Math.max(1, globalThis.navigator?.hardwareConcurrency ?? 1)
    : 1;

/**
 * Loads it once; what could not be loaded is tried again by whoever asks next.
 * @param threads of every session from the first on
 * @throws PapilioError 'not-found'
 */
export async function loadWebRuntime(threads = webThreads()): Promise<OrtRuntime> {
  loading ??= import('onnxruntime-web/wasm').then(
    (ort) => {
      ort.env.wasm.numThreads = threads;
      ort.env.logLevel = 'error';
      return ort;
    },
    (error: unknown) => {
      loading = undefined;
      return fail(
        'not-found',
        say`onnxruntime-web, which trains where there is no GPU, cannot be loaded (${(error as Error).message}): see that it can be reached, and try again.`,
      );
    },
  );
  const ort = await loading;
  return {
    name: 'onnxruntime-web',
    version: ort.env.versions.web ?? '',
    cpu: 'WebAssembly',
    threads: ort.env.wasm.numThreads ?? 1,
    memoryBytes: MEMORY_BYTES,
    overhead: { bytes: 16 * 2 ** 20, temporaries: 2 },
    // To grow by nothing tells the size that another thread may have grown it to.
    heapBytes: () => (memory === undefined ? null : memory.grow(0) * PAGE_BYTES),
    open: async (model) => {
      const create = () =>
        ort.InferenceSession.create(model, {
          executionProviders: ['wasm'],
          graphOptimizationLevel: 'all',
          logSeverityLevel: 3,
          // As in the native build (nativeRuntime.ts): half the memory.
          enableMemPattern: false,
        });
      const session = await beginningThreads(ort, () => rememberingMemory(create));
      return sessionOver(ort, session);
    },
  };
}

function sessionOver(ort: Ort, session: InferenceSession): Awaited<ReturnType<OrtRuntime['open']>> {
  const tensorOf = (data: DeviceData, shape: readonly number[]): Tensor =>
    data instanceof Float32Array
      ? new ort.Tensor('float32', data, shape)
      : new ort.Tensor('int32', data as Int32Array, shape);
  return {
    async run(feeds) {
      const tensors: Record<string, Tensor> = {};
      for (const [name, { shape, data }] of feeds) tensors[name] = tensorOf(data, shape);
      const out = await session.run(tensors);
      await othersTurn();
      return Object.fromEntries(
        Object.entries(out).map(([name, tensor]) => [name, tensor.data as Float32Array]),
      );
    },
    release: () => session.release(),
  };
}
