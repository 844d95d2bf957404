// Files → datasets: what is read, how it is split, and the sentence for each way a file can be wrong.
import { gzipSync, zipSync, zlibSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { trainBpe } from '../../src/data/bpe.ts';
import { type DataFile, readText } from '../../src/data/files/bytes.ts';
import { readIdx } from '../../src/data/files/idx.ts';
import { type OpenOptions, openDataset } from '../../src/data/files/open.ts';
import { decodePng } from '../../src/data/files/png.ts';
import { drawingsDataset, resizePlane, toPixels } from '../../src/data/pictures.ts';
import { stratifiedSplit } from '../../src/data/split.ts';
import { loadTokenizer } from '../../src/data/tokenizer.ts';
import type { ImageDataset, TextClassDataset, TextDataset } from '../../src/data/types.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { rng } from '../../src/lib/rng.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const file = (path: string, content: string | Uint8Array): DataFile => ({
  path,
  bytes: typeof content === 'string' ? utf8(content) : content,
});
const tokenizer = loadTokenizer(trainBpe(['a tale of words and more words'], { vocabSize: 300 }));
const size = { width: 4, height: 4, channels: 1 };
const asText: OpenOptions = { task: 'text', tokenizer };
const asClasses: OpenOptions = { task: 'text-class', tokenizer };
const asPictures: OpenOptions = { task: 'image', size };

/** A PNG of `rows` bytes per line, one filter byte per line given. */
function png(
  width: number,
  height: number,
  options: {
    depth?: number;
    colour: number;
    rows: number[][];
    filters?: number[];
    palette?: number[];
    alpha?: number[];
    interlace?: number;
  },
): Uint8Array {
  const chunk = (type: string, body: Uint8Array): number[] => {
    const head = new Uint8Array(8);
    new DataView(head.buffer).setUint32(0, body.length);
    head.set(utf8(type), 4);
    return [...head, ...body, 0, 0, 0, 0];
  };
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header.set([options.depth ?? 8, options.colour, 0, 0, options.interlace ?? 0], 8);
  const raw = options.rows.flatMap((row, y) => [options.filters?.[y] ?? 0, ...row]);
  return Uint8Array.from([
    ...[137, 80, 78, 71, 13, 10, 26, 10],
    ...chunk('IHDR', header),
    ...(options.palette ? chunk('PLTE', Uint8Array.from(options.palette)) : []),
    ...(options.alpha ? chunk('tRNS', Uint8Array.from(options.alpha)) : []),
    ...chunk('IDAT', zlibSync(Uint8Array.from(raw))),
    ...chunk('IEND', new Uint8Array()),
  ]);
}

function idx(shape: number[], data: number[]): Uint8Array {
  const out = new Uint8Array(4 + 4 * shape.length + data.length);
  out.set([0, 0, 8, shape.length]);
  shape.forEach((d, i) => {
    new DataView(out.buffer).setUint32(4 + 4 * i, d);
  });
  out.set(data, 4 + 4 * shape.length);
  return out;
}

const grey = (value: number) =>
  png(2, 2, {
    colour: 0,
    rows: [
      [value, value],
      [value, value],
    ],
  });

describe('png', () => {
  it('undoes every filter', () => {
    const rows = [
      [10, 20, 30],
      [5, 5, 5],
      [7, 8, 9],
      [1, 1, 1],
      [2, 2, 2],
    ];
    const { rgba } = decodePng(png(3, 5, { colour: 0, rows, filters: [0, 1, 2, 3, 4] }));
    const values = Array.from({ length: 15 }, (_, p) => rgba[4 * p]!);
    // Worked by hand: sub, up, average, Paeth.
    expect(values).toEqual([10, 20, 30, 5, 10, 15, 12, 18, 24, 7, 13, 19, 9, 15, 21]);
  });

  it('takes the corner for its guess where Paeth says so', () => {
    const { rgba } = decodePng(
      png(2, 2, {
        colour: 0,
        rows: [
          [20, 30],
          [246, 5],
        ],
        filters: [0, 4],
      }),
    );
    expect([rgba[8], rgba[12]]).toEqual([10, 25]);
  });

  it('reads colour, grey with alpha, palettes with transparency, packed bits and 16 bits', () => {
    const pixels = (bytes: Uint8Array) => [...decodePng(bytes).rgba];
    expect(pixels(png(1, 1, { colour: 2, rows: [[1, 2, 3]] }))).toEqual([1, 2, 3, 255]);
    expect(pixels(png(1, 1, { colour: 6, rows: [[1, 2, 3, 4]] }))).toEqual([1, 2, 3, 4]);
    expect(pixels(png(1, 1, { colour: 4, rows: [[9, 8]] }))).toEqual([9, 9, 9, 8]);
    expect(pixels(png(1, 1, { colour: 2, depth: 16, rows: [[1, 99, 2, 99, 3, 99]] }))).toEqual([
      1, 2, 3, 255,
    ]);
    expect(
      pixels(png(3, 1, { colour: 0, depth: 1, rows: [[0b10100000]] })).filter((_, i) => i % 4 === 0),
    ).toEqual([255, 0, 255]);
    expect(
      pixels(png(2, 1, { colour: 3, depth: 4, rows: [[0x10]], palette: [1, 2, 3, 4, 5, 6], alpha: [0] })),
    ).toEqual([4, 5, 6, 255, 1, 2, 3, 0]);
  });

  it.each([
    [utf8('GIF89a'), /does not begin/],
    [grey(1).subarray(0, 50), /cut short|ends too early|cannot be unpacked/],
    [png(2, 2, { colour: 0, rows: [[1, 1]] }), /ends too early/],
    [png(1, 1, { colour: 0, rows: [[1]], interlace: 1 }), /interlaced/],
    [png(1, 1, { colour: 0, rows: [[1]], filters: [9] }), /filter 9/],
    [png(1, 1, { colour: 5, rows: [[1]] }), /colour type/],
    [png(1, 1, { colour: 3, rows: [[0]] }), /no palette/],
    [png(60_000, 60_000, { colour: 0, rows: [[1]] }), /make it smaller/],
    [png(0, 1, { colour: 0, rows: [[]] }), /no pixels/],
  ])('refuses what it cannot read (%#)', (bytes, sentence) => {
    expect(() => decodePng(bytes)).toThrow(sentence);
  });
});

describe('pictures', () => {
  it('resizes without changing a constant or the mean, and keeps what has the right size', () => {
    const plane = Float32Array.from({ length: 64 }, (_, i) => i);
    expect([...resizePlane(plane, 8, 8, 8, 8)]).toEqual([...plane]);
    expect(
      [...resizePlane(new Float32Array(15).fill(0.5), 5, 3, 4, 7)].every((v) => Math.abs(v - 0.5) < 1e-6),
    ).toBe(true);
    const small = resizePlane(plane, 8, 8, 2, 2);
    expect(small.reduce((a, b) => a + b, 0) / 4).toBeCloseTo(31.5, 4);
  });

  it('weighs colours by luma and lays what is transparent on white', () => {
    const rgba = Uint8Array.from([255, 0, 0, 255, 0, 0, 0, 0]);
    const one = { width: 2, height: 1 };
    const greyed = toPixels({ ...one, rgba }, { ...one, channels: 1 });
    expect(greyed[0]).toBeCloseTo(0.299, 5);
    expect(greyed[1]).toBe(1);
    expect([...toPixels({ ...one, rgba }, { ...one, channels: 3 })]).toEqual([1, 1, 0, 1, 0, 1]);
  });

  it('come by class folder, from a zip as well, and are split by seed or by folder', async () => {
    const files = ['cat', 'dog'].flatMap((label, c) =>
      [0, 1, 2, 3, 4, 5, 6].map((i) => file(`pets/${label}/${i}.png`, grey(100 * c + i))),
    );
    const set = (await openDataset(files, asPictures)) as ImageDataset;
    expect(set.labels).toEqual(['cat', 'dog']);
    expect([set.train.count, set.held.count]).toEqual([12, 2]);
    const values = (split: ImageDataset['train']) =>
      Array.from({ length: split.count }, (_, i) => Math.round(split.pixels(i)[0]! * 255));
    expect([...values(set.train), ...values(set.held)].sort((a, b) => a - b)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 100, 101, 102, 103, 104, 105, 106,
    ]);
    values(set.held).forEach((value, i) => {
      expect(set.held.label(i)).toBe(value >= 100 ? 1 : 0);
    });
    const zipped = zipSync(Object.fromEntries(files.map((f) => [f.path, f.bytes])));
    const fromZip = (await openDataset([file('pets.zip', zipped)], asPictures)) as ImageDataset;
    expect(values(fromZip.held)).toEqual(values(set.held));

    const stated = [
      file('train/a/1.png', grey(1)),
      file('train/b/1.png', grey(2)),
      file('test/b/1.png', grey(3)),
    ];
    const byFolder = (await openDataset(stated, asPictures)) as ImageDataset;
    expect(values(byFolder.train)).toEqual([1, 2]);
    expect(values(byFolder.held)).toEqual([3]);
  });

  it('may be decoded by the browser instead', async () => {
    const files = ['a/1.jpg', 'a/2.jpg', 'b/1.jpg', 'b/2.jpg'].map((path) => file(path, 'jpeg'));
    const decodeImage = async () => ({ width: 1, height: 1, rgba: Uint8Array.from([51, 51, 51, 255]) });
    const set = (await openDataset(files, { ...asPictures, decodeImage })) as ImageDataset;
    expect(set.held.pixels(0)[0]).toBeCloseTo(0.2, 5);
    await expect(openDataset(files, asPictures)).rejects.toThrow(/a\/1\.jpg is not a PNG/);
  });

  it('may be drawn', () => {
    const image = (v: number) => new Float32Array(16).fill(v);
    const classes = [
      { label: 'sun', images: [image(0), image(0.1), image(0.2)] },
      { label: 'moon', images: [image(0.8), image(0.9)] },
    ];
    const set = drawingsDataset(classes, size);
    expect(set.labels).toEqual(['moon', 'sun']);
    expect([set.train.count, set.held.count]).toEqual([3, 2]);
    expect(() => drawingsDataset([classes[0]!, { label: 'star', images: [image(1)] }], size)).toThrow(
      /"star" has 1/,
    );
    expect(() => drawingsDataset([classes[0]!], size)).toThrow(/only one class/);
  });
});

describe('idx', () => {
  const images = idx(
    [6, 3, 3],
    Array.from({ length: 54 }, (_, i) => Math.floor(i / 9) * 10),
  );
  const labels = idx([6], [3, 7, 3, 7, 3, 7]);

  it('reads a pair, packed or not, and frames small pictures with zeros', async () => {
    const files = [
      file('train-images-idx3-ubyte.gz', gzipSync(images)),
      file('train-labels-idx1-ubyte', labels),
    ];
    const set = (await openDataset(files, asPictures)) as ImageDataset;
    expect(set.labels).toEqual(['3', '7']);
    expect([set.train.count, set.held.count]).toEqual([4, 2]);
    const pixels = set.held.pixels(1);
    expect(pixels.filter((v) => v > 0).length).toBe(9);
    expect(pixels[15]).toBe(0);
  });

  it('holds the second pair where there are two, and resizes what does not fit', async () => {
    const files = [
      file('t10k-images-idx3-ubyte', idx([2, 8, 8], new Array<number>(128).fill(255))),
      file('t10k-labels-idx1-ubyte', idx([2], [3, 7])),
      file('train-images-idx3-ubyte', images),
      file('train-labels-idx1-ubyte', labels),
    ];
    const set = (await openDataset(files, asPictures)) as ImageDataset;
    expect([set.train.count, set.held.count]).toEqual([6, 2]);
    expect([...set.held.pixels(0)]).toEqual(new Array(16).fill(1));
    expect(set.held.label(1)).toBe(1);
  });

  it.each([
    [[file('train-images-idx3-ubyte', images)], /has no labels: put the file train-labels/],
    [
      [file('train-images-idx3-ubyte', images), file('train-labels-idx1-ubyte', idx([5], [1, 2, 1, 2, 1]))],
      /6 pictures but .* 5 labels/,
    ],
    [
      [file('train-images-idx3-ubyte', images.subarray(0, 40)), file('train-labels-idx1-ubyte', labels)],
      /should hold 6 × 3 × 3/,
    ],
    [
      [
        file('train-images-idx3-ubyte', images),
        file('train-labels-idx1-ubyte', idx([6], [1, 1, 1, 1, 1, 1])),
      ],
      /only one class/,
    ],
    [
      [
        file('train-images-idx3-ubyte.gz', gzipSync(images).subarray(0, 30)),
        file('train-labels-idx1-ubyte', labels),
      ],
      /cut short|not a complete/,
    ],
    [
      [file('train-images-idx3-ubyte.gz', new Uint8Array()), file('train-labels-idx1-ubyte', labels)],
      /the gzip data ends too early/,
    ],
    [[file('train-labels-idx1-ubyte', labels)], /none named/],
  ])('refuses (%#)', async (files, sentence) => {
    await expect(openDataset(files, asPictures)).rejects.toThrow(sentence);
  });

  it('checks lengths before it believes them', () => {
    const lie = Uint8Array.from([0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]);
    expect(() => readIdx(lie, 'x')).toThrow(/should hold/);
    expect(() => readIdx(Uint8Array.from([0, 0, 13, 1, 0, 0, 0, 0]), 'x')).toThrow(/type 13/);
    expect(() => readIdx(Uint8Array.from([0, 0, 8, 9, 0, 0, 0, 0]), 'x')).toThrow(/9 dimensions/);
  });
});

describe('tables', () => {
  const rows = Array.from({ length: 20 }, (_, i) => `"text, number ${i}",${i % 2 === 0 ? 'good' : 'bad'}`);

  it('are split per class, by seed, without an example in both', async () => {
    const set = (await openDataset(
      [file('r.csv', ['Text,Label', ...rows, ''].join('\r\n'))],
      asClasses,
    )) as TextClassDataset;
    expect(set.labels).toEqual(['bad', 'good']);
    expect([set.train.count, set.held.count]).toEqual([16, 4]);
    const texts = (split: TextClassDataset['train']) =>
      Array.from({ length: split.count }, (_, i) => tokenizer.decode(split.ids(i)));
    expect(new Set([...texts(set.train), ...texts(set.held)]).size).toBe(20);
    texts(set.held).forEach((text, i) => {
      expect(set.held.label(i)).toBe(Number(/\d+/.exec(text)![0]) % 2 === 0 ? 1 : 0);
    });
  });

  it('keep the order of the model where it knows all labels, and sort numbers as numbers', async () => {
    const open = async (labels: readonly string[], known?: string[]) => {
      const lines = labels.flatMap((label) =>
        [1, 2].map((k) => JSON.stringify({ sentence: `t${k}`, class: label })),
      );
      const set = await openDataset([file('r.jsonl', lines.join('\n'))], {
        ...asClasses,
        ...(known ? { labels: known } : {}),
      });
      return (set as TextClassDataset).labels;
    };
    expect(await open(['10', '9'])).toEqual(['9', '10']);
    expect(await open(['b', 'a'], ['c', 'b', 'a'])).toEqual(['c', 'b', 'a']);
    expect(await open(['b', 'x'], ['c', 'b', 'a'])).toEqual(['b', 'x']);
  });

  it('may be divided by semicolons or tabs, whatever the texts contain', async () => {
    for (const mark of [';', '\t']) {
      const lines = [`text${mark}label`, ...[1, 2, 3, 4].map((i) => `a, b, c, ${i}${mark}${i % 2}`)];
      const set = (await openDataset([file('r.tsv', lines.join('\n'))], asClasses)) as TextClassDataset;
      expect(tokenizer.decode(set.train.ids(0))).toMatch(/^a, b, c, \d$/);
    }
  });

  it.each([
    ['a.csv', 'text,label\nx,1\ny,\nz,2\nw,\n', /no label in rows 3, 5;/],
    ['a.csv', 'text,label\nx,1\n,2\n', /no text in row 3;/],
    ['a.csv', 'text,label\nx,1\none, two,2\n', /another number of cells in row 3;/],
    ['a.csv', 'text,label\n"x,1\n', /quotation mark .* row 2/],
    ['a.csv', 'text,label\n', /no rows/],
    ['a.csv', 'text,score\nx,1\n', /no labels: no column "label"; it has "text", "score"/],
    ['a.csv', 'body,label\nx,1\n', /no column "text"/],
    ['a.csv', 'text,text\nx,1\n', /twice/],
    ['a.csv', 'text,label\nx,1\ny,1\n', /only one class \("1"\)/],
    ['a.csv', 'text,label\nx,1\ny,2\n', /one example per class/],
    ['a.jsonl', '{"text":"x","label":1}\n{"text":"y"', /not JSON in row 2/],
    ['a.jsonl', '{"text":"x","label":1}\n[1]\n', /no object in row 2/],
    ['a.jsonl', '{"text":"x"}\n', /no labels/],
    ['a.jsonl', '{"text":5,"label":1}\n', /no text in row 1/],
    ['a.csv', '', /is empty/],
    ['a.txt', 'x', /no \.csv or \.jsonl \(found: txt\)/],
  ])('%s %j is refused with its row', async (path, content, sentence) => {
    await expect(openDataset([file(path, content)], asClasses)).rejects.toThrow(sentence);
    await expect(openDataset([file(path, content)], asClasses)).rejects.toMatchObject({ kind: 'bad-data' });
  });
});

describe('text', () => {
  it('holds its last tenth', async () => {
    const text = 'some words, and more words. '.repeat(100);
    const set = (await openDataset([file('a.txt', text)], asText)) as TextDataset;
    expect(set.heldShare).toBe(0.1);
    expect(set.held.tokens.length / (set.train.tokens.length + set.held.tokens.length)).toBeCloseTo(0.1, 2);
    expect(tokenizer.decode([...set.train.tokens, ...set.held.tokens])).toBe(text);
  });

  it('comes from rows as well, each ended by the end token, the last rows held', async () => {
    const lines = Array.from({ length: 20 }, (_, i) => JSON.stringify({ text: `document ${i}` })).join('\n');
    const set = (await openDataset([file('a.jsonl', lines)], asText)) as TextDataset;
    expect(set.held.tokens.filter((id) => id === tokenizer.eos).length).toBe(2);
    expect(tokenizer.decode(set.held.tokens)).toBe('document 18document 19');
  });

  it('is UTF-8, or UTF-16 with its mark', () => {
    const utf16 = Uint8Array.from([0xff, 0xfe, 0x68, 0, 0xe9, 0]);
    expect(readText(utf16, 'x')).toBe('hé');
    expect(readText(utf8('\ufeffhé'), 'x')).toBe('hé');
  });

  it.each([
    ['a.txt', Uint8Array.from([0x68, 0xe9, 0x20]), /not UTF-8 text/],
    ['a.txt', Uint8Array.from([1, 0, 2]), /zero bytes/],
    ['a.txt', utf8(' \n'), /white space/],
    ['a.txt', new Uint8Array(), /is empty/],
    ['a.txt', utf8('short'), /has only \d+ tokens/],
    ['a.pdf', utf8('x'), /no text \(found: pdf\)/],
    ['a.zip', utf8('no zip'), /not a readable zip/],
    ['.DS_Store', utf8('x'), /no files/],
  ])('%s is refused (%#)', async (path, bytes, sentence) => {
    await expect(openDataset([{ path, bytes }], asText)).rejects.toThrow(sentence);
  });

  it('needs the tokenizer of the model', async () => {
    await expect(openDataset([file('a.txt', 'x')], { task: 'text' })).rejects.toThrow(/tokenizer\.json/);
  });
});

describe('broken bytes', () => {
  it('end in a sentence or in data, never in another error', async () => {
    const r = rng(11);
    const rows = Array.from({ length: 8 }, (_, y) => Array.from({ length: 24 }, (_, x) => (x * y) & 255));
    const picture = png(8, 8, { colour: 2, rows, filters: [0, 1, 2, 3, 4, 4, 3, 2] });
    const zip = zipSync({ 'a/1.png': picture, 'a/2.png': picture, 'b/1.png': picture, 'b/2.png': picture });
    const labels = file('train-labels-idx1-ubyte', idx([6], [3, 7, 3, 7, 3, 7]));
    const images = gzipSync(
      idx(
        [6, 3, 3],
        Array.from({ length: 54 }, (_, i) => i),
      ),
    );
    const table = utf8('text,label\n"a, b",1\nc,2\n"d ""e""",1\nf,2\n');
    const kinds: readonly (readonly [string, Uint8Array, OpenOptions, readonly DataFile[]])[] = [
      ['p.zip', zip, asPictures, []],
      ['train-images-idx3-ubyte.gz', images, asPictures, [labels]],
      ['t.csv', table, asClasses, []],
    ];
    let refused = 0;
    for (let k = 0; k < 1500; k++) {
      const [path, source, options, beside] = r.pick(kinds);
      const bytes = source.slice(0, r.chance(0.3) ? r.int(source.length) : source.length);
      for (let m = r.int(4); m >= 0 && bytes.length > 0; m--) bytes[r.int(bytes.length)] = r.int(256);
      try {
        await openDataset([{ path, bytes }, ...beside], options);
      } catch (error) {
        expect(error).toBeInstanceOf(PapilioError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(300);
  });
});

describe('split', () => {
  it('leaves every class in both parts and changes with the seed', () => {
    const labels = Array.from({ length: 100 }, (_, i) => i % 3);
    const a = stratifiedSplit(labels, 1);
    expect([a.train.length, a.held.length]).toEqual([85, 15]);
    expect(new Set([...a.train, ...a.held]).size).toBe(100);
    expect([...a.held].filter((i) => labels[i] === 2).length).toBe(5);
    expect(stratifiedSplit(labels, 1)).toEqual(a);
    expect(stratifiedSplit(labels, 2)).not.toEqual(a);
  });
});
