/** A training step whose activations are computed again where that takes less memory: the best of a few ways to cut the forward pass. */
import { recompute } from '../graph/recompute.ts';
import { schedule } from '../graph/schedule.ts';
import type { Caps, Graph } from '../graph/types.ts';
import { fuse } from '../ops/fuse.ts';
import { names, type StepGraph } from './stepGraph.ts';

const SEGMENTS = [3, 6, 12, 24];

/** The step itself, if no cut takes less. */
export function recomputed(step: StepGraph, caps: Caps): StepGraph {
  const loss = step.graph.outputs[names.loss]!;
  const bytesOf = (graph: Graph): number => schedule(fuse(graph), caps).temporaryBytes;
  let best = { graph: step.graph, bytes: bytesOf(step.graph) };
  for (const segments of SEGMENTS) {
    const graph = recompute(step.graph, loss, segments);
    const bytes = bytesOf(graph);
    if (bytes < best.bytes) best = { graph, bytes };
  }
  return { ...step, graph: best.graph };
}
