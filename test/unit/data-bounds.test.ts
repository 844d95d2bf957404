/** What data may cost: pictures by their sides, pixels and number, Parquet by what it says of itself, tables by their columns and rows. */
import { readFileSync } from 'node:fs';
import { zlibSync } from 'fflate';
import { describe, expect, it, vi } from 'vitest';
import { decodeInBrowser } from '../../src/data/files/browserPicture.ts';
import { checkPicture, pictureCost } from '../../src/data/files/decodePicture.ts';
import { readEntries } from '../../src/data/files/entries.ts';
import { openDataset } from '../../src/data/files/open.ts';
import { readParquet } from '../../src/data/files/parquet.ts';
import { decodePng } from '../../src/data/files/png.ts';
import { createDrops } from '../../src/data/notes.ts';
import { prepared } from '../../src/data/pictures.ts';
import { preprocessingOf, RESAMPLES, resample } from '../../src/data/preprocessing.ts';
import { stratifiedSplit } from '../../src/data/rows.ts';
import type { ImageDataset } from '../../src/data/types.ts';
import { createBudget } from '../../src/lib/budget.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { greatest, least } from '../../src/lib/numbers.ts';
import { rng } from '../../src/lib/rng.ts';
import { file, grey, idx, png } from './data-support.ts';

const cropped = (side: number) =>
  preprocessingOf(
    {
      do_resize: true,
      size: { shortest_edge: side },
      do_center_crop: true,
      crop_size: { height: side, width: side },
      resample: 3,
    },
    {},
    { channels: 3, height: side, width: side },
  );

/** A grey PNG of one colour. */
function blank(width: number, height: number): Uint8Array {
  const small = png(1, 1, { colour: 0, rows: [[0]] });
  const data = zlibSync(new Uint8Array(height * (Math.ceil(width / 8) + 1)), { level: 9 });
  const out = new Uint8Array(33 + 12 + data.length + 12);
  const view = new DataView(out.buffer);
  out.set(small.subarray(0, 33));
  view.setUint32(16, width);
  view.setUint32(20, height);
  out[24] = 1;
  view.setUint32(33, data.length);
  out.set(
    [...'IDAT'].map((c) => c.charCodeAt(0)),
    37,
  );
  out.set(data, 41);
  out.set(
    [...'IEND'].map((c) => c.charCodeAt(0)),
    41 + data.length + 4 + 4,
  );
  return out;
}

async function kindOf(opening: Promise<unknown>): Promise<string> {
  const error = await opening.then(
    () => null,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(PapilioError);
  const { kind, message } = error as PapilioError;
  return `${kind}: ${message}`;
}

describe('a picture', () => {
  it('of one pixel by many thousands costs no more than what is kept of it', () => {
    const image = { width: 1, height: 61_000, rgba: new Uint8Array(4 * 61_000).fill(255) };
    const before = performance.now();
    expect(new Set(prepared(image, cropped(224)))).toEqual(new Set([255]));
    expect(performance.now() - before).toBeLessThan(2000);
  });

  it('has the same bytes whether the rest is computed or not', () => {
    const random = rng(5);
    const plane = Uint8Array.from({ length: 37 * 23 }, () => Math.floor(random.uniform() * 256));
    const [across, down] = [
      { start: 11, length: 20 },
      { start: 3, length: 30 },
    ];
    for (const how of RESAMPLES)
      for (const [width, height] of [
        [61, 83],
        [37, 40],
        [31, 33],
        [50, 23 + 10],
        [37, 33],
      ] as const) {
        const whole = resample(plane, 37, 23, width, height, how);
        const part = resample(plane, 37, 23, width, height, how, { across, down });
        const cut = Uint8Array.from({ length: 600 }, (_, i) => {
          const [y, x] = [3 + Math.floor(i / 20), 11 + (i % 20)];
          return whole[y * width + x]!;
        });
        expect(Buffer.compare(part, cut), `${how} ${width} × ${height}`).toBe(0);
      }
  });

  it('of 48 megapixels is taken', () => {
    // As few bytes as a photo of that size has.
    const bytes = new Uint8Array(750_000);
    bytes.set(blank(8000, 6000).subarray(0, 40));
    expect(pictureCost(bytes)).toEqual({ width: 8000, height: 6000, passes: 1 });
    expect(() => checkPicture(bytes, 'photo.png')).not.toThrow();
  });

  it.each([
    ['a side', blank(70_000, 1), /^x.png asks for 70,000 pixels on a side/],
    ['pixels', png(9000, 8000, { colour: 0, rows: [[1]] }), /^x.png asks for 72,000,000 pixels/],
    ['pixels that its data cannot hold', png(2600, 2600, { colour: 0, rows: [[1]] }), /ends too early/],
  ])('is refused for %s before memory is taken', (_, bytes, says) => {
    const before = process.memoryUsage().arrayBuffers;
    expect(() => {
      checkPicture(bytes, 'x.png');
      decodePng(bytes, 'x.png');
    }).toThrow(says);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20e6);
  });

  it('tells its size in every format, before the browser decodes it', () => {
    const bytes = (text: string, ...rest: number[]) => {
      const out = new Uint8Array(64);
      out.set([...text].map((c) => c.charCodeAt(0)));
      out.set(rest, text.length);
      return out;
    };
    const cost = (b: Uint8Array) => Object.values(pictureCost(b) ?? {});
    expect(cost(bytes('GIF89a', 0x34, 0x12, 0x10, 0))).toEqual([0x1234, 16, 1]);
    const framed = (...frame: number[]) =>
      bytes('GIF89a', 1, 0, 1, 0, 0x80, 0, 0, 1, 2, 3, 4, 5, 6, 0x21, 0xf9, 1, 9, 0, 0x2c, ...frame);
    // A frame beyond the screen, behind a table of two colours and an extension.
    expect(cost(framed(2, 0, 3, 0, 0xff, 0xff, 0, 0x80, 0))).toEqual([0x10001, 0x8003, 1]);
    expect(cost(bytes('BM', ...new Array(12).fill(0), 12, 0, 0, 0, 1, 2, 3, 4))).toEqual([513, 1027, 1]);
    expect(cost(bytes('BM', ...new Array(16).fill(0), 9, 1, 0, 0, 0xf9, 0xff, 0xff, 0xff))).toEqual([
      265, 7, 1,
    ]);
    expect(cost(bytes('RIFF....WEBPVP8X', 10, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6))).toEqual([
      1 + 1 + 512 + 3 * 65536,
      1 + 4 + 5 * 256 + 6 * 65536,
      1,
    ]);
    const lossy = [1, 0, 0, 0, 0, 0, 0, 0x9d, 1, 0x2a, 5, 1, 7, 2];
    expect(cost(bytes('RIFF....WEBPVP8 ', ...lossy.slice(0, 10), 5, 1, 7, 2))).toEqual([261, 519, 1]);
    const frame = [0xff, 0xc2, 0, 11, 8, 0, 9, 0x20, 0, 1, 1, 0x11, 0];
    const scans = new Array(80).fill([0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0xff, 0, 7]).flat();
    const jpeg = Uint8Array.from([0xff, 0xd8, ...frame, ...scans, 0xff, 0xd9, ...new Array(9).fill(0)]);
    expect(cost(jpeg)).toEqual([0x2000, 9, 80]);
    expect(() => checkPicture(jpeg, 'many.jpg')).toThrow(/^many.jpg asks for 80 scans/);
  });
});

it('a photo that a browser reads is taken where its file may be so large', async () => {
  const rgba = new Uint8ClampedArray(4);
  vi.stubGlobal('createImageBitmap', async () => ({ width: 4032, height: 3024, close: () => {} }));
  vi.stubGlobal(
    'OffscreenCanvas',
    class {
      getContext = () => ({ drawImage: () => {}, getImageData: () => ({ data: rgba }) });
    },
  );
  try {
    expect((await decodeInBrowser(new Uint8Array(3_000_000), 'p.jpg')).rgba).toBe(rgba);
    expect(await kindOf(decodeInBrowser(new Uint8Array(100), 'p.jpg'))).toMatch(
      /^too-large: p.jpg asks for 12,192,768 pixels/,
    );
  } finally {
    vi.unstubAllGlobals();
  }
});

describe('many pictures', () => {
  const opening = (files: Parameters<typeof openDataset>[0], decodeImage?: () => never | object) =>
    openDataset(files, {
      task: 'image',
      preprocessing: cropped(224),
      ...(decodeImage ? { decodeImage: decodeImage as never } : {}),
    });

  it('of one pixel each are made as large as the model takes them when they are asked for', async () => {
    const count = 9000;
    const numbers = (shape: number[]) =>
      idx(
        shape,
        Array.from({ length: count }, (_, i) => i % 2),
      );
    const files = [
      file('train-images-idx3-ubyte', numbers([count, 1, 1])),
      file('train-labels-idx1-ubyte', numbers([count])),
    ];
    const before = process.memoryUsage().arrayBuffers;
    const { train } = (await opening(files)) as ImageDataset;
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
    expect(train.pixels(5).length).toBe(3 * 224 * 224);
  });

  it('are counted together', async () => {
    const files = [0, 1, 2, 3].map((i) => file(`${i % 2}/${i}.png`, grey(i)));
    const decodeImage = () => ({ width: 2 ** 14, height: 2 ** 14, rgba: new Uint8Array(4) });
    expect(await kindOf(opening(files, decodeImage))).toMatch(
      /^too-large: 0.0.png asks for [\d,]+ pixels of pictures/,
    );
  });

  it('are taken where they are as large as people have them', async () => {
    const files = [0, 1, 2, 3].map((i) => file(`${i % 2}/${i}.png`, blank(1200 + i, 900)));
    expect(((await opening(files)) as ImageDataset).train.count).toBeGreaterThan(0);
  });
});

/** Thrift's compact form, as much as a file of one column takes. */
type Field = readonly [id: number, type: number, bytes: readonly number[]];
const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) + 128, ...varint(Math.floor(n / 128))]);
const i32 = (id: number, n: number): Field => [id, 5, varint(n < 0 ? -2 * n - 1 : 2 * n)];
const i64 = (id: number, n: number): Field => [id, 6, i32(0, n)[2]];
const struct = (...fields: Field[]): number[] => {
  let last = 0;
  const out = fields.flatMap(([id, type, bytes]) => {
    const head = (id - last) * 16 + type;
    last = id;
    return [head, ...bytes];
  });
  return [...out, 0];
};
const list = (id: number, type: number, items: readonly (readonly number[])[]): Field => [
  id,
  9,
  [0xf0 + type, ...varint(items.length), ...items.flat()],
];
const text = (name: string): number[] => [name.length, ...[...name].map((c) => c.charCodeAt(0))];
const word = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >>> 24) & 255];

interface Column {
  readonly type: number;
  readonly encoding: number;
  readonly page: readonly number[];
  readonly values?: number;
  readonly rows?: number;
  readonly partRows?: number;
  readonly unpacked?: number;
  readonly codec?: number;
  readonly children?: number;
  readonly optional?: boolean;
}

function parquet(c: Column): Uint8Array {
  const { page, values = 4, rows = 4, partRows = rows } = c;
  const header = struct(i32(1, 0), i32(2, c.unpacked ?? page.length), i32(3, page.length), [
    5,
    12,
    struct(i32(1, values), i32(2, c.encoding), i32(3, 3), i32(4, 3)),
  ]);
  const size = header.length + page.length;
  const meta = struct(
    i32(1, c.type),
    list(2, 5, [varint(2 * c.encoding)]),
    list(3, 8, [text('x')]),
    i32(4, c.codec ?? 0),
    i64(5, values),
    i64(6, size),
    i64(7, size),
    i64(9, 4),
  );
  const footer = struct(
    i32(1, 1),
    list(2, 12, [
      struct([4, 8, text('root')], i32(5, c.children ?? 1)),
      struct(i32(1, c.type), i32(3, c.optional ? 1 : 0), [4, 8, text('x')]),
    ]),
    i64(3, rows),
    list(4, 12, [struct(list(1, 12, [struct(i64(2, 4), [3, 12, meta])]), i64(2, size), i64(3, partRows))]),
  );
  return file_([...header, ...page], footer);
}
const file_ = (pages: readonly number[], footer: readonly number[]): Uint8Array =>
  Uint8Array.from([
    ...text('PAR1').slice(1),
    ...pages,
    ...footer,
    ...word(footer.length),
    ...text('PAR1').slice(1),
  ]);

const [BOOLEAN, INT32, BYTES] = [0, 1, 6];
const [PLAIN, RLE, DELTA, DELTA_TEXT, DICTIONARY] = [0, 3, 5, 7, 8];
const run = [...varint(2 ** 31), 1];
const rle = (bytes: readonly number[]) => [...word(bytes.length), ...bytes];
const zstd = [...word(0xfd2fb528), 0, 0x40, ...new Array(900).fill([0x02, 0, 0x10, 7]).flat(), 3, 0, 0, 7];

describe('Parquet', () => {
  const open = (bytes: Uint8Array) =>
    readParquet({ name: 'x.parquet', bytes }, { room: createBudget('tableRows') });

  it('is read where it is sound', async () => {
    const numbers = [1, 2, 3, 4].flatMap(word);
    const { rows } = await open(parquet({ type: INT32, encoding: PLAIN, page: numbers }));
    expect(rows.map(({ values }) => values.x)).toEqual([1, 2, 3, 4]);
    const flags = await open(parquet({ type: BOOLEAN, encoding: RLE, page: rle([8, 1]) }));
    expect(flags.rows.map(({ values }) => values.x)).toEqual([true, true, true, true]);
  });

  it.each<[string, Column | Uint8Array, RegExp]>([
    [
      'a run of a thousand million values',
      { type: BOOLEAN, encoding: RLE, page: rle(run) },
      /^bad-data: .*a run has more values than its page/,
    ],
    [
      'a run of levels like that',
      { type: INT32, encoding: PLAIN, page: rle(run), optional: true },
      /^bad-data: .*a run has more values than its page/,
    ],
    [
      'a run of places in a dictionary like that',
      { type: INT32, encoding: DICTIONARY, page: [3, ...run] },
      /^bad-data: .*a run has more values than its page/,
    ],
    [
      'bit-packed values without end',
      { type: INT32, encoding: DICTIONARY, page: [1, ...varint(2 ** 30 + 1), 1] },
      /^bad-data: .*a run has more values than its page/,
    ],
    [
      'more values than there are cells',
      { type: INT32, encoding: PLAIN, page: [], values: 2 ** 31 - 1 },
      /^too-large: x.parquet asks for 2,147,483,647 cells/,
    ],
    [
      'more values than its bytes hold',
      { type: BYTES, encoding: PLAIN, page: word(0), values: 2_000_000 },
      /^bad-data: .*2000000 values do not fit into a page of 4 bytes/,
    ],
    [
      'rows by the thousand million',
      { type: INT32, encoding: PLAIN, page: [], rows: 3_000_000_000 },
      /^too-large: x.parquet asks for 3,000,000,000 rows/,
    ],
    [
      'parts of other lengths',
      { type: INT32, encoding: PLAIN, page: [], partRows: 2_000_000_000 },
      /^bad-data: .*its parts have 2000000000 rows together/,
    ],
    [
      'a page that unpacks to two gigabytes',
      { type: INT32, encoding: PLAIN, page: [1, 2, 3], codec: 2, unpacked: 2 ** 31 - 1 },
      /^too-large: x.parquet asks for 2,147,483,647 bytes unpacked/,
    ],
    [
      'zstd that goes on beyond its page',
      { type: INT32, encoding: PLAIN, page: zstd, codec: 6, unpacked: 16 },
      /^bad-data: .*unpacks to more than it should/,
    ],
    [
      'a window of gigabytes',
      {
        type: INT32,
        encoding: PLAIN,
        page: [...zstd.slice(0, 5), 0xa8, ...zstd.slice(6)],
        codec: 6,
        unpacked: 16,
      },
      /^bad-data: .*window of more than 32 MiB/,
    ],
    [
      'differences in blocks of nothing',
      { type: INT32, encoding: DELTA, page: [128, 1, 0, 4, 2, 2, 2, 2] },
      /^bad-data: .*no size that can be/,
    ],
    [
      'differences in blocks whose number is below zero',
      { type: INT32, encoding: DELTA, page: [128, 1, ...varint(2 ** 32 - 2), 4, 2, 2, 2, 2] },
      /^bad-data: .*no size that can be/,
    ],
    [
      'texts that begin as none before them',
      {
        type: BYTES,
        encoding: DELTA_TEXT,
        page: [128, 1, 4, 4, ...varint(2 ** 31 - 2), 0, 0, 0, 0, 0, 128, 1, 4, 4, 0, 0, 0, 0, 0, 0],
      },
      /^bad-data: .*begins as none before it/,
    ],
    [
      'more columns than it has',
      { type: INT32, encoding: PLAIN, page: [], children: 900_000_000 },
      /^bad-data: .*fewer columns than it says/,
    ],
    [
      'lists of lists without entries',
      file_([], new Array(9).fill([0x19, 0xf9, ...varint(2 ** 25)]).flat()),
      /^bad-data: .*a list of 33554432 entries does not fit/,
    ],
    ['structs in structs', file_([], new Array(3000).fill(0x1c)), /^bad-data: .*nested too deeply/],
    [
      'a number without end',
      file_([], [0x15, ...new Array(5000).fill(255)]),
      /^bad-data: .*longer than it can be/,
    ],
  ])('is refused for %s', async (_, given, says) => {
    const bytes = given instanceof Uint8Array ? given : parquet(given);
    const before = process.memoryUsage().arrayBuffers;
    expect(await kindOf(open(bytes))).toMatch(says);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64e6);
  });

  it('is read or refused after any change', async () => {
    const random = rng(17);
    for (const name of ['reviews-zstd.parquet', 'tags-snappy.parquet', 'chat-gzip.parquet']) {
      const bytes = new Uint8Array(readFileSync(`test/fixtures/data/${name}`));
      for (let i = 0; i < 120; i++) {
        const changed = bytes.slice();
        for (let k = 0; k < 3; k++) {
          const near = random.uniform() < 0.5 ? Math.min(900, bytes.length) : bytes.length;
          changed[bytes.length - 1 - Math.floor(random.uniform() * near)] = [0, 255, 127, 128][i % 4]!;
        }
        await open(changed).catch((error: unknown) => expect(error).toBeInstanceOf(PapilioError));
      }
    }
  });
});

describe('a table', () => {
  const many = (n: number, cell: (i: number) => string) =>
    Array.from({ length: n }, (_, i) => cell(i)).join(',');
  const open = (path: string, text: string | Uint8Array) =>
    readEntries(
      [typeof text === 'string' ? file(path, text) : { name: path, bytes: text }],
      {},
      {
        drops: createDrops(),
        notes: [],
        room: createBudget('tableRows'),
        json: createBudget('tablesJsonBytes'),
      },
      { notes: [] },
      () => ({ needed: ['text', 'label'] }),
    );
  const rows = (n: number, row: (i: number) => string) =>
    Array.from({ length: n }, (_, i) => row(i)).join('\n');

  it.each<[string, string, () => string | Uint8Array, RegExp]>([
    [
      'columns of CSV',
      't.csv',
      () =>
        `text,label,${many(11_000, (i) => `n${i}`)}\n${rows(5, (i) => `a b,${i % 2},${many(11_000, () => '1')}`)}`,
      /^too-large: t.csv asks for 11,002 columns/,
    ],
    [
      'columns of an object of lists',
      't.json',
      () => JSON.stringify(Object.fromEntries(Array.from({ length: 190_000 }, (_, i) => [`k${i}`, [1, 2]]))),
      /^too-large: t.json asks for 190,000 columns/,
    ],
    [
      'keys of many objects',
      't.jsonl',
      () => rows(12_000, (i) => JSON.stringify({ text: 'a', label: i % 2, [`k${i}`]: 1 })),
      /^too-large: t.jsonl asks for [\d,]+ columns/,
    ],
    [
      'cells of lists of which one is long',
      't.json',
      () => JSON.stringify([Array.from({ length: 9000 }, () => 1), ...new Array(40_000).fill([1, 2])]),
      /^too-large: t.json asks for 360,009,000 cells/,
    ],
    [
      'rows',
      't.csv',
      () => `text,label\n${'a,b\n'.repeat(2_000_001)}`,
      /^too-large: t.csv asks for 65,537 rows/,
    ],
    [
      'letters',
      't.csv',
      () => new Uint8Array(2 ** 28 + 1),
      /^too-large: t.csv asks for 268,435,457 bytes of text/,
    ],
  ])('is refused for its %s', async (_, path, text, says) => {
    expect(await kindOf(open(path, text()))).toMatch(says);
  });

  const opened = (count: number, text: (i: number) => string, path = '.csv') =>
    readEntries(
      Array.from({ length: count }, (_, i) => file(`${i}${path}`, text(i))),
      {},
      {
        drops: createDrops(),
        notes: [],
        room: createBudget('tableRows'),
        json: createBudget('tablesJsonBytes'),
      },
      { notes: [] },
      () => ({ needed: ['text', 'label'] }),
    );

  it.each([
    ['alike', (i: number) => `text,label\na b ${i},${i % 2}\n`],
    ['unlike', (i: number) => `text,label,n${i}\na b ${i},${i % 2},1\n`],
  ])(
    'of which there are four times as many, beginning %s, takes not sixteen times as long',
    async (_, text) => {
      const took = async (count: number) => {
        const before = performance.now();
        expect((await opened(count, text)).entries.length).toBe(count);
        return performance.now() - before;
      };
      await took(500);
      const few = await took(1500);
      expect((await took(6000)) / few).toBeLessThan(10);
    },
  );

  it('counts beside its rows, and JSON of all tables together', async () => {
    expect(await kindOf(opened(7500, () => 'text,label\na,b\n'))).toMatch(
      /^too-large: \d+.csv asks for 65,53\d rows/,
    );
    const one = `{"text":"a","label":[${'[],'.repeat(200_000)}[]]}\n`;
    expect(await kindOf(opened(12, () => one, '.jsonl'))).toMatch(
      /^too-large: 5.jsonl asks for .* bytes of values/,
    );
  });

  it('of thousands of columns of one name is read in a moment', async () => {
    const text = `text,label,${many(9000, () => 'x')}\n${rows(8, (i) => `a b,${i % 2},${many(9000, () => '1')}`)}`;
    const before = performance.now();
    expect((await open('t.csv', text)).entries.length).toBe(8);
    expect(performance.now() - before).toBeLessThan(4000);
  });

  it('of one class in most of many rows is split', () => {
    const labels = Array.from({ length: 400_000 }, (_, i) => Number(i % 1000 === 0));
    const { train, held } = stratifiedSplit(labels, 3);
    expect(train.length + held.length).toBe(400_000);
  });
});

it('however many numbers have a greatest and a least', () => {
  const numbers = Array.from({ length: 500_000 }, (_, i) => (i * 7919) % 500_000);
  expect([least(numbers), greatest(numbers)]).toEqual([0, 499_999]);
});
