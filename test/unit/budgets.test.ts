/** What opening a model may cost: every constant is counted before it is made, and the node that asks for too much is named. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { loadModel } from '../../src/models/load.ts';
import { type AttributeInput, type GraphBuilder, graphBuilder } from '../../src/onnx/build.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { f32Tensor, int64Tensor, makeTensor } from '../../src/onnx/tensor.ts';

type Make = (g: GraphBuilder, x: string) => string;

const microsoft = { domain: 'com.microsoft' };
const called = (name: string) => ({ name });
const run = (g: GraphBuilder, n: number) =>
  g.op('Range', [g.ints([0], []), g.ints([n], []), g.ints([1], [])]);
const zeros = (g: GraphBuilder, ...shape: number[]) => g.op('ConstantOfShape', [g.ints(shape)]);
const zeroIds = (g: GraphBuilder, ...shape: number[]) =>
  g.op('ConstantOfShape', [g.ints(shape)], { value: int64Tensor('zero', [0]) });
const codes = (g: GraphBuilder) =>
  g.initializer(makeTensor('codes', 'uint8', [1, 1, 16], new Array(16).fill(3)));

/** Ends with an error of a kind whose sentence begins so. */
const refused: Readonly<Record<string, readonly [kind: string, says: RegExp, make: Make]>> = {
  'a fill': [
    'too-large',
    /^Node huge \(ConstantOfShape\) asks for [\d,]+ bytes of constants/,
    (g) => g.op('ConstantOfShape', [g.ints([70_000, 900])], {}, called('huge')),
  ],
  'an expansion': [
    'too-large',
    /^Node wide \(Expand\) asks/,
    (g) => g.op('Expand', [g.weight('one', [1], [1]), g.ints([3, 30_000_000])], {}, called('wide')),
  ],
  'a range': [
    'too-large',
    /^Node long \(Range\) asks/,
    (g) => g.op('Range', [g.ints([5], []), g.ints([77_000_000], []), g.ints([1], [])], {}, called('long')),
  ],
  repetition: [
    'too-large',
    /^Node Tile\S* \(Tile\) asks/,
    (g) => g.op('Tile', [run(g, 7), g.ints([9_000_000])]),
  ],
  'a row by a column': [
    'too-large',
    /^Node \S+ \(Mul\) asks/,
    (g) => g.op('Mul', [run(g, 9000), g.op('Reshape', [run(g, 9000), g.ints([9000, 1])])]),
  ],
  'a choice between a row and a column': [
    'too-large',
    /\(Where\) asks/,
    (g) => {
      const r = run(g, 12_000);
      const c = g.op('Reshape', [r, g.ints([12_000, 1])]);
      return g.op('Where', [g.op('Equal', [r, g.ints([4], [1])]), r, c]);
    },
  ],
  'rows of a table': [
    'too-large',
    /\(Gather\) asks/,
    (g) => g.op('Gather', [zeros(g, 1, 8000), zeroIds(g, 9000)]),
  ],
  'joining again and again': [
    'too-large',
    /\(Concat\) asks/,
    (g) => {
      let a = zeros(g, 999);
      for (let i = 0; i < 22; i++) a = g.op('Concat', [a, a], { axis: 0 });
      return a;
    },
  ],
  'many that are small': [
    'too-large',
    /\(ConstantOfShape\) asks/,
    (g) => {
      let a = g.ints([0], []);
      for (let i = 0; i < 80; i++) a = g.op('Add', [a, g.op('Size', [zeros(g, 300_001)])]);
      return a;
    },
  ],
  'a product that is all work': [
    'too-large',
    /\(MatMul\) asks for [\d,]+ steps/,
    (g) => g.op('MatMul', [zeros(g, 1300, 1300), zeros(g, 1300, 1300)]),
  ],
  'sums of the same, often': [
    'too-large',
    /\(Reduce\w+\) asks for [\d,]+ steps/,
    (g) => {
      const a = zeros(g, 2_000_003);
      let s = g.op('ReduceMax', [a]);
      for (let i = 0; i < 60; i++) s = g.op('Add', [s, g.op('ReduceMax', [a])]);
      return s;
    },
  ],
  'writing the whole again and again': [
    'too-large',
    /\(ScatterND\) asks for [\d,]+ steps/,
    (g) => g.op('ScatterND', [zeros(g, 400_000), zeroIds(g, 400_000, 0), zeros(g, 3)]),
  ],
  'a triangle as large as a running sum is long': [
    'too-large',
    /\(CumSum\) asks/,
    (g, x) =>
      g.op('CumSum', [g.op('Expand', [g.op('ReduceMax', [x]), g.ints([22_000, 8])]), g.ints([0], [])]),
  ],
  'a file of more nodes than models have': [
    'too-large',
    /asks for [\d,]+ steps/,
    (g, x) => {
      let y = x;
      for (let i = 0; i < 140_000; i++) y = g.op('Neg', [y]);
      return y;
    },
  ],
  'a size below zero': [
    'malformed-onnx',
    /^Node less \(ConstantOfShape\) gives a tensor of the shape \[3, -2\], which cannot be/,
    (g) => g.op('ConstantOfShape', [g.ints([3, -2])], {}, called('less')),
  ],
  'a size that is a fraction': [
    'malformed-onnx',
    /shape \[2.5\]/,
    (g) => g.op('ConstantOfShape', [g.weight('half', [1], [2.5])]),
  ],
  'a range of steps of nothing': [
    'malformed-onnx',
    /\(Range\) gives a tensor of the shape \[Infinity\]/,
    (g) => g.op('Range', [g.ints([0], []), g.ints([6], []), g.ints([0], [])]),
  ],
  'a size that is no number': [
    'malformed-onnx',
    /shape \[NaN\]/,
    (g) => {
      const none = g.weight('none', [1], [0]);
      return g.op('ConstantOfShape', [g.op('Div', [none, none])]);
    },
  ],
  'sizes whose product no number holds': [
    'too-large',
    /more than any machine can hold/,
    (g) => g.op('ConstantOfShape', [g.ints(new Array(40).fill(5000))]),
  ],
  'axes without end': [
    'malformed-onnx',
    /\(Expand\) has 300 axes/,
    (g) => g.op('Expand', [g.ints([1]), g.ints(new Array(300).fill(1))]),
  ],
  'an axis that is not there': [
    'malformed-onnx',
    /\(Softmax\) names axis 9 of a tensor that has 2/,
    (g, x) => g.op('Softmax', [x], { axis: 9 }),
  ],
  'a running sum along no axis': [
    'malformed-onnx',
    /\(CumSum\) names axis -7/,
    (g, x) => g.op('CumSum', [x, g.ints([-7], [])]),
  ],
  'shapes that cannot be joined': [
    'unsupported-onnx',
    /Concat at .*cannot become one along axis 0/,
    (g) => g.op('Concat', [g.ints([1, 2, 3]), g.ints([1, 2, 3, 4], [2, 2])], { axis: 0 }),
  ],
  'a slice without all its ends': [
    'unsupported-onnx',
    /Slice at/,
    (g) => g.op('Slice', [g.ints([1, 2, 3]), g.ints([0, 0]), g.ints([2])]),
  ],
  'a matrix of more codes than there are': [
    'malformed-onnx',
    /\(MatMulNBits\) has fewer codes than a matrix \[60000, 50000\]/,
    (g, x) => {
      const attributes: Record<string, AttributeInput> = { N: 60_000, K: 50_000, block_size: 32, bits: 4 };
      return g.op('MatMulNBits', [x, codes(g), g.weight('scales', [1], [1])], attributes, microsoft);
    },
  ],
  'rows of a rotary table of four axes': [
    'unsupported-onnx',
    /RotaryEmbedding at .*\(its rotary table has the shape \[1,1,1,1000000\], not two axes\)/,
    (g, x) => {
      const angles = g.weight('angles', [1_000_000], new Float32Array(1_000_000));
      const table = g.op('Reshape', [angles, g.ints([1, 1, 1, 1_000_000])]);
      const words = g.op('Unsqueeze', [x, g.ints([0])]);
      const inputs = [words, zeroIds(g, 1, 1_000_000), table, table];
      return g.op('RotaryEmbedding', inputs, { num_heads: 1 }, microsoft);
    },
  ],
  'a row that a table does not have': [
    'malformed-onnx',
    /Gather.* it asks for row 4 of 4/,
    (g, x) => {
      const table = g.op('Mul', [run(g, 4), g.ints([2], [])]);
      const picked = g.op('Gather', [table, g.ints([3, 4, 1, 0])]);
      return g.op('Add', [x, g.op('Cast', [picked], { to: 1 })]);
    },
  ],
  'heads that do not divide': [
    'malformed-onnx',
    /\(GroupQueryAttention\)/,
    (g, x) => {
      const n = g.ints([1]);
      const attributes = { num_heads: 0, kv_num_heads: 0 };
      return g.op('GroupQueryAttention', [x, x, x, '', '', n, n], attributes, microsoft);
    },
  ],
  ...Object.fromEntries(
    ['constructor', 'toString', '__proto__', 'hasOwnProperty'].map((op) => [
      `an operator called ${op}`,
      ['unsupported-onnx', new RegExp(`${op} at`), (g: GraphBuilder, x: string) => g.op(op, [x])] as const,
    ]),
  ),
};

function bytesOf(make: Make): Uint8Array {
  const g = graphBuilder({ opset: 17, opsets: { 'com.microsoft': 1 } });
  g.output(make(g, g.input('x', 'float32', ['batch', 4])), 'float32', null);
  return encodeModel(g.build());
}

function errorOf(make: Make): PapilioError {
  try {
    loadModel([{ name: 'model.onnx', bytes: bytesOf(make) }]).build(1, 1);
  } catch (error) {
    if (error instanceof PapilioError) return error;
    throw error;
  }
  throw new Error('It was taken.');
}

describe('opening a model', () => {
  for (const [what, [kind, says, make]] of Object.entries(refused)) {
    it(`refuses ${what}`, () => {
      const before = process.memoryUsage().arrayBuffers;
      const error = errorOf(make);
      expect(error.message).toMatch(says);
      expect(error.kind).toBe(kind);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(150e6);
    });
  }

  it('refuses an If whose branch gives fewer results than it does', () => {
    const branch = () => {
      const inner = graphBuilder();
      inner.output(inner.op('Neg', ['x']), 'float32', null);
      return { kind: 'graph', value: inner.graph() } as const;
    };
    const error = errorOf((g) => {
      const cond = g.initializer(makeTensor('cond', 'bool', [], [1]));
      return g.ops(3, 'If', [cond], { then_branch: branch(), else_branch: branch() })[2]!;
    });
    expect(error.message).toMatch(/its branch gives 1 of its 3 results/);
  });

  it('takes a mask of 2,048 × 2,048 in a small file', () => {
    const bytes = bytesOf((g, x) => {
      const mask = g.op('Unsqueeze', [g.op('Trilu', [zeros(g, 2048, 2048)]), g.ints([0])]);
      const rows = [g.ints([0, 0, 0]), g.ints([1, 1, 4]), g.ints([0, 1, 2])];
      return g.op('Add', [x, g.op('Squeeze', [g.op('Slice', [mask, ...rows]), g.ints([0])])]);
    });
    const model = loadModel([{ name: 'model.onnx', bytes }]);
    expect(model.task).toBe('other');
    // The folding for a graph finds what the look before has computed.
    expect(() => model.build(1, 4)).not.toThrow();
  });

  it('takes wider tables in a file that is larger', () => {
    const wide: Make = (g, x) => {
      const many = g.op('Expand', [g.weight('one', [1], [1]), g.ints([9_000_000, 2])]);
      return g.op('Add', [x, g.op('ReduceMax', [many], { keepdims: 0 })]);
    };
    expect(errorOf(wide).kind).toBe('too-large');
    const large: Make = (g, x) => {
      const table = g.initializer(f32Tensor('table', [4, 10_000_000], new Float32Array(40_000_000)));
      return g.op('Add', [wide(g, x), g.op('ReduceSum', [g.op('MatMul', [x, table])], { keepdims: 0 })]);
    };
    expect(loadModel([{ name: 'model.onnx', bytes: bytesOf(large) }]).task).toBe('other');
  });
});

it('memory whose size the file tells comes from one place', () => {
  const folder = 'src/models/import';
  const makes =
    /new (Float64|Float32|Int32|Uint32|Uint16|Uint8|Int8)Array\((?!kind)|(Float|Int|Uint)\d+Array\.from\(\{|Array\.from\(\{ length/;
  // Weights and constants on their way to the device, as large as what was counted or lies in the file; lists as long as a shape.
  const known = /quantMatrix\.ts|emit\.ts|importBudget\.ts/;
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .filter((name) => !known.test(name))
    .flatMap((name) =>
      readFileSync(`${folder}/${name}`, 'utf8')
        .split('\n')
        .flatMap((line, i) => (makes.test(line) ? [`${name}:${i + 1}: ${line.trim()}`] : [])),
    )
    .filter((line) => !/rank|shape\.length/.test(line));
  expect(found).toEqual([]);
});
