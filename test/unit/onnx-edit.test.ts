import { describe, expect, it } from 'vitest';
import { graphBuilder } from '../../src/onnx/build.ts';
import { decodeModel } from '../../src/onnx/decode.ts';
import { addInitializer, freeNames, replaceInitializers, tensorLike } from '../../src/onnx/edit.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { readersOf, reroute } from '../../src/onnx/readers.ts';
import { f32Tensor, makeTensor, tensorToF32 } from '../../src/onnx/tensor.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { encodeExternal } from '../tools/encodeExternal.ts';

const N = 512;
const ramp = (from: number) => Float32Array.from({ length: N }, (_, i) => from + i / 3);

/** Two nodes that share one weight, beside one weight of every kind. */
function sample(irVersion = 8): OnnxModel {
  const g = graphBuilder({ irVersion });
  const x = g.input('x', 'float32', ['n', N]);
  const shared = g.weight('shared', [N], ramp(0));
  const half = g.initializer(makeTensor('half', 'float16', [N], ramp(1)));
  const whole = g.initializer(makeTensor('whole', 'int64', [1], [3]));
  const constant = g.constant(f32Tensor('', [N], ramp(2)), { outputs: ['constant'] });
  const list = g.op(
    'Constant',
    [],
    { value_floats: { kind: 'floats', value: [1, 2] } },
    { outputs: ['list'] },
  );
  const one = g.op('Constant', [], { value_float: { kind: 'float', value: 1 } }, { outputs: ['one'] });
  const a = g.op('Add', [x, shared], {}, { name: 'first' });
  const b = g.op('Mul', [a, shared], {}, { name: 'second' });
  for (const name of [half, whole, list, one]) g.op('Identity', [name]);
  g.output(g.op('Sub', [b, constant]), 'float32', ['n', N]);
  return g.build();
}

const again = (model: OnnxModel) => decodeModel(encodeModel(model));
const value = (model: OnnxModel, name: string) =>
  tensorToF32((model.graph.initializers.get(name) ?? model.graph.constants.get(name))!);

describe('replaceInitializers', () => {
  it('writes new values in the type of the file and leaves all else alone', () => {
    const before = sample();
    const data = ramp(100);
    const model = again(
      replaceInitializers(
        before,
        new Map([
          ['shared', { data }],
          ['half', { data }],
          ['constant', { data }],
        ]),
      ),
    );
    expect(value(model, 'shared')).toEqual(data);
    expect(value(model, 'constant')).toEqual(data);
    expect(model.graph.initializers.get('half')!.dtype).toBe('float16');
    const rounded = value(model, 'half');
    expect(rounded.every((got, i) => Math.abs(got - data[i]!) <= data[i]! * 2 ** -11)).toBe(true);
    expect(rounded).not.toEqual(data);
    // Undoing the edit gives the old file back, so nothing else moved; and the old model never changed.
    const undone = replaceInitializers(
      model,
      new Map(['shared', 'half', 'constant'].map((name) => [name, { data: value(before, name) }])),
    );
    expect(encodeModel(undone)).toEqual(encodeModel(before));
    expect(value(before, 'shared')).toEqual(ramp(0));
  });

  it('writes short constants spelt as attributes', () => {
    const model = again(
      replaceInitializers(
        sample(),
        new Map([
          ['list', { data: [5, 6] }],
          ['one', { data: [0.25] }],
        ]),
      ),
    );
    expect([...value(model, 'list'), ...value(model, 'one')]).toEqual([5, 6, 0.25]);
  });

  it('does not keep the array it was given', () => {
    const data = ramp(7);
    const model = replaceInitializers(sample(), new Map([['shared', { data }]]));
    data.fill(0);
    expect(value(model, 'shared')).toEqual(ramp(7));
  });

  it('replaces external data by data of its own', () => {
    const { proto, data } = encodeExternal(sample(), 'w.bin');
    const untouched = data.slice();
    const model = decodeModel(proto, new Map([['w.bin', data]]));
    const edited = again(replaceInitializers(model, new Map([['shared', { data: ramp(9) }]])));
    expect(value(edited, 'shared')).toEqual(ramp(9));
    expect(value(edited, 'half')).toEqual(value(sample(), 'half'));
    expect(data).toEqual(untouched);
  });

  it.each([
    ['a name that is not there', 'absent', [1], /no weight called "absent"/],
    ['a wrong count', 'shared', [1, 2], /takes 512 values but was given 2/],
    ['integers', 'whole', [1], /int64/],
    ['a value beyond f16', 'half', ramp(65400), /float16 cannot hold/],
  ])('refuses %s', (_, name, data, reason) => {
    expect(() => replaceInitializers(sample(), new Map([[name, { data }]]))).toThrow(reason);
  });
});

describe('a weight of its own', () => {
  it('goes to one node, while the other keeps the shared one', () => {
    const before = sample();
    const like = before.graph.initializers.get('shared')!;
    const name = freeNames(before)('shared');
    expect(name).toBe('shared_1');
    const places = readersOf(before.graph)
      .of.get('shared')!
      .filter(({ node }) => node.name === 'second');
    const tensor = tensorLike(like, name, { data: ramp(50) });
    const model = again(reroute(before, [{ places, tensor }]));
    const inputs = (wanted: string) => model.graph.nodes.find((node) => node.name === wanted)!.inputs[1];
    expect(inputs('first')).toBe('shared');
    expect(inputs('second')).toBe('shared_1');
    expect(value(model, 'shared')).toEqual(ramp(0));
    expect(value(model, 'shared_1')).toEqual(ramp(50));
  });

  it('is declared as an input before IR 4', () => {
    const model = again(addInitializer(sample(3), f32Tensor('extra', [2], [1, 2])));
    expect(model.graph.proto.input.map(({ name }) => name)).toContain('extra');
    expect(model.graph.inputs.map(({ name }) => name)).toEqual(['x']);
    expect(addInitializer(sample(), f32Tensor('extra', [2], [1, 2])).graph.proto.input).toHaveLength(1);
  });

  it('may not take a name that is not free', () => {
    expect(() => addInitializer(sample(), f32Tensor('constant', [1], [1]))).toThrow(/already has a value/);
  });
});
