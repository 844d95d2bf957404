import { create, toBinary } from '@bufbuild/protobuf';
import {
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
} from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { rng } from '../../src/lib/rng.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { decodeModel } from '../../src/onnx/decode.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { makeTensor } from '../../src/onnx/tensor.ts';
import type { ExternalFiles, OnnxModel } from '../../src/onnx/types.ts';
import { encodeExternal } from '../tools/encodeExternal.ts';

function sample(): OnnxModel {
  const g = graphBuilder({ name: 'sample', metadata: { a: 'b' } });
  const x = g.input('x', 'float32', ['batch', 8]);
  const values = Float32Array.from({ length: 320 }, (_, i) => i / 7);
  const h = g.op('MatMul', [x, g.weight('w', [8, 40], values)], {}, { name: '/fc/MatMul' });
  const c = g.constant(makeTensor('', 'float32', [40], values.subarray(0, 40)));
  g.output(g.op('Reshape', [g.op('Add', [h, c]), g.ints([0, 5, 8])], { allowzero: 0 }), 'float32', null);
  return g.build();
}

function refusal(bytes: Uint8Array, external?: ExternalFiles, kind = 'malformed-onnx'): string {
  try {
    decodeModel(bytes, external);
  } catch (error) {
    expect(error).toBeInstanceOf(PapilioError);
    expect((error as PapilioError).kind).toBe(kind);
    return (error as PapilioError).message;
  }
  return expect.fail('the file was accepted');
}

/** The sample with its weight's message changed. */
function withWeight(change: (weight: TensorProto) => void, typed = false): Uint8Array {
  const { proto } = sample();
  const weight = proto.graph!.initializer[0]!;
  if (typed) Object.assign(weight, { rawData: new Uint8Array(0), floatData: Array(320).fill(0.5) });
  change(weight);
  return toBinary(ModelProtoSchema, proto);
}

const utf8 = (text: string) => new TextEncoder().encode(text);

describe('a file that is no model', () => {
  it.each([
    ['an empty file', new Uint8Array(0), /empty/],
    ['a text', utf8('Once upon a time there was a file'), /not a readable ONNX file/],
    ['a page', utf8('<!doctype html><html></html>'), /not a readable ONNX file/],
    ['JSON', utf8('{"model": 1}'), /not a readable ONNX file/],
    ['a picture', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13), /ONNX/],
    ['a zip', Uint8Array.of(0x50, 0x4b, 3, 4, 20, 0, 0, 0), /ONNX/],
    ['a Git LFS pointer', utf8('version https://git-lfs.github.com/spec/v1\noid sha256:0'), /git lfs pull/],
    ['zeros', new Uint8Array(1000), /not a readable ONNX file/],
    [
      'a model without graph',
      toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 8n })),
      /no graph/,
    ],
  ])('%s', (_, bytes, reason) => {
    expect(refusal(bytes)).toMatch(reason);
  });

  it('says so when the opset is missing or impossible', () => {
    const { proto } = sample();
    proto.opsetImport[0]!.version = -1n;
    expect(refusal(toBinary(ModelProtoSchema, proto))).toMatch(/opset -1/);
    proto.opsetImport = [];
    expect(refusal(toBinary(ModelProtoSchema, proto))).toMatch(/which ONNX opset/);
  });

  it('refuses a model cut short anywhere', () => {
    const bytes = encodeModel(sample());
    let accepted = 0;
    for (let n = 0; n < bytes.length; n++) {
      try {
        decodeModel(bytes.subarray(0, n));
        accepted++;
      } catch (error) {
        expect((error as PapilioError).kind).toBe('malformed-onnx');
      }
    }
    // Cut between top-level fields, what comes first is a model if graph and opset are complete; nothing else may pass.
    expect(accepted).toBeLessThanOrEqual(2);
  });
});

describe('a tensor that lies', () => {
  it.each([
    ['a negative size', (t: TensorProto) => (t.dims = [-8n, -40n]), /dimension of -8/],
    ['sizes beyond any file', (t: TensorProto) => (t.dims = [2n ** 40n, 2n ** 40n]), /more than any file/],
    ['a size of 2^62', (t: TensorProto) => (t.dims = [2n ** 62n]), /dimension of 4611686018427387904/],
    [
      'sizes that wrap around 64 bits',
      (t: TensorProto) => (t.dims = [2n ** 32n, 2n ** 32n, 320n]),
      /more than any/,
    ],
    ['too few bytes', (t: TensorProto) => (t.dims = [8n, 41n]), /1280 bytes where .* takes 1312/],
    ['too many bytes', (t: TensorProto) => (t.dims = [8n]), /1280 bytes where .* takes 32/],
    ['an unknown type', (t: TensorProto) => (t.dataType = 99), /element type 99/],
    ['no type', (t: TensorProto) => (t.dataType = 0), /element type 0/],
    ['another width', (t: TensorProto) => (t.dataType = 11), /takes 2560/],
    ['a thousand dimensions', (t: TensorProto) => (t.dims = Array(1000).fill(1n)), /1000 dimensions/],
    [
      'a zero among overflowing sizes',
      (t: TensorProto) => (t.dims = [0n, 2n ** 40n, 2n ** 40n]),
      /more than any/,
    ],
  ])('%s', (_, change, reason) => {
    expect(refusal(withWeight(change))).toMatch(reason);
  });

  it('a typed field of another length, or none', () => {
    expect(refusal(withWeight((t) => t.floatData.pop(), true))).toMatch(/319 values where .* takes 320/);
    expect(refusal(withWeight((t) => (t.floatData = []), true))).toMatch(/0 values where/);
  });

  it('two initialisers of one name', () => {
    const { proto } = sample();
    proto.graph!.initializer.push(proto.graph!.initializer[0]!);
    expect(refusal(toBinary(ModelProtoSchema, proto))).toMatch(/Two initialisers are called "w"/);
  });

  it('names a tensor inside a node', () => {
    const { proto } = sample();
    const constant = proto.graph!.node.find(({ opType }) => opType === 'Constant')!;
    constant.attribute[0]!.t!.dims = [41n];
    expect(refusal(toBinary(ModelProtoSchema, proto))).toMatch(/attribute "value" of Constant node/);
  });
});

describe('external data', () => {
  const outside = (entries: Record<string, string>) =>
    withWeight((t) => {
      t.rawData = new Uint8Array(0);
      t.dataLocation = TensorProto_DataLocation.EXTERNAL;
      t.externalData = Object.entries(entries).map(([key, value]) =>
        create(StringStringEntryProtoSchema, { key, value }),
      );
    });
  const files: ExternalFiles = new Map([['data.bin', new Uint8Array(1300)]]);

  it('is read at its offset, to the end or by its length', () => {
    for (const entries of [{}, { offset: '20' }, { offset: '0', length: '1280' }])
      expect(
        decodeModel(outside({ location: './data.bin', ...entries }), files).graph.initializers.size,
      ).toBe(2);
  });

  it.each([
    ['no location', {}, /does not say where/],
    ['a missing file', { location: 'other.bin' }, /"other.bin", which is missing/],
    ['a climbing location', { location: 'a/../../data.bin' }, /only files beside the model/],
    ['an absolute location', { location: '/etc/passwd' }, /only files beside the model/],
    ['a drive', { location: 'C:\\data.bin' }, /only files beside the model/],
    ['a URL', { location: 'https://example.com/data.bin' }, /only files beside the model/],
    ['an offset behind the end', { location: 'data.bin', offset: '21' }, /has only 1300/],
    ['a negative offset', { location: 'data.bin', offset: '-4' }, /no count of bytes/],
    ['an offset of 10^30', { location: 'data.bin', offset: `1${'0'.repeat(30)}` }, /no count of bytes/],
    ['another length', { location: 'data.bin', length: '1284' }, /needs 1280 bytes but announces 1284/],
  ])('%s', (_, entries, reason) => {
    expect(refusal(outside(entries as Record<string, string>), files)).toMatch(reason);
  });

  it('refuses to write to a place that is not beside the model', () => {
    expect(() => encodeExternal(sample(), '../x.bin')).toThrow(/only files beside the model/);
  });
});

describe('a hostile file', () => {
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [(value % 128) | 128, ...varint(value >> 7)];
  const nested = (field: number, body: readonly number[]) => [
    (field << 3) | 2,
    ...varint(body.length),
    ...body,
  ];

  it('nested too deeply', () => {
    // graph (7) > node (1) > attribute (5) > g (6) > node > …
    let body: number[] = [];
    for (let i = 0; i < 60; i++) body = nested(1, nested(5, nested(6, body)));
    expect(refusal(Uint8Array.from(nested(7, body)))).toMatch(/nested too deeply/);
  });

  it('a message that runs past its parent', () => {
    expect(refusal(Uint8Array.from([0x3a, 4, 0x0a, 100, 0, 0, ...new Array(120).fill(0)]))).toMatch(
      /are announced/,
    );
  });

  it('two million empty nodes', () => {
    const count = 2_000_000;
    const body = new Uint8Array(2 * count);
    for (let i = 0; i < count; i++) body[2 * i] = 0x0a;
    const head = [0x3a, ...varint(body.length)];
    const file = new Uint8Array(head.length + body.length);
    file.set(head);
    file.set(body, head.length);
    const start = performance.now();
    expect(refusal(file, undefined, 'too-large')).toMatch(/bytes of nodes, attributes and shapes/);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  it('text that is not UTF-8', () => {
    expect(refusal(Uint8Array.from(nested(2, [0xff, 0xfe])))).toMatch(/not UTF-8/);
  });

  it('10,000 mutations: each is a model or a PapilioError, quickly', () => {
    const plain = encodeModel(sample());
    const moved = encodeExternal(sample(), 'data.bin');
    const typed = withWeight(() => {}, true);
    const files: ExternalFiles = new Map([['data.bin', moved.data]]);
    const random = rng(20);
    const tally = { decoded: 0, refused: 0 };
    let slowest = 0;
    for (let i = 0; i < 10_000; i++) {
      const source = random.pick([plain, moved.proto, typed]);
      let bytes = source.slice();
      for (let edits = 1 + random.int(4); edits > 0; edits--) {
        const at = random.int(bytes.length);
        const kind = random.int(5);
        if (kind === 0) bytes[at] = random.int(256);
        else if (kind === 1) bytes[at]! ^= 1 << random.int(8);
        else if (kind === 2) bytes.fill(0xff, at, at + 1 + random.int(9));
        else if (kind === 3) bytes = bytes.slice(0, Math.max(1, at));
        else bytes.copyWithin(at, random.int(bytes.length), Math.min(bytes.length, at + random.int(64)));
      }
      const start = performance.now();
      try {
        const model = decodeModel(bytes, files);
        let total = 0;
        for (const tensor of model.graph.initializers.values()) total += tensor.byteLength;
        // Whatever is accepted is backed by bytes that exist.
        expect(total).toBeLessThanOrEqual(bytes.length + moved.data.length);
        encodeModel(model);
        tally.decoded++;
      } catch (error) {
        if (!(error instanceof PapilioError)) throw error;
        expect(error.kind).toBe('malformed-onnx');
        tally.refused++;
      }
      slowest = Math.max(slowest, performance.now() - start);
    }
    expect(tally.decoded).toBeGreaterThan(500);
    expect(tally.refused).toBeGreaterThan(500);
    expect(slowest).toBeLessThan(1000);
  }, 60_000);
});
