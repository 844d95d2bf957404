/**
 * The safetensors container: round trip, views, narrow floats, and every way a file can be wrong, 10,000 mutated files included.
 * Seen to fail: overlap check removed; header length unchecked; the shape-times-dtype check removed; an unaligned view
 * returned; a copy returned where a view was possible.
 */
import { describe, expect, it } from 'vitest';
import { readSafetensors, tensorFloats, writeSafetensors } from '../../src/adapters/safetensors.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { mt19937 } from '../../src/lib/mt19937.ts';
import { folder } from './adapters-fixtures.ts';

function file(header: unknown, body: number, declared?: number): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + body);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(declared ?? text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const entry = (shape: unknown, begin: unknown, end: unknown, dtype: unknown = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

describe('reading and writing', () => {
  const tensors = new Map([
    ['b', { shape: [2, 3], data: Float32Array.of(1, -2, 3, Number.NaN, Number.POSITIVE_INFINITY, -0) }],
    ['a', { shape: [], data: Float32Array.of(7) }],
    ['empty', { shape: [13, 0], data: new Float32Array(0) }],
  ]);

  it('round-trips, ordered by name and aligned', () => {
    const bytes = writeSafetensors(tensors);
    const { tensors: read, metadata } = readSafetensors(bytes);
    expect([...read.keys()]).toEqual(['a', 'b', 'empty']);
    expect(metadata.get('format')).toBe('pt');
    expect(new DataView(bytes.buffer).getUint32(0, true) % 8).toBe(0);
    for (const [name, { shape, data }] of tensors) {
      expect(read.get(name)!.shape).toEqual(shape);
      expect(tensorFloats(name, read.get(name)!)).toEqual(data);
    }
  });

  it('gives views where the alignment allows and copies where not', () => {
    const bytes = writeSafetensors(tensors);
    expect(tensorFloats('a', readSafetensors(bytes).tensors.get('a')!).buffer).toBe(bytes.buffer);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect([...tensorFloats('a', readSafetensors(shifted.subarray(1)).tensors.get('a')!)]).toEqual([7]);
  });

  it('widens F16 and BF16 and refuses integers', () => {
    const bytes = file(
      { h: entry([2], 0, 4, 'F16'), z: entry([1], 4, 6, 'BF16'), i: entry([1], 6, 10, 'I32') },
      10,
    );
    const view = new DataView(bytes.buffer, bytes.length - 10);
    view.setUint16(0, 0x3e00, true);
    view.setUint16(2, 0x0001, true);
    view.setUint16(4, 0xc049, true);
    const read = readSafetensors(bytes).tensors;
    expect([...tensorFloats('h', read.get('h')!)]).toEqual([1.5, 2 ** -24]);
    expect([...tensorFloats('z', read.get('z')!)]).toEqual([-3.140625]);
    expect(() => tensorFloats('i', read.get('i')!)).toThrow(/stored as I32/);
  });

  it('refuses to write data that does not fill its shape', () => {
    expect(() => writeSafetensors(new Map([['a', { shape: [3], data: new Float32Array(2) }]]))).toThrow(
      /has 2 numbers/,
    );
  });
});

describe('malformed files', () => {
  it.each([
    ['an empty file', new Uint8Array(0), /fewer than the 8/],
    ['a header beyond the file', file({}, 0, 1000), /only 2 follow/],
    ['an absurd header length', file({}, 0, Number.MAX_SAFE_INTEGER), /only 2 follow/],
    ['no JSON', file('{"a', 0), /not JSON/],
    ['a list', file([], 0), /not a JSON object/],
    ['an entry that is no object', file({ a: 3 }, 0), /"a" is not an object/],
    ['metadata that is no text', file({ __metadata__: { a: 3 } }, 0), /metadata value of "a"/],
    ['an unknown dtype', file({ a: entry([1], 0, 4, 'F31') }, 4), /unknown dtype "F31"/],
    ['a dtype from the prototype', file({ a: entry([1], 0, 4, 'toString') }, 4), /unknown dtype/],
    ['a negative size', file({ a: entry([-1], 0, 4) }, 4), /shape of "a"/],
    ['a huge shape', file({ a: entry([2 ** 40, 2 ** 40], 0, 4) }, 4), /needs .* bytes, but has 4/],
    ['fractional offsets', file({ a: entry([1], 0.5, 4.5) }, 8), /data_offsets of "a"/],
    ['reversed offsets', file({ a: entry([1], 4, 0) }, 4), /lies at bytes 4 to 0/],
    ['an end outside', file({ a: entry([2], 0, 8) }, 4), /of a buffer of 4/],
    ['too few bytes', file({ a: entry([2], 0, 4) }, 4), /needs 8 bytes, but has 4/],
    ['an overlap', file({ a: entry([2], 0, 8), b: entry([1], 4, 8) }, 8), /"b" overlaps/],
    ['a gap', file({ a: entry([1], 4, 8) }, 8), /gap of 4 bytes before "a"/],
    ['a tail', file({ a: entry([1], 0, 4) }, 8), /4 bytes after the last/],
  ])('%s', (_, bytes, sentence) => {
    expect(() => readSafetensors(bytes)).toThrow(
      expect.objectContaining({ kind: 'malformed-adapter', message: expect.stringMatching(sentence) }),
    );
  });

  it('survives 10,000 mutations', () => {
    const original = folder('boft_f1').tensors;
    const { draw32 } = mt19937(1);
    let refused = 0;
    for (let round = 0; round < 10_000; round++) {
      const mutated = original.slice(0, draw32() % 4 === 0 ? draw32() % original.length : original.length);
      for (let change = 0; change <= draw32() % 4 && mutated.length > 0; change++) {
        // Mostly in the header, where it matters.
        mutated[draw32() % Math.min(mutated.length, 420)] = draw32() & 0xff;
      }
      try {
        let bytes = 0;
        for (const [name, tensor] of readSafetensors(mutated).tensors)
          bytes += tensorFloats(name, tensor).byteLength;
        expect(bytes).toBeLessThanOrEqual(2 * mutated.length);
      } catch (error) {
        expect(error).toBeInstanceOf(PapilioError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(5_000);
    expect(refused).toBeLessThan(10_000);
  });
});
