/** Activations computed again: the same numbers exactly, in less memory; nothing that moves a state runs twice. */
import { describe, expect, test } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import { chooseAdapter, initialValues } from '../../src/adapters/plan.ts';
import { methodById } from '../../src/adapters/registry.ts';
import { recompute } from '../../src/graph/recompute.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import { baseCaps, type Graph, type Tensor } from '../../src/graph/types.ts';
import { rng } from '../../src/lib/rng.ts';
import { loadModel } from '../../src/models/load.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { interpret } from '../../src/ops/checks.ts';
import { fuse } from '../../src/ops/fuse.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { names, recomputed, trainingGraph } from '../../src/training/stepGraph.ts';
import { talesGpt, talesGptDefaults } from '../../tools/pretrain/architectures/talesGpt.ts';
import { withGraph } from './adapters-layers.ts';

const shape = {
  ...talesGptDefaults,
  vocabulary: 30,
  context: 16,
  width: 16,
  feedForward: 32,
  layers: 4,
  heads: 2,
  kvHeads: 1,
};
const model = loadModel([{ name: 'model.onnx', bytes: encodeModel(talesGpt(shape)) }]);

function step(config: Record<string, unknown>) {
  const method = methodById('oft');
  const { plan } = chooseAdapter(
    withGraph(method),
    validateConfig(method, config).config,
    model.targets,
    model.parameters,
  );
  const parameters = new Map(model.parameters.map((p) => [p.name, p]));
  const settings = trainingSchema.parse({ batchSize: 2, sequenceLength: 16 });
  const base = { ...model.build(2, 16), loss: 'cross-entropy' as const };
  return trainingGraph(base, plan, settings, () => initialValues(plan, 1, parameters));
}

function run(graph: Graph): number[] {
  const random = rng(2);
  const feeds = new Map<string, Tensor>();
  for (const v of graph.inputs) {
    const data = Float64Array.from({ length: sizeOf(v.shape) }, () =>
      v.dtype === 'i32' ? random.int(30) : random.uniform(),
    );
    feeds.set(v.name, { ...v, data });
  }
  const result = interpret(graph, feeds);
  return [
    ...Object.values(graph.outputs).flatMap((v) => [...result.get(v).data]),
    ...[...result.states.values()].flatMap((t) => [...t.data]),
  ];
}

const bytesOf = (graph: Graph): number => schedule(fuse(graph), baseCaps).temporaryBytes;

describe.each([
  ['adapters on every layer', { target_modules: 'all-linear', oft_block_size: 4 }],
  ['a projection before the step', { target_modules: ['q_proj'], oft_block_size: 4, coft: true, eps: 0.1 }],
] as const)('with %s', (_, config) => {
  const { graph } = step(config);

  test.each([2, 3, 5])('%i segments give the same numbers', (segments) => {
    const less = recompute(graph, graph.outputs[names.loss]!, segments);
    expect(less.nodes.length).toBeGreaterThan(graph.nodes.length);
    expect(run(less)).toEqual(run(graph));
    expect(run(fuse(less))).toEqual(run(fuse(graph)));
    const moving = (g: Graph) => g.nodes.filter((n) => n.op.mutates?.length).length;
    expect(moving(less)).toBe(moving(graph));
  });
});

test('takes less memory', () => {
  const whole = step({ target_modules: 'all-linear', oft_block_size: 4 });
  const less = recomputed(whole, baseCaps);
  expect(bytesOf(less.graph)).toBeLessThan(0.8 * bytesOf(whole.graph));
});
