/** PyTorch's names where a file tells them: nn.MultiheadAttention, nn.Sequential, parameters of no module, biases of another module. */
import { expect, test } from 'vitest';
import { createBuilder } from '../../src/graph/builder.ts';
import { differentiate } from '../../src/graph/differentiate.ts';
import type { Value } from '../../src/graph/types.ts';
import { rng } from '../../src/lib/rng.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { interpret } from '../../src/ops/checks.ts';
import { addN } from '../../src/ops/index.ts';
import { matchGradients } from '../../tools/verify/onnxCase.ts';

const [B, S, D] = [2, 3, 6];
const random = rng(53);
const numbers = (n: number): Float32Array => Float32Array.from({ length: n }, () => random.normal());

interface Attention {
  /** Its packed projection has a bias. */
  readonly bias: boolean;
  /** The weight keeps its own name, and a Transpose turns it; else the exporter folded the two. */
  readonly turned?: boolean;
}

/** As torch.onnx exports a small model with nn.MultiheadAttention. */
function model({ bias, turned = false }: Attention): OnnxModel {
  const g = graphBuilder({ opset: 14 });
  const x = g.input('x', 'float32', [B, S, D]);
  const placed = g.op('Add', [x, g.weight('pos', [1, S, D], numbers(S * D))], {}, { name: '/Add' });
  const seen = g.op('Mul', [placed, g.weight('body.lambda1', [D], numbers(D))], {}, { name: '/body/Mul' });
  const named = (part: string) => ({ name: `/body/attn/${part}` });
  const packed = turned
    ? g.op(
        'Transpose',
        [g.weight('body.attn.in_proj_weight', [3 * D, D], numbers(3 * D * D))],
        { perm: [1, 0] },
        named('Transpose'),
      )
    : g.weight('onnx::MatMul_77', [D, 3 * D], numbers(3 * D * D));
  let qkv = g.op('MatMul', [seen, packed], {}, named('MatMul'));
  if (bias)
    qkv = g.op('Add', [g.weight('body.attn.in_proj_bias', [3 * D], numbers(3 * D)), qkv], {}, named('Add'));
  const parts = g.ops(3, 'Split', [qkv], { axis: 2 }, named('Split')) as [string, string, string];
  const mixed = g.op('Add', [g.op('Mul', [parts[0], parts[1]]), parts[2]], {}, named('Mix'));
  const rows = g.op('Reshape', [mixed, g.ints([B * S, D])], {}, named('Reshape'));
  const out = [
    g.weight('body.attn.out_proj.weight', [D, D], numbers(D * D)),
    g.weight('body.attn.out_proj.bias', [D], numbers(D)),
  ];
  const joined = g.op('Gemm', [rows, ...out], { transB: 1 }, named('Gemm'));
  const up = g.op(
    'MatMul',
    [joined, g.weight('onnx::MatMul_78', [D, D], numbers(D * D))],
    {},
    { name: '/body/mlp/mlp.0/MatMul' },
  );
  const act = g.op('Relu', [up], {}, { name: '/body/mlp/mlp.1/Relu' });
  const down = g.op(
    'MatMul',
    [act, g.weight('onnx::MatMul_79', [D, D], numbers(D * D))],
    {},
    { name: '/body/mlp/mlp.2/MatMul' },
  );
  const projected = g.op(
    'MatMul',
    [down, g.weight('text_projection', [D, D + 1], numbers(D * (D + 1)))],
    {},
    { name: '/MatMul' },
  );
  const decoded = g.op(
    'MatMul',
    [projected, g.weight('onnx::MatMul_80', [D + 1, 4], numbers((D + 1) * 4))],
    {},
    { name: '/cls/predictions/decoder/MatMul' },
  );
  const own = g.weight('cls.predictions.bias', [4], numbers(4));
  g.output(
    g.op('Add', [decoded, own], {}, { name: '/cls/predictions/decoder/Add' }),
    'float32',
    [B * S, 4],
    'logits',
  );
  return g.build();
}

/** Every parameter by PyTorch's name. */
const torchNames = (onnx: OnnxModel): string[] =>
  importModel(onnx)
    .modules.flatMap((m) => Object.values(m.parameters).map((p) => p.torch ?? p.value))
    .sort();

const forms: readonly Attention[] = [{ bias: true }, { bias: false }, { bias: true, turned: true }];

test.each(forms)('every parameter has PyTorch’s name: %o', (form) => {
  const onnx = model(form);
  const expected = [
    ...['pos', 'text_projection', 'body.lambda1', 'body.attn.in_proj_weight', 'body.attn.out_proj.weight'],
    ...['body.attn.out_proj.bias', 'body.mlp.0.weight', 'body.mlp.2.weight', 'cls.predictions.bias'],
    ...['cls.predictions.decoder.weight', ...(form.bias ? ['body.attn.in_proj_bias'] : [])],
  ];
  expect(torchNames(onnx)).toEqual(expected.sort());
  const layers = importModel(onnx).modules.filter((m) => m.kind === 'linear');
  expect(layers.map(({ name, in: inputs, out }) => [name, inputs, out])).toEqual([
    ['body.attn.in_proj', D, 3 * D],
    ['body.attn.out_proj', D, D],
    ['body.mlp.0', D, D],
    ['body.mlp.2', D, D],
    ['text_projection', D, D + 1],
    ['cls.predictions.decoder', D + 1, 4],
  ]);
});

test('gradients are found by PyTorch’s names, in PyTorch’s layout', () => {
  const imported = importModel(model({ bias: true }));
  const g = createBuilder();
  const { outputs } = imported.build(g, { batch: B }, { data: ['x'] });
  const logits = outputs.logits!;
  const parameters = [...new Set(g.nodes.flatMap((n) => n.inputs))].filter((v) => v.role === 'parameter');
  const seed = g.constant(logits, numbers(B * S * 4));
  const found = [...differentiate(g, { of: logits, seed, wrt: parameters, sum: addN })];
  const graph = g.finish(Object.fromEntries(found.map(([, d], i) => [`d${i}`, d])));
  const x = { dtype: 'f32' as const, shape: [B, S, D], data: Float64Array.from(numbers(B * S * D)) };
  const result = interpret(graph, new Map([['x', x]]));
  const gradients = new Map<Value, Float64Array>(
    found.map(([v, d]) => [v, Float64Array.from(result.get(d).data)]),
  );
  const of = (name: string): Float64Array => [...gradients].find(([v]) => v.name === name)![1];

  /** What a file of figures would say of a parameter whose gradient is this. */
  const said = (shape: readonly number[], data: ArrayLike<number>) => {
    const all = Array.from(data);
    const sum = (f: (v: number) => number): number => all.reduce((s, v) => s + f(v), 0);
    return { shape, l2: Math.sqrt(sum((v) => v * v)), sum: sum((v) => v), first: all.slice(0, 8) };
  };
  const projection = of('text_projection.weight');
  // Kept [in, out] under its own name, so that is what PyTorch has; the engine has [out, in].
  const turned = Array.from(
    { length: projection.length },
    (_, i) => projection[(i % (D + 1)) * D + Math.floor(i / (D + 1))]!,
  );
  const grads = {
    pos: said([1, S, D], of('pos')),
    'body.attn.in_proj_weight': said([3 * D, D], of('body.attn.in_proj.weight')),
    'body.attn.in_proj_bias': said([3 * D], of('body.attn.in_proj.bias')),
    'cls.predictions.bias': said([4], of('cls.predictions.decoder.bias')),
    text_projection: said([D, D + 1], turned),
  };
  const matched = matchGradients(grads, gradients, imported, 1e-9);
  expect(matched.map(({ name }) => name)).toEqual(Object.keys(grads));
  for (const { name, error } of matched) expect([name, error]).toEqual([name, expect.closeTo(0, 10)]);
});
