/** Imported models on the GPU: logits and every gradient against the float64 interpreter. */
import { expect, test } from 'vitest';
import { compile } from '../../src/gpu/compile.ts';
import { createStore } from '../../src/gpu/store.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { differentiate } from '../../src/graph/differentiate.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { Tensor } from '../../src/graph/types.ts';
import { rng } from '../../src/lib/rng.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { interpret } from '../../src/ops/checks.ts';
import { addN } from '../../src/ops/index.ts';
import { encoder, gpt2, llama, VOCABULARY } from '../tools/graphs.ts';
import { dinov2 } from '../tools/graphsVision.ts';
import { testDevice } from './device.ts';

const models: Readonly<Record<string, () => OnnxModel>> = {
  BERT: () => encoder({ family: 'bert' }),
  'GPT-2': () => gpt2(),
  Llama: () => llama(),
  DINOv2: dinov2,
};

test.each(Object.entries(models))('%s', async (_name, make) => {
  const device = await testDevice();
  const g = createBuilder();
  const { inputs, outputs } = importModel(make()).build(g, { batch: 2, sequence: 7 });
  const random = rng(5);
  const feeds = new Map<string, Tensor>();
  for (const [name, v] of Object.entries(inputs)) {
    const value =
      name === 'attention_mask'
        ? (i: number) => (i < 12 ? 1 : 0)
        : () => (v.dtype === 'i32' ? random.int(VOCABULARY) : random.normal());
    feeds.set(name, {
      ...v,
      data: Float64Array.from({ length: sizeOf(v.shape) }, (_, i) => Math.fround(value(i))),
    });
  }
  const logits = outputs.logits!;
  const seed = g.constant(
    logits,
    Float32Array.from({ length: sizeOf(logits.shape) }, () => random.normal()),
  );
  const wrt = [...new Set(g.nodes.flatMap((n) => n.inputs))].filter((v) => v.role === 'parameter');
  const gradients = differentiate(g, { of: logits, seed, wrt, sum: addN });
  const graph = g.finish({ logits, ...Object.fromEntries([...gradients].map(([v, d]) => [v.name, d])) });
  const exact = interpret(graph, feeds);

  const store = createStore(device);
  const program = await compile(device, store, schedule(graph, device.caps));
  for (const [name, v] of Object.entries(inputs)) {
    const { data } = feeds.get(name)!;
    program.write(name, v.dtype === 'i32' ? Int32Array.from(data) : Float32Array.from(data));
  }
  program.run();
  const largest = Math.max(...[...gradients.values()].flatMap((d) => [...exact.get(d).data].map(Math.abs)));
  for (const [name, v] of Object.entries(graph.outputs)) {
    const expected = exact.get(v).data;
    const got = await program.read(name);
    // Gradients that are zero in theory (key biases) are measured against the model's largest.
    const scale = Math.max(1e-3 * largest, ...expected.map(Math.abs));
    const worst = expected.reduce((m, x, i) => Math.max(m, Math.abs(x - got[i]!)), 0);
    expect(worst / scale, name).toBeLessThan(1e-4);
  }
  expect(gradients.size).toBe(wrt.length);
  program.destroy();
  store.destroy();
});
