/**
 * Layers that read one activation share its rotation. Catches: layers that get each other's turned input, gradients of a shared stack
 * in the wrong layer's place, dropped blocks shifted by a layer, sharing between layers that read different values.
 */
import { describe, expect, it } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import { emitTrainables, inject, TRAINABLE } from '../../src/adapters/inject.ts';
import { initialValues, planAdapter } from '../../src/adapters/plan.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { differentiate } from '../../src/graph/differentiate.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { Tensor, Value } from '../../src/graph/types.ts';
import { interpret } from '../../src/ops/checks.ts';
import { addN } from '../../src/ops/elementwise.ts';
import { linear } from '../../src/ops/linear.ts';
import { unary } from '../../src/ops/unary.ts';
import { draw, randomState, tensor, withGraph } from './adapters-layers.ts';

const names = ['query', 'key', 'value', 'out'];

/** Three layers on x, one on the third's result: all of one shape, so of one group. */
function model() {
  const g = createBuilder();
  const x = g.input('x', { dtype: 'f32', shape: [5, 16] });
  const layer = (name: string, input: Value, i: number): Value => {
    const W = g.parameter(`${name}.weight`, { dtype: 'f32', shape: [16, 16] }, () =>
      Float32Array.from(draw(i, 256)),
    );
    return linear(g, input, W, null, { module: name });
  };
  const [q, k, v] = ['query', 'key', 'value'].map((name, i) => layer(name, x, i + 1)) as [
    Value,
    Value,
    Value,
  ];
  const out = layer('out', unary(g, v, { fn: 'tanh' }), 4);
  return { graph: g.finish({ q, k, out }), outputs: [q, k, out] };
}

describe.each([
  ['oft', { oft_block_size: 4 }],
  ['boft', { boft_block_size: 4, boft_n_butterfly_factor: 2, boft_dropout: 0.5 }],
] as const)('%s', (id, given) => {
  const method = METHODS[id];
  const { config } = validateConfig(method, { target_modules: names, ...given });
  const layers = names.map((name) => ({ name, kind: 'linear' as const, in: 16, out: 16, hasBias: false }));
  const plan = planAdapter(withGraph(method), config, layers, []);

  const run = (sharing: boolean) => {
    const base = model();
    const g = createBuilder();
    const initial = () => initialValues(plan, 1, new Map());
    const options = { training: true, initial, ...(sharing ? { base: base.graph } : {}) };
    const trainables = emitTrainables(g, plan, options);
    const value = inject(base.graph, g, trainables);
    const outputs: Record<string, Value> = {};
    const totals = new Map<Value, Value[]>();
    const x = g.input('x', { dtype: 'f32', shape: [5, 16] });
    base.outputs.forEach((old, i) => {
      const y = value(old);
      outputs[`y${i}`] = y;
      const seed = g.constant(y, Float32Array.from(draw(20 + i, sizeOf(y.shape))));
      const found = differentiate(g, { of: y, seed, wrt: [x, ...trainables.leaves], sum: addN });
      for (const [leaf, d] of found) totals.set(leaf, [...(totals.get(leaf) ?? []), d]);
    });
    [...totals].forEach(([leaf, terms]) => {
      outputs[`d_${leaf.id}`] = addN(g, terms);
    });
    const graph = g.finish(outputs);
    const feeds = new Map<string, Tensor>([
      ['x', tensor([5, 16], draw(30, 80))],
      [TRAINABLE, tensor([plan.size], randomState(plan, 40))],
    ]);
    for (const { name, type, fill } of trainables.stepInputs) {
      const data = new Float32Array(sizeOf(type.shape));
      fill(data, 3, 0);
      expect(data).toContain(0);
      feeds.set(name, tensor(type.shape, Float64Array.from(data)));
    }
    const result = interpret(graph, feeds);
    const stacks = graph.nodes.filter((n) => n.op.name === 'butterfly').length;
    return { stacks, values: Object.values(graph.outputs).map((v) => result.get(v).data) };
  };

  it('turns the input of query, key and value once, with the same values and gradients', () => {
    const [alone, shared] = [run(false), run(true)];
    expect(shared.stacks).toBeLessThan(alone.stacks);
    expect(shared.values.length).toBe(alone.values.length);
    shared.values.forEach((data, i) => {
      data.forEach((v, k) => {
        expect(Math.abs(v - alone.values[i]![k]!), `${i} at ${k}`).toBeLessThan(1e-12);
      });
    });
  });
});
