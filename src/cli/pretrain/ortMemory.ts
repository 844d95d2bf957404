/** What a graph will take in onnxruntime, from its plan, and what the machine has: held against each other before anything is opened. */
import { totalmem } from 'node:os';
import process from 'node:process';
import { schedule } from '../../graph/schedule.ts';
import { byteSizeOf } from '../../graph/shape.ts';
import { baseCaps, type Caps, type Graph } from '../../graph/types.ts';
import { fail, PapilioError } from '../../lib/errors.ts';

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
