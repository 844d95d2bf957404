/** Pictures by folder, and IDX arrays, made ready for a model. */
import { gzipSync } from 'fflate';
import { encode } from 'jpeg-js';
import type { InputFile } from '../../../src/lib/bytes.ts';
import { type Rng, rng } from '../../../src/lib/rng.ts';
import { encodePng } from '../../../src/python/rows.ts';
import { png } from '../../../test/unit/data-support.ts';
import { type Door, fuzzFile, type Input, withFile } from '../door.ts';
import { mutateBytes } from '../mutate/bytes.ts';
import { mutateJson } from '../mutate/json.ts';
import { mutatePng } from '../mutate/png.ts';
import { PREPROCESSOR } from './onnx.ts';
import { openData } from './tables.ts';

const noise = (length: number, seed: number) => {
  const random = rng(seed);
  return Uint8Array.from({ length }, () => random.int(256));
};

const jpeg = (side: number, quality: number): Uint8Array =>
  new Uint8Array(encode({ width: side, height: side, data: noise(4 * side * side, side) }, quality).data);

/** The smallest file of a kind that is not read outside the browser. */
const GIF = Uint8Array.from([...'GIF89a'].map((c) => c.charCodeAt(0)).concat([1, 0, 1, 0, 0, 0, 0, 0x3b]));
const BMP = Uint8Array.from([
  0x42, 0x4d, 58, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,
]);

const told = { task: 'image' };

/** Two classes of a few pictures, the first of which is the one to spoil. */
function folder(name: string, bytes: Uint8Array): Input {
  const plain = encodePng(noise(16, 3), 4, 4, 1);
  const files: InputFile[] = [fuzzFile(`cat/${name}`, bytes)];
  for (let i = 0; i < 3; i++) files.push(fuzzFile(`cat/${i}.png`, plain), fuzzFile(`dog/${i}.png`, plain));
  return { files, told };
}

const palette = { depth: 4, colour: 3, palette: [0, 0, 0, 255, 0, 0, 0, 255, 0], alpha: [0, 128] };

const pictures = (): Input[] => [
  folder('a.png', encodePng(noise(64, 1), 8, 8, 1)),
  folder('b.png', encodePng(noise(3 * 9 * 5, 2), 9, 5, 3)),
  folder(
    'c.png',
    png(3, 2, {
      ...palette,
      rows: [
        [0x01, 0x20],
        [0x10, 0x20],
      ],
    }),
  ),
  folder(
    'd.png',
    png(2, 2, { depth: 16, colour: 6, rows: [Array(16).fill(200), Array(16).fill(7)], filters: [1, 4] }),
  ),
  folder('e.jpg', jpeg(8, 60)),
  folder('f.jpeg', jpeg(24, 20)),
  folder('g.gif', GIF),
  folder('h.bmp', BMP),
  ...[3, 4, 5].map((seed) => ({
    ...folder('i.png', encodePng(noise(3 * 40 * 30, seed), 40, 30, 3)),
    told: { ...told, preprocessor: JSON.stringify(PREPROCESSOR) },
  })),
];

/** Of one colour, or noise that packs to nothing smaller. */
function largePicture(random: Rng): Input {
  const side = () => random.pick([1000, 1600, 2500, 4000, 6000]);
  const [width, height, channels] = [side(), side(), random.pick([1, 3] as const)];
  const isNoise = random.chance(0.4) && width * height < 4e6;
  const pixels = isNoise ? noise(width * height * channels, 1) : new Uint8Array(width * height * channels);
  return random.chance(0.25)
    ? folder('a.jpg', jpeg(Math.min(width, 1000), random.pick([5, 90])))
    : folder('a.png', encodePng(pixels, width, height, channels));
}

/** Small ones for a model that takes large ones. */
function manyPictures(random: Rng): Input {
  const [small] = [random.pick([1, 4, 28])];
  const bytes = encodePng(noise(small * small, 7), small, small, 1);
  const count = random.pick([300, 2000, 6000]);
  const size = random.pick([96, 224, 384]);
  return {
    files: Array.from({ length: count }, (_, i) =>
      fuzzFile(`${i % 2 === 0 ? 'cat' : 'dog'}/${i}.png`, bytes),
    ),
    told: {
      ...told,
      preprocessor: JSON.stringify({
        ...PREPROCESSOR,
        do_center_crop: false,
        size: { height: size, width: size },
      }),
    },
  };
}

export const picture: Door = {
  name: 'picture',
  about:
    'pictures by folder: PNG chunk by chunk, JPEG, kinds that are not read; and what a model wants of them',
  seeds: pictures,
  weight: 1.5,
  mutate(input, random) {
    const [first, ...others] = input.files;
    const { preprocessor } = input.told ?? {};
    if (typeof preprocessor === 'string' && random.chance(0.9))
      return { ...input, told: { ...told, preprocessor: mutateJson(preprocessor, random) } };
    const bytes =
      first!.name.endsWith('.png') && random.chance(0.85)
        ? mutatePng(first!.bytes, random)
        : mutateBytes(first!.bytes, random);
    // Alone it is an error where beside others it is a note.
    return { files: [{ ...first!, bytes }, ...(random.chance(0.2) ? others.slice(-1) : others)], told };
  },
  enlarge: (_, random) => (random.chance(0.5) ? largePicture(random) : manyPictures(random)),
  open: openData,
};

function idx(shape: readonly number[], data: Uint8Array, type = 8): Uint8Array {
  const out = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(out.buffer);
  out.set([0, 0, type, shape.length]);
  shape.forEach((size, i) => {
    view.setUint32(4 + 4 * i, size);
  });
  out.set(data, 4 + 4 * shape.length);
  return out;
}

const pair = (images: Uint8Array, labels: Uint8Array, end = ''): Input => ({
  files: [
    fuzzFile(`train-images-idx3-ubyte${end}`, images),
    fuzzFile(`train-labels-idx1-ubyte${end}`, labels),
  ],
  told,
});
const LABELS = idx([6], Uint8Array.of(3, 7, 3, 7, 3, 7));

/** Files that fit each other, of a form that nobody publishes. */
function oddPair(random: Rng): Input {
  const count = random.pick([1, 2, 6, 500]);
  const side = () => random.pick([1, 2, 5, 28, 300, 30000]);
  const depth = random.chance(0.3) ? [random.pick([1, 2, 3, 4])] : [];
  const shape = [count, side(), side(), ...depth];
  const size = shape.reduce((a, b) => a * b, 1);
  if (size > 300_000) return pair(idx([count, 1, 1], new Uint8Array(count)), idx([count], noise(count, 1)));
  return pair(idx(shape, new Uint8Array(size)), idx([count], noise(count, 2)));
}

const SIDES = [0, 1, 2, 3, 6, 1000, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff];

function mutateIdx(bytes: Uint8Array, random: Rng): Uint8Array {
  if (random.chance(0.3)) return mutateBytes(bytes, random);
  if (random.chance(0.3)) {
    // A whole file of a form that nobody publishes.
    const shape = Array.from({ length: 1 + random.int(4) }, () => random.pick([0, 1, 2, 3, 6, 40, 3000]));
    const count = shape.reduce((a, b) => a * b, 1);
    return count <= 200_000 ? idx(shape, new Uint8Array(count)) : idx(shape, new Uint8Array(6));
  }
  const out = bytes.slice();
  const view = new DataView(out.buffer);
  for (let changes = 1 + random.int(3); changes > 0; changes--) {
    if (random.chance(0.3)) out[random.int(4)] = random.pick([0, 1, 2, 3, 4, 8, 9, 13, 14, 255]);
    else view.setUint32(4 + 4 * random.int(Math.min(3, (out.length - 4) >> 2)), random.pick(SIDES));
  }
  return out;
}

export const idxDoor: Door = {
  name: 'idx',
  about: 'IDX arrays of pictures and labels, packed or not',
  weight: 2,
  seeds: () => [
    pair(idx([6, 8, 8], noise(384, 5)), LABELS),
    pair(idx([6, 5, 3, 3], noise(270, 6)), LABELS),
    pair(gzipSync(idx([6, 8, 8], noise(384, 5))), gzipSync(LABELS), '.gz'),
  ],
  mutate: (input, random) =>
    random.chance(0.25) ? oddPair(random) : withFile(input, random, (bytes) => mutateIdx(bytes, random)),
  enlarge(_, random) {
    const count = random.pick([1000, 10_000, 60_000]);
    const side = random.pick([1, 4, 28]);
    const images = idx(
      [count, side, side],
      random.chance(0.5) ? noise(count * side * side, 3) : new Uint8Array(count * side * side),
    );
    const labels = idx(
      [count],
      noise(count, 4).map((v) => v % 10),
    );
    const size = random.pick([4, 32, 224]);
    const preprocessor = JSON.stringify({
      ...PREPROCESSOR,
      do_center_crop: false,
      size: { height: size, width: size },
    });
    const files = random.chance(0.5) ? pair(images, labels) : pair(gzipSync(images), gzipSync(labels), '.gz');
    return { ...files, told: { ...told, preprocessor } };
  },
  open: openData,
};
