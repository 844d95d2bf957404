// Pictures → datasets: PNG, resizing, class folders, drawings, IDX pairs, and the sentence for each way to be wrong.
import { gzipSync, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { readIdx } from '../../src/data/files/idx.ts';
import { openDataset } from '../../src/data/files/open.ts';
import { decodePng } from '../../src/data/files/png.ts';
import { drawingsDataset, prepared } from '../../src/data/pictures.ts';
import { preprocessingOf } from '../../src/data/preprocessing.ts';
import type { ImageDataset } from '../../src/data/types.ts';
import { asPictures, file, GIF, grey, idx, png, utf8 } from './data-support.ts';

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
    [png(60_000, 60_000, { colour: 0, rows: [[1]] }), /make the picture smaller/],
    [png(0, 1, { colour: 0, rows: [[]] }), /no pixels/],
  ])('refuses what it cannot read (%#)', (bytes, sentence) => {
    expect(() => decodePng(bytes)).toThrow(sentence);
  });
});

describe('pictures', () => {
  it('weighs colours by luma and lays what is transparent on white', () => {
    const rgba = Uint8Array.from([255, 0, 0, 255, 0, 0, 0, 0]);
    const one = { width: 2, height: 1, rgba };
    const steps = (channels: number) => preprocessingOf({}, {}, { width: 2, height: 1, channels });
    expect([...prepared(one, steps(1))]).toEqual([76, 255]);
    expect([...prepared(one, steps(3))]).toEqual([255, 255, 0, 255, 0, 255]);
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
    const zipped = zipSync(Object.fromEntries(files.map((f) => [f.name, f.bytes])));
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
    const files = ['a/1.jpg', 'a/2.jpg', 'b/1.jpg', 'b/2.jpg'].map((path) => file(path, GIF));
    const decodeImage = async () => ({ width: 1, height: 1, rgba: Uint8Array.from([51, 51, 51, 255]) });
    const set = (await openDataset(files, { ...asPictures, decodeImage })) as ImageDataset;
    expect(set.held.pixels(0)[0]).toBeCloseTo(0.2, 5);
    await expect(openDataset(files, asPictures)).rejects.toThrow(/a\/1\.jpg.* neither PNG nor JPEG/);
  });

  it('is not asked to decode what does not say its size', async () => {
    // AVIF and the like: only a browser knows them, and what it takes for them nobody knows before.
    const avif = `\0\0\0\x1cftypavif${'\0'.repeat(40)}`;
    const files = ['a/1.png', 'a/2.png', 'b/1.png', 'b/2.png'].map((path) => file(path, avif));
    let asked = 0;
    const decodeImage = async () => {
      asked++;
      return { width: 1, height: 1, rgba: new Uint8Array(4) };
    };
    await expect(openDataset(files, { ...asPictures, decodeImage })).rejects.toThrow(
      /a\/1\.png cannot be read as a picture \(is no PNG, JPEG, WebP, GIF or BMP whose size can be read\)/,
    );
    expect(asked).toBe(0);
  });

  it('may be drawn', () => {
    const image = (v: number) => new Float32Array(16).fill(v);
    const classes = [
      { label: 'sun', images: [image(0), image(0.1), image(0.2)] },
      { label: 'moon', images: [image(0.8), image(0.9)] },
    ];
    const set = drawingsDataset(classes, 4);
    expect(set.labels).toEqual(['moon', 'sun']);
    expect([set.train.count, set.held.count]).toEqual([3, 2]);
    expect(() => drawingsDataset([classes[0]!, { label: 'star', images: [image(1)] }], 4)).toThrow(
      /"star" has 1/,
    );
    expect(() => drawingsDataset([classes[0]!], 4)).toThrow(/only one class/);
  });
});

describe('idx', () => {
  const images = idx(
    [6, 3, 3],
    Array.from({ length: 54 }, (_, i) => Math.floor(i / 9) * 10),
  );
  const labels = idx([6], [3, 7, 3, 7, 3, 7]);

  it('reads a pair, packed or not', async () => {
    const files = [
      file('train-images-idx3-ubyte.gz', gzipSync(images)),
      file('train-labels-idx1-ubyte', labels),
    ];
    const set = (await openDataset(files, asPictures)) as ImageDataset;
    expect(set.labels).toEqual(['3', '7']);
    expect([set.train.count, set.held.count]).toEqual([4, 2]);
    // Pictures of one value each, resized to 4 × 4.
    expect(new Set(set.held.pixels(1)).size).toBe(1);
    expect(set.held.pixels(1)).toHaveLength(16);
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
