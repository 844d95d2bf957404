/** onnxruntime as a trainer needs it, whichever build: opens a model, runs it; and what a graph takes in it, held against what there is before anything is opened. */
import { schedule } from '../graph/schedule.ts';
import { byteSizeOf } from '../graph/shape.ts';
import { baseCaps, type Caps, type DeviceData, type Graph } from '../graph/types.ts';
import { fail, PapilioError } from '../lib/errors.ts';
import { say, whole } from '../lib/say.ts';

export interface OrtModelSession {
  run(
    feeds: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: DeviceData }>,
  ): Promise<Readonly<Record<string, Float32Array>>>;
  release(): Promise<void>;
}

/** What a runtime takes beyond the values of a plan, as measured (docs/performance.md). */
export interface MemoryOverhead {
  /** Itself. */
  readonly bytes: number;
  /** Times the values between: a graph in small steps has more of them, and they lie in rounded pieces. */
  readonly temporaries: number;
}

export const NO_OVERHEAD: MemoryOverhead = { bytes: 0, temporaries: 1 };

export interface OrtRuntime {
  readonly name: string;
  readonly version: string;
  /** The processor, where that can be known. */
  readonly cpu: string;
  readonly threads: number;
  /** Bytes of memory that graphs may take. */
  readonly memoryBytes: number;
  readonly overhead: MemoryOverhead;
  /** Bytes of the memory that all its sessions have had at once, at the most; null where it is not told apart from the rest of the process. */
  heapBytes(): number | null;
  open(model: Uint8Array): Promise<OrtModelSession>;
}

/** A processor's memory has no limits on single buffers. */
export const CPU_CAPS: Caps = { ...baseCaps, maxStorageBindingBytes: Number.MAX_SAFE_INTEGER };

/** Weights, states and what lies between them at once. */
function bytesOf(graph: Graph): number {
  try {
    return schedule(graph, CPU_CAPS).peakBytes;
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

const mebibytes = (bytes: number): string => `${whole(Math.ceil(bytes / 2 ** 20))} MiB`;

/** @throws PapilioError('limit') with both numbers for a graph that takes more than there is */
export function requireMemory(graph: Graph, available: number): void {
  const bytes = bytesOf(graph);
  if (bytes > available)
    fail(
      'limit',
      say`The run needs ${mebibytes(bytes)} of memory in onnxruntime, and there are ${mebibytes(available)}; take a smaller batch, shorter texts, or a model with smaller intermediate results.`,
      { bytes, available },
    );
}
