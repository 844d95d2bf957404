/** Quantised graphs of every form: the runtime's answers, packed weights, and merged files in both ways. */
import { readFileSync } from 'node:fs';
import { clearField } from '@bufbuild/protobuf';
import { TensorProtoSchema } from 'onnx-buf';
import { describe, expect, test } from 'vitest';
import { describeWritten } from '../../src/cli/mergedFile.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { Tensor } from '../../src/graph/types.ts';
import { openSession } from '../../src/inference/session.ts';
import { rng } from '../../src/lib/rng.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import type { ActivationRounding } from '../../src/models/import/operators/quant.ts';
import { dequantised } from '../../src/models/import/quantMatrix.ts';
import { loadModel } from '../../src/models/load.ts';
import { mergeWeights } from '../../src/models/merge.ts';
import { resizeHead } from '../../src/models/newHead.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { withFields } from '../../src/onnx/proto.ts';
import { makeTensor, rawTensor, tensorToF32, viewTensor } from '../../src/onnx/tensor.ts';
import type { OnnxModel, OnnxTensor } from '../../src/onnx/types.ts';
import { interpret } from '../../src/ops/checks.ts';
import { storedNumbers, storedParameter } from '../../src/ops/fuse/stored.ts';
import { fuse } from '../../src/ops/fuse.ts';
import { checkParity, parity } from '../../src/training/parity.ts';
import { type QuantGraph, quantGraphs, ROWS, VOCABULARY, WIDTH } from '../tools/graphsQuant.ts';

const random = rng(21);
const x = Float32Array.from({ length: ROWS * WIDTH }, () => random.normal());
const ids = Int32Array.from({ length: 6 }, () => random.int(VOCABULARY));

function read(model: OnnxModel) {
  const g = createBuilder();
  const imported = importModel(model);
  const { outputs } = imported.build(g, { batch: ROWS, sequence: 2 }, { data: ['x', 'input_ids'] });
  const graph = g.finish(outputs);
  const feeds = new Map<string, Tensor>(
    graph.inputs.map((v) => [
      v.name,
      { dtype: v.dtype, shape: v.shape, data: Float64Array.from(v.name === 'x' ? x : ids) },
    ]),
  );
  return { imported, graph, logits: (at = graph) => interpret(at, feeds).get(at.outputs.logits!).data };
}

async function inRuntime({ model }: Pick<QuantGraph, 'model'>): Promise<ArrayLike<number>> {
  const session = await openSession(encodeModel(model), { providers: ['wasm'] });
  const info = session.inputs[0]!;
  const feed =
    info.name === 'x'
      ? { dtype: 'float32' as const, dims: [ROWS, WIDTH], data: x }
      : { dtype: 'int64' as const, dims: [ROWS, 2], data: ids };
  const result = await session.run({ [info.name]: feed }, ['logits']);
  await session.release();
  return result.logits!.data;
}

describe.each(Object.entries(quantGraphs))('%s', (name, make) => {
  const graph = make();
  const tolerance = name.endsWith('f16') ? 2e-3 : graph.roundsActivations ? 3e-2 : 1e-5;

  test('says what the runtime says, in plain and in packed kernels', async () => {
    const { graph: built, logits } = read(graph.model);
    const expected = await inRuntime(graph);
    expect(parity(logits(), expected).maxRel).toBeLessThan(tolerance);
    const packed = fuse(built);
    expect(parity(logits(packed), logits()).maxRel).toBeLessThan(1e-12);
    const reader = packed.nodes.find((n) => n.op.name === (graph.lookUp ? 'gather' : 'linear'))!;
    expect(reader.inputs.map((v) => v.dtype)).toContain('u32');
  });

  test('shows the layer by its name', () => {
    const { imported, graph: built } = read(graph.model);
    const module = imported.modules.find((m) => `${m.name}.weight` === graph.weight)!;
    expect(module.parameters.weight!.quant).toBeDefined();
    const names = built.nodes.flatMap((n) => n.inputs.map((v) => storedParameter(v)?.name));
    expect(names).toContain(graph.weight);
    expect(imported.notes.length > 0).toBe(graph.roundsActivations === true);
  });

  test.each(['requantise', 'float'] as const)('is merged: %s', async (quantised) => {
    const { imported, graph: built } = read(graph.model);
    const W = built.nodes
      .flatMap((n) => n.inputs)
      .find((v) => storedParameter(v)?.name === graph.weight && v.dtype === 'f32')!;
    const before = storedNumbers(W);
    const noise = rng(33);
    const after = before.map((v) => v * 0.9 + 0.02 * noise.normal());
    const merged = mergeWeights(imported.onnx, imported.modules, new Map([[graph.weight, after.slice()]]), {
      quantised,
    });
    const again = read(merged.onnx);
    const W2 = again.graph.nodes
      .flatMap((n) => n.inputs)
      .find((v) => v.dtype === 'f32' && storedParameter(v)?.name === graph.weight)!;
    const written = storedNumbers(W2);
    const [report] = merged.written;
    const { bits } = imported.modules.find((m) => `${m.name}.weight` === graph.weight)!.parameters.weight!
      .quant!;
    expect(sizeOf(W2.shape)).toBe(after.length);
    const largest = Math.max(...written.map((v, i) => Math.abs(v - after[i]!)));
    // The file holds what the report says, and the runtime computes with that.
    expect(largest).toBeCloseTo(report!.maxError, 6);
    expect(report!.relativeError).toBeLessThan(quantised === 'float' ? 1e-3 : bits === 4 ? 0.12 : 0.02);
    if (quantised === 'requantise') expect(report!.relativeError).toBeGreaterThan(0);
    const expected = await inRuntime({ model: merged.onnx });
    expect(parity(again.logits(), expected).maxRel).toBeLessThan(
      quantised === 'float' && !name.endsWith('f16') && !name.includes('activations') ? 1e-5 : tolerance,
    );
    expect(parity(again.logits(), read(graph.model).logits()).maxRel).toBeGreaterThan(1e-3);
  });
});

/** Those with a linear layer whose weight only holds codes, and that gives the scores. */
const layers = Object.entries(quantGraphs).filter(([, make]) => !make().lookUp && !make().inner);

test.each(layers)('%s gets a new head for other classes', async (name, make) => {
  const { model } = make();
  const imported = importModel(model);
  const head = imported.modules.find((m) => m.kind === 'linear')!;
  const resized = resizeHead(model, head, 'logits', 5, 1);
  const { graph, logits } = read(resized);
  expect(graph.outputs.logits!.shape).toEqual([ROWS, 5]);
  const tolerance = name.endsWith('f16') ? 2e-3 : name.includes('activations') ? 6e-2 : 1e-5;
  expect(parity(logits(), await inRuntime({ model: resized })).maxRel).toBeLessThan(tolerance);
});

describe('what two quantised layers share', () => {
  /** Two layers whose codes have one scale and one zero point in the file. */
  function twins(): OnnxModel {
    const g = graphBuilder({ opset: 17 });
    let y = g.input('x', 'float32', [ROWS, WIDTH]);
    const scale = g.scalar(0.01);
    const zero = g.initializer(rawTensor('zero', 'uint8', [], Uint8Array.of(117)));
    for (const part of ['first', 'second']) {
      const noise = rng(5, part.length);
      const codes = Uint8Array.from({ length: WIDTH * WIDTH }, () => noise.int(256));
      const w = g.initializer(rawTensor(`${part}.weight_quantized`, 'uint8', [WIDTH, WIDTH], codes));
      y = g.op('MatMul', [y, g.op('DequantizeLinear', [w, scale, zero])], {}, { name: `/${part}/MatMul` });
    }
    g.output(y, 'float32', [ROWS, WIDTH], 'logits');
    return g.build();
  }

  test('stays the other one’s when one of them is requantised', async () => {
    const model = twins();
    const { imported } = read(model);
    const of = (onnx: OnnxModel, name: string): Float32Array => {
      const { quant } = importModel(onnx).modules.find((m) => m.name === name)!.parameters.weight!;
      return dequantised(quant!, new Float32Array(WIDTH * WIDTH));
    };
    // In the engine's layout, [out, in]; the numbers matter here, not their order.
    const wanted = of(model, 'first').map((v) => 3 * v + 0.5);
    const merged = mergeWeights(imported.onnx, imported.modules, new Map([['first.weight', wanted]]));
    expect(of(merged.onnx, 'second')).toEqual(of(model, 'second'));
    expect(parity(read(merged.onnx).logits(), await inRuntime({ model: merged.onnx })).maxRel).toBeLessThan(
      1e-5,
    );
    expect(merged.written[0]!.relativeError).toBeLessThan(0.01);
  });
});

test.each(['int8', 'uint8'] as const)('codes of %s that leave a bit free go on doing so', (dtype) => {
  const { model } = quantGraphs[`dynamic, ${dtype} of 7 bits`]!();
  const { imported } = read(model);
  const { quant } = imported.modules.find((m) => m.name === 'body')!.parameters.weight!;
  const noise = rng(8);
  const changed = dequantised(quant!, new Float32Array(sizeOf(quant!.shape))).map(
    (v) => 2 * v + 0.03 * noise.normal(),
  );
  const merged = mergeWeights(imported.onnx, imported.modules, new Map([['body.weight', changed]]));
  const codes = tensorToF32(merged.onnx.graph.initializers.get('body.weight_quantized')!);
  expect(Math.min(...codes)).toBeGreaterThanOrEqual(dtype === 'int8' ? -64 : 0);
  expect(Math.max(...codes)).toBeLessThanOrEqual(dtype === 'int8' ? 64 : 127);
});

test('says when activations are rounded', () => {
  const rounding = (name: string) => importModel(quantGraphs[name]!().model).activationsQuantised;
  expect(rounding('dynamic, a convolution over pictures')).toBe('dynamic');
  expect(rounding('QDQ, activations and a bias of 32 bits')).toBe('static');
  expect(rounding('QDQ, int8 for all')).toBeNull();
});

describe('a layer whose weight is kept in another float type', () => {
  type Kept = 'float16' | 'bfloat16' | 'double';
  const kept = (['float16', 'bfloat16', 'double'] as const).flatMap((dtype) => [
    { dtype, typed: false },
    { dtype, typed: true },
  ]);
  const values = (() => {
    const noise = rng(77);
    return Float32Array.from({ length: WIDTH * 4 }, () => noise.normal());
  })();

  /** Numbers as raw bytes, or in the field that the type has in the message: int32_data, double_data. */
  function tensor(dtype: Kept, typed: boolean): OnnxTensor {
    const raw = makeTensor('body.weight', dtype, [WIDTH, 4], values);
    if (!typed) return raw;
    const words = new Uint16Array(raw.bytes().buffer);
    const numbers = dtype === 'double' ? { doubleData: [...tensorToF32(raw)] } : { int32Data: [...words] };
    const proto = withFields(TensorProtoSchema, raw.proto, numbers);
    clearField(proto, TensorProtoSchema.field.rawData);
    return viewTensor(proto, 'weight');
  }

  test.each(kept)('$dtype, in its own field: $typed', async ({ dtype, typed }) => {
    const g = graphBuilder({ opset: 17 });
    const input = g.input('x', 'float32', [ROWS, WIDTH]);
    const w = g.op('Cast', [g.initializer(tensor(dtype, typed))], { to: 1 });
    const y = g.op('MatMul', [input, w], {}, { name: '/body/MatMul' });
    g.output(y, 'float32', [ROWS, 4], 'logits');
    const model = g.build();
    const { imported, logits } = read(model);
    expect(parity(logits(), await inRuntime({ model })).maxRel).toBeLessThan(1e-6);

    const noise = rng(78);
    const changed = values.map((v) => v + 0.1 * noise.normal());
    const merged = mergeWeights(imported.onnx, imported.modules, new Map([['body.weight', changed.slice()]]));
    const [report] = merged.written;
    expect(report!.how).toBe({ float16: 'f16', bfloat16: 'bf16', double: 'exact' }[dtype]);
    // Half of the last bit at most: 11 of them in f16, 8 in bf16, and rounding does occur.
    const most = { float16: 2 ** -11, bfloat16: 2 ** -8, double: 0 }[dtype];
    expect(report!.relativeError).toBeLessThanOrEqual(most);
    expect(report!.relativeError).toBeGreaterThanOrEqual(most / 8);
    const again = read(merged.onnx).logits();
    expect(parity(again, await inRuntime({ model: merged.onnx })).maxRel).toBeLessThan(1e-6);
    expect(parity(again, logits()).maxRel).toBeGreaterThan(1e-2);
  });
});

test('what rounding did is said a line for each way', () => {
  const said = describeWritten([
    { name: 'a.weight', how: 'bf16', maxError: 2e-3, relativeError: 1e-3 },
    { name: 'b.weight', how: 'bf16', maxError: 4e-3, relativeError: 2e-3 },
    { name: 'c.weight', how: 'requantised', maxError: 0.1, relativeError: 0.01 },
    { name: 'd.weight', how: 'exact', maxError: 0, relativeError: 0 },
  ]);
  expect(said).toHaveLength(2);
  expect(said[0]).toMatch(/^2 merged weights were rounded to bf16; the worst is b\.weight: max 4\.0e-3/);
  expect(said[1]).toMatch(/^1 merged weight was rounded to codes again; the worst is c\.weight/);
});

test('what rounded activations cost is measured and said', async () => {
  const { model } = quantGraphs['QDQ, activations and a bias of 32 bits']!();
  const { logits, imported } = read(model);
  const answers = Float32Array.from(logits());
  const x32 = { dtype: 'float32' as const, dims: [ROWS, WIDTH], data: x };
  const files = (activations: ActivationRounding) => ({
    merged: encodeModel(model),
    base: async () => encodeModel(model),
    moved: async () => null,
    rounds: true,
    activations,
  });
  const sample = {
    ...{ what: 'rows', inputs: { x: x32 }, names: {}, output: 'logits', adapted: answers, base: answers },
    counts: null,
  };
  const open = (file: Uint8Array) => openSession(file, { providers: ['wasm'] });
  const report = await checkParity([sample], files(imported.activationsQuantised), open);
  expect(report.verdict).toBe('passed');
  expect(report.base).toBeGreaterThan(1e-3);
  const cost = report.base!.toExponential(1);
  expect(report.sentence).toContain(
    `by the scales in the file) and the trainer does not: that moves the answers by ${cost}`,
  );
  expect((await checkParity([sample], files(null), open)).sentence).not.toContain('activations');
});

test.each(['float', 'requantise'] as const)(
  'merged files do not depend on the order of the weights: %s',
  (quantised) => {
    const file = 'test/fixtures/models/genai-llama-int4/model.onnx';
    const bytes = readFileSync(file);
    const model = loadModel([{ name: 'model.onnx', bytes }]);
    const layers = model.parameters.filter(({ name }) => /self_attn\.[qkv]_proj\.weight$/.test(name));
    expect(layers.length).toBeGreaterThan(5);
    const written = (order: typeof layers) => {
      const weights = new Map(order.map(({ name, load }) => [name, load().map((v) => 1.5 * v)]));
      return encodeModel(mergeWeights(model.onnx, model.modules, weights, { quantised }).onnx);
    };
    const first = written(layers);
    expect(Buffer.compare(first, written([...layers].reverse()))).toBe(0);
    // The file that was read, a Buffer of Node's here, is as it was.
    expect(Buffer.compare(bytes, readFileSync(file))).toBe(0);
  },
);
