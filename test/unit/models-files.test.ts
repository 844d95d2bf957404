/** Forms of files: merged decoders, Constant nodes, data in several files, weights that two nodes read; imported, changed, run. */
import { describe, expect, test } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import { mergeWeights } from '../../src/models/merge.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { decodeModel, externalFiles } from '../../src/onnx/decode.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { parity } from '../../src/training/parity.ts';
import { constantWeights, externalInTwo, mergedDecoder, sharedWeight } from '../tools/graphForms.ts';
import { encoder, llama } from '../tools/graphs.ts';
import { decoder } from '../tools/graphsDecoders.ts';
import { inRuntime, run } from '../tools/importRun.ts';

const named = (model: OnnxModel): string[] =>
  importModel(model)
    .modules.map((m) => m.name)
    .sort();

/** The model with twice the weight of a module, merged as training would. */
function doubled(model: OnnxModel, parameter: string): { onnx: OnnxModel; changed: readonly string[] } {
  const { parameters } = run(model, true);
  const { modules } = importModel(model);
  const [module, name] = [parameter.slice(0, parameter.lastIndexOf('.')), parameter.split('.').at(-1)!];
  const origin = modules.find((m) => m.name === module)!.parameters[name]!;
  const value = parameters.find((v) => v.name === origin.value)!;
  const data = Float32Array.from(value.source!(), (x) => 2 * x);
  return mergeWeights(model, modules, new Map([[parameter, data]]));
}

describe('a merged decoder', () => {
  const plain = llama();
  const merged = mergedDecoder(plain);

  test('is its branch without a cache, under the same names', async () => {
    expect(named(merged)).toEqual(named(plain));
    const { logits } = run(merged, true);
    expect(parity(logits.data, run(plain, true).logits.data).maxRel).toBe(0);
    expect(parity(logits.data, await inRuntime(merged)).maxRel).toBeLessThan(2e-5);
  });

  test('is changed in the weights that both branches read', async () => {
    const { onnx, changed } = doubled(merged, 'model.layers.0.self_attn.v_proj.weight');
    expect(changed).toEqual(['model.layers.0.self_attn.v_proj.MatMul.weight']);
    const { logits } = run(onnx, true);
    expect(parity(logits.data, await inRuntime(onnx)).maxRel).toBeLessThan(2e-5);
    expect(parity(logits.data, run(plain, true).logits.data).maxRel).toBeGreaterThan(1e-2);
  });
});

describe('weights in Constant nodes', () => {
  const model = constantWeights(encoder({ family: 'bert' }));

  test('are the parameters they are elsewhere', async () => {
    expect(named(model)).toEqual(named(encoder({ family: 'bert' })));
    expect(parity(run(model, true).logits.data, await inRuntime(model)).maxRel).toBeLessThan(2e-5);
  });

  test('are written back where they were', async () => {
    const { onnx } = doubled(model, 'bert.encoder.layer.1.output.dense.weight');
    const { logits } = run(onnx, true);
    expect(onnx.graph.initializers.size).toBe(0);
    expect(parity(logits.data, await inRuntime(onnx)).maxRel).toBeLessThan(2e-5);
    expect(parity(logits.data, run(model, true).logits.data).maxRel).toBeGreaterThan(1e-2);
  });
});

test('data in two files is read from both', () => {
  const model = llama();
  const { bytes, files } = externalInTwo(model);
  expect(externalFiles(bytes).sort()).toEqual(['model.onnx_data', 'model.onnx_data_1']);
  const read = decodeModel(bytes, files);
  expect(named(read)).toEqual(named(model));
  expect(run(read, true).logits.data).toEqual(run(model, true).logits.data);
});

describe('a weight that two layers read', () => {
  test('is cloned for the one that changed', async () => {
    const model = sharedWeight();
    expect(named(model)).toEqual(['left', 'right']);
    for (const module of ['left', 'right']) {
      const { onnx, changed } = doubled(model, `${module}.weight`);
      expect(changed).toEqual([`${module}.weight${module === 'left' ? '_1' : ''}`]);
      const [tensor, other] = ['/left/MatMul', '/right/MatMul'].map(
        (name) => onnx.graph.nodes.find((n) => n.name === name)!.inputs[1]!,
      );
      expect(module === 'left' ? other : tensor).toBe('left.weight');
      const { logits } = run(onnx, true);
      expect(parity(logits.data, await inRuntime(onnx)).maxRel).toBeLessThan(2e-5);
    }
  });

  test('is cloned behind the Transpose of a tied head, and the embedding keeps its own', async () => {
    const model = decoder({ tied: true });
    const { onnx, changed } = doubled(model, 'lm_head.weight');
    expect(changed).toHaveLength(1);
    const { logits } = run(onnx, true);
    const before = run(model, true).logits.data;
    expect(
      parity(
        logits.data,
        before.map((x) => 2 * x),
      ).maxRel,
    ).toBeLessThan(1e-6);
    expect(parity(logits.data, await inRuntime(onnx)).maxRel).toBeLessThan(2e-5);
  });
});

test('a model with states of other layers is refused by that name', () => {
  const g = graphBuilder();
  const x = g.input('input_ids', 'int64', ['batch', 'sequence']);
  g.input('past_conv.0', 'float32', ['batch', 4, 3]);
  g.output(
    g.op('Gather', [g.weight('wte.weight', [6, 4], new Float32Array(24)), x]),
    'float32',
    null,
    'logits',
  );
  expect(() => importModel(g.build())).toThrow(PapilioError);
  expect(() => importModel(g.build())).toThrow(/past_conv\.0/);
});
