/**
 * onnxruntime's native build for Node, which is no dependency of the project: it is loaded from where the caller has it, by a name
 * that no bundler follows. And what a graph takes in it, held against what the machine has before anything is opened.
 */
import { createRequire } from 'node:module';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import type { InferenceSession, Tensor } from 'onnxruntime-web';
import { schedule } from '../graph/schedule.ts';
import { byteSizeOf } from '../graph/shape.ts';
import { baseCaps, type Caps, type DeviceData, type Graph } from '../graph/types.ts';
import { fail, PapilioError } from '../lib/errors.ts';

const PACKAGE = 'onnxruntime-node';

interface OrtModule {
  readonly InferenceSession: {
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (type: string, data: DeviceData, dims: readonly number[]) => Tensor;
}

export interface OrtModelSession {
  run(
    feeds: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: DeviceData }>,
  ): Promise<Readonly<Record<string, Float32Array>>>;
  release(): Promise<void>;
}

export interface OrtRuntime {
  readonly name: string;
  readonly version: string;
  readonly cpu: string;
  readonly threads: number;
  open(model: Uint8Array): Promise<OrtModelSession>;
}

/**
 * @param folder where node_modules with the package lies; the current folder and NODE_PATH unless given
 * @param threads that one run may use
 * @throws PapilioError('not-found') with how to install it
 */
export function loadOrtRuntime(folder = '.', threads = availableParallelism()): OrtRuntime {
  const require = createRequire(join(resolve(process.cwd(), folder), 'package.json'));
  let ort: OrtModule;
  let version: string;
  try {
    ort = require(PACKAGE) as OrtModule;
    version = (require(`${PACKAGE}/package.json`) as { version: string }).version;
  } catch (error) {
    return fail(
      'not-found',
      `${PACKAGE} cannot be loaded (${(error as Error).message.split('\n')[0]}): run npm install --no-save ${PACKAGE}, or name the folder that has it with --executor-path.`,
    );
  }
  return {
    name: PACKAGE,
    version,
    cpu: cpus()[0]?.model ?? 'unknown',
    threads,
    async open(model) {
      const session = await ort.InferenceSession.create(model, {
        executionProviders: ['cpu'],
        intraOpNumThreads: threads,
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
        // A waiting thread that spins takes the core from whoever else works on the machine.
        extra: { session: { intra_op: { allow_spinning: '0' } } },
      });
      return {
        async run(feeds) {
          const tensors: Record<string, Tensor> = {};
          for (const [name, { shape, data }] of feeds) {
            tensors[name] = new ort.Tensor(data instanceof Float32Array ? 'float32' : 'int32', data, shape);
          }
          const out = await session.run(tensors);
          return Object.fromEntries(Object.entries(out).map(([name, t]) => [name, t.data as Float32Array]));
        },
        release: () => session.release(),
      };
    },
  };
}

/** A machine's memory has no limits on single buffers. */
const CAPS: Caps = { ...baseCaps, maxStorageBindingBytes: Number.MAX_SAFE_INTEGER };

/** Bytes of memory that this process may have: of the machine, or of its container where that has less. */
export function machineBytes(): number {
  const limit = process.constrainedMemory?.() ?? 0;
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/** Weights, states and what lies between them at once. */
function bytesOf(graph: Graph): number {
  try {
    return schedule(graph, CAPS).peakBytes;
  } catch (error) {
    if (!(error instanceof PapilioError) || error.kind !== 'limit') throw error;
    // No plan for a GPU: at least what the largest node touches.
    return graph.nodes.reduce(
      (most, { inputs, outputs }) =>
        Math.max(
          most,
          [...inputs, ...outputs].reduce((sum, value) => sum + byteSizeOf(value), 0),
        ),
      0,
    );
  }
}

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20).toLocaleString('en-GB')} MiB`;

/** @throws PapilioError 'limit' with both numbers for a graph that takes more than there is */
export function requireMemory(graph: Graph, available: number): void {
  const bytes = bytesOf(graph);
  if (bytes > available)
    fail(
      'limit',
      `The run needs ${mebibytes(bytes)} of memory in onnxruntime, and this machine has ${mebibytes(available)}; take a smaller batch, shorter texts, or a model with smaller intermediate results.`,
      { bytes, available },
    );
}
