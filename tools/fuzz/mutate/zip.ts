/** Zip files with every field open to lies: sizes, offsets, counts, checksums, methods, names, zip64 records, overlaps. */
import { deflateSync } from 'fflate';
import { crc32 } from '../../../src/lib/bytes.ts';
import type { Rng } from '../../../src/lib/rng.ts';
import { joined, mutateBytes } from './bytes.ts';

interface ZipEntry {
  name: string;
  method: number;
  flags: number;
  crc: number;
  packed: Uint8Array;
  /** As stated in the directory. */
  packedSize: number;
  size: number;
  extra: Uint8Array;
  /** Where the directory says that the entry begins, relative to where it does. */
  offsetBy: number;
  /** The local header is left out; the directory points to the entry before. */
  isShadow: boolean;
}

interface ZipParts {
  readonly entries: ZipEntry[];
  count: number | null;
  directoryBy: number;
  comment: Uint8Array;
  zip64: { readonly count: bigint; readonly size: bigint; readonly offset: bigint } | null;
}

function entryOf(name: string, bytes: Uint8Array, level: 0 | 6 = 6): ZipEntry {
  const packed = level === 0 ? bytes : deflateSync(bytes, { level });
  return {
    ...{ name, method: level === 0 ? 0 : 8, flags: 0, crc: crc32(bytes), packed },
    ...{ packedSize: packed.length, size: bytes.length, extra: new Uint8Array(0), offsetBy: 0 },
    isShadow: false,
  };
}

const utf8 = new TextEncoder();

function header(
  size: number,
  fields: readonly (readonly [at: number, width: 2 | 4 | 8, value: number | bigint])[],
) {
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  for (const [at, width, value] of fields) {
    if (width === 8) view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
    else if (width === 4) view.setUint32(at, Number(BigInt.asUintN(32, BigInt(value))), true);
    else view.setUint16(at, Number(BigInt.asUintN(16, BigInt(value))), true);
  }
  return out;
}

function writeZip({ entries, count, directoryBy, comment, zip64 }: ZipParts): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  let last = 0;
  const push = (...added: Uint8Array[]) => {
    for (const part of added) parts.push(part);
    at += added.reduce((sum, { length }) => sum + length, 0);
  };
  for (const entry of entries) {
    const name = utf8.encode(entry.name);
    const shared = [
      [0, 2, entry.flags],
      [2, 2, entry.method],
      [8, 4, entry.crc],
      [12, 4, entry.packedSize],
      [16, 4, entry.size],
      [20, 2, name.length],
      [22, 2, entry.extra.length],
    ] as const;
    const from = (base: number) => shared.map(([a, width, value]) => [a + base, width, value] as const);
    if (!entry.isShadow) {
      last = at;
      push(header(30, [[0, 4, 0x04034b50], [4, 2, 20], ...from(6)]), name, entry.extra, entry.packed);
    }
    const offset = last + entry.offsetBy;
    directory.push(
      header(46, [[0, 4, 0x02014b50], [4, 2, 20], [6, 2, 20], ...from(8), [42, 4, offset]]),
      name,
      entry.extra,
    );
  }
  const start = at + directoryBy;
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  for (const part of directory) push(part);
  if (zip64) {
    const record = at;
    push(
      header(56, [
        ...([
          [0, 4, 0x06064b50],
          [4, 8, 44],
          [12, 2, 45],
          [14, 2, 45],
          [24, 8, zip64.count],
        ] as const),
        ...([
          [32, 8, zip64.count],
          [40, 8, zip64.size],
          [48, 8, zip64.offset],
        ] as const),
      ]),
      header(20, [
        [0, 4, 0x07064b50],
        [8, 8, record],
        [16, 4, 1],
      ]),
    );
  }
  const told = zip64 ? 0xffff : (count ?? entries.length);
  push(
    header(22, [
      ...([
        [0, 4, 0x06054b50],
        [8, 2, told],
        [10, 2, told],
        [12, 4, size],
      ] as const),
      ...([
        [16, 4, zip64 ? 0xffffffff : start],
        [20, 2, comment.length],
      ] as const),
    ]),
    comment,
  );
  return joined(parts);
}

const SIZES = [0, 1, 2, 100, 65535, 65536, 1e6, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];
const NAMES = [
  ...['../../x.csv', '/etc/x.csv', 'a\\b.csv', 'C:x.csv', '__proto__', 'constructor', '', '.', '..', 'a/'],
  ...[
    'adapter_config.json',
    'x/adapter_config.json',
    'a'.repeat(3000),
    '\u202egpj.csv',
    '\u0000.csv',
    '.DS_Store',
  ],
];

function spoil(entry: ZipEntry, random: Rng): void {
  switch (random.int(9)) {
    case 0:
      entry.size = random.pick(SIZES);
      break;
    case 1:
      entry.packedSize = random.pick([...SIZES, entry.packed.length + 1, entry.packed.length - 1]);
      break;
    case 2:
      entry.method = random.pick([0, 8, 9, 12, 14, 93, 99, 65535]);
      break;
    case 3:
      entry.flags = random.pick([1, 8, 0x800, 0x2000, 0xffff]);
      break;
    case 4:
      entry.crc = random.next();
      break;
    case 5:
      entry.name = random.pick(NAMES);
      break;
    case 6:
      entry.offsetBy = random.pick([1, -1, 30, -30, 1e6, 0x7fffffff, 0xffffffff]);
      break;
    case 7:
      entry.packed = mutateBytes(entry.packed, random);
      break;
    default:
      entry.extra = header(32, [
        ...([
          [0, 2, 1],
          [2, 2, random.pick([0, 8, 16, 28, 65535])],
        ] as const),
        ...([
          [4, 8, random.pick(SIZES)],
          [12, 8, 2n ** 60n],
          [20, 8, random.pick(SIZES)],
        ] as const),
      ]);
      entry.size = entry.packedSize = 0xffffffff;
  }
}

/** A zip of these files with so many lies in it; none gives a zip as it should be. */
export function mutateZip(
  files: readonly (readonly [string, Uint8Array])[],
  random: Rng,
  lies = 1 + random.int(3),
): Uint8Array {
  const parts: ZipParts = {
    entries: files.map(([name, bytes]) => entryOf(name, bytes, random.chance(0.3) ? 0 : 6)),
    ...{ count: null, directoryBy: 0, comment: new Uint8Array(0), zip64: null },
  };
  const { entries } = parts;
  if (lies === 0) return writeZip(parts);
  for (let changes = lies; changes > 0 && entries.length > 0; changes--) {
    const at = random.int(entries.length);
    const entry = entries[at]!;
    switch (random.int(9)) {
      case 0: {
        // The same bytes under many names.
        const times = random.chance(0.3) ? 2000 : 1 + random.int(40);
        const shadows = Array.from({ length: times }, (_, i) => ({
          ...entry,
          name: `${i}-${entry.name}`,
          isShadow: true,
        }));
        entries.splice(at + 1, 0, ...shadows);
        break;
      }
      case 1: {
        // Much out of little.
        const bytes = new Uint8Array(1 << (10 + random.int(13)));
        entries.push(entryOf(`${random.int(3)}${entry.name}`, bytes));
        break;
      }
      case 2:
        parts.count = random.pick([0, 1, entries.length + 1, 65534, 65535]);
        break;
      case 3:
        parts.directoryBy = random.pick([1, -1, -46, 1000, 0x7fffffff]);
        break;
      case 4:
        parts.zip64 = {
          count: random.pick([0n, 1n, BigInt(entries.length), 2n ** 32n, 2n ** 62n, 2n ** 64n - 1n]),
          size: random.pick([0n, 46n, 2n ** 40n, 2n ** 64n - 1n]),
          offset: random.pick([0n, 30n, 2n ** 32n, 2n ** 63n]),
        };
        break;
      default:
        spoil(entry, random);
    }
  }
  if (random.chance(0.1)) parts.comment = new Uint8Array(random.pick([1, 22, 100, 65535]));
  const zip = writeZip(parts);
  return random.chance(0.15) ? mutateBytes(zip, random) : zip;
}
