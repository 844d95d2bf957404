/**
 * Conformance of every method's graph, in float64, at random adapters that are not the identity: the cheap route through the activations
 * against the adapted weights, gradients against finite differences, identity at the start, and everything else left alone.
 *
 * Seen to fail with: a rotation transposed in one of the two routes, layers of a group that all read the first one's tensors, a scale forgotten
 * in `apply`, an adapter put on a layer that is no target.
 */
import { describe, expect, it } from 'vitest';
import { defaultConfig, validateConfig } from '../../src/adapters/config.ts';
import { adaptGraph, emitTrainables, inject, TRAINABLE } from '../../src/adapters/inject.ts';
import { type BaseParameter, initialValues, planAdapter } from '../../src/adapters/plan.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import type { Layer } from '../../src/adapters/types.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import { interpret } from '../../src/ops/checks.ts';
import { checkGradients } from './adapters-gradients.ts';
import {
  base,
  casesOf,
  distance,
  draw,
  inputs,
  layers,
  legalLayers,
  otherTensors,
  outputOf,
  parameters,
  plain,
  randomState,
  tensor,
  untouched,
  withGraph,
} from './adapters-layers.ts';

const adapting = Object.values(METHODS).filter((m) => m.fileNames !== 'any' && m.targets !== 'none');

describe.each(adapting.map((m) => [m.id, m] as const))('%s', (id, method) => {
  const table = casesOf(id).map((v) => [JSON.stringify(v.config), v] as const);

  it.each(table)('%s', (_name, variant) => {
    const { config } = validateConfig(method, { target_modules: ['a'], ...variant.config });
    const targets = legalLayers(method, variant.config);
    // The group of three is always among them.
    expect(targets.length).toBeGreaterThanOrEqual(3);
    const plan = planAdapter(withGraph(method), config, targets, []);
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

describe.each(
  Object.values(METHODS)
    .filter((m) => !adapting.includes(m))
    .map((m) => [m.id, m] as const),
)('%s', (id, method) => {
  it('puts no adapter on any layer and trains saved parameters in their place', () => {
    const saved = [parameters.get('b.other.weight')!, parameters.get('a.up.bias')!];
    for (const { config } of casesOf(id)) {
      const plan = planAdapter(withGraph(method), { ...defaultConfig(method), ...config }, [], saved);
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
    const plan = planAdapter(withGraph(method), config, legalLayers(method, { r: 3 }), [
      parameters.get('a.up.bias')!,
    ]);
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
    expect(() => planAdapter(withGraph(method), defaultConfig(method), [], [])).toThrowError(
      expect.objectContaining({ kind: 'no-target' }),
    );
  });
});
