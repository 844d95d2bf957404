/**
 * Fusing keeps every value and gradient and shortens what training runs. Catches: a term added twice or lost, a value that others read
 * handed on after the wrong step, a product moved past a reader or a write of the state it reads.
 */
import { describe, expect, it } from 'vitest';
import { type Builder, createBuilder } from '../../src/graph/builder.ts';
import { differentiate } from '../../src/graph/differentiate.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { Graph, Tensor, Value } from '../../src/graph/types.ts';
import { rng } from '../../src/lib/rng.ts';
import { butterfly } from '../../src/ops/butterfly.ts';
import { type CayleyAttrs, cayley, cayleyGradOp } from '../../src/ops/cayley.ts';
import { interpret } from '../../src/ops/checks.ts';
import { columnScale } from '../../src/ops/columnScale.ts';
import { addN, axpy, binary, scale } from '../../src/ops/elementwise.ts';
import { fuse } from '../../src/ops/fuse.ts';
import { linear } from '../../src/ops/linear.ts';
import { concat, pack, split, view } from '../../src/ops/moves.ts';
import { layerNorm, rmsNorm } from '../../src/ops/norms.ts';
import type { ProductAttrs } from '../../src/ops/product.ts';
import { stackedMatmul } from '../../src/ops/stackedMatmul.ts';
import { unary } from '../../src/ops/unary.ts';

const draw = (n: number, seed: number) => {
  const random = rng(seed, 0);
  return Float32Array.from({ length: n }, () => random.between(-1, 1));
};

/** Named tensors of a test network; every state is trained. */
function network(build: (g: Builder, weight: (...shape: number[]) => Value, x: Value) => Value): Graph {
  const g = createBuilder();
  const weights: Value[] = [];
  const weight = (...shape: number[]): Value => {
    const i = weights.length;
    const value = g.state(`w${i}`, { dtype: 'f32', shape }, () => draw(sizeOf(shape), i + 1));
    weights.push(value);
    return value;
  };
  const x = g.input('x', { dtype: 'f32', shape: [2, 3, 8] });
  const y = build(g, weight, x);
  const seed = g.constant(y, draw(sizeOf(y.shape), 99));
  const gradients = differentiate(g, { of: y, seed, wrt: [x, ...weights], sum: addN });
  const outputs: Record<string, Value> = { y };
  for (const [v, d] of gradients) outputs[`d_${v.name}`] = d;
  return g.finish(outputs);
}

const feeds = new Map<string, Tensor>([
  ['x', { dtype: 'f32', shape: [2, 3, 8], data: Float64Array.from(draw(48, 7)) }],
]);

/** The fused graph, after a check that it computes what `before` does. */
function fused(before: Graph): Graph {
  const after = fuse(before);
  const [a, b] = [interpret(before, feeds), interpret(after, feeds)];
  expect(Object.keys(after.outputs)).toEqual(Object.keys(before.outputs));
  for (const [name, v] of Object.entries(before.outputs)) {
    const [want, have] = [a.get(v), b.get(after.outputs[name]!)];
    expect(have.shape, name).toEqual(want.shape);
    want.data.forEach((value, i) => {
      expect(Math.abs(have.data[i]! - value), `${name} at ${i}`).toBeLessThan(1e-12 * (1 + Math.abs(value)));
    });
  }
  return after;
}

/** What the products with a second pair do beside. */
const updates = (graph: Graph) =>
  graph.nodes
    .filter((n) => n.op.name === 'product' && (n.attrs as ProductAttrs).second)
    .map((n) => (n.attrs as ProductAttrs).extras);

const count = (graph: Graph, ...names: string[]) =>
  graph.nodes.filter((n) => names.includes(n.op.name)).length;

describe('fuse', () => {
  it('makes a low-rank path two products and folds its activation', () => {
    const after = fused(
      network((g, weight, x) => {
        const low = scale(g, linear(g, x, weight(2, 8), null), { by: 3 });
        const main = linear(g, x, weight(12, 8), weight(12));
        return unary(g, binary(g, main, linear(g, low, weight(12, 2), null), { fn: 'add' }), { fn: 'gelu' });
      }),
    );
    expect(count(after, 'scale', 'binary', 'unary')).toBe(0);
    // Forwards, and in the gradient of x: one product takes the update of the other.
    expect(updates(after)).toEqual([['bias'], []]);
  });

  it('makes the gradients of both factors of an update at once, where they are sums of many rows', () => {
    const build = (rows: number) => {
      const g = createBuilder();
      const x = unary(g, g.input('x', { dtype: 'f32', shape: [rows, 8] }), { fn: 'square' });
      const weight = (name: string, ...shape: number[]) =>
        g.state(name, { dtype: 'f32', shape }, () => draw(sizeOf(shape), shape[0]!));
      const [A, B] = [weight('A', 2, 8), weight('B', 12, 2)];
      const y = linear(g, linear(g, x, A, null), B, null);
      const seed = scale(g, g.constant(y, draw(sizeOf(y.shape), 99)), { by: 2 });
      const gradients = differentiate(g, { of: y, seed, wrt: [A, B], sum: addN });
      return g.finish(Object.fromEntries([...gradients].map(([v, d]) => [v.name, d])));
    };
    const many = build(70);
    const joined = fuse(many);
    expect(count(joined, 'factorGrads')).toBe(1);
    expect(count(fuse(build(6)), 'factorGrads')).toBe(0);
    const rows = new Map([
      ['x', { dtype: 'f32' as const, shape: [70, 8], data: Float64Array.from(draw(560, 3)) }],
    ]);
    const [a, b] = [interpret(many, rows), interpret(joined, rows)];
    for (const [name, v] of Object.entries(many.outputs)) {
      const [want, have] = [a.get(v), b.get(joined.outputs[name]!)];
      expect(have.shape, name).toEqual(want.shape);
      want.data.forEach((value, i) => {
        expect(Math.abs(have.data[i]! - value), `${name} at ${i}`).toBeLessThan(
          1e-12 * (1 + Math.abs(value)),
        );
      });
    }
  });

  it('makes the rotations of groups that follow each other at once, and their gradients', () => {
    for (const kind of ['exact', 'neumann'] as const) {
      // Of 32, 64 and 32 blocks, of which the last begins after a gap.
      const sizes = [192, 384, 192];
      const starts = [0, 192, 640];
      const g = createBuilder();
      const packed = g.state('packed', { dtype: 'f32', shape: [832] }, () => draw(832, 5));
      const leaves = split(
        g,
        packed,
        sizes.map((size, i) => ({ offset: starts[i]!, shape: [size / 6, 6] })),
      );
      const turned = leaves.map((q) => {
        const R = cayley(g, q, { b: 4, kind, terms: 5 });
        return unary(g, view(g, R, [sizeOf(R.shape)]), { fn: 'square' });
      });
      const y = concat(g, turned, { axis: 0 });
      const seed = g.constant(y, draw(sizeOf(y.shape), 99));
      const found = differentiate(g, { of: y, seed, wrt: [packed], sum: addN });
      const after = fused(g.finish({ y, d: found.get(packed)! }));
      expect(count(after, 'cayley')).toBe(2);
      expect(count(after, 'cayleyGrad')).toBe(2);
    }
  });

  it.each(['exact', 'neumann'] as const)(
    'does not move a rotation or its gradient past a write of the numbers that it is made of: %s',
    (kind) => {
      const build = (place: 'rotations' | 'gradients' | 'nowhere') => {
        const g = createBuilder();
        const packed = g.state('packed', { dtype: 'f32', shape: [576] }, () => draw(576, 5));
        const write = (at: typeof place) => {
          if (at !== place) return;
          const change = g.constant({ dtype: 'f32', shape: [576] }, draw(576, 6));
          axpy(g, packed, change, g.constant({ dtype: 'f32', shape: [1] }, Float32Array.of(1)));
        };
        const leaves = split(g, packed, [
          { offset: 0, shape: [32, 6] },
          { offset: 192, shape: [64, 6] },
        ]);
        const attrs = { b: 4, kind, terms: 5 } as const;
        const rotations = leaves.map((q, i) => {
          if (i > 0) write('rotations');
          return cayley(g, q, attrs);
        });
        const gradients = leaves.map((q, i) => {
          if (i > 0) write('gradients');
          const rotation = rotations[i]!;
          const dR = g.constant(rotation, draw(sizeOf(rotation.shape), 9 + i));
          const [d] = g.emit(
            cayleyGradOp,
            [kind === 'exact' ? rotation : q, dR],
            rotation.producer!.attrs as CayleyAttrs,
          );
          return d!;
        });
        const d = pack(g, gradients, { offsets: [0, 192], size: 576 });
        return g.finish({ ...Object.fromEntries(rotations.map((R, i) => [`R${i}`, R])), d });
      };
      const counts = (place: Parameters<typeof build>[0]) => {
        const after = fused(build(place));
        return [count(after, 'cayley'), count(after, 'cayleyGrad')];
      };
      expect(counts('nowhere')).toEqual([1, 1]);
      expect(counts('rotations')).toEqual([2, 2]);
      expect(counts('gradients')).toEqual([1, 2]);
    },
  );

  it('gives each of three products of a sum the update that belongs to it', () => {
    const after = fused(
      network((g, weight, x) => {
        const one = () => {
          const low = linear(g, x, weight(2, 8), null);
          return binary(g, linear(g, x, weight(8, 8), null), linear(g, low, weight(8, 2), null), {
            fn: 'add',
          });
        };
        const [q, k, v] = [one(), one(), one()] as const;
        return binary(g, binary(g, q, k, { fn: 'mul' }), v, { fn: 'mul' });
      }),
    );
    expect(updates(after).length).toBe(6);
  });

  it('gives groups of columns an update each, where tiles can have one group', () => {
    const build = (columns: number) =>
      fused(
        network((g, weight, x) => {
          const count = 2;
          const flat = view(g, x, [6, 8]);
          const low = linear(g, flat, weight(count * 2, 8), null);
          const stack = { count, transA: false, transB: true, a: 'beside', b: 'apart', c: 'beside' } as const;
          const added = stackedMatmul(g, low, weight(count, columns, 2), stack);
          const main = linear(g, flat, weight(count * columns, 8), weight(count * columns));
          return binary(g, main, added, { fn: 'add' });
        }),
      );
    expect(count(build(64), 'stackedMatmul')).toBe(2);
    expect(updates(build(64))).toEqual([['bias'], []]);
    expect(updates(build(32))).toEqual([[]]);
  });

  it('gives a product no update with a bias or a scale', () => {
    const build = (end: (g: Builder, y: Value, weight: (...shape: number[]) => Value) => Value) =>
      fused(
        network((g, weight, x) => {
          const low = linear(g, x, weight(2, 8), null);
          const added = end(g, linear(g, low, weight(12, 2), null), weight);
          return binary(g, linear(g, x, weight(12, 8), null), added, { fn: 'add' });
        }),
      );
    const forwards = (graph: Graph) => updates(graph).length;
    expect(forwards(build((_, y) => y))).toBe(2);
    expect(forwards(build((g, y, weight) => binary(g, y, weight(12), { fn: 'add' })))).toBe(1);
    expect(forwards(build((g, y, weight) => columnScale(g, y, weight(12))))).toBe(1);
  });

  it('folds a scale of columns and the bias after it, and keeps the product for the gradient', () => {
    const after = fused(
      network((g, weight, x) => {
        const z = columnScale(g, linear(g, x, weight(12, 8), null), weight(12));
        return unary(g, binary(g, z, weight(12), { fn: 'add' }), { fn: 'silu' });
      }),
    );
    expect(count(after, 'columnScale', 'binary', 'unary')).toBe(0);
    expect(after.nodes.find((n) => n.op.name === 'product')?.attrs).toMatchObject({
      keepPre: true,
      keepRaw: true,
      extras: ['scale', 'bias'],
    });
  });

  it('sums up for a bias and for the scale before it at once', () => {
    const after = fused(
      network((g, weight, x) =>
        binary(g, columnScale(g, linear(g, x, weight(12, 8), null), weight(12)), weight(12), { fn: 'add' }),
      ),
    );
    expect(count(after, 'sumTo')).toBe(0);
    expect(after.nodes.find((n) => n.op.name === 'columnScaleGrad')?.attrs).toEqual({ bias: true });
  });

  it('folds a frozen scale after the bias in front of a residual, but not one whose gradient is wanted', () => {
    const build = (frozen: boolean) =>
      network((g, weight, x) => {
        const lengths = frozen
          ? g.parameter('lambda', { dtype: 'f32', shape: [8] }, () => draw(8, 60))
          : weight(8);
        const branch = binary(g, linear(g, x, weight(8, 8), weight(8)), lengths, { fn: 'mul' });
        return binary(g, x, branch, { fn: 'add' });
      });
    const products = (frozen: boolean) =>
      fused(build(frozen))
        .nodes.filter((n) => n.op.name === 'product')
        .map((n) => n.attrs);
    expect(products(true)).toContainEqual(expect.objectContaining({ extras: ['bias', 'gain', 'add'] }));
    expect(products(false)).not.toContainEqual(expect.objectContaining({ extras: ['bias', 'gain', 'add'] }));
  });

  it.each(['layerNorm', 'rmsNorm'] as const)(
    'gives the gradient of a %s its product with the scale of the branch before it, unless that is no number per column',
    (kind) => {
      const build = (...shape: number[]) =>
        network((g, weight, x) => {
          let h = x;
          for (let i = 0; i < 2; i++) {
            const scales = g.parameter(`lambda${i}`, { dtype: 'f32', shape }, () =>
              draw(sizeOf(shape), 60 + i),
            );
            const n =
              kind === 'layerNorm'
                ? layerNorm(g, h, weight(8), weight(8), { eps: 1e-5 })
                : rmsNorm(g, h, weight(8), { eps: 1e-5 });
            const branch = linear(g, n, weight(8, 8), null);
            h = binary(g, h, binary(g, branch, scales, { fn: 'mul' }), { fn: 'add' });
          }
          return kind === 'layerNorm'
            ? layerNorm(g, h, null, null, { eps: 1e-5 })
            : rmsNorm(g, h, null, { eps: 1e-5 });
        });
      const joined = fused(build(8));
      const gains = joined.nodes.filter((n) => (n.attrs as { gain?: unknown }).gain === true);
      expect(gains.map((n) => n.op.name)).toEqual(new Array(2).fill(`${kind}Grad`));
      expect(count(joined, 'binary')).toBe(0);
      expect(count(fused(build(2, 3, 8)), 'binary')).toBeGreaterThan(0);
    },
  );

  it('takes the slope of an activation into the gradient of the rotation behind it, unless others read what comes out', () => {
    const build = (isRead: boolean, b: number) =>
      network((g, weight, x) => {
        const bent = unary(g, linear(g, x, weight(8, 8), null), { fn: 'gelu' });
        const turned = linear(
          g,
          butterfly(g, view(g, bent, [6, 8]), weight(1, 8 / b, b, b)),
          weight(8, 8),
          null,
        );
        return isRead ? binary(g, bent, view(g, turned, bent.shape), { fn: 'add' }) : turned;
      });
    const slopes = (graph: Graph) => count(fused(graph), 'unaryGrad');
    expect(slopes(build(false, 4))).toBe(0);
    // The other reader's gradient is added first.
    expect(fused(build(true, 4)).nodes.find((n) => n.op.name === 'butterflyGrad')?.attrs).toMatchObject({
      slope: 'none',
    });
    expect(fused(build(false, 8)).nodes.find((n) => n.op.name === 'butterflyGrad')?.attrs).toMatchObject({
      slope: 'gelu',
    });
  });

  it('gives every product of a sum the scale that follows it', () => {
    const after = fused(
      network((g, weight, x) => {
        const lengths = g.parameter('lambda', { dtype: 'f32', shape: [8] }, () => draw(8, 60));
        const low = linear(g, linear(g, x, weight(2, 8), null), weight(8, 2), null);
        const branch = binary(g, linear(g, x, weight(8, 8), weight(8)), low, { fn: 'add' });
        return binary(g, x, binary(g, branch, lengths, { fn: 'mul' }), { fn: 'add' });
      }),
    );
    // Only the gradient still multiplies on its own.
    expect(count(after, 'binary')).toBe(1);
  });

  it.each(['layerNorm', 'rmsNorm'] as const)('adds residuals and their gradients on the way (%s)', (kind) => {
    const after = fused(
      network((g, weight, x) => {
        let h = x;
        for (let i = 0; i < 2; i++) {
          const n =
            kind === 'layerNorm'
              ? layerNorm(g, h, weight(8), weight(8), { eps: 1e-5 })
              : rmsNorm(g, h, weight(8), { eps: 1e-5 });
          const up = unary(g, linear(g, n, weight(16, 8), null), { fn: 'relu' });
          h = binary(g, h, linear(g, up, weight(8, 16), weight(8)), { fn: 'add' });
        }
        return h;
      }),
    );
    expect(count(after, 'addN', 'binary', 'unary', 'unaryGrad')).toBe(0);
  });

  it('adds three readers of one value without a sum of its own', () => {
    const after = fused(
      network((g, weight, x) => {
        const flat = view(g, x, [6, 8]);
        const [q, k, v] = [0, 1, 2].map(() => linear(g, flat, weight(4, 8), null)) as [Value, Value, Value];
        return binary(g, binary(g, q, k, { fn: 'mul' }), v, { fn: 'mul' });
      }),
    );
    expect(count(after, 'addN')).toBe(0);
  });

  it('does not move a product past a reader of what it keeps', () => {
    fused(
      network((g, weight, x) => {
        const z = linear(g, x, weight(8, 8), null);
        const early = unary(g, z, { fn: 'sigmoid' });
        const late = unary(g, z, { fn: 'silu' });
        return binary(g, binary(g, early, late, { fn: 'mul' }), x, { fn: 'add' });
      }),
    );
    fused(
      network((g, weight, x) => {
        const z = linear(g, x, weight(8, 8), null);
        return binary(g, binary(g, z, unary(g, z, { fn: 'tanh' }), { fn: 'mul' }), z, { fn: 'add' });
      }),
    );
  });

  it('does not move a product past a write of the state it reads', () => {
    const g = createBuilder();
    const x = g.input('x', { dtype: 'f32', shape: [2, 3, 8] });
    const W = g.state('W', { dtype: 'f32', shape: [8, 8] }, () => draw(64, 3));
    const y = linear(g, x, W, null);
    axpy(g, W, W, g.constant({ dtype: 'f32', shape: [1] }, Float32Array.of(1)));
    const z = binary(g, y, x, { fn: 'add' });
    expect(count(fused(g.finish({ z })), 'binary')).toBe(1);
  });
});
