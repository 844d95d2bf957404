/**
 * FourierFT's routes: what they ask of a device, when each is taken, and that they say the same.
 *
 * Seen to fail with: parts of one matrix each where three fit; a sign of one of the two sides forgotten;
 * the middle place of folded rows left out; a part of a product, or of what is packed, taken for the whole.
 */
import { describe, expect, it } from 'vitest';
import { graph } from '../../src/adapters/fourierft/graph.ts';
import { type Builder, createBuilder } from '../../src/graph/builder.ts';
import { differentiate } from '../../src/graph/differentiate.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import { baseCaps, type Graph, type Value } from '../../src/graph/types.ts';
import { rng } from '../../src/lib/rng.ts';
import { interpret } from '../../src/ops/checks.ts';
import { addN, binary } from '../../src/ops/elementwise.ts';
import { fuse } from '../../src/ops/fuse.ts';
import { linear } from '../../src/ops/linear.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { concat, pack, split, view } from '../../src/ops/moves.ts';
import { frequencyInputs, sparseDftOp, sparseIdft, sparseIdftOp } from '../../src/ops/sparseIdft.ts';
import { productTables } from '../../src/ops/spectralProducts.ts';
import { spectralRoute } from '../../src/ops/spectralRoute.ts';

describe('ΔW of a stack', () => {
  /** Matrices in each pass. */
  const passes = (stack: number, out: number, width: number, n: number): unknown[] => {
    const rows = Int32Array.from({ length: n }, (_, k) => (k * 577) % out);
    const columns = Int32Array.from({ length: n }, (_, k) => (k * 331) % width);
    const { tables, counts } = productTables(rows, columns, { out, in: width });
    const attrs = { out, in: width, scaling: 150, counts };
    const i32 = (length: number) => ({ dtype: 'i32' as const, shape: [length] });
    const inputs = [
      { dtype: 'f32' as const, shape: [stack, n] },
      ...[i32(n), i32(n), i32(tables.length)],
      { dtype: 'f32' as const, shape: [out + width, 2] },
    ];
    const node = { inputs, outputs: sparseIdftOp.infer(inputs, attrs), attrs };
    const { dispatches } = sparseIdftOp.kernel!(node, baseCaps);
    return dispatches.filter((d) => d.entry === 'combine').map((d) => d.params[7]);
  };

  it.each([
    ['one pass where all fit', 12, 763, 763, 1000, [12]],
    ['fours of matrices where no more fit', 10, 3079, 2053, 1000, [4, 4, 2]],
    ['one after the other where no second fits', 3, 8209, 8209, 4000, [1, 1, 1]],
    ['all at once where few numbers make few lines', 12, 3079, 3079, 50, [12]],
  ])('takes %s', (_, stack, out, width, n, counts) => {
    expect(passes(stack, out, width, n)).toEqual(counts);
  });
});

describe('the route', () => {
  it.each([
    ['large layers, few rows', { out: 768, in: 3072, n: 1000 }, 512, 'rows'],
    ['large layers, one row', { out: 768, in: 768, n: 1000 }, 1, 'rows'],
    ['large layers, many rows', { out: 3072, in: 768, n: 1000 }, 4096, 'mixed'],
    ['layers of a middle size', { out: 1152, in: 384, n: 1000 }, 256, 'mixed'],
    ['many frequencies for the size', { out: 128, in: 128, n: 1000 }, 1040, 'weights'],
    ['small layers', { out: 12, in: 16, n: 10 }, 1000, 'weights'],
    ['a size with a large prime factor', { out: 1534, in: 768, n: 1000 }, 4096, 'weights'],
    ['an odd size', { out: 2025, in: 768, n: 1000 }, 4096, 'weights'],
    ['more than half a row in workgroup memory', { out: 8192, in: 4096, n: 1000 }, 4096, 'weights'],
  ])('of %s', (_, sizes, rows, route) => {
    expect(spectralRoute(sizes, rows)).toBe(route);
  });

  it.each([
    ['rows', 320, 384, 40, 6],
    ['mixed', 384, 384, 10, 36],
  ] as const)(
    '%s says what the changed weights say, forwards and backwards',
    (route, out, width, n, rows) => {
      const layers = 2;
      expect(spectralRoute({ out, in: width, n }, rows)).toBe(route);
      const g = createBuilder();
      const random = rng(3, 1);
      const draw = (shape: readonly number[]) =>
        g.constant(
          { dtype: 'f32', shape },
          Float32Array.from({ length: sizeOf(shape) }, () => random.between(-1, 1)),
        );
      const [x, W, seed] = [draw([2, rows / 2, width]), draw([out, width]), draw([2, rows / 2, out])];
      const spectra = draw([layers, n]);
      const layer = { name: 'a', kind: 'linear', in: width, out, hasBias: false } as const;
      const config = { n_frequency: n, n_frequency_pattern: {}, scaling: 20, random_loc_seed: 7 };
      const [, adapter] = graph.open(
        { g, reads: new Map(), siblings: [] } as never,
        { id: 'group0', layers: [layer, layer], config, params: { fourierft_spectrum: spectra } } as never,
      );
      const routes = [
        adapter!.apply!(x, { W, bias: null }),
        linear(g, x, adapter!.adapt({ W, bias: null }).W, null),
      ].map((y) => {
        const found = differentiate(g, { of: y, seed, wrt: [x, spectra], sum: addN });
        return { y, dx: found.get(x)!, dS: found.get(spectra)! };
      });
      expect(g.nodes.some(({ op }) => op.name === (route === 'rows' ? 'spectral' : 'spectralSource'))).toBe(
        true,
      );
      const result = interpret(
        g.finish(Object.fromEntries(routes.flatMap((r, i) => Object.entries(r).map(([k, v]) => [k + i, v])))),
        new Map(),
      );
      const [own, weights] = routes;
      for (const name of ['y', 'dx', 'dS'] as const) {
        const a = result.get(own![name]).data;
        const b = result.get(weights![name]).data;
        const largest = Math.max(...b.map(Math.abs));
        expect(Math.max(...a.map((v, i) => Math.abs(v - b[i]!))) / largest, name).toBeLessThan(1e-7);
      }
    },
  );
});

describe('the gradient of a stack on a processor', () => {
  const [out, width, n, rows] = [96, 80, 50, 11];
  const drawIn = (g: Builder) => (name: string, shape: readonly number[], seed: number) => {
    const random = rng(seed, 2);
    const data = Float32Array.from({ length: sizeOf(shape) }, () => random.between(-1, 1));
    return g.state(name, { dtype: 'f32', shape }, () => data);
  };
  const places = Int32Array.from({ length: n }, (_, k) => (k * 577 + 3) % (out * width));
  const frequenciesIn = (g: Builder) =>
    frequencyInputs(
      g,
      places.map((at) => Math.floor(at / width)),
      places.map((at) => at % width),
      { out, in: width, scaling: 20 },
    );
  /** Three layers side by side and one by itself. */
  const build = () => {
    const g = createBuilder();
    const draw = drawIn(g);
    const [x, W, spectra] = [draw('x', [rows, width], 1), draw('W', [out, width], 2), draw('s', [4, n], 3)];
    const [three, one] = split(g, sparseIdft(g, spectra, frequenciesIn(g)), [
      { offset: 0, shape: [3 * out, width] },
      { offset: 3 * out * width, shape: [out, width] },
    ]) as [Value, Value];
    const y = concat(g, [linear(g, x, three, null), linear(g, x, binary(g, W, one, { fn: 'add' }), null)], {
      axis: 1,
    });
    const seed = draw('seed', y.shape, 4);
    const found = differentiate(g, { of: y, seed, wrt: [x, spectra], sum: addN });
    return g.finish({ x: found.get(x)!, spectra: found.get(spectra)! });
  };
  const counted = (graph: Graph, name: string) => graph.nodes.filter(({ op }) => op.name === name).length;

  /** With so many products of folded rows, and the same. */
  const expectFused = (before: Graph, folded: number) => {
    const after = fuse(before, { ...baseCaps, software: true });
    expect(counted(after, 'mirroredProduct')).toBe(folded);
    const [a, b] = [interpret(before, new Map()), interpret(after, new Map())];
    for (const [name, value] of Object.entries(before.outputs)) {
      const [want, have] = [a.get(value), b.get(after.outputs[name]!)];
      expect(have.shape, name).toEqual(want.shape);
      const largest = Math.max(...want.data.map(Math.abs));
      expect(Math.max(...want.data.map((v, i) => Math.abs(v - have.data[i]!))) / largest).toBeLessThan(1e-7);
    }
  };

  it('comes from products of folded rows, and is the same', () => {
    expectFused(build(), 2);
  });

  const size = out * width;
  /** Of two layers, made of products of one and of two. */
  const parts: [string, number, (g: Builder, one: Value, two: Value) => Value][] = [
    [
      'a product as it is',
      1,
      (g, _, two) => pack(g, [view(g, two, [2, out, width])], { offsets: [0], size: 2 * size }),
    ],
    [
      'one product, read twice',
      0,
      (g, one) => pack(g, [one, view(g, one, [size])], { offsets: [0, size], size: 2 * size }),
    ],
    [
      'a part of a product',
      0,
      (g, _, two) => pack(g, [view(g, two, [out, width])], { offsets: [0], size: 2 * size }),
    ],
    [
      'a part of products that lie together',
      0,
      (g, one, two) =>
        view(g, pack(g, [two, one], { offsets: [0, 2 * size], size: 3 * size }), [2 * size], size),
    ],
  ];
  it.each(parts)('of %s folds %i', (_, folded, gradientsOf) => {
    const g = createBuilder();
    const draw = drawIn(g);
    const x = draw('x', [rows, width], 1);
    const [one, two] = [1, 2].map((layers) => {
      const dY = draw(`dY${layers}`, [rows, layers * out], 1 + layers);
      return matmul(g, dY, x, { transA: true });
    }) as [Value, Value];
    const { attrs, counts, places: at, products, turns } = frequenciesIn(g);
    const gradients = view(g, gradientsOf(g, one, two), [2, out, width]);
    const [spectra] = g.emit(sparseDftOp, [gradients, ...at, products, turns], { ...attrs, counts });
    expectFused(g.finish({ spectra: spectra! }), folded);
  });

  it('is a product of whole rows on a GPU', () => {
    expect(counted(fuse(build()), 'mirroredProduct')).toBe(0);
  });
});
