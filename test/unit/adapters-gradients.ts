/** Gradients of an adapted graph against finite differences, in float64. */
import { expect } from 'vitest';
import { emitTrainables, inject, TRAINABLE } from '../../src/adapters/inject.ts';
import type { AdapterPlan } from '../../src/adapters/plan.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { differentiate } from '../../src/graph/differentiate.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { Tensor, Value } from '../../src/graph/types.ts';
import { interpret } from '../../src/ops/checks.ts';
import { addN } from '../../src/ops/index.ts';
import { base, draw, inputOf, inputs, tensor } from './adapters-layers.ts';

/** dΣ(y · random) along random directions of each trainable tensor and each input, against central differences. */
export function checkGradients(plan: AdapterPlan, initial: () => Float32Array, packed: Float64Array): void {
  const g = createBuilder();
  const trainables = emitTrainables(g, plan, { training: false, initial });
  const value = inject(base.graph, g, trainables);
  const names = plan.groups.flatMap((group) => group.layers.map((l) => l.name));
  const ys = names.map((name) => value(base.outputs.get(name)!));
  const seeds = ys.map((v, i) => Float32Array.from(draw(200 + i, sizeOf(v.shape))));
  const read = new Set(plan.groups.flatMap((group) => group.layers.map(inputOf)));
  const xs = [...read]
    .filter((name) => inputs.get(name)!.dtype === 'f32')
    .map((name) => g.input(name, inputs.get(name)!));
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
