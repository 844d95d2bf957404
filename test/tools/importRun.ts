/** What the import suites do with a model: run it in float64 with every gradient, run it in onnxruntime, take differences along lines. */
import { createBuilder } from '../../src/graph/builder.ts';
import { differentiate } from '../../src/graph/differentiate.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { Graph, Tensor, Value } from '../../src/graph/types.ts';
import type { FeedTensor } from '../../src/inference/session.ts';
import { openSession } from '../../src/inference/session.ts';
import { rng } from '../../src/lib/rng.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import type { InputSpec } from '../../src/models/import/inputs.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { toOnnx } from '../../src/onnxruntime/toOnnx.ts';
import { interpret } from '../../src/ops/checks.ts';
import { addN } from '../../src/ops/index.ts';
import { parity } from '../../src/training/parity.ts';
import { VOCABULARY } from './graphs.ts';

const BATCH = 2;
const LENGTH = 7;
const PADDED_FROM = 5;

/** Whether a token, counted over all examples, is padding. */
export const isPadding = (token: number): boolean => token >= LENGTH && token % LENGTH >= PADDED_FROM;

/** Sizes of the cache, which is empty. */
interface CacheSizes {
  readonly heads: number;
  readonly headDim: number;
}

const usualCache: CacheSizes = { heads: 2, headDim: 16 };

function shapeOf({ kind, dims }: InputSpec, cache: CacheSizes): number[] {
  const past =
    dims.length === 5 ? [2, BATCH, cache.heads, 0, cache.headDim] : [BATCH, cache.heads, 0, cache.headDim];
  return dims.map((d, i) =>
    typeof d === 'number' ? d : kind === 'past' ? past[i]! : i === 0 ? BATCH : LENGTH,
  );
}

/** Contents of an input: random tokens, a mask with padding at the end of the second row, positions, pictures, an empty cache. */
export function contents(spec: InputSpec, cache = usualCache): { dims: number[]; data: number[] } {
  const { name, kind } = spec;
  const dims = shapeOf(spec, cache);
  const random = rng(3, name.length);
  const data = Array.from({ length: sizeOf(dims) }, (_, i) => {
    const column = i % LENGTH;
    const padding = isPadding(i);
    switch (kind) {
      case 'input_ids':
        return padding ? 1 : 2 + random.int(VOCABULARY - 2);
      case 'attention_mask':
        return padding ? 0 : 1;
      case 'position_ids':
        return column;
      case 'token_type_ids':
        return column > 3 ? 1 : 0;
      case 'flag':
        return 0;
      default:
        return random.normal();
    }
  });
  return { dims, data };
}

export interface Run {
  readonly logits: Tensor;
  readonly gradients: ReadonlyMap<string, Float64Array>;
  /** Names of the ops that run as kernels. */
  readonly ops: readonly string[];
  readonly graph: Graph;
  readonly feeds: ReadonlyMap<string, Tensor>;
  readonly parameters: readonly Value[];
  /** What the logits are multiplied by before the gradients are taken. */
  readonly weights: Float64Array;
}

/**
 * Logits and the gradient of a random combination of them with respect to every weight.
 * @param fuse false: as the file spells it
 */
export function run(model: OnnxModel, fuse: boolean, output = 'logits'): Run {
  const imported = importModel(model);
  const data = imported.inputs.filter(({ kind }) => kind !== 'past' && kind !== 'flag');
  const g = createBuilder();
  const built = imported.build(
    g,
    { batch: BATCH, sequence: LENGTH },
    { fuse, data: data.map(({ name }) => name), outputs: [output] },
  );
  const feeds = new Map<string, Tensor>();
  for (const spec of data) {
    const v = built.inputs[spec.name];
    if (v) feeds.set(spec.name, { ...v, data: Float64Array.from(contents(spec).data) });
  }
  const ops = g.nodes.filter((n) => n.op.kernel).map((n) => n.op.name);
  const logits = built.outputs[output]!;
  const random = rng(11);
  const weights = Float32Array.from({ length: sizeOf(logits.shape) }, () => random.normal());
  const parameters = [...new Set(g.nodes.flatMap((n) => n.inputs))].filter((v) => v.role === 'parameter');
  const found = differentiate(g, {
    of: logits,
    seed: g.constant(logits, weights),
    wrt: parameters,
    sum: addN,
  });
  const named = Object.fromEntries([...found].map(([v, d]) => [v.name, d]));
  const graph = g.finish({ logits, ...named });
  const result = interpret(graph, feeds);
  return {
    logits: result.get(logits),
    gradients: new Map(Object.entries(named).map(([name, d]) => [name, result.get(d).data])),
    ops,
    graph,
    feeds,
    parameters,
    weights: Float64Array.from(weights),
  };
}

/** The same output from onnxruntime's wasm provider. */
export async function inRuntime(model: OnnxModel, output = 'logits'): Promise<ArrayLike<number>> {
  const session = await openSession(encodeModel(model), { providers: ['wasm'] });
  const feeds = Object.fromEntries(
    importModel(model).inputs.map((spec) => [
      spec.name,
      { dtype: spec.dtype === 'f32' ? 'float32' : 'int64', ...contents(spec) } as FeedTensor,
    ]),
  );
  const result = await session.run(feeds, [output]);
  await session.release();
  return result[output]!.data;
}

/**
 * The run's graph, gradients and all, as onnxruntime trains on it.
 * @returns the largest difference of logits and of gradients, each relative to the largest number
 */
export async function trainedInRuntime(
  r: Run,
): Promise<{ readonly logits: number; readonly gradients: number }> {
  const { model, inputs } = toOnnx(r.graph);
  const session = await openSession(encodeModel(model), { providers: ['wasm'] });
  const feeds = [...inputs].map(([at, v]): [string, FeedTensor] => {
    const { data } = r.feeds.get(v.name)!;
    return v.dtype === 'i32'
      ? [at, { dtype: 'int32', dims: v.shape, data: Int32Array.from(data) }]
      : [at, { dtype: 'float32', dims: v.shape, data: Float32Array.from(data) }];
  });
  const result = await session.run(Object.fromEntries(feeds));
  await session.release();
  const gradients = new Map(
    [...r.gradients.keys()].map((name) => [name, Float64Array.from(result[name]!.data)]),
  );
  return {
    logits: parity(result.logits!.data, r.logits.data).maxRel,
    gradients: gradientError(r, { ...r, gradients }),
  };
}

/**
 * Central differences of the weighted logits along random directions, each of which moves every fourth weight of the model, against the
 * gradients; the largest difference, relative to the largest slope.
 */
export function slopeError(r: Run): number {
  const forward = (moved: ReadonlyMap<string, Tensor>): number => {
    const { data } = interpret(r.graph, new Map([...r.feeds, ...moved])).get(r.graph.outputs.logits!);
    return data.reduce((s, x, i) => s + x * r.weights[i]!, 0);
  };
  const step = 1e-5;
  let worst = 0;
  let largest = 0;
  for (let part = 0; part < 4; part++) {
    const moves = r.parameters
      .filter((_, i) => i % 4 === part)
      .map((p) => {
        const random = rng(5, part);
        const at = Float64Array.from(p.source!());
        return { p, at, direction: at.map(() => random.normal()) };
      });
    const side = (sign: number): number =>
      forward(
        new Map(
          moves.map(({ p, at, direction }) => [
            p.name,
            { dtype: 'f32', shape: p.shape, data: at.map((x, i) => x + sign * step * direction[i]!) },
          ]),
        ),
      );
    const slope = (side(1) - side(-1)) / (2 * step);
    let expected = 0;
    for (const { p, direction } of moves)
      r.gradients.get(p.name)?.forEach((d, i) => {
        expected += d * direction[i]!;
      });
    worst = Math.max(worst, Math.abs(slope - expected));
    largest = Math.max(largest, Math.abs(slope));
  }
  return worst / largest;
}

/** Largest difference of two runs' gradients, relative to the largest gradient; fails where they have other names. */
export function gradientError(a: Run, b: Run): number {
  const names = [...a.gradients.keys()].sort();
  if (names.join() !== [...b.gradients.keys()].sort().join()) return Number.POSITIVE_INFINITY;
  let worst = 0;
  let largest = 0;
  for (const name of names) {
    const [x, y] = [a.gradients.get(name)!, b.gradients.get(name)!];
    x.forEach((d, i) => {
      worst = Math.max(worst, Math.abs(d - y[i]!));
      largest = Math.max(largest, Math.abs(d));
    });
  }
  return worst / largest;
}
