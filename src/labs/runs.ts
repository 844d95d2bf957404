/** Runs of small graphs for pictures: by the engine, and the same graph in float64 beside it. */
import type { Graph } from '../graph/types.ts';
import type { Backend } from '../training/backend.ts';
import type { OpenGraph } from '../training/graphRuns.ts';
import type { Both } from './protocol.ts';

/** Graphs that stay open; the one that was asked for longest ago is closed for a new one. */
const MOST_OPEN = 8;

/**
 * @param key what tells one graph from another: the same key is the same graph
 * @param inputs flat, by name, all of them
 */
export type RunBoth = (
  key: string,
  make: () => Graph,
  inputs: Readonly<Record<string, readonly number[]>>,
) => Promise<Readonly<Record<string, Both>>>;

export function createRuns(backend: () => Promise<Pick<Backend, 'open'>>): RunBoth {
  const kept = new Map<string, { readonly graph: Graph; readonly open: OpenGraph }>();
  const graphOf = async (key: string, make: () => Graph) => {
    const known = kept.get(key);
    if (known !== undefined) {
      kept.delete(key);
      kept.set(key, known);
      return known;
    }
    const graph = make();
    const made = { graph, open: await (await backend()).open(graph) };
    kept.set(key, made);
    const [oldest] = kept;
    if (kept.size > MOST_OPEN && oldest !== undefined) {
      kept.delete(oldest[0]);
      await oldest[1].open.close();
    }
    return made;
  };
  const run: RunBoth = async (key, make, inputs) => {
    const { graph, open } = await graphOf(key, make);
    const narrow = Object.entries(inputs).map(([name, data]) => [name, Float32Array.from(data)] as const);
    const computed = await open.run(Object.fromEntries(narrow));
    const { interpret } = await import('../ops/checks.ts');
    const feeds = graph.inputs.map(({ name, dtype, shape }) => {
      const data = Float64Array.from(inputs[name]!, Math.fround);
      return [name, { dtype, shape, data }] as const;
    });
    const exact = interpret(graph, new Map(feeds));
    return Object.fromEntries(
      Object.entries(graph.outputs).map(([name, value]) => [
        name,
        { engine: [...computed[name]!], reference: [...exact.get(value).data] },
      ]),
    );
  };
  // One after the other: a graph that runs is not closed for another.
  let last: Promise<unknown> = Promise.resolve();
  return (...asked) => {
    const answer = last.then(() => run(...asked));
    last = answer.catch(() => {});
    return answer;
  };
}
