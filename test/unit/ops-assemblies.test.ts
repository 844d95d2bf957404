/**
 * What moves and adds elements becomes one pass and gives what it gave before: trees of slices, concatenations, broadcasts, factors and sums,
 * drawn at random, and those of a vision model. Seen to fail with: windows that are not cut where a slice begins, an offset that is
 * forgotten, a factor applied twice, a value that others read taken for a part.
 */
import { describe, expect, it } from 'vitest';
import { type Builder, createBuilder } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import { baseCaps, type Graph, type Tensor, type Value } from '../../src/graph/types.ts';
import { type Rng, rng, streamOf } from '../../src/lib/rng.ts';
import '../../src/ops/checks.ts';
import { addN, binary, expand, reduce, scale } from '../../src/ops/elementwise.ts';
import { joinAssemblies } from '../../src/ops/fuse/assemblies.ts';
import { fuse } from '../../src/ops/fuse.ts';
import { concat, slice, unsliceOp, view } from '../../src/ops/moves.ts';

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

/** The same numbers for the same name. */
function feedsOf(graph: Graph): Map<string, Tensor> {
  return new Map(
    graph.inputs.map(({ name, dtype, shape }) => {
      const random = rng(3, streamOf(name));
      const data = Float64Array.from({ length: sizeOf(shape) }, () => Math.fround(random.between(-1, 1)));
      return [name, { dtype, shape, data }];
    }),
  );
}

const answers = (graph: Graph) => {
  const feeds = feedsOf(graph);
  const values = interpret(graph, feeds);
  return Object.fromEntries(Object.entries(graph.outputs).map(([k, v]) => [k, [...values.get(v).data]]));
};

const opsOf = (graph: Graph): string[] => graph.nodes.map((n) => n.op.name);
const dispatchesOf = (graph: Graph): number =>
  schedule(graph, baseCaps).steps.filter((s) => s.kind === 'dispatch').length;

/** The token of a class before patches, with positions; and what pools them. */
function tokens(g: Builder): { x: Value; pooled: Value } {
  const cls = expand(g, g.input('cls', f32(1, 1, 6)), { shape: [3, 1, 6] });
  const all = concat(g, [cls, g.input('patches', f32(3, 4, 6))], { axis: 1 });
  const x = binary(g, all, g.input('positions', f32(1, 5, 6)), { fn: 'add' });
  const part = (from: number, to: number) =>
    slice(g, x, { starts: [0, from, 0], ends: [3, to, 6], steps: [1, 1, 1] });
  const mean = reduce(g, part(1, 5), { fn: 'mean', axes: [1] });
  return { x, pooled: concat(g, [view(g, part(0, 1), [3, 6]), mean], { axis: 1 }) };
}

describe('assemblies', () => {
  it('make one dispatch of a class token with positions, and of what pools them', () => {
    const g = createBuilder();
    const graph = g.finish(tokens(g));
    const joined = fuse(graph);
    expect(answers(joined)).toEqual(answers(graph));
    expect(opsOf(joined).filter((op) => op === 'assemble')).toHaveLength(2);
    // The two, a slice and the mean of it.
    expect([dispatchesOf(graph), dispatchesOf(joined)]).toEqual([7, 4]);
  });

  it('leave alone what others read, what one dispatch does already, and other functions', () => {
    const g = createBuilder();
    const doubled = scale(g, g.input('a', f32(3)), { by: 2 });
    const both = concat(g, [doubled, g.input('b', f32(2))], { axis: 0 });
    const product = binary(g, both, both, { fn: 'mul' });
    const graph = g.finish({ doubled, product });
    expect(opsOf(joinAssemblies(graph))).toEqual(opsOf(graph));
  });

  it.each(Array.from({ length: 60 }, (_, seed) => seed))('give what was there before: tree %i', (seed) => {
    const g = createBuilder();
    const graph = g.finish({ y: tree(g, rng(seed + 1), { shape: [2, 3, 4], depth: 4, next: { id: 0 } }) });
    const joined = joinAssemblies(graph);
    const [before, after] = [answers(graph).y!, answers(joined).y!];
    expect(after).toHaveLength(before.length);
    after.forEach((v, i) => {
      expect(v).toBeCloseTo(before[i]!, 12);
    });
    expect(dispatchesOf(joined)).toBeLessThanOrEqual(dispatchesOf(graph));
  });

  it('have trees among them that become one dispatch', () => {
    const counts = Array.from({ length: 60 }, (_, seed) => {
      const g = createBuilder();
      const graph = g.finish({ y: tree(g, rng(seed + 1), { shape: [2, 3, 4], depth: 4, next: { id: 0 } }) });
      return [dispatchesOf(graph), dispatchesOf(joinAssemblies(graph))] as const;
    });
    expect(counts.filter(([before, after]) => before > 3 && after === 1).length).toBeGreaterThan(10);
  });
});

interface Wanted {
  readonly shape: readonly number[];
  readonly depth: number;
  readonly next: { id: number };
}

/** A value of the shape, made of others at random. */
function tree(g: Builder, random: Rng, { shape, depth, next }: Wanted): Value {
  const of = (inner: readonly number[]) => tree(g, random, { shape: inner, depth: depth - 1, next });
  const axis = random.int(shape.length);
  const d = shape[axis]!;
  const at = (value: number) => shape.map((size, i) => (i === axis ? value : size));
  const zeros = shape.map(() => 0);
  switch (depth === 0 ? 0 : random.int(8)) {
    case 0:
      return g.input(`x${next.id++}`, f32(...shape));
    case 1:
      return scale(g, of(shape), { by: 1 + random.int(3) });
    case 2:
      return addN(g, [of(shape), of(shape)]);
    case 3:
      return binary(g, of(shape), of(at(1)), { fn: 'add' });
    case 4:
      return expand(g, of(at(1)), { shape });
    case 5: {
      const starts = zeros.with(axis, 1);
      return slice(g, of(at(d + 2)), {
        starts,
        ends: at(d + 1).map((e, i) => (i === axis ? e : shape[i]!)),
        steps: zeros.map(() => 1),
      });
    }
    case 6: {
      if (d < 2) return view(g, of([...shape, 1]), shape);
      const inner = of(at(d - 1));
      return g.emit(unsliceOp, [inner], {
        starts: zeros.with(axis, random.int(2)),
        steps: zeros.map(() => 1),
        shape,
      })[0]!;
    }
    default:
      return d < 2 ? of(shape) : concat(g, [of(at(1)), of(at(d - 1))], { axis });
  }
}

it('joins any number of tensors', () => {
  const g = createBuilder();
  const parts = Array.from({ length: 15 }, (_, i) => g.input(`x${i}`, f32(2, 1 + (i % 3))));
  const graph = g.finish({ y: concat(g, parts, { axis: 1 }) });
  const feeds = feedsOf(graph);
  const rows = [0, 1].map((row) =>
    parts.flatMap(({ name, shape: [, width] }) =>
      [...feeds.get(name)!.data].slice(row * width!, (row + 1) * width!),
    ),
  );
  expect([...interpret(graph, feeds).get(graph.outputs.y!).data]).toEqual(rows.flat());
});
