/** Models that define operators of their own: written out as onnxruntime does, named by the place of the call, merged. */
import { expect, test } from 'vitest';
import { createBuilder } from '../../src/graph/builder.ts';
import { openSession } from '../../src/inference/session.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { rng } from '../../src/lib/rng.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import { mergeWeights } from '../../src/models/merge.ts';
import { readOnnx, sortFiles } from '../../src/models/readOnnx.ts';
import { type GraphBuilder, graphBuilder } from '../../src/onnx/build.ts';
import { decodeModel } from '../../src/onnx/decode.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { inlineFunctions } from '../../src/onnx/inline.ts';
import { f32Tensor, makeTensor } from '../../src/onnx/tensor.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { interpret } from '../../src/ops/checks.ts';
import { parity } from '../../src/training/parity.ts';
import { float, functionProto, refers, withFunctions } from '../tools/functions.ts';

const [ROWS, WIDTH, OUT] = [3, 6, 5];
const random = rng(41);
const normal = (n: number): Float32Array => Float32Array.from({ length: n }, () => random.normal());
const x = normal(ROWS * WIDTH);

/** x through `body`, which may call the functions. */
function model(body: (g: GraphBuilder, x: string) => string, width = OUT, opset = 18): OnnxModel {
  const g = graphBuilder({ opset });
  g.output(body(g, g.input('x', 'float32', [ROWS, WIDTH])), 'float32', [ROWS, width], 'logits');
  return g.build();
}

const call = (name = '') => ({ domain: 'own.functions', ...(name ? { name } : {}) });

function logits(onnx: OnnxModel) {
  const g = createBuilder();
  const { outputs } = importModel(onnx).build(g, { batch: ROWS }, { data: ['x'] });
  const graph = g.finish(outputs);
  const feeds = new Map([['x', { dtype: 'f32' as const, shape: [ROWS, WIDTH], data: Float64Array.from(x) }]]);
  return interpret(graph, feeds).get(graph.outputs.logits!).data;
}

async function inRuntime(onnx: OnnxModel): Promise<ArrayLike<number>> {
  const session = await openSession(encodeModel(onnx), { providers: ['wasm'] });
  const result = await session.run({ x: { dtype: 'float32', dims: [ROWS, WIDTH], data: x } }, ['logits']);
  await session.release();
  return result.logits!.data;
}

/** x Wᵀ · slope (+ bias), twice: LeakyRelu takes the call's slope, the product is a function of its own. */
const product = functionProto({
  name: 'Product',
  inputs: ['x', 'w'],
  body: (g) => [
    g.op('MatMul', ['x', g.op('Transpose', ['w'], { perm: [1, 0] })], {}, { name: 'n', outputs: ['y'] }),
  ],
});
const layer = functionProto({
  name: 'Layer',
  inputs: ['x', 'w', 'bias'],
  attributes: [],
  defaults: [float('alpha', 0.25), float('beta', 0.5)],
  body: (g) => {
    const y = g.op('Product', ['x', 'w'], {}, { ...call('inner'), outputs: ['y'] });
    const scaled = g.op('Mul', [y, g.op('Constant', [], refers('value_float', 'alpha'))]);
    const other = g.op('Mul', ['bias', g.op('Constant', [], refers('value_float', 'beta'))]);
    return [g.op('Add', [scaled, other], {}, { outputs: ['sum'] }), y];
  },
});

function twoLayers(): OnnxModel {
  const made = model((g, input) => {
    const [first] = g.ops(
      2,
      'Layer',
      [
        input,
        g.weight('up.weight', [WIDTH, WIDTH], normal(WIDTH ** 2)),
        g.weight('up.bias', [WIDTH], normal(WIDTH)),
      ],
      { alpha: { kind: 'float', value: 2 } },
      call('/body/up/Layer'),
    );
    const second = g.ops(
      2,
      'Layer',
      [
        first!,
        g.weight('down.weight', [OUT, WIDTH], normal(OUT * WIDTH)),
        g.weight('down.bias', [OUT], normal(OUT)),
      ],
      {},
      call('/body/down/Layer'),
    );
    return g.op('Add', second);
  });
  return withFunctions(made, [product, layer]);
}

test('nested functions, given and usual attributes, two calls of one body', async () => {
  const onnx = twoLayers();
  const again = decodeModel(encodeModel(onnx));
  expect(parity(logits(again), await inRuntime(onnx)).maxRel).toBeLessThan(1e-6);
  const { modules, onnx: flat } = importModel(onnx);
  expect(modules.filter((m) => m.kind === 'linear').map((m) => m.name)).toEqual(['body.up', 'body.down']);
  const { notes } = readOnnx(sortFiles([{ name: 'model.onnx', bytes: encodeModel(onnx) }]));
  expect(notes.join()).toMatch(/defines 2 operators of its own \(own\.functions\.Product, …\)/);
  expect(flat.proto.functions).toEqual([]);
});

test('a weight that a function is given is merged, and onnxruntime runs the file', async () => {
  const { onnx, modules } = importModel(twoLayers());
  const merged = mergeWeights(onnx, modules, new Map([['body.up.weight', normal(WIDTH ** 2)]]));
  const said = logits(merged.onnx);
  expect(parity(said, await inRuntime(merged.onnx)).maxRel).toBeLessThan(1e-6);
  expect(parity(said, logits(onnx)).maxRel).toBeGreaterThan(0.1);
});

test('a weight inside a function is merged for one call alone', async () => {
  const inside = functionProto({
    name: 'Fixed',
    inputs: ['x'],
    body: (g) => {
      const w = g.constant(f32Tensor('w', [WIDTH, WIDTH], normal(WIDTH ** 2)), { outputs: ['w'] });
      return [g.op('MatMul', ['x', w], {}, { name: 'MatMul', outputs: ['y'] })];
    },
  });
  const onnx = withFunctions(
    model(
      (g, input) => g.op('Fixed', [g.op('Fixed', [input], {}, call('/a/Fixed'))], {}, call('/b/Fixed')),
      WIDTH,
    ),
    [inside],
  );
  expect(parity(logits(onnx), await inRuntime(onnx)).maxRel).toBeLessThan(1e-6);
  const imported = importModel(onnx);
  expect(imported.modules.map((m) => m.name)).toEqual(['a', 'b']);
  const merged = mergeWeights(imported.onnx, imported.modules, new Map([['a.weight', normal(WIDTH ** 2)]]));
  const said = logits(merged.onnx);
  expect(parity(said, await inRuntime(merged.onnx)).maxRel).toBeLessThan(1e-6);
  const [a, b] = importModel(merged.onnx).modules.map((m) => [...m.parameters.weight!.tensor.bytes()].join());
  expect(a).not.toBe(b);
});

test('branches inside a function, inputs that are left out', async () => {
  const branch = (value: string, factor: number) => {
    const inner = graphBuilder({ opset: 18 });
    const y = inner.op(
      'Mul',
      [value, inner.constant(makeTensor('c', 'float32', [], [factor]))],
      {},
      { outputs: ['m'] },
    );
    inner.output(y, 'float32', null);
    return inner.graph();
  };
  const chooser = functionProto({
    name: 'Chooser',
    inputs: ['x', 'unused', 'on'],
    body: (g) => {
      const attributes = {
        then_branch: { kind: 'graph', value: branch('x', 3) },
        else_branch: { kind: 'graph', value: branch('x', 0.5) },
      } as const;
      const y = g.op('If', [g.op('Cast', ['on'], { to: 9 })], attributes, { outputs: ['y'] });
      return [y];
    },
  });
  const made = model((g, input) => {
    const flag = (value: number) => g.initializer(makeTensor(`on${value}`, 'float32', [], [value]));
    const tripled = g.op('Chooser', [input, '', flag(1)], {}, call('p'));
    return g.op('Add', [tripled, g.op('Chooser', [input, input, flag(0)], {}, call('q'))]);
  }, WIDTH);
  const onnx = withFunctions(made, [chooser]);
  const said = logits(onnx);
  expect(parity(said, await inRuntime(onnx)).maxRel).toBeLessThan(1e-6);
  expect(
    parity(
      said,
      x.map((v) => 3.5 * v),
    ).maxRel,
  ).toBeLessThan(1e-6);
});

test('an output that is an input is handed on, one that nobody wants is not there', () => {
  const both = functionProto({
    name: 'Both',
    inputs: ['x'],
    body: (g) => ['x', g.op('Neg', ['x'], {}, { outputs: ['y'] }), 'x'],
  });
  const made = model((g, input) => {
    const [same, , again] = g.ops(3, 'Both', [input], {}, { ...call('c'), outputs: ['s', '', 't'] });
    return g.op('Add', [same!, again!]);
  }, WIDTH);
  expect([...logits(withFunctions(made, [both]))]).toEqual([...x].map((v) => 2 * v));
});

test('overloads are told apart, an operator of the runtime is no function, and a body is read by the model’s opset', async () => {
  const times = (overload: string, factor: number) =>
    functionProto({
      name: 'Times',
      overload,
      inputs: ['x'],
      opset: 11,
      body: (g) => {
        // By opset 11's rules this would be a softmax over both axes behind the first.
        const y = g.op('Softmax', ['x'], { axis: 1 });
        return [g.op('Mul', [y, g.constant(f32Tensor('factor', [], [factor]))], {}, { outputs: ['y'] })];
      },
    });
  const relu = functionProto({
    name: 'Relu',
    domain: '',
    inputs: ['x'],
    body: (g) => [g.op('Neg', ['x'], {}, { outputs: ['y'] })],
  });
  const made = model((g, input) => {
    const rows = g.op('Reshape', [g.op('Relu', [input]), g.ints([ROWS, 2, WIDTH / 2])]);
    const sum = g.op('Add', [
      g.op('Times', [rows], {}, { ...call('first'), outputs: ['one'] }),
      g.op('Times', [rows], {}, { ...call('second'), outputs: ['two'] }),
    ]);
    return g.op('Reshape', [sum, g.ints([ROWS, WIDTH])]);
  }, WIDTH);
  made.proto.graph!.node.find((n) => n.name === 'second')!.overload = 'b';
  const onnx = withFunctions(made, [times('', 2), times('b', -5), relu]);
  expect(parity(logits(onnx), await inRuntime(onnx)).maxRel).toBeLessThan(1e-6);
});

test('functions that call each other in a circle are refused', () => {
  const circle = (name: string, other: string) =>
    functionProto({
      name,
      inputs: ['x'],
      body: (g) => [g.op(other, ['x'], {}, { ...call(), outputs: ['y'] })],
    });
  const onnx = withFunctions(
    model((g, input) => g.op('A', [input], {}, call()), WIDTH),
    [circle('A', 'B'), circle('B', 'A')],
  );
  expect(() => inlineFunctions(onnx)).toThrow(PapilioError);
  expect(() => inlineFunctions(onnx)).toThrow(/calls itself/);
});

test('functions that unfold into more than any model has are refused before they do', () => {
  const twice = (name: string, other: string) =>
    functionProto({
      name,
      inputs: ['x'],
      body: (g) => [g.op(other, [g.op(other, ['x'], {}, call('n'))], {}, { ...call('n'), outputs: ['y'] })],
    });
  const floors = Array.from({ length: 30 }, (_, i) => twice(`F${i}`, `F${i + 1}`));
  const end = functionProto({
    name: 'F30',
    inputs: ['x'],
    body: (g) => [g.op('Relu', ['x'], {}, { outputs: ['y'] })],
  });
  const onnx = withFunctions(
    model((g, input) => g.op('F0', [input], {}, call('first')), WIDTH),
    [...floors, end],
  );
  expect(() => inlineFunctions(onnx)).toThrowError(expect.objectContaining({ kind: 'too-large' }));
});
