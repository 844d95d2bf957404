/** Models that cannot be imported: what is missing is named at once, beside what was recognised. */
import { describe, expect, test } from 'vitest';
import { createBuilder } from '../../src/graph/builder.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import type { Recognised } from '../../src/models/import/refuse.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { decodeModel } from '../../src/onnx/decode.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { withOp } from '../tools/graphForms.ts';
import { encoder } from '../tools/graphs.ts';

const ramp = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => (i % 7) / 10 - 0.2);

function thrown(f: () => unknown): PapilioError {
  try {
    f();
  } catch (error) {
    if (error instanceof PapilioError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('nodes out of order', () => {
  const reordered = (change: (g: ReturnType<typeof encoder>['proto']['graph'] & object) => void) => {
    const model = encoder({ family: 'bert' });
    change(model.proto.graph!);
    return thrown(() => importModel(decodeModel(encodeModel(model))));
  };

  test('or in a circle are named by what nothing gives before it is read', () => {
    for (const error of [
      reordered((g) => g.node.reverse()),
      reordered((g) => {
        const [first, second] = g.node.slice(-3);
        first!.input[0] = second!.output[0]!;
      }),
      reordered((g) => {
        g.output[0]!.name = 'nobody_gives_this';
      }),
    ]) {
      expect(error.kind).toBe('malformed-onnx');
      expect(error.message).toMatch(/reads ".+", which is no input/);
    }
  });
});

describe('what is missing', () => {
  test('is named with its node, all at once', () => {
    const g = graphBuilder({ opset: 17, opsets: { 'com.microsoft': 1 } });
    const x = g.input('input_ids', 'float32', ['batch', 4]);
    const a = g.op('LRN', [x], { size: 1 }, { name: '/a/LRN' });
    const b = g.op('Tanh', [a], {}, { name: '/b/Tanh' });
    const c = g.op('SparseAttention', [b, b], {}, { name: '/c/SparseAttention', domain: 'com.microsoft' });
    g.output(g.op('Hardmax', [c], {}, { name: '/d/Hardmax' }), 'float32', ['batch', 4]);
    const error = thrown(() => importModel(g.build()));
    expect(error.kind).toBe('unsupported-onnx');
    for (const part of [
      'LRN at "/a/LRN"',
      'com.microsoft.SparseAttention at "/c/SparseAttention"',
      'Hardmax at "/d/Hardmax"',
    ]) {
      expect(error.message).toContain(part);
    }
    expect((error.details.missing as { op: string }[]).map((m) => m.op)).toEqual([
      'LRN',
      'com.microsoft.SparseAttention',
      'Hardmax',
    ]);
  });

  test('is counted where it comes again', () => {
    const g = graphBuilder({ opset: 17 });
    let x = g.input('input_ids', 'float32', ['batch', 4]);
    for (const name of ['a', 'b', 'c']) x = g.op('LRN', [x], { size: 1 }, { name: `/${name}/LRN` });
    g.output(g.op('Hardmax', [x], {}, { name: '/d/Hardmax' }), 'float32', ['batch', 4]);
    expect(thrown(() => importModel(g.build())).message).toContain(
      '2 operators that Papilio cannot train through: LRN at 3 nodes, first "/a/LRN"; Hardmax at "/d/Hardmax". ',
    );
  });

  test('stands beside what was recognised', () => {
    const model = encoder({ family: 'bert' });
    const broken = withOp(model, '/bert/Tanh', 'Hardmax');
    const error = thrown(() => importModel(broken));
    const { family, modules, nodes } = error.details.recognised as Recognised;
    expect(family).toBe('bert');
    const total = broken.graph.nodes.filter((n) => n.opType !== 'Constant').length;
    // The classifier alone comes after it.
    expect(nodes).toEqual({ total, supported: total - 3, waiting: 2 });
    expect(modules).toContainEqual({ name: 'bert.encoder.layer.1.output.dense', kind: 'linear' });
    expect(modules).toContainEqual({ name: 'bert.embeddings.LayerNorm', kind: 'layernorm' });
    expect(modules).toContainEqual({ name: 'classifier', kind: 'other' });
    const linear = modules.filter((m) => m.kind === 'linear').length;
    expect(error.message).toContain('Hardmax at "/bert/Tanh"');
    expect(error.message).toContain(
      `Recognised: ${total - 3} of ${total} nodes of a bert model, ${linear} linear layers among ${modules.length} modules, 2 wait for what is missing.`,
    );
  });

  test('stands beside the whole where only a kernel is missing', () => {
    const error = thrown(() => importModel(withOp(encoder({ family: 'bert' }), '/bert/Tanh', 'Sign')));
    const { modules, nodes } = error.details.recognised as Recognised;
    expect(error.message).toContain('Sign at "/bert/Tanh" (it has no kernel)');
    expect(nodes).toEqual({ total: nodes.total, supported: nodes.total - 1, waiting: 0 });
    expect(modules.map((m) => m.name)).toContain('classifier');
  });

  test('says why a supported operator is refused', () => {
    const g = graphBuilder();
    const x = g.input('pixel_values', 'float32', ['batch', 2, 8, 8]);
    const w = g.weight('conv.weight', [2, 1, 3, 3], ramp(18));
    g.output(g.op('Conv', [x, w], { group: 2 }, { name: '/conv/Conv' }), 'float32', ['batch', 2, 6, 6]);
    expect(thrown(() => importModel(g.build())).message).toContain(
      'Conv at "/conv/Conv" (it is a grouped convolution)',
    );
  });

  test('an unknown free dimension asks for its size by name', () => {
    const g = graphBuilder();
    const x = g.input('features', 'float32', ['batch', 'frames']);
    g.output(g.op('Relu', [x]), 'float32', ['batch', 'frames']);
    const error = thrown(() => importModel(g.build()));
    expect(error.kind).toBe('bad-argument');
    expect(error.message).toContain('the free dimension frames');
    expect(importModel(g.build(), { dims: { frames: 4 } }).outputs).toEqual(['Relu_output_1']);
  });

  test('a file with a fixed batch refuses another', () => {
    const g = graphBuilder();
    const x = g.input('features', 'float32', [3, 2]);
    g.output(g.op('Relu', [x]), 'float32', [3, 2]);
    const model = importModel(g.build());
    expect(thrown(() => model.build(createBuilder(), { batch: 2 })).message).toContain('at 3');
  });
});

test('what to do depends on who wrote the operators', () => {
  const refused = (opType: string, domain: string): string => {
    const g = graphBuilder({ opset: 17, opsets: { 'com.microsoft': 1, acme: 1 } });
    const x = g.input('x', 'float32', [2, 3]);
    g.output(g.op(opType, [x], {}, domain ? { domain } : {}), 'float32', [2, 3], 'logits');
    try {
      importModel(g.build());
    } catch (error) {
      return (error as Error).message;
    }
    return '';
  };
  expect(refused('QLinearAdd', 'com.microsoft')).toMatch(/quantised dynamically or as QDQ/);
  expect(refused('Swirl', 'acme')).toMatch(/the plain export before an optimiser/);
  expect(refused('Hardmax', '')).toMatch(/change the model so that its export needs none of them/);
});
