/**
 * Conformance of every method's graph half, in float64, at random adapters that are not the identity: the cheap route through the activations
 * against the adapted weights, gradients against finite differences, identity at the start, and everything else left alone.
 *
 * Seen to fail with: a rotation transposed in one of the two routes, layers of a group in the wrong order, a scale forgotten in `apply`, a
 * bias added before the output scale, an adapter put on a layer that is no target.
 */
import { describe, expect, it } from 'vitest';
import { adaptGraph } from '../../src/adapters/adaptGraph.ts';
import { defaultConfig, validateConfig } from '../../src/adapters/config.ts';
import { emitTrainables, inject, TRAINABLE } from '../../src/adapters/inject.ts';
import {
  type AdapterGroup,
  type AdapterPlan,
  type BaseParameter,
  initialValues,
  planAdapter,
} from '../../src/adapters/plan.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import type { AdapterMethod, Layer, LayerKind, MethodId } from '../../src/adapters/types.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { differentiate } from '../../src/graph/differentiate.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { Graph, Tensor, Value } from '../../src/graph/types.ts';
import { rng } from '../../src/lib/rng.ts';
import { addN, gather, linear } from '../../src/ops/index.ts';

interface Variant {
  readonly config: Readonly<Record<string, unknown>>;
  /** The adapter has no effect before training. */
  readonly startsAsIdentity: boolean;
  /** Part of the forward counts as a constant in the gradient, so finite differences do not apply. */
  readonly detaches?: boolean;
}

const identity = (config: Variant['config'] = {}): Variant => ({ config, startsAsIdentity: true });

/** What each method can do to a layer. The registry's type asks for a line of every method. */
const variants: Readonly<Record<MethodId, readonly Variant[]>> = {
  oft: [
    identity(),
    identity({ oft_block_size: 4, use_cayley_neumann: false }),
    identity({ oft_block_size: 3, num_cayley_neumann_terms: 4 }),
    identity({ oft_block_size: 0, r: 4 }),
    identity({ oft_block_size: 6, block_share: true, use_cayley_neumann: false }),
    // So large a radius that the projection does nothing, which no derivative runs through.
    identity({ oft_block_size: 4, coft: true, eps: 100 }),
  ],
  boft: [
    identity(),
    identity({ boft_block_size: 4, boft_n_butterfly_factor: 2 }),
    identity({ boft_block_size: 2, boft_n_butterfly_factor: 3, boft_dropout: 0.5 }),
    identity({ boft_block_size: 0, boft_block_num: 3 }),
    { config: { boft_block_size: 4, init_weights: false }, startsAsIdentity: false },
  ],
  fourierft: [
    { config: { n_frequency: 5 }, startsAsIdentity: false },
    identity({ n_frequency: 60, scaling: 3, init_weights: true, random_loc_seed: 4 }),
  ],
  lora: [
    identity(),
    identity({ r: 3, lora_alpha: 7, lora_bias: true, lora_dropout: 0.3 }),
    identity({ r: 2, use_rslora: true, lora_alpha: 5, init_lora_weights: 'gaussian' }),
    { config: { r: 2, init_lora_weights: false }, startsAsIdentity: false },
    { config: { r: 2, use_dora: true }, startsAsIdentity: true, detaches: true },
  ],
  head: [identity()],
  full: [identity()],
};

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
const layers: readonly Layer[] = [
  layer('a.query', 24, 7),
  layer('a.key', 24, 7),
  layer('a.value', 24, 7),
  layer('a.out', 24, 24, 'linear', false),
  layer('a.up', 12, 5),
  layer('a.conv', 12, 9, 'conv1d'),
  layer('a.table', 11, 12, 'embedding', false),
];
const untouched = layer('b.other', 12, 4);
const BATCH = [2, 3] as const;

const draw = (seed: number, n: number, size = 1) => {
  const random = rng(seed, 77);
  return Float64Array.from({ length: n }, () => size * random.normal());
};
const tensor = (shape: readonly number[], data: Float64Array): Tensor => ({ dtype: 'f32', shape, data });
const weightShape = (l: Layer) => (l.kind === 'embedding' ? [l.in, l.out] : [l.out, l.in]);

const parameters = new Map<string, BaseParameter>(
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

/** Every layer on an input of its own. */
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
      outputs.set(l.name, gather(g, W, g.input(`x.${l.name}`, { dtype: 'i32', shape: BATCH })));
      continue;
    }
    const x = g.input(`x.${l.name}`, { dtype: 'f32', shape: [...BATCH, l.in] });
    const bias = l.hasBias ? parameter(`${l.name}.bias`) : null;
    outputs.set(l.name, linear(g, x, W, bias, { module: l.name }));
  }
  return { graph: g.finish(Object.fromEntries(outputs)), outputs };
}

const base = baseGraph();
const inputs = new Map<string, Tensor>(
  base.graph.inputs.map((v, i) => [
    v.name,
    v.dtype === 'i32'
      ? { dtype: 'i32', shape: v.shape, data: Float64Array.of(3, 10, 0, 3, 7, 1) }
      : tensor(v.shape, draw(50 + i, sizeOf(v.shape))),
  ]),
);
const plain = interpret(base.graph, inputs);

const largest = (a: ArrayLike<number>) => Array.from(a).reduce((m, v) => Math.max(m, Math.abs(v)), 0);
const distance = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  expect(a.length).toBe(b.length);
  return largest(Array.from(a, (v, i) => v - b[i]!)) / Math.max(1e-30, largest(b));
};

/** Random adapter tensors, moderate so that short Cayley series still turn, around 1 for what scales. */
function randomState(plan: AdapterPlan, seed: number): Float64Array {
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
function otherTensors(group: AdapterGroup, layer: number, packed: Float64Array): Float64Array {
  const state = packed.slice();
  for (const { spec, offset } of group.tensors) {
    const size = sizeOf(spec.shape);
    const start = offset + layer * size;
    for (let k = start; k < start + size; k++) state[k] = 0.9 * state[k]! + 0.02;
  }
  return state;
}

function legalLayers(method: AdapterMethod, config: Variant['config']): readonly Layer[] {
  const valid = validateConfig(method, { target_modules: ['a'], ...config }).config;
  return layers.filter((l) => method.check(l, valid) === null);
}

/** x·Wᵀ + b, or rows of W, in plain loops. */
function outputOf(l: Layer, W: Float64Array, bias: Float64Array | null): Float64Array {
  const x = inputs.get(`x.${l.name}`)!.data;
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

const adapting = Object.values(METHODS).filter((m) => m.fileNames !== 'any' && m.targets !== 'none');

describe.each(adapting.map((m) => [m.id, m] as const))('%s', (id, method) => {
  const table = variants[id].map((v) => [JSON.stringify(v.config), v] as const);

  it.each(table)('%s', (_name, variant) => {
    const { config } = validateConfig(method, { target_modules: ['a'], ...variant.config });
    const targets = legalLayers(method, variant.config);
    // The group of three is always among them.
    expect(targets.length).toBeGreaterThanOrEqual(3);
    const plan = planAdapter(method, config, targets, []);
    const initial = () => initialValues(plan, 5, parameters);
    const packed = randomState(plan, 100);
    const at = (state: Float64Array) => new Map(inputs).set(TRAINABLE, tensor([plan.size], state));

    const g = createBuilder();
    const trainables = emitTrainables(g, plan, { training: false, initial });
    expect(trainables.stepInputs).toEqual([]);
    const value = inject(base.graph, g, trainables);
    const forward = g.finish(Object.fromEntries([...base.outputs].map(([name, v]) => [name, value(v)])));
    const adapted = interpret(forward, at(packed));
    const y = (name: string) => adapted.get(forward.outputs[name]!).data;

    // The route of `apply` and the weights of `adapt` say the same, layer by layer.
    const merge = adaptGraph(plan, withBiases(targets), initial);
    const merged = interpret(merge, at(packed));
    for (const l of targets) {
      const read = (name: string) => {
        const changed = merge.outputs[name];
        if (changed) return merged.get(changed).data;
        const p = parameters.get(name);
        return p ? Float64Array.from(p.load()) : null;
      };
      const W = read(`${l.name}.weight`)!;
      expect(distance(y(l.name), outputOf(l, W, read(`${l.name}.bias`))), l.name).toBeLessThan(1e-12);
      // Otherwise agreement says nothing.
      expect(distance(y(l.name), plain.get(base.outputs.get(l.name)!).data), l.name).toBeGreaterThan(1e-3);
    }

    // Every layer reads its own tensors and nobody else's.
    for (const group of plan.groups.filter((g) => g.layers.length > 1)) {
      group.layers.forEach((l, i) => {
        const changed = interpret(forward, at(otherTensors(group, i, packed)));
        const moved = group.layers.filter(
          ({ name }) => distance(changed.get(forward.outputs[name]!).data, y(name)) > 0,
        );
        expect(moved).toEqual([l]);
      });
    }

    // Layers that are no targets are the same, to the last bit and the last node.
    for (const l of [...layers, untouched].filter((other) => !targets.includes(other))) {
      expect([...y(l.name)], l.name).toEqual([...plain.get(base.outputs.get(l.name)!).data]);
      const before = base.outputs.get(l.name)!.producer!;
      const after = forward.outputs[l.name]!.producer!;
      expect(after.op).toBe(before.op);
      expect(after.inputs.map((v) => v.name)).toEqual(before.inputs.map((v) => v.name));
    }

    // Identity at the start, where promised.
    const first = interpret(forward, inputs);
    const moved = targets.map((l) =>
      distance(first.get(forward.outputs[l.name]!).data, plain.get(base.outputs.get(l.name)!).data),
    );
    if (variant.startsAsIdentity) expect(Math.max(...moved)).toBeLessThan(1e-6);
    else expect(Math.min(...moved)).toBeGreaterThan(1e-6);

    if (!variant.detaches) checkGradients(plan, initial, packed);
  });
});

/** A bias that an adapter adds needs a layer that has one; conv1d and linear layers without get a zero. */
function withBiases(targets: readonly Layer[]): ReadonlyMap<string, BaseParameter> {
  const all = new Map(parameters);
  for (const l of targets) {
    const name = `${l.name}.bias`;
    if (l.kind !== 'embedding' && !all.has(name))
      all.set(name, { name, shape: [l.out], load: () => new Float32Array(l.out) });
  }
  return all;
}

/** dΣ(y · random) along random directions of each trainable tensor and each input, against central differences. */
function checkGradients(plan: AdapterPlan, initial: () => Float32Array, packed: Float64Array): void {
  const g = createBuilder();
  const trainables = emitTrainables(g, plan, { training: false, initial });
  const value = inject(base.graph, g, trainables);
  const names = plan.groups.flatMap((group) => group.layers.map((l) => l.name));
  const ys = names.map((name) => value(base.outputs.get(name)!));
  const seeds = ys.map((v, i) => Float32Array.from(draw(200 + i, sizeOf(v.shape))));
  const xs = names
    .filter((name) => inputs.get(`x.${name}`)!.dtype === 'f32')
    .map((name) => g.input(`x.${name}`, inputs.get(`x.${name}`)!));
  const gradients = new Map<Value, Value[]>();
  ys.forEach((of, i) => {
    const seed = g.constant(of, seeds[i]!);
    const found = differentiate(g, { of, seed, wrt: [...trainables.leaves, ...xs], sum: addN });
    for (const [leaf, d] of found) gradients.set(leaf, [...(gradients.get(leaf) ?? []), d]);
  });
  const outputs: Record<string, Value> = {};
  const totals = new Map(
    [...gradients].map(([leaf, terms]) => [leaf, terms.length > 1 ? addN(g, terms) : terms[0]!]),
  );
  ys.forEach((v, i) => {
    outputs[`y${i}`] = v;
  });
  [...totals.values()].forEach((v, i) => {
    outputs[`d${i}`] = v;
  });
  const graph = g.finish(outputs);
  const lossGraph = g.finish(Object.fromEntries(ys.map((v, i) => [`y${i}`, v])));
  const loss = (state: Float64Array, changed: ReadonlyMap<string, Tensor>) => {
    const run = interpret(
      lossGraph,
      new Map([...inputs, ...changed]).set(TRAINABLE, tensor([plan.size], state)),
    );
    return ys.reduce((sum, v, i) => sum + run.get(v).data.reduce((s, x, k) => s + x * seeds[i]![k]!, 0), 0);
  };
  const exact = interpret(graph, new Map(inputs).set(TRAINABLE, tensor([plan.size], packed)));
  const step = 1e-5;
  const compare = (
    what: string,
    gradient: Float64Array,
    direction: Float64Array,
    at: (t: number) => number,
  ) => {
    const along = gradient.reduce((s, d, k) => s + d * direction[k]!, 0);
    const scale = Math.sqrt(gradient.reduce((s, d) => s + d * d, 0)) * Math.sqrt(gradient.length);
    expect(Math.abs((at(step) - at(-step)) / (2 * step) - along) / scale, what).toBeLessThan(1e-7);
    expect(scale, what).toBeGreaterThan(1e-3);
  };

  plan.entries.forEach((entry, i) => {
    const leaf = trainables.leaves[i]!;
    const size = sizeOf(entry.shape);
    const direction = draw(300 + i, size);
    compare(entry.name, exact.get(totals.get(leaf)!).data, direction, (t) => {
      const state = packed.slice();
      for (let k = 0; k < size; k++) state[entry.offset + k]! += t * direction[k]!;
      return loss(state, new Map());
    });
  });
  xs.forEach((x, i) => {
    const direction = draw(400 + i, sizeOf(x.shape));
    compare(x.name, exact.get(totals.get(x)!).data, direction, (t) => {
      const data = inputs.get(x.name)!.data.map((v, k) => v + t * direction[k]!);
      return loss(packed, new Map([[x.name, tensor(x.shape, data)]]));
    });
  });
}

describe.each(
  Object.values(METHODS)
    .filter((m) => !adapting.includes(m))
    .map((m) => [m.id, m] as const),
)('%s', (id, method) => {
  it('puts no adapter on any layer and trains saved parameters in their place', () => {
    const saved = [parameters.get('b.other.weight')!, parameters.get('a.up.bias')!];
    for (const { config } of variants[id]) {
      const plan = planAdapter(method, { ...defaultConfig(method), ...config }, [], saved);
      expect(plan.groups).toEqual([]);
      const initial = () => initialValues(plan, 5, parameters);
      const g = createBuilder();
      const trainables = emitTrainables(g, plan, { training: true, initial });
      const value = inject(base.graph, g, trainables);
      const graph = g.finish(Object.fromEntries([...base.outputs].map(([name, v]) => [name, value(v)])));
      const run = (state: Float64Array) => {
        const result = interpret(graph, new Map(inputs).set(TRAINABLE, tensor([plan.size], state)));
        return (name: string) => result.get(graph.outputs[name]!).data;
      };
      const start = run(Float64Array.from(initial()));
      for (const [name, v] of base.outputs) expect([...start(name)], name).toEqual([...plain.get(v).data]);

      const W = draw(9, 48);
      const bias = draw(8, 5);
      const state = new Float64Array(plan.size);
      state.set(W, plan.saved[0]!.offset);
      state.set(bias, plan.saved[1]!.offset);
      const changed = run(state);
      const known = (name: string) => Float64Array.from(parameters.get(name)!.load());
      expect(distance(changed('b.other'), outputOf(untouched, W, known('b.other.bias')))).toBeLessThan(1e-12);
      const up = layers.find((l) => l.name === 'a.up')!;
      expect(distance(changed('a.up'), outputOf(up, known('a.up.weight'), bias))).toBeLessThan(1e-12);
      expect([...changed('a.query')]).toEqual([...start('a.query')]);
    }
  });
});

describe('a plan', () => {
  it('stacks layers of one shape and keeps the packed tensors apart at multiples of 256 bytes', () => {
    const method = METHODS.lora;
    const { config } = validateConfig(method, { target_modules: ['a'], r: 3 });
    const plan = planAdapter(method, config, legalLayers(method, { r: 3 }), [parameters.get('a.up.bias')!]);
    expect(plan.groups[0]!.layers.map((l) => l.name)).toEqual(['a.query', 'a.key', 'a.value']);
    let end = 0;
    for (const { name, offset, shape } of plan.entries) {
      expect(offset % 64, name).toBe(0);
      expect(offset, name).toBeGreaterThanOrEqual(end);
      end = offset + sizeOf(shape);
    }
    expect(plan.size).toBeGreaterThanOrEqual(end);
  });

  it('with nothing to train is refused', () => {
    const method = METHODS.head;
    expect(() => planAdapter(method, defaultConfig(method), [], [])).toThrowError(
      expect.objectContaining({ kind: 'no-target' }),
    );
  });
});
