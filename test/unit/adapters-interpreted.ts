/** Runs graphs on the CPU in float64, where the command line has a GPU. */
import type { Graph, Tensor } from '../../src/graph/types.ts';
import { interpret } from '../../src/ops/checks.ts';

export async function interpreted(
  graph: Graph,
  inputs: Readonly<Record<string, Float32Array | Int32Array>> = {},
): Promise<Record<string, Float32Array>> {
  const feeds = new Map<string, Tensor>();
  for (const value of Object.values(graph.inputs)) {
    const given = inputs[value.name];
    if (given)
      feeds.set(value.name, { dtype: value.dtype, shape: value.shape, data: Float64Array.from(given) });
  }
  const run = interpret(graph, feeds);
  return Object.fromEntries(
    Object.entries(graph.outputs).map(([name, value]) => [name, Float32Array.from(run.get(value).data)]),
  );
}
