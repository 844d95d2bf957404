/** The kernels of the shader lab: which files they are, the graphs of one op that they are tried in, and what these should give, in float64. */
import { createBuilder } from '../../graph/builder.ts';
import { schedule } from '../../graph/schedule.ts';
import { baseCaps, type Dispatch, type Graph, type Tensor } from '../../graph/types.ts';
import { butterflyPermutation } from '../../lib/butterfly.ts';
import { rng } from '../../lib/rng.ts';
import { butterfly } from '../../ops/butterfly.ts';
import { cayley } from '../../ops/cayley.ts';
import { frequencyInputs, sparseIdft } from '../../ops/sparseIdft.ts';
import type { KernelName, Matrices, ShaderCase } from './protocol.ts';

/** The file that is run, then those of its imports that are shown. */
export const KERNEL_FILES: Readonly<Record<KernelName, readonly [string, ...string[]]>> = {
  cayley: ['cayley.wgsl'],
  butterfly: ['butterfly.wgsl', 'lib/butterfly.wgsl'],
  idft: ['spectralProducts.wgsl', 'lib/index.wgsl'],
};

/** Name of every graph's output. */
export const OUTPUT = 'out';

/** A graph with what it is fed, and how that is shown. */
export interface Trial {
  readonly graph: Graph;
  readonly feeds: Readonly<Record<string, Float32Array>>;
  readonly sizes: ShaderCase['sizes'];
  readonly inputs: readonly Matrices[];
  readonly output: Omit<Matrices, 'values'>;
}

/** Numbers around 0 that 32 bits hold exactly, the same each time. */
function numbers(count: number, seed: number, size: number): Float32Array {
  const random = rng(0x5ade, seed);
  return Float32Array.from({ length: count }, () => {
    const value = Math.round(64 * size * random.normal()) / 64;
    // Where all is zero a wrong sign is none.
    return value === 0 ? size / 4 : Math.max(-2 * size, Math.min(2 * size, value));
  });
}

function cayleyTrial(b: number, n: number): Trial {
  const g = createBuilder();
  const triangle = (b * (b - 1)) / 2;
  const skew = g.input('q', { dtype: 'f32', shape: [n, triangle] });
  const graph = g.finish({ [OUTPUT]: cayley(g, skew, { b, kind: 'exact', terms: 0 }) });
  const q = numbers(n * triangle, b, 0.8 / Math.sqrt(b));
  const values = new Array<number>(n * b * b).fill(0);
  let next = 0;
  for (let block = 0; block < n; block++)
    for (let i = 0; i < b; i++)
      for (let j = i + 1; j < b; j++) {
        values[(block * b + i) * b + j] = q[next]!;
        values[(block * b + j) * b + i] = -q[next++]!;
      }
  const size = { count: n, rows: b, columns: b };
  return {
    graph,
    feeds: { q },
    sizes: { b, n },
    inputs: [{ symbol: 'Q', ...size, values }],
    output: { symbol: 'R', ...size },
  };
}

/** A factor as the matrix that it is: blocks between the permutation and its inverse. */
function factorMatrix(blocks: Float32Array, d: number, b: number, factor: number): number[] {
  const at = butterflyPermutation(d, b, factor);
  const out = new Array<number>(d * d).fill(0);
  for (let c = 0; c < d / b; c++)
    for (let i = 0; i < b; i++)
      for (let j = 0; j < b; j++)
        out[at[c * b + i]! * d + at[c * b + j]!] = blocks[((factor * d) / b + c) * b * b + i * b + j]!;
  return out;
}

function butterflyTrial(rows: number, d: number, b: number, m: number): Trial {
  const g = createBuilder();
  const x = g.input('x', { dtype: 'f32', shape: [rows, d] });
  const blocks = g.input('blocks', { dtype: 'f32', shape: [m, d / b, b, b] });
  const graph = g.finish({ [OUTPUT]: butterfly(g, x, blocks) });
  const feeds = { x: numbers(rows * d, d, 0.6), blocks: numbers(m * d * b, d + 1, 0.5) };
  const factors = Array.from({ length: m }, (_, f) => factorMatrix(feeds.blocks, d, b, m - 1 - f));
  return {
    graph,
    feeds,
    sizes: { d, b, m },
    inputs: [
      { symbol: 'x', count: 1, rows, columns: d, values: [...feeds.x] },
      { symbol: 'B', count: m, rows: d, columns: d, values: factors.flat() },
    ],
    output: { symbol: 'y', count: 1, rows, columns: d },
  };
}

function idftTrial(out: number, width: number, n: number): Trial {
  const places = Array.from({ length: n }, (_, k) => (k * 577 + 3) % (out * width));
  const g = createBuilder();
  const spectrum = g.input('s', { dtype: 'f32', shape: [1, n] });
  const tables = frequencyInputs(
    g,
    Int32Array.from(places, (at) => Math.floor(at / width)),
    Int32Array.from(places, (at) => at % width),
    { out, in: width, scaling: out * width },
  );
  const graph = g.finish({ [OUTPUT]: sparseIdft(g, spectrum, tables) });
  const s = numbers(n, out, 0.6);
  const values = new Array<number>(out * width).fill(0);
  places.forEach((at, k) => {
    values[at] = s[k]!;
  });
  const size = { count: 1, rows: out, columns: width };
  return {
    graph,
    feeds: { s },
    sizes: { p: out, q: width, n },
    inputs: [{ symbol: 'S', ...size, values }],
    output: { symbol: 'W', ...size },
  };
}

/** Sizes that are not even, and on the way through every branch of the entry points that are run. */
const TRIALS: Readonly<Record<KernelName, () => readonly Trial[]>> = {
  cayley: () => [cayleyTrial(3, 5), cayleyTrial(5, 3), cayleyTrial(11, 2)],
  butterfly: () => [butterflyTrial(5, 9, 3, 1), butterflyTrial(7, 12, 6, 2), butterflyTrial(3, 24, 6, 3)],
  idft: () => [idftTrial(7, 5, 4), idftTrial(9, 6, 7), idftTrial(11, 15, 9)],
};

export const trialsOf = (name: KernelName): readonly Trial[] => TRIALS[name]();

/** The plan of a trial: the same on every device, with no more than what WebGPU guarantees. */
export const planOf = ({ graph }: Trial) => schedule(graph, baseCaps);

export const dispatchesOf = (trial: Trial): Dispatch[] =>
  planOf(trial).steps.flatMap((step) => (step.kind === 'dispatch' ? [step.dispatch] : []));

/** What a trial should give. */
export async function expectedOf({ graph, feeds, output }: Trial): Promise<Matrices> {
  const { interpret } = await import('../../ops/checks.ts');
  const tensors = new Map(
    graph.inputs.map((input): [string, Tensor] => [
      input.name,
      { dtype: input.dtype, shape: input.shape, data: Float64Array.from(feeds[input.name]!) },
    ]),
  );
  return { ...output, values: [...interpret(graph, tensors).get(graph.outputs[OUTPUT]!).data] };
}
