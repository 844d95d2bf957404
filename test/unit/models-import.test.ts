/** The importer's own promises: branches and caches fold away, origins lead back into the file. */
import { describe, expect, test } from 'vitest';
import { createBuilder } from '../../src/graph/builder.ts';
import type { Tensor } from '../../src/graph/types.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import { defaultData } from '../../src/models/import/inputs.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { tensorToF32 } from '../../src/onnx/tensor.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { interpret } from '../../src/ops/checks.ts';
import { encoder, gpt2, llama } from '../tools/graphs.ts';

const ramp = (n: number, by = 0.1): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.fround((i % 7) * by - 0.2));

function outputOf(
  model: OnnxModel,
  feeds: Record<string, { shape: number[]; data: number[] }>,
  sequence = 3,
): Tensor {
  const g = createBuilder();
  const { inputs, outputs } = importModel(model).build(g, { batch: 1, sequence });
  const tensors = new Map<string, Tensor>();
  for (const [name, v] of Object.entries(inputs))
    tensors.set(name, { ...v, data: Float64Array.from(feeds[name]!.data) });
  const [value] = Object.values(outputs);
  return interpret(g.finish(outputs), tensors).get(value!);
}

describe('merged decoders', () => {
  const ids = { input_ids: { shape: [1, 3], data: [1, 4, 2] } };

  /** logits = embedding · head, or in the cached branch something that cannot be imported. */
  function merged(): OnnxModel {
    const g = graphBuilder();
    const x = g.input('input_ids', 'int64', ['batch', 'sequence']);
    const flag = g.input('use_cache_branch', 'bool', [1]);
    const embedded = g.op(
      'Gather',
      [g.weight('wte.weight', [6, 4], ramp(24)), x],
      {},
      { name: '/wte/Gather' },
    );
    g.weight('head', [4, 6], ramp(24, 0.3));
    const withPast = graphBuilder();
    withPast.output(withPast.op('LRN', [embedded], { size: 1 }, { outputs: ['cached'] }), 'float32', null);
    const noPast = graphBuilder();
    noPast.output(
      noPast.op('MatMul', [embedded, 'head'], {}, { name: '/lm_head/MatMul', outputs: ['plain'] }),
      'float32',
      null,
    );
    const branches = {
      then_branch: { kind: 'graph', value: withPast.graph() },
      else_branch: { kind: 'graph', value: noPast.graph() },
    } as const;
    const logits = g.op('If', [flag], branches, { name: 'optimum::if', outputs: ['logits'] });
    g.output(logits, 'float32', ['batch', 'sequence', 6]);
    return g.build();
  }

  test('follow the branch without a cache', () => {
    const model = merged();
    const table = tensorToF32(model.graph.initializers.get('wte.weight')!);
    const head = tensorToF32(model.graph.initializers.get('head')!);
    const { data, shape } = outputOf(model, ids);
    expect(shape).toEqual([1, 3, 6]);
    let expected = 0;
    for (let k = 0; k < 4; k++) expected += table[4 * 4 + k]! * head[k * 6 + 5]!;
    expect(data[1 * 6 + 5]).toBeCloseTo(expected, 6);
    expect(importModel(model).modules.map((m) => m.name)).toEqual(['wte', 'lm_head']);
  });

  /** keys = past ++ new; the output counts them, so that the cache's length shows. */
  function cached(): OnnxModel {
    const g = graphBuilder();
    const x = g.input('input_ids', 'int64', ['batch', 'sequence']);
    const past = g.input('past_key_values.0.key', 'float32', ['batch', 2, 'past_sequence_length', 4]);
    g.input('attention_mask', 'int64', ['batch', 'past_sequence_length + sequence_length']);
    const e = g.op('Gather', [g.weight('wte.weight', [6, 8], ramp(48)), x]);
    const heads = g.op('Transpose', [g.op('Reshape', [e, g.ints([0, 0, 2, 4])])], { perm: [0, 2, 1, 3] });
    const keys = g.op('Concat', [past, heads], { axis: 2 }, { outputs: ['present.0.key'] });
    g.output(g.op('ReduceSum', [keys, g.ints([2])], { keepdims: 0 }), 'float32', ['batch', 2, 4], 'sums');
    g.output(keys, 'float32', ['batch', 2, 'total', 4]);
    return g.build();
  }

  test('start from an empty cache and drop the new one', () => {
    const model = importModel(cached());
    expect(model.outputs).toEqual(['sums']);
    const g = createBuilder();
    const { inputs } = model.build(g, { batch: 1, sequence: 3 });
    expect(Object.keys(inputs)).toEqual(['input_ids']);
    expect(g.nodes.some((n) => n.op.name === 'concat')).toBe(false);
  });

  test('take a cache that is given', () => {
    const model = importModel(cached());
    const g = createBuilder();
    const { inputs, outputs } = model.build(
      g,
      { batch: 1, sequence: 1, past: 2 },
      { data: ['input_ids', 'past_key_values.0.key'] },
    );
    expect(inputs['past_key_values.0.key']!.shape).toEqual([1, 2, 2, 4]);
    const feeds = new Map<string, Tensor>([
      ['input_ids', { dtype: 'i32', shape: [1, 1], data: Float64Array.of(0) }],
      ['past_key_values.0.key', { dtype: 'f32', shape: [1, 2, 2, 4], data: new Float64Array(16).fill(1) }],
    ]);
    const sums = interpret(g.finish(outputs), feeds).get(outputs.sums!);
    expect(sums.data[0]).toBeCloseTo(2 + ramp(1)[0]!, 6);
  });
});

describe('Sum, Min and Max', () => {
  const shift = Float32Array.of(0.3, -0.4, 0.25, 0.1);
  /** Rows of a table with a parameter of the model and a plain row of numbers, joined by one node. */
  function joined(op: 'Sum' | 'Min' | 'Max', operands: number): OnnxModel {
    const g = graphBuilder();
    const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
    const rows = g.op('Gather', [g.weight('wte.weight', [6, 4], ramp(24)), ids]);
    const all = [rows, g.weight('mix.shift', [4], shift), g.weight('onnx::Mix_7', [1, 1, 4], ramp(4, 0.5))];
    const more = [g.op('Neg', [rows]), g.weight('mix.last', [4], ramp(4, -0.2))];
    const y = g.op(op, [...all, ...more].slice(0, operands), {}, { name: `/mix/${op}` });
    g.output(y, 'float32', ['batch', 'sequence', 4], 'logits');
    return g.build();
  }

  test.each([
    ['Sum', 3, (xs: number[]) => xs.reduce((a, b) => a + b)],
    ['Sum', 5, (xs: number[]) => xs.reduce((a, b) => a + b)],
    ['Min', 3, (xs: number[]) => Math.min(...xs)],
    ['Max', 4, (xs: number[]) => Math.max(...xs)],
  ] as const)('%s takes %i operands', (op, operands, expected) => {
    const { data, shape } = outputOf(joined(op, operands), { input_ids: { shape: [1, 3], data: [1, 4, 2] } });
    expect(shape).toEqual([1, 3, 4]);
    const [table, plain, last] = [ramp(24), ramp(4, 0.5), ramp(4, -0.2)];
    [1, 4, 2].forEach((id, row) => {
      for (let k = 0; k < 4; k++) {
        const x = table[id * 4 + k]!;
        const operandsHere = [x, shift[k]!, plain[k]!, -x, last[k]!].slice(0, operands);
        expect(data[row * 4 + k]).toBeCloseTo(expected(operandsHere), 6);
      }
    });
  });

  test('keep the parameters among their operands', () => {
    const model = joined('Sum', 5);
    const { modules } = importModel(model);
    const { readings, value } = modules.find(({ name }) => name === 'mix')!.parameters.last!;
    expect(value).toBe('mix.last');
    expect(readings.map(({ node, input }) => [node.opType, input])).toEqual([['Sum', 4]]);
  });
});

describe('what folds', () => {
  test('a decoder needs only its tokens, and its mask is a flag', () => {
    // GPT-2's queries, keys and values are columns of one matrix.
    for (const [model, operands] of [
      [gpt2(), 1],
      [llama(), 3],
    ] as const) {
      const imported = importModel(model);
      expect(imported.decoder).toBe(true);
      const g = createBuilder();
      const { inputs } = imported.build(g, { batch: 3, sequence: 9 });
      expect(Object.keys(inputs)).toEqual(['input_ids']);
      const attention = g.nodes.filter((n) => n.op.name === 'attention');
      expect(attention.map((n) => [n.inputs.length, (n.attrs as { causal: boolean }).causal])).toEqual([
        [operands, true],
        [operands, true],
      ]);
    }
  });

  test('rotary tables are kept once for all examples and layers', () => {
    const g = createBuilder();
    importModel(llama()).build(g, { batch: 3, sequence: 9 });
    const constants = new Set(
      g.nodes.flatMap((n) => n.inputs).filter((v) => v.role === 'constant' && v.shape.length >= 3),
    );
    // Cosines and sines, for both layers' queries and keys.
    expect(constants.size).toBe(2);
    for (const v of constants) expect(v.shape[0]).toBe(1);
  });

  test('before a decoder, an encoder keeps the mask of what it reads', () => {
    const specs = ['input_ids', 'attention_mask', 'decoder_input_ids', 'decoder_attention_mask'].map(
      (name) => ({
        name,
        feed: name,
        kind: name.endsWith('mask') ? ('attention_mask' as const) : ('input_ids' as const),
        dtype: 'i32' as const,
        dims: ['batch', 'sequence'],
      }),
    );
    expect(defaultData(specs, true)).toEqual(['input_ids', 'attention_mask', 'decoder_input_ids']);
    expect(defaultData(specs.slice(0, 2), true)).toEqual(['input_ids']);
    expect(defaultData(specs.slice(0, 2), false)).toEqual(['input_ids', 'attention_mask']);
  });

  test('an encoder keeps its attention mask as an input', () => {
    const g = createBuilder();
    const imported = importModel(encoder({ family: 'bert' }));
    expect(imported.decoder).toBe(false);
    expect(Object.keys(imported.build(g, { batch: 2, sequence: 5 }).inputs)).toEqual([
      'input_ids',
      'attention_mask',
    ]);
  });
});

describe('parameters', () => {
  test('come from the initialiser their origin names, in the engine’s orientation', () => {
    const model = gpt2();
    const imported = importModel(model);
    const g = createBuilder();
    imported.build(g, { batch: 1, sequence: 4 });
    const values = new Map(
      g.nodes
        .flatMap((n) => n.inputs)
        .filter((v) => v.role === 'parameter')
        .map((v) => [v.name, v]),
    );
    for (const module of imported.modules) {
      for (const p of Object.values(module.parameters)) {
        const value = values.get(p.value)!;
        expect(value.shape).toEqual(p.shape);
        const file = tensorToF32(model.graph.initializers.get(p.initializer)!);
        const engine = value.source!() as Float32Array;
        const [rows = 1, columns = 1] = p.shape;
        const at = p.transposed
          ? (r: number, c: number) => c * rows + r
          : (r: number, c: number) => r * columns + c;
        for (const [r, c] of [
          [0, 0],
          [rows - 1, 0],
          [1, p.shape.length > 1 ? columns - 1 : 0],
        ] as const) {
          const flat = p.shape.length > 1 ? r * columns + c : r;
          expect(engine[flat]).toBe(file[p.shape.length > 1 ? at(r, c) : r]);
        }
        for (const { node, input, through } of p.readings)
          expect((through[0]?.inputs[0] ?? node.inputs[input])!).toBe(p.initializer);
      }
    }
    const attn = imported.modules.find((m) => m.name === 'transformer.h.0.attn.c_attn')!;
    expect([attn.kind, attn.in, attn.out, attn.parameters.weight!.transposed]).toEqual([
      'conv1d',
      32,
      96,
      true,
    ]);
  });

  test('a tied head and its table are two parameters that are said to be one', () => {
    const { modules, ties } = importModel(encoder({ family: 'bert', head: 'masked-lm' }));
    const value = (name: string) => modules.find((m) => m.name === name)?.parameters.weight?.value;
    expect(value('cls.predictions.decoder')).toBe('cls.predictions.decoder.weight');
    expect(value('bert.embeddings.word_embeddings')).toBe('bert.embeddings.word_embeddings.weight');
    expect(ties).toEqual([['bert.embeddings.word_embeddings.weight', 'cls.predictions.decoder.weight']]);
  });
});
