/**
 * onnxruntime's native build for Node, which is no dependency of the project: it is loaded from where the caller has it, by a name
 * that no bundler follows.
 */
import { createRequire } from 'node:module';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import type { InferenceSession, Tensor } from 'onnxruntime-web';
import type { DeviceData } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import type { OrtRuntime } from './runtime.ts';

const PACKAGE = 'onnxruntime-node';

interface OrtModule {
  readonly InferenceSession: {
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (type: string, data: DeviceData, dims: readonly number[]) => Tensor;
}

/**
 * @param folder where node_modules with the package lies; the current folder and NODE_PATH unless given
 * @param threads that one run may use
 * @throws PapilioError('not-found') with how to install it
 */
export function loadNativeRuntime(folder = '.', threads = availableParallelism()): OrtRuntime {
  const require = createRequire(join(resolve(process.cwd(), folder), 'package.json'));
  let ort: OrtModule;
  let version: string;
  try {
    ort = require(PACKAGE) as OrtModule;
    version = (require(`${PACKAGE}/package.json`) as { version: string }).version;
  } catch (error) {
    return fail(
      'not-found',
      `${PACKAGE} cannot be loaded (${(error as Error).message.split('\n')[0]}): run npm install --no-save ${PACKAGE}, or name the folder that has it with --engine-path.`,
    );
  }
  return {
    name: PACKAGE,
    version,
    cpu: cpus()[0]?.model ?? 'unknown',
    threads,
    memoryBytes: machineBytes(),
    overhead: { bytes: 40 * 2 ** 20, temporaries: 2.5 },
    heapBytes: () => null,
    async open(model) {
      const session = await ort.InferenceSession.create(model, {
        executionProviders: ['cpu'],
        intraOpNumThreads: threads,
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
        // A plan of all memory beside that already taken doubles it, and saves no time.
        enableMemPattern: false,
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

/** Bytes of memory that this process may have: of the machine, or of its container where that has less. */
export function machineBytes(): number {
  const limit = process.constrainedMemory?.() ?? 0;
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
