/**
 * The look inside a module, on the float64 interpreter. Seen to fail with: the change of an adapter without numbers divided by a weight
 * of zeros.
 */
import { describe, expect, it } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import { initialValues, planAdapter } from '../../src/adapters/plan.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import type { Graph } from '../../src/graph/types.ts';
import { interpret } from '../../src/ops/checks.ts';
import { inspectModule } from '../../src/training/inspect.ts';
import { layer } from './adapters-fixtures.ts';
import { withGraph } from './adapters-layers.ts';

const once = async (graph: Graph): Promise<Record<string, Float32Array>> => {
  const ran = interpret(graph, new Map());
  return Object.fromEntries(
    Object.entries(graph.outputs).map(([name, value]) => [name, Float32Array.from(ran.get(value).data)]),
  );
};

/** OFT of blocks of 5 on inputs of 17, which only 1 divides below it, and of 15. */
function inspecting(module: string, weight: (i: number) => number) {
  const layers = [layer('prime', 17, 4), layer('even', 15, 4)];
  const { config } = validateConfig(METHODS.oft, {
    oft_block_size: 5,
    target_modules: ['prime', 'even'],
    init_weights: false,
  });
  const plan = planAdapter(withGraph(METHODS.oft), config, layers, []);
  const parameters = new Map(
    layers.map(({ name, in: inputs, out }) => {
      const load = () => Float32Array.from({ length: inputs * out }, (_, i) => weight(i));
      return [`${name}.weight`, { name: `${name}.weight`, shape: [out, inputs], load }];
    }),
  );
  const packed = initialValues(plan, 7, parameters);
  return inspectModule({ plan, parameters, initial: () => packed, packed, module, once });
}

describe('a look inside', () => {
  it('of a block of 1 sees the identity, whatever the weight', async () => {
    for (const weight of [(i: number) => Math.cos(i), () => 0]) {
      const { delta } = await inspecting('prime', weight);
      expect(delta).toMatchObject({ rows: 4, columns: 17, relative: 0 });
      expect(delta.data).toEqual(new Float32Array(68));
    }
  });

  it('of a rotation sees a change', async () => {
    const { delta, rotation } = await inspecting('even', (i) => Math.cos(i));
    expect(delta.relative).toBeGreaterThan(0.01);
    expect(rotation!.size).toBe(15);
  });
});
