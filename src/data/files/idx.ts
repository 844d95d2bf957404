/**
 * IDX files, as MNIST and its relatives are published: two zero bytes, the element type (8 = unsigned byte), the number
 * of dimensions, each dimension as a big-endian 32-bit number, then the elements. Pairs `…-images…` and `…-labels…`.
 */
import type { InputFile } from '../../lib/bytes.ts';
import { fail } from '../../lib/errors.ts';
import { sizeOf } from '../../lib/numbers.ts';
import { say } from '../../lib/say.ts';
import { KEPT_AT_SIZE, pictureSplit, prepared } from '../pictures.ts';
import type { Preprocessing } from '../preprocessing.ts';
import { orderLabels, requireHeld, stratifiedSplit } from '../rows.ts';
import type { ImageDataset } from '../types.ts';
import { baseName, extension, gunzip } from './bytes.ts';

export interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Reads unsigned bytes of 1 to 4 dimensions; the file must be exactly as long as its header says. */
export function readIdx(bytes: Uint8Array, name: string): IdxArray {
  if (bytes.length < 8 || bytes[0] !== 0 || bytes[1] !== 0)
    fail('bad-data', say`${name} does not begin as an IDX file does.`);
  if (bytes[2] !== 8)
    fail('bad-data', say`${name} holds elements of IDX type ${bytes[2]!}; only unsigned bytes (8) are read.`);
  const rank = bytes[3]!;
  if (rank < 1 || rank > 4)
    fail('bad-data', say`${name} has ${rank} dimensions; labels have 1, pictures 3 or 4.`);
  const start = 4 + 4 * rank;
  if (bytes.length < start) fail('bad-data', say`${name} is cut short in its header.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, d) => view.getUint32(4 + 4 * d));
  const count = sizeOf(shape);
  if (count !== bytes.length - start)
    fail(
      'bad-data',
      say`${name} should hold ${shape.join(' × ')} bytes but has ${bytes.length - start}; download it again.`,
    );
  return { shape, data: bytes.subarray(start) };
}

export const isIdxName = (path: string): boolean =>
  /idx\d[-.]?ubyte(\.gz)?$/i.test(path) || /\.idx(\.gz)?$/i.test(path);

interface Pair {
  readonly prefix: string;
  readonly images: IdxArray;
  readonly labels: IdxArray;
}

/**
 * A dataset from one pair, split by seed, or from two (`train-…` and `t10k-…` or `test-…`), the second held.
 */
export function idxDataset(
  name: string,
  files: readonly InputFile[],
  steps: Preprocessing,
  options: { readonly seed: number; readonly labels?: readonly string[] },
): ImageDataset {
  const pairs = readPairs(files);
  const heldPair = pairs.length > 1 ? pairs.find((p) => /^(t10k|test|val)/i.test(p.prefix)) : undefined;
  const trainPair = pairs.find((p) => p !== heldPair)!;
  const { width, height, channels } = steps;
  const first = picturesOf(trainPair, steps);
  const seen = (pair: Pair): string[] => [...new Set(pair.labels.data)].map(String);
  const names = orderLabels([...seen(trainPair), ...(heldPair ? seen(heldPair) : [])], name, options.labels);
  const numbers = new Map(names.map((label, i) => [Number(label), i]));
  const labelsOf = (pair: Pair): Uint32Array => Uint32Array.from(pair.labels.data, (v) => numbers.get(v)!);
  const labels = labelsOf(trainPair);
  const base = { kind: 'image', name, width, height, channels, labels: names } as const;
  if (heldPair) {
    const all = (n: number): Uint32Array => Uint32Array.from({ length: n }, (_, i) => i);
    return {
      ...base,
      train: pictureSplit(first, labels, all(labels.length)),
      held: pictureSplit(picturesOf(heldPair, steps), labelsOf(heldPair), all(heldPair.labels.data.length)),
    };
  }
  const split = requireHeld(stratifiedSplit(labels, options.seed), name);
  return {
    ...base,
    train: pictureSplit(first, labels, split.train),
    held: pictureSplit(first, labels, split.held),
  };
}

function readPairs(files: readonly InputFile[]): Pair[] {
  const read = (file: InputFile): IdxArray =>
    readIdx(extension(file.name) === 'gz' ? gunzip(file.bytes, file.name) : file.bytes, file.name);
  const idx = files.filter((file) => isIdxName(file.name));
  const pairs = idx.flatMap((file): Pair[] => {
    const at = baseName(file.name).search(/[-_.]?images/i);
    if (at < 0) return [];
    const prefix = baseName(file.name).slice(0, at);
    const partner = idx.find((other) =>
      baseName(other.name).toLowerCase().startsWith(`${prefix}-labels`.toLowerCase()),
    );
    if (!partner)
      return fail(
        'bad-data',
        say`${file.name} has no labels: put the file ${prefix}-labels-idx1-ubyte beside it.`,
      );
    const [images, labels] = [read(file), read(partner)];
    if (images.shape.length < 3)
      fail('bad-data', say`${file.name} holds no pictures: it has ${images.shape.length} dimension(s).`);
    if (labels.shape.length !== 1)
      fail('bad-data', say`${partner.name} holds no labels: it has ${labels.shape.length} dimensions.`);
    if (images.shape[0] !== labels.shape[0])
      fail(
        'bad-data',
        say`${file.name} has ${images.shape[0]!} pictures but ${partner.name} has ${labels.shape[0]!} labels.`,
      );
    if (images.shape[0] === 0) fail('bad-data', say`${file.name} is empty: it holds no picture.`);
    return [{ prefix, images, labels }];
  });
  if (pairs.length === 0)
    fail('bad-data', say`There are IDX files but none named "…-images…"; keep the published names.`);
  return pairs;
}

/** The pictures of a pair by number, through the model's own preprocessing: [C, H, W]. */
function picturesOf(pair: Pair, steps: Preprocessing): (i: number) => Uint8Array {
  const [n = 0, height = 0, width = 0, depth = 1] = pair.images.shape;
  if (height === 0 || width === 0 || (depth !== 1 && depth !== 3))
    fail(
      'bad-data',
      say`The pictures of ${pair.prefix} are ${height} × ${width} × ${depth}; they need pixels and one or three channels.`,
    );
  const area = height * width;
  const rgba = new Uint8Array(4 * area).fill(255);
  const made = (i: number): Uint8Array => {
    const from = pair.images.data.subarray(i * area * depth, (i + 1) * area * depth);
    for (let p = 0; p < area; p++)
      for (let c = 0; c < 3; c++) rgba[4 * p + c] = from[p * depth + (depth === 3 ? c : 0)]!;
    return prepared({ width, height, rgba }, steps);
  };
  made(0);
  const size = steps.channels * steps.height * steps.width;
  // Made when first asked for; then kept where all of them take little, else made each time from what the file holds.
  if (n * size > Math.max(KEPT_AT_SIZE, 2 * pair.images.data.length)) return made;
  const kept: (Uint8Array | undefined)[] = [];
  return (i) => {
    kept[i] ??= made(i);
    return kept[i];
  };
}
