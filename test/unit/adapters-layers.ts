/** One small layer of every kind and shape, what each method can do to them, and random adapters: what the conformance suites work on. */
import { expect } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import {
  type AdapterGroup,
  type AdapterPlan,
  type BaseParameter,
  type LoadedMethod,
  loadMethod,
} from '../../src/adapters/plan.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import type { AdapterMethod, Layer, LayerKind, MethodCase } from '../../src/adapters/types.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { Graph, Tensor, Value } from '../../src/graph/types.ts';
import { rng } from '../../src/lib/rng.ts';
import { interpret } from '../../src/ops/checks.ts';
import { gather, linear } from '../../src/ops/index.ts';

const found = import.meta.glob<readonly MethodCase[]>('/src/adapters/*/cases.ts', {
  eager: true,
  import: 'cases',
});

/** What each method is tried at: its folder's cases. */
export const casesOf = (id: string): readonly MethodCase[] => {
  const cases = found[`/src/adapters/${id}/cases.ts`];
  if (!cases) throw new Error(`src/adapters/${id} has no cases.ts.`);
  return cases;
};

const methods = new Map(
  await Promise.all(
    Object.values(METHODS).map(async (method) => [method.id, await loadMethod(method)] as const),
  ),
);

/** A method with its graph. */
export const withGraph = ({ id }: Pick<AdapterMethod, 'id'>): LoadedMethod => methods.get(id)!;

const layer = (
  name: string,
  inputs: number,
  out: number,
  kind: LayerKind = 'linear',
  hasBias = true,
): Layer => ({
  name,
  kind,
  in: inputs,
  out,
  hasBias,
});
/** Odd sizes; three layers of one shape that must not be mixed up; every kind that some method takes. */
export const layers: readonly Layer[] = [
  layer('a.query', 24, 7),
  layer('a.key', 24, 7),
  layer('a.value', 24, 7),
  layer('a.out', 24, 24, 'linear', false),
  layer('a.up', 12, 5),
  layer('a.conv', 12, 9, 'conv1d'),
  layer('a.table', 11, 12, 'embedding', false),
  { ...layer('a.patch', 24, 8, 'conv2d'), kernel: [2, 2] },
  layer('a.point', 12, 6, 'conv2d', false),
];
export const untouched = layer('b.other', 12, 4);
const BATCH = [2, 3] as const;

export const draw = (seed: number, n: number, size = 1) => {
  const random = rng(seed, 77);
  return Float64Array.from({ length: n }, () => size * random.normal());
};
export const tensor = (shape: readonly number[], data: Float64Array): Tensor => ({
  dtype: 'f32',
  shape,
  data,
});
const weightShape = (l: Layer) => (l.kind === 'embedding' ? [l.in, l.out] : [l.out, l.in]);

export const parameters = new Map<string, BaseParameter>(
  [...layers, untouched].flatMap((l, i) => {
    const entry = (name: string, shape: readonly number[], seed: number): [string, BaseParameter] => {
      const data = Float32Array.from(draw(seed, sizeOf(shape), 0.5));
      return [name, { name, shape, load: () => data }];
    };
    const weight = entry(`${l.name}.weight`, weightShape(l), 10 + i);
    return l.hasBias ? [weight, entry(`${l.name}.bias`, [l.out], 30 + i)] : [weight];
  }),
);

interface Base {
  readonly graph: Graph;
  readonly outputs: ReadonlyMap<string, Value>;
}

/** Query, key and value read one and the same activation, as in a transformer; the others have an input of their own. */
export const inputOf = (l: Layer): string =>
  ['a.query', 'a.key', 'a.value'].includes(l.name) ? 'x.attention' : `x.${l.name}`;

function baseGraph(): Base {
  const g = createBuilder();
  const outputs = new Map<string, Value>();
  const parameter = (name: string) => {
    const p = parameters.get(name)!;
    return g.parameter(name, { dtype: 'f32', shape: p.shape }, p.load);
  };
  for (const l of [...layers, untouched]) {
    const W = parameter(`${l.name}.weight`);
    if (l.kind === 'embedding') {
      outputs.set(l.name, gather(g, W, g.input(inputOf(l), { dtype: 'i32', shape: BATCH })));
      continue;
    }
    const x = g.input(inputOf(l), { dtype: 'f32', shape: [...BATCH, l.in] });
    const bias = l.hasBias ? parameter(`${l.name}.bias`) : null;
    outputs.set(l.name, linear(g, x, W, bias, { module: l.name }));
  }
  return { graph: g.finish(Object.fromEntries(outputs)), outputs };
}

export const base = baseGraph();
export const inputs = new Map<string, Tensor>(
  base.graph.inputs.map((v, i) => [
    v.name,
    v.dtype === 'i32'
      ? { dtype: 'i32', shape: v.shape, data: Float64Array.of(3, 10, 0, 3, 7, 1) }
      : tensor(v.shape, draw(50 + i, sizeOf(v.shape))),
  ]),
);
export const plain = interpret(base.graph, inputs);

const largest = (a: ArrayLike<number>) => Array.from(a).reduce((m, v) => Math.max(m, Math.abs(v)), 0);
export const distance = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  expect(a.length).toBe(b.length);
  return largest(Array.from(a, (v, i) => v - b[i]!)) / Math.max(1e-30, largest(b));
};

/** Random adapter tensors, moderate so that short Cayley series still turn, around 1 for what scales. */
export function randomState(plan: AdapterPlan, seed: number): Float64Array {
  const packed = new Float64Array(plan.size);
  for (const group of plan.groups) {
    for (const t of group.tensors) {
      const data = draw(seed + t.offset, sizeOf(t.shape), 0.3);
      const scales = t.spec.init.kind === 'ones' || t.spec.init.kind === 'row-norms';
      packed.set(scales ? data.map((v) => 1 + v) : data, t.offset);
    }
  }
  return packed;
}

/** Other numbers in the tensors of one layer of a group. */
export function otherTensors(group: AdapterGroup, layer: number, packed: Float64Array): Float64Array {
  const state = packed.slice();
  for (const { spec, offset } of group.tensors) {
    const size = sizeOf(spec.shape);
    const start = offset + layer * size;
    for (let k = start; k < start + size; k++) state[k] = 0.9 * state[k]! + 0.02;
  }
  return state;
}

export function legalLayers(method: AdapterMethod, config: MethodCase['config']): readonly Layer[] {
  const valid = validateConfig(method, { target_modules: ['a'], ...config }).config;
  return layers.filter((l) => method.check(l, valid) === null);
}

/** x·Wᵀ + b, or rows of W, in plain loops. */
export function outputOf(l: Layer, W: Float64Array, bias: Float64Array | null): Float64Array {
  const x = inputs.get(inputOf(l))!.data;
  const rows = sizeOf(BATCH);
  const y = new Float64Array(rows * l.out);
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < l.out; o++) {
      if (l.kind === 'embedding') y[r * l.out + o] = W[x[r]! * l.out + o]!;
      else {
        let sum = bias?.[o] ?? 0;
        for (let k = 0; k < l.in; k++) sum += x[r * l.in + k]! * W[o * l.in + k]!;
        y[r * l.out + o] = sum;
      }
    }
  }
  return y;
}
