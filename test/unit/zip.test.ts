/** Zips that lie: the directory is held against the file before anything is unpacked, for data and adapters alike. */
import { deflateSync, strToU8, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { filesFromZip } from '../../src/adapters/folder.ts';
import { gunzip, unpackZip } from '../../src/data/files/bytes.ts';
import { crc32 } from '../../src/lib/bytes.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { rng } from '../../src/lib/rng.ts';
import { readZip } from '../../src/lib/zip.ts';

interface Part {
  readonly name: string;
  readonly data: Uint8Array;
  readonly method?: number;
  /** What the directory says, where that is not so. */
  readonly size?: number;
  readonly packed?: number;
  readonly at?: number;
  readonly flags?: number;
  readonly crc?: number;
}

/** A zip with whatever its directory should say; `count` entries by its end, and by a zip64 end where `long` is given. */
function craft(parts: readonly Part[], count = parts.length, long?: { readonly count: bigint }): Uint8Array {
  const out: number[] = [];
  const u16 = (v: number) => out.push(v & 255, (v >> 8) & 255);
  const u32 = (v: number) => out.push(v & 255, (v >>> 8) & 255, (v >>> 16) & 255, (v >>> 24) & 255);
  const u64 = (v: bigint) => {
    u32(Number(v & 0xffffffffn));
    u32(Number(v >> 32n));
  };
  const places = parts.map(({ name, data, method = 0 }) => {
    const at = out.length;
    u32(0x04034b50);
    for (const v of [20, 0, method, 0, 0]) u16(v);
    for (const v of [0, data.length, data.length]) u32(v);
    u16(name.length);
    u16(0);
    out.push(...strToU8(name), ...data);
    return at;
  });
  const start = out.length;
  parts.forEach((part, i) => {
    const { name, data, method = 0, size = data.length, packed = data.length, at, flags = 0 } = part;
    u32(0x02014b50);
    for (const v of [20, 20, flags, method, 0, 0]) u16(v);
    for (const v of [part.crc ?? crc32(data), packed, size]) u32(v);
    for (const v of [name.length, 0, 0, 0, 0]) u16(v);
    u32(0);
    u32(at ?? places[i]!);
    out.push(...strToU8(name));
  });
  const end = out.length;
  if (long) {
    u32(0x06064b50);
    u64(44n);
    for (const v of [45, 45]) u16(v);
    for (const v of [0, 0]) u32(v);
    for (const v of [long.count, long.count, BigInt(end - start), BigInt(start)]) u64(v);
    u32(0x07064b50);
    u32(0);
    u64(BigInt(end));
    u32(1);
  }
  u32(0x06054b50);
  for (const v of [0, 0, long ? 0xffff : count, long ? 0xffff : count]) u16(v);
  u32(long ? 0xffffffff : end - start);
  u32(long ? 0xffffffff : start);
  u16(0);
  return Uint8Array.from(out);
}

const text = strToU8('one,two\n');
const noise = (size: number) => {
  const random = rng(3);
  return Uint8Array.from({ length: size }, () => Math.floor(random.uniform() * 256));
};
const all = (zip: Uint8Array) => readZip(zip, 'The zip', 'bad-data', () => true);

const lies: Readonly<Record<string, readonly [zip: () => Uint8Array, kind: string, says: RegExp]>> = {
  'four thousand million entries in a zip64 directory': [
    () => craft([{ name: 'a.csv', data: text }], 1, { count: 2n ** 32n }),
    'bad-data',
    /has no 4294967296 entries/,
  ],
  'more entries than its directory has room for': [
    () => craft([{ name: 'a.csv', data: text }], 900),
    'bad-data',
    /has no 900 entries/,
  ],
  'many entries over one body': [
    () => {
      const body = deflateSync(new Uint8Array(700_000));
      const one = { method: 8, size: 700_000, packed: body.length, at: 0 };
      return craft(Array.from({ length: 50 }, (_, i) => ({ name: `${i}`, data: i ? text : body, ...one })));
    },
    'bad-data',
    /lies over another entry/,
  ],
  'stored entries of which one holds the next': [
    () => {
      const inner = craft([{ name: 'b', data: noise(500) }]);
      return craft([
        { name: 'a', data: inner },
        { name: 'b', data: text, packed: 500, size: 500, at: 31 },
      ]);
    },
    'bad-data',
    /lies over another entry/,
  ],
  'an entry behind the end': [
    () => craft([{ name: 'a', data: text, packed: 4000, size: 4000 }]),
    'bad-data',
    /is cut short/,
  ],
  'an entry that is not where it should be': [
    () => craft([{ name: 'a', data: text, at: 7 }]),
    'bad-data',
    /not where the directory says/,
  ],
  'a stored entry that grows': [
    () => craft([{ name: 'a', data: text, size: 90 }]),
    'bad-data',
    /unpacks from 8 to 90 bytes, which cannot be/,
  ],
  'a deflated entry that grows beyond what deflate can': [
    () => craft([{ name: 'a', data: deflateSync(text), method: 8, size: 2 ** 31 }]),
    'bad-data',
    /which cannot be/,
  ],
  'an entry that goes on beyond its size': [
    () => craft([{ name: 'a', data: deflateSync(new Uint8Array(60_000)), method: 8, size: 4000 }]),
    'bad-data',
    /does not have the 4000 bytes/,
  ],
  'an entry that ends before its size': [
    () => craft([{ name: 'a', data: deflateSync(new Uint8Array(600)), method: 8, size: 4000 }]),
    'bad-data',
    /does not have the 4000 bytes/,
  ],
  'two entries of one name': [
    () => craft([1, 2].map(() => ({ name: 'a', data: text }))),
    'bad-data',
    /a is in it twice/,
  ],
  'a password': [
    () => craft([{ name: 'a', data: text, flags: 1 }]),
    'bad-data',
    /encrypted; pack the folder without a password/,
  ],
  'another method': [() => craft([{ name: 'a', data: text, method: 12 }]), 'bad-data', /method 12/],
  'many small entries that are large together': [
    () => {
      const body = deflateSync(new Uint8Array(3_000_000));
      return craft(
        Array.from({ length: 30 }, (_, i) => ({ name: `${i}`, data: body, method: 8, size: 3_000_000 })),
      );
    },
    'too-large',
    /^2 in The zip asks for 9,000,000 bytes unpacked/,
  ],
  'a checksum of something else': [
    () => craft([{ name: 'a.csv', data: text, crc: crc32(text) ^ 0x40000000 }]),
    'bad-data',
    /a.csv is not what was packed/,
  ],
  'a checksum of nothing': [
    () => craft([{ name: 'a', data: noise(70), crc: 0 }]),
    'bad-data',
    /not what was packed/,
  ],
  'no directory': [() => noise(300), 'bad-data', /it has no directory/],
  nothing: [() => new Uint8Array(0), 'bad-data', /it has no directory/],
};

describe('a zip', () => {
  for (const [what, [zip, kind, says]] of Object.entries(lies)) {
    it(`is refused before it costs anything: ${what}`, () => {
      let found: unknown;
      try {
        all(zip());
      } catch (error) {
        found = error;
      }
      expect(found).toBeInstanceOf(PapilioError);
      expect((found as PapilioError).message).toMatch(says);
      expect((found as PapilioError).kind).toBe(kind);
    });
  }

  it('is read the same by data and by adapters', () => {
    const zip = craft([{ name: 'x/adapter_model.safetensors', data: text, size: 9 }]);
    expect(() => unpackZip(zip, 'data.zip')).toThrow(/which cannot be/);
    expect(() => filesFromZip(zip)).toThrow(/which cannot be/);
  });

  it('gives what is in it: folders left out, comments, long directories, names in UTF-8', () => {
    const data = noise(5000);
    const zip = zipSync({ 'a/ü.csv': text, 'a/b.bin': [data, { level: 0 }], 'c/': new Uint8Array(0) });
    const comment = strToU8('made by hand');
    const commented = new Uint8Array([...zip, ...comment]);
    new DataView(commented.buffer).setUint16(zip.length - 2, comment.length, true);
    for (const given of [zip, commented])
      expect(all(given)).toEqual(
        new Map([
          ['a/ü.csv', text],
          ['a/b.bin', data],
        ]),
      );
    expect(all(craft([{ name: 'q', data }], 1, { count: 1n }))).toEqual(new Map([['q', data]]));
    expect(all(craft([{ name: '__proto__', data }])).get('__proto__')).toEqual(data);
  });

  it.each([0, 6] as const)('never gives other bytes than were packed (level %d)', (level) => {
    const packed = { 'a.csv': noise(300), 'b.txt': strToU8('left,right\n'.repeat(40)) };
    const zip = zipSync(packed, { level });
    const random = rng(29);
    let refused = 0;
    for (let bit = 0; bit < zip.length * 8; bit += 1 + Math.floor(random.uniform() * 6)) {
      const flipped = zip.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      try {
        // Names and what the header says of time and system are not under the checksum.
        expect([...all(flipped).values()]).toEqual(Object.values(packed));
      } catch (error) {
        expect(error).toBeInstanceOf(PapilioError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(level === 0 ? 700 : 300);
  });

  it('is held against its checksums by data and by adapters', () => {
    const zip = zipSync({ 'x/adapter_model.safetensors': noise(90) }, { level: 0 });
    const flipped = zip.slice();
    flipped[30 + 'x/adapter_model.safetensors'.length + 50]! ^= 16;
    expect(() => unpackZip(flipped, 'data.zip')).toThrow(/not what was packed/);
    expect(() => filesFromZip(flipped)).toThrow(/not what was packed/);
  });

  it('is an error of ours or a zip after any change', () => {
    const zip = zipSync({ 'a.csv': [noise(400), { level: 6 }], 'b.csv': strToU8('x\n'.repeat(300)) });
    const random = rng(11);
    const place = () => Math.floor(random.uniform() * zip.length);
    for (let i = 0; i < 3000; i++) {
      const changed = zip.slice(0, i % 3 === 0 ? place() : zip.length);
      for (let k = 0; k < 3 && changed.length > 0; k++)
        changed[place() % changed.length] = [0, 255, 80, 75][k] ?? 1;
      try {
        all(changed);
      } catch (error) {
        expect(error).toBeInstanceOf(PapilioError);
      }
    }
  });
});

it('a gzip that grows beyond what text packs to is refused', async () => {
  const { gzipSync } = await import('fflate');
  const packed = gzipSync(new Uint8Array(80_000_000), { level: 9 });
  expect(() => gunzip(packed, 'x.csv.gz')).toThrow(/x.csv.gz asks for [\d,]+ bytes unpacked/);
});

it('a gzip never gives other bytes than were packed, in one member or in three', async () => {
  const { gzipSync } = await import('fflate');
  const parts = [noise(200), strToU8('one,two\n'.repeat(50)), new Uint8Array(0), noise(90)];
  const members = parts.map((part) => gzipSync(part, { mtime: 0 }));
  const joined = (list: readonly Uint8Array[]) => Uint8Array.from(list.flatMap((part) => [...part]));
  const [first, whole] = [joined(members.slice(0, 1)), joined(members)];
  expect(gunzip(first, 'x.gz')).toEqual(parts[0]);
  expect(gunzip(whole, 'x.gz')).toEqual(joined(parts));
  for (const [gz, bytes] of [
    [first, parts[0]],
    [whole, joined(parts)],
  ] as const) {
    let refused = 0;
    for (let bit = 0; bit < gz.length * 8; bit += 3) {
      const flipped = gz.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      try {
        expect(gunzip(flipped, 'x.gz')).toEqual(bytes);
      } catch (error) {
        expect(error).toMatchObject({ kind: 'bad-data' });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(gz.length);
    for (let k = 0; k < 12; k++) {
      expect(() => gunzip(gz.subarray(0, gz.length - 1 - k), 'x.gz')).toThrow(PapilioError);
      expect(() => gunzip(gz.subarray(0, k), 'x.gz')).toThrow(PapilioError);
    }
  }
});
