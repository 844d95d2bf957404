/**
 * What a model's preprocessing makes of pictures: Pillow's own bytes (test/fixtures/data/pillow.json, Pillow 9.4) and the documented
 * formulas of transformers' image processors. Seen to fail: a crop that is one pixel off, bilinear for bicubic, mean and std in units
 * of 255.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodePicture } from '../../src/data/files/decodePicture.ts';
import { openDataset } from '../../src/data/files/open.ts';
import { atSize, fitted, prepared, resizedSize } from '../../src/data/pictures.ts';
import {
  describePreprocessing,
  preprocessingOf,
  preprocessorConfig,
  type Resample,
  resample,
} from '../../src/data/preprocessing.ts';
import type { ImageDataset } from '../../src/data/types.ts';
import { file, grey, png } from './data-support.ts';

interface Figures {
  readonly resample: readonly {
    readonly how: Resample;
    readonly from: readonly [number, number];
    readonly to: readonly [number, number];
    readonly bytes: readonly number[];
    readonly expected: readonly number[];
  }[];
  readonly grey: { readonly rgb: readonly number[]; readonly expected: readonly number[] };
  readonly jpeg: readonly {
    readonly orientation: number;
    readonly base64: string;
    readonly size: readonly [number, number];
    readonly corners: readonly (readonly number[])[];
  }[];
}
const pillow = JSON.parse(readFileSync('test/fixtures/data/pillow.json', 'utf8')) as Figures;

const open = (width: number | null, height: number | null, channels = 3) => ({ width, height, channels });

/** A picture whose red counts columns, green rows. */
function counted(width: number, height: number) {
  const rgba = new Uint8Array(4 * width * height).fill(255);
  for (let p = 0; p < width * height; p++) {
    rgba[4 * p] = p % width;
    rgba[4 * p + 1] = Math.floor(p / width);
  }
  return { width, height, rgba };
}

describe('resampling', () => {
  it.each(pillow.resample)('is Pillow’s $how from $from to $to, byte for byte', (one) => {
    const got = resample(Uint8Array.from(one.bytes), ...one.from, ...one.to, one.how);
    expect([...got]).toEqual(one.expected);
  });

  it('leaves a picture of the right size as it is', () => {
    const plane = Uint8Array.from({ length: 12 }, (_, i) => i);
    expect(resample(plane, 4, 3, 4, 3, 'lanczos')).toBe(plane);
  });

  it('makes grey of colours as Pillow’s convert("L") does', () => {
    const { rgb, expected } = pillow.grey;
    const rgba = Uint8Array.from({ length: 48 }, (_, i) =>
      i % 4 === 3 ? 255 : rgb[3 * (i >> 2) + (i % 4)]!,
    );
    const steps = preprocessingOf({}, {}, open(4, 3, 1));
    expect([...prepared({ width: 4, height: 3, rgba }, steps)]).toEqual(expected);
  });
});

describe('JPEG without a browser', () => {
  it.each(pillow.jpeg)('is decoded and turned upright (EXIF orientation $orientation)', async (one) => {
    const image = await decodePicture(
      Uint8Array.from(atob(one.base64), (c) => c.charCodeAt(0)),
      'a.jpg',
    );
    expect([image.width, image.height]).toEqual(one.size);
    const { width: w, height: h } = image;
    const corners = [
      [1, 1],
      [w - 2, 1],
      [1, h - 2],
      [w - 2, h - 2],
    ];
    corners.forEach(([x = 0, y = 0], i) => {
      const at = 4 * (y * w + x);
      const off = one.corners[i]!.map((v, c) => Math.abs(v - image.rgba[at + c]!));
      expect(Math.max(...off)).toBeLessThanOrEqual(4);
    });
  });

  it('says what is wrong with one that is cut, and with what is no picture', async () => {
    const cut = Uint8Array.from(atob(pillow.jpeg[0]!.base64), (c) => c.charCodeAt(0)).subarray(0, 300);
    await expect(decodePicture(cut, 'b/2.jpg')).rejects.toThrow(/^b\/2\.jpg is no JPEG that can be read: /);
    await expect(decodePicture(Uint8Array.of(71, 73, 70), 'c.gif')).rejects.toThrow(
      /^c\.gif is neither PNG nor JPEG/,
    );
  });

  it('trains beside PNG in one folder', async () => {
    const jpeg = Uint8Array.from(atob(pillow.jpeg[0]!.base64), (c) => c.charCodeAt(0));
    const files = ['a', 'b'].flatMap((label) =>
      Array.from({ length: 4 }, (_, i) =>
        file(`${label}/${i}.${i % 2 ? 'JPG' : 'png'}`, i % 2 ? jpeg : grey(9)),
      ),
    );
    const preprocessing = preprocessingOf({}, {}, open(6, 6));
    const set = (await openDataset(files, { task: 'image', preprocessing })) as ImageDataset;
    expect(set.train.count + set.held.count).toBe(8);
  });
});

describe('preprocessor_config.json', () => {
  it('resizes the shorter side and cuts the middle, as CLIP and DINOv2 do', () => {
    const steps = preprocessingOf(
      {
        image_processor_type: 'BitImageProcessor',
        size: { shortest_edge: 5 },
        crop_size: { height: 4, width: 4 },
        resample: 0,
        image_mean: [0.1, 0.2, 0.3],
        image_std: [0.4, 0.5, 0.6],
      },
      { image_size: 518 },
      open(null, null),
    );
    expect(steps).toMatchObject({ width: 4, height: 4, crop: true, isAssumed: false, notes: [] });
    expect([steps.mean, steps.std]).toEqual([
      [0.1, 0.2, 0.3],
      [0.4, 0.5, 0.6],
    ]);
    // 10 × 5 keeps its size; columns 3 … 6 and rows 0 … 3 are the middle by transformers' center_crop.
    const got = prepared(counted(10, 5), steps);
    expect([...got.subarray(0, 4)]).toEqual([3, 4, 5, 6]);
    expect([...got.subarray(16, 20)]).toEqual([0, 0, 0, 0]);
    expect(describePreprocessing(steps)).toBe(
      'Pictures are resized to a shorter side of 5 (nearest), the middle 4 × 4 cut out, normalised with mean 0.1, 0.2, 0.3 and std 0.4, 0.5, 0.6.',
    );
  });

  it('takes a wide picture’s middle for the same numbers as the middle alone', () => {
    const steps = preprocessingOf(
      { feature_extractor_type: 'CLIPFeatureExtractor', size: 6, crop_size: 6, do_normalize: false },
      {},
      open(6, 6),
    );
    const wide = counted(18, 6);
    const middle = counted(6, 6);
    for (let p = 0; p < 36; p++) middle.rgba[4 * p] = 6 + (p % 6);
    expect([...prepared(wide, steps)]).toEqual([...prepared(middle, steps)]);
    expect([steps.mean, steps.std]).toEqual([
      [0, 0, 0],
      [1, 1, 1],
    ]);
  });

  it('pads what is smaller than the crop with zeros, the odd pixel after', () => {
    const config = { do_resize: false, do_center_crop: true, crop_size: 4 };
    const steps = preprocessingOf(config, {}, open(4, 4));
    const image = counted(3, 3);
    image.rgba.fill(9);
    image.rgba.forEach((_, i) => {
      if (i % 4 === 3) image.rgba[i] = 255;
    });
    expect([...prepared(image, steps).subarray(0, 16)]).toEqual([
      0, 0, 0, 0, 0, 9, 9, 9, 0, 9, 9, 9, 0, 9, 9, 9,
    ]);
  });

  it.each([
    [{ do_rescale: false, do_normalize: false }, [0, 0, 0], [1 / 255, 1 / 255, 1 / 255]],
    [
      { rescale_factor: 1 / 127.5, rescale_offset: true, do_normalize: false },
      [0.5, 0.5, 0.5],
      [0.5, 0.5, 0.5],
    ],
    [
      { rescale_factor: 0.00392156862745098, image_mean: 0.25, image_std: [0.5] },
      [0.25, 0.25, 0.25],
      [0.5, 0.5, 0.5],
    ],
    [{ do_rescale: false, image_mean: [127.5], image_std: [127.5] }, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]],
    [{ image_processor_type: 'LevitImageProcessor' }, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]],
    [{ image_processor_type: 'MobileViTImageProcessorFast' }, [0, 0, 0], [1, 1, 1]],
    [{ image_processor: { image_mean: [0.3, 0.3, 0.3], image_std: [2, 2, 2] } }, [0.3, 0.3, 0.3], [2, 2, 2]],
  ])('normalises as %j says, in units of 0 … 1', (config, mean, std) => {
    const steps = preprocessingOf(config, {}, open(8, 8));
    steps.mean.forEach((v, c) => {
      expect(v).toBeCloseTo(mean[c]!, 12);
      expect(steps.std[c]).toBeCloseTo(std[c]!, 12);
    });
  });

  it.each([
    ['ViTImageProcessor', { size: 64 }, { to: 'exact', width: 64, height: 64 }, false, 64],
    ['DeiTFeatureExtractor', { size: 72, crop_size: 64 }, { to: 'exact', width: 72, height: 72 }, true, 64],
    ['CLIPImageProcessor', { size: 70, crop_size: 64 }, { to: 'shorter', edge: 70 }, true, 64],
    ['ConvNextImageProcessor', { size: { shortest_edge: 112 } }, { to: 'shorter', edge: 128 }, true, 112],
    [
      'ConvNextImageProcessor',
      { size: { shortest_edge: 384 } },
      { to: 'exact', width: 384, height: 384 },
      false,
      384,
    ],
    ['LevitFeatureExtractor', { size: 224 }, { to: 'shorter', edge: 256 }, true, 224],
  ])('is read as %s reads it (%j)', (type, config, resize, crop, side) => {
    const steps = preprocessingOf({ image_processor_type: type, ...config }, {}, open(null, null));
    expect(steps).toMatchObject({ resize, crop, width: side, height: side });
  });

  it('is read from timm’s config too', () => {
    const pretrained_cfg = {
      input_size: [3, 96, 96],
      crop_pct: 0.75,
      interpolation: 'bicubic',
      mean: [0.1, 0.1, 0.1],
    };
    const steps = preprocessingOf({}, { pretrained_cfg }, open(null, null));
    expect(steps).toMatchObject({
      resize: { to: 'shorter', edge: 128 },
      crop: true,
      width: 96,
      isAssumed: true,
    });
    expect(steps.mean).toEqual([0.1, 0.1, 0.1]);
  });

  it('makes the model’s size where the file fixes another one, and says so', () => {
    const config = {
      image_processor_type: 'BitImageProcessor',
      size: { shortest_edge: 256 },
      crop_size: 224,
    };
    const steps = preprocessingOf(config, {}, open(28, 28));
    expect(steps).toMatchObject({
      width: 28,
      height: 28,
      resize: { to: 'shorter', edge: 32 },
      isAssumed: true,
    });
    expect(steps.notes.join()).toMatch(/makes pictures of 224 × 224, but the model takes 28 × 28/);
  });

  it('says what is assumed without it, what is not done, and refuses what cannot be', () => {
    expect(preprocessingOf({}, { image_size: 48 }, open(null, null)).notes.join()).toMatch(
      /no preprocessor_config\.json: pictures are resized to 48 × 48 and normalised with mean 0\.5 and std 0\.5/,
    );
    const padding = preprocessingOf({ size: 8, do_pad: true }, {}, open(8, 8));
    expect(padding.notes.join()).toMatch(/asks for padding \(do_pad\), which is not done/);
    const tall = preprocessingOf({ size: { longest_edge: 9 } }, {}, open(8, 8));
    expect(tall.notes.join()).toMatch(/leaves pictures of unequal sizes/);
    expect(() => preprocessingOf({ size: 8, image_std: [0, 1, 1] }, {}, open(8, 8))).toThrow(/holds a 0/);
    expect(() => preprocessingOf({ size: 8, image_mean: [] }, {}, open(8, 8))).toThrow(/holds no numbers/);
  });

  it('limits the longer side', () => {
    expect(resizedSize(100, 400, { to: 'shorter', edge: 50, longest: 120 })).toEqual({
      width: 30,
      height: 120,
    });
    expect(resizedSize(333, 200, { to: 'shorter', edge: 100 })).toEqual({ width: 166, height: 100 });
  });

  it('written from the steps reads as the same steps', () => {
    for (const config of [
      {},
      { size: { shortest_edge: 9 }, crop_size: 8, do_center_crop: true, resample: 1 },
    ]) {
      const steps = preprocessingOf(config, { image_size: 8 }, open(null, null, 1));
      const again = preprocessingOf(preprocessorConfig(steps), {}, open(null, null, 1));
      expect({ ...again, notes: [], isAssumed: false }).toEqual({ ...steps, notes: [], isAssumed: false });
    }
  });
});

describe('what is drawn or made', () => {
  it('comes at the model’s size and in its channels, nothing cut away', () => {
    const made: ImageDataset = {
      ...{ kind: 'image', name: 'made', width: 2, height: 2, channels: 1, labels: ['a', 'b'] },
      train: { count: 1, pixels: () => Float32Array.of(0, 1, 0, 1), label: () => 1 },
      held: { count: 1, pixels: () => Float32Array.of(1, 1, 1, 1), label: () => 0 },
    };
    const larger = atSize(made, { width: 4, height: 2, channels: 3 });
    const first = larger.train.pixels(0);
    expect(first).toHaveLength(24);
    expect([...first.subarray(0, 4)].map((v) => v > 0.5)).toEqual([false, false, true, true]);
    expect(first.subarray(0, 8)).toEqual(first.subarray(16, 24));
    expect(larger.train.label(0)).toBe(1);
    expect(atSize(made, made)).toBe(made);
    expect([
      ...fitted(
        Uint8Array.of(255, 0, 0),
        { width: 1, height: 1, channels: 3 },
        { width: 1, height: 1, channels: 1 },
      ),
    ]).toEqual([76]);
  });
});

describe('class folders', () => {
  const one = (i: number) => png(1, 1, { colour: 0, rows: [[i]] });
  const preprocessing = preprocessingOf({}, {}, open(1, 1, 1));
  const labelsOf = async (paths: readonly string[]) => {
    const notes: string[] = [];
    const files = paths.map((path, i) => file(path, one(i)));
    const set = (await openDataset(files, { task: 'image', preprocessing }, { notes })) as ImageDataset;
    return { labels: set.labels, counts: [set.train.count, set.held.count], notes: notes.join('\n') };
  };
  const times = (n: number, path: (i: number) => string) => Array.from({ length: n }, (_, i) => path(i));

  it.each([
    ['an inner images folder', (c: string, i: number) => `birds/${c}/images/${i}.png`],
    ['inner folders of any one name', (c: string, i: number) => `${c}/v2/${i}.png`],
    [
      'inner folders of several plain names',
      (c: string, i: number) => `${c}/${i % 2 ? 'Photos' : 'img'}/${i}.png`,
    ],
    ['inner folders that count parts', (c: string, i: number) => `zoo/${c}/batch${i % 2}/${i}.png`],
    ['no inner folder', (c: string, i: number) => `${c}/${i}.png`],
  ])('are found above %s', async (_, path) => {
    const paths = ['owl', 'wren'].flatMap((c) => times(5, (i) => path(c, i)));
    expect((await labelsOf(paths)).labels).toEqual(['owl', 'wren']);
  });

  it('are split by the folders above them, inner folder or not', async () => {
    const paths = ['train', 'test'].flatMap((part) =>
      ['owl', 'wren'].flatMap((c) => times(part === 'train' ? 4 : 2, (i) => `${part}/${c}/images/${i}.png`)),
    );
    const { labels, counts, notes } = await labelsOf(paths);
    expect(labels).toEqual(['owl', 'wren']);
    expect(counts).toEqual([8, 4]);
    expect(notes).toMatch(/named by the folder above "images"/);
  });

  it('are split by the folders below them too', async () => {
    const paths = ['owl', 'wren'].flatMap((c) =>
      times(6, (i) => `birds/${c}/${i < 4 ? 'train' : 'test'}/${i}.png`),
    );
    const { labels, counts } = await labelsOf(paths);
    expect([labels, counts]).toEqual([
      ['owl', 'wren'],
      [8, 4],
    ]);
  });

  it('are numbers where numbers are all there is', async () => {
    const paths = ['3', '7'].flatMap((c) => times(5, (i) => `digits/${c}/${i}.png`));
    expect((await labelsOf(paths)).labels).toEqual(['3', '7']);
  });

  it('that are only splits are no classes', async () => {
    const paths = ['train', 'test'].flatMap((part) => times(4, (i) => `set/${part}/${i}.png`));
    await expect(labelsOf(paths)).rejects.toThrow(/only one class|no label/);
  });

  it('may be called photos and drawings', async () => {
    const paths = ['photos', 'pictures'].flatMap((c) => times(4, (i) => `art/${c}/${i}.png`));
    expect((await labelsOf(paths)).labels).toEqual(['photos', 'pictures']);
  });
});

describe('a table of pictures', () => {
  it.each([
    ['backslashes', (i: number) => `img\\\\${i}.png`],
    ['a path from another place', (i: number) => `/data/set/img/${i}.png`],
    ['a leading dot', (i: number) => `./img/${i}.png`],
    ['the name alone', (i: number) => `${i}.png`],
  ])('finds them by %s', async (_, named) => {
    const pictures = Array.from({ length: 6 }, (_, i) => file(`set/img/${i}.png`, grey(40 * i)));
    const rows = pictures.map((_, i) => `{"file_name": "${named(i)}", "label": "${i % 2 ? 'odd' : 'even'}"}`);
    const preprocessing = preprocessingOf({}, {}, open(1, 1, 1));
    const found = { notes: [] as string[] };
    const set = (await openDataset(
      [file('set/metadata.jsonl', rows.join('\n')), ...pictures],
      { task: 'image', preprocessing },
      found,
    )) as ImageDataset;
    expect(set.train.count + set.held.count).toBe(6);
  });
});
