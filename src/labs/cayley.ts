/** The Cayley lab's question: one skew block, its exact rotation and the truncated series of every length, by the op that OFT and BOFT train with. */
import { createBuilder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/types.ts';
import { cayley } from '../ops/cayley.ts';
import type { Backend } from '../training/backend.ts';
import type { OpenGraph } from '../training/graphRuns.ts';
import { trianglesOf } from './fitShapes.ts';
import { type Both, type CayleyAnswer, type LabApi, TERMS } from './protocol.ts';

/** Name of the input, packed strict upper triangle [1, b(b−1)/2]. */
const SKEW = 'skew';
const EXACT = 'exact';
const seriesName = (terms: number): string => `series.${terms}`;

/** Outputs [1, b, b]: {@link EXACT} and {@link seriesName} of each length. */
export function cayleyGraph(b: number): Graph {
  const g = createBuilder();
  const skew = g.input(SKEW, { dtype: 'f32', shape: [1, trianglesOf(b)] });
  const outputs: Record<string, Value> = { [EXACT]: cayley(g, skew, { b, kind: 'exact', terms: 0 }) };
  for (const terms of TERMS) outputs[seriesName(terms)] = cayley(g, skew, { b, kind: 'neumann', terms });
  return g.finish(outputs);
}

/** Each block size has one graph, which stays open, and its interpretation in float64. */
export function createCayley(backend: () => Promise<Pick<Backend, 'open'>>): LabApi['cayley'] {
  const graphs = new Map<number, { readonly graph: Graph; readonly open: Promise<OpenGraph> }>();
  const graphOf = (b: number) => {
    const known = graphs.get(b);
    if (known) return known;
    const graph = cayleyGraph(b);
    const made = { graph, open: backend().then((one) => one.open(graph)) };
    graphs.set(b, made);
    made.open.catch(() => graphs.delete(b));
    return made;
  };
  return async (b, skew): Promise<CayleyAnswer> => {
    const { graph, open } = graphOf(b);
    const computed = await (await open).run({ [SKEW]: Float32Array.from(skew) });
    const { interpret } = await import('../ops/checks.ts');
    const data = Float64Array.from(skew);
    const exact = interpret(graph, new Map([[SKEW, { dtype: 'f32', shape: [1, data.length], data }]]));
    const both = (name: string): Both => ({
      engine: [...computed[name]!],
      reference: [...exact.get(graph.outputs[name]!).data],
    });
    return { exact: both(EXACT), series: TERMS.map((terms) => both(seriesName(terms))) };
  };
}
