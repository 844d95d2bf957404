/**
 * The ways to cut a matrix product (matmul.wgsl), the one that suits a shape on a kind of device, and the classes of products for which a tuner may
 * choose another. No way changes the order of a sum; what does, the splits of k, follows from the shape alone.
 */
import type { Caps, Tuned } from '../graph/types.ts';

/** An entry of matmul.wgsl, threads along n and m, columns and rows of C per thread, k staged at a time. */
export interface GemmVariant {
  readonly entry: 'direct' | 'tiled';
  readonly threads: readonly [number, number];
  readonly block: readonly [4 | 8, 4 | 8 | 16];
  readonly depth: 4 | 8 | 16;
  /** Neighbouring workgroups step along the shorter side of C instead of the longer one. */
  readonly turned?: true;
}

/** The choices by name; the tiled ones by the rows and columns of C in a workgroup. */
export const gemmVariants = {
  /** No workgroup memory, no barrier: small results. */
  direct4: { entry: 'direct', threads: [8, 8], block: [4, 4], depth: 4 },
  /** For GPUs that would rather read again than wait at a barrier. */
  direct8: { entry: 'direct', threads: [8, 8], block: [4, 8], depth: 4 },
  /** For adapters on a CPU, where a load costs as much as thirty multiplications and registers spill cheaply. */
  direct16: { entry: 'direct', threads: [8, 1], block: [8, 16], depth: 4 },
  /** The same where C has at most 32 columns. */
  direct16narrow: { entry: 'direct', threads: [4, 2], block: [8, 16], depth: 4 },
  tiled32x32: { entry: 'tiled', threads: [8, 8], block: [4, 4], depth: 16 },
  tiled32x64: { entry: 'tiled', threads: [8, 8], block: [8, 4], depth: 16 },
  /** 128 threads: one warp for each of the four schedulers of a multiprocessor. */
  tiled64x64: { entry: 'tiled', threads: [16, 8], block: [4, 8], depth: 16 },
  tiled64x64wide: { entry: 'tiled', threads: [8, 8], block: [8, 8], depth: 8 },
  /** With 8 of k, a thread has one block of the next step in registers, not two. */
  tiled128x64: { entry: 'tiled', threads: [8, 16], block: [8, 8], depth: 8 },
  tiled128x64deep: { entry: 'tiled', threads: [8, 16], block: [8, 8], depth: 16 },
  /** Which operand stays in the cache is the other one. */
  tiled128x64turned: { entry: 'tiled', threads: [8, 16], block: [8, 8], depth: 8, turned: true },
} as const satisfies Record<string, GemmVariant>;

export type GemmVariantName = keyof typeof gemmVariants;

const variantOf = (name: GemmVariantName): GemmVariant => gemmVariants[name];

export const isVariantName = (name: string): name is GemmVariantName => Object.hasOwn(gemmVariants, name);

/** Rows and columns of C that a workgroup makes. */
export const tileOf = ({ threads, block }: GemmVariant): [rows: number, columns: number] => [
  threads[1] * block[1],
  threads[0] * block[0],
];

/** Bytes of workgroup memory: both tiles, and two vectors of air after every fourth k. */
export function workgroupBytes(variant: GemmVariant): number {
  if (variant.entry === 'direct') return 0;
  const [rows, columns] = tileOf(variant);
  return 4 * variant.depth * (rows + columns + 4);
}

type Limits = Pick<Caps, 'maxInvocationsPerWorkgroup' | 'maxWorkgroupStorageBytes'>;

/** Splits at most whose threads make one workgroup, and its threads at most: three warps for each scheduler of a multiprocessor. */
const MOST_FOLDS = 4;
const FOLDED_THREADS = 384;

/**
 * Whether a workgroup takes all splits of its tile and adds them up itself, which saves a dispatch: where they are few, so that their threads are
 * no more than a multiprocessor keeps busy at once. It hands over 16 sums of a thread at a time.
 */
export function takesSplits(variant: GemmVariant, splits: number, limits: Limits): boolean {
  const threads = variant.threads[0] * variant.threads[1];
  return (
    variant.entry === 'tiled' &&
    splits > 1 &&
    splits <= MOST_FOLDS &&
    splits * threads <= Math.min(FOLDED_THREADS, limits.maxInvocationsPerWorkgroup) &&
    splits * workgroupBytes(variant) <= limits.maxWorkgroupStorageBytes &&
    threads * 64 <= workgroupBytes(variant)
  );
}

function isWithin(name: GemmVariantName, limits: Limits): boolean {
  const variant = variantOf(name);
  return (
    variant.threads[0] * variant.threads[1] <= limits.maxInvocationsPerWorkgroup &&
    workgroupBytes(variant) <= limits.maxWorkgroupStorageBytes
  );
}

/** A shape of a product, batches multiplied out. */
export interface Sizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batches: number;
}

const tilesOf = (name: GemmVariantName, { m, n, batches }: Sizes): number => {
  const [rows, columns] = tileOf(gemmVariants[name]);
  return Math.ceil(m / rows) * Math.ceil(n / columns) * batches;
};

/** Whether the sum is so long that a result of few tiles is better split than cut small. */
const isLong = ({ m, n, k }: Sizes): boolean => k >= 4096 && m >= 64 && n >= 64;

/** Tiles that a result should have: enough for a large GPU. */
const ENOUGH = 96;

/** A side of so few is too short for a tile. */
const SHORT = 16;
/** And so few are half a tile at most. */
const NARROW = 32;

/** The form that suits a shape on most GPUs: large tiles where enough of them remain, or splits make them enough. Every device can run it. */
function usualVariant(sizes: Sizes): GemmVariantName {
  const { m, n, k } = sizes;
  if (k < SHORT || m < SHORT || n < SHORT) return 'direct4';
  if (m <= NARROW || n <= NARROW) return 'tiled32x32';
  if (k >= 64 && tilesOf('tiled128x64', sizes) >= 256) return 'tiled128x64';
  if (isLong(sizes)) return m >= 256 ? 'tiled128x64' : 'tiled64x64';
  return tilesOf('tiled64x64', sizes) >= ENOUGH ? 'tiled64x64' : 'tiled32x32';
}

/** The form that suits a shape on the kind of device, where nothing was measured. */
export function defaultVariant(sizes: Sizes, caps: Caps): GemmVariantName {
  const { m, n } = sizes;
  if (caps.software) {
    if (m < SHORT || n < 8) return 'direct4';
    return n > NARROW ? 'direct16' : 'direct16narrow';
  }
  const usual = usualVariant(sizes);
  // Apple's GPUs would rather read again than wait at a barrier.
  if (caps.vendor === 'apple' && usual !== 'direct4') return m > NARROW ? 'direct8' : 'direct4';
  return isWithin(usual, caps) ? usual : 'direct4';
}

/**
 * Splits of k: only where the result has too few tiles to fill a device and k is long (a loss over 50,000 classes, dW over many tokens).
 * It decides the order of the sum, so it looks at the shape alone.
 */
export function chooseSplits(sizes: Sizes): number {
  const { k } = sizes;
  const usual = usualVariant(sizes);
  const tiles = tilesOf(usual, sizes);
  const { enough, aim, least } = isLong(sizes)
    ? SPLITTING.long
    : isBlock(sizes)
      ? SPLITTING.block
      : usual === 'tiled64x64'
        ? SPLITTING.large
        : SPLITTING.small;
  if (k < 512 || tiles >= enough) return 1;
  const splits = Math.max(Math.ceil(aim / tiles), Math.ceil(k / MOST_TERMS));
  return Math.max(1, Math.min(splits, Math.floor(k / least), 32));
}

/** Both sides fit into one small tile: a block of a rotation, of which there are many. */
const isBlock = ({ m, n }: Sizes): boolean => m <= NARROW && n <= NARROW;

/**
 * By kind: tiles that are enough without splits, tiles and splits together that splitting aims at, and terms that a split has at least. 256 tiles of
 * 128 threads are as many threads as keep a large GPU busy, or 512 of 64.
 */
const SPLITTING = {
  long: { enough: 256, aim: 512, least: 1024 },
  block: { enough: 512, aim: 512, least: 64 },
  large: { enough: 256, aim: 256, least: 256 },
  small: { enough: ENOUGH, aim: 256, least: 256 },
} as const;

/** Terms that a split has at most, so that no thread goes through a long sum alone. */
const MOST_TERMS = 5120;

// Classes of products that a tuner tells apart.

/** What of a product besides its sizes decides how fast a variant is. */
export interface Form {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly b: 'f32' | 'f16' | 'packed';
  /** Whether anything happens to an element before it is stored. */
  readonly hasEpilogue: boolean;
}

const LAYOUTS = ['NN', 'NT', 'TN', 'TT'] as const;
const STORED = ['f32', 'f16', 'packed'] as const;
const HEIGHTS = ['m ≤ 64', 'm ≤ 512', 'm > 512', `a side ≤ ${NARROW}`] as const;
const WIDTHS = ['n < 256', 'n ≥ 256'] as const;
const LENGTHS = ['k < 256', 'k ≥ 256'] as const;
const ENDS = ['', 'epilogue'] as const;

const named = (...words: readonly string[]): string => words.filter((word) => word !== '').join(', ');

/** Every class there is. */
export const PRODUCT_CLASSES: readonly string[] = LAYOUTS.flatMap((layout) =>
  HEIGHTS.flatMap((height) =>
    WIDTHS.flatMap((width) =>
      LENGTHS.flatMap((length) =>
        STORED.flatMap((b) => ENDS.map((end) => named(layout, height, width, length, b, end))),
      ),
    ),
  ),
);

/** The class of a product; null for one too small to be worth a choice. */
export function productClass({ m, n, k }: Omit<Sizes, 'batches'>, form: Form): string | null {
  if (m < SHORT || n < SHORT || k < SHORT) return null;
  const height =
    m <= NARROW || n <= NARROW ? HEIGHTS[3] : m <= 64 ? HEIGHTS[0] : m <= 512 ? HEIGHTS[1] : HEIGHTS[2];
  return named(
    LAYOUTS[(form.transA ? 2 : 0) + (form.transB ? 1 : 0)]!,
    height,
    WIDTHS[n < 256 ? 0 : 1],
    LENGTHS[k < 256 ? 0 : 1],
    form.b,
    ENDS[form.hasEpilogue ? 1 : 0],
  );
}

/** Most variants that are tried for a product, its default among them. */
export const MOST_CANDIDATES = 6;

/** What is worth a try by the smaller side of C: the likeliest first. */
const NARROW_CANDIDATES = [
  'tiled32x32',
  'direct8',
  'direct4',
  'direct16narrow',
  'tiled32x64',
  'direct16',
] as const;
const SMALL_CANDIDATES = [
  'tiled64x64',
  'tiled32x32',
  'direct8',
  'tiled32x64',
  'direct4',
  'direct16',
] as const;
const LARGE_CANDIDATES = [
  ...(['tiled128x64', 'tiled64x64', 'direct8', 'tiled128x64deep', 'tiled64x64wide'] as const),
  ...(['tiled128x64turned', 'tiled32x64'] as const),
];

/** What is worth a try for a product on a device: its default first, then others that the device can run, {@link MOST_CANDIDATES} in all. */
export function candidatesOf(sizes: Sizes, caps: Caps): GemmVariantName[] {
  const side = Math.min(sizes.m, sizes.n);
  const others: readonly GemmVariantName[] =
    side <= NARROW ? NARROW_CANDIDATES : side <= 64 ? SMALL_CANDIDATES : LARGE_CANDIDATES;
  const usual = defaultVariant(sizes, caps);
  const able = others.filter((name) => name !== usual && isWithin(name, caps));
  return [usual, ...able].slice(0, MOST_CANDIDATES);
}

/** The variant that a device runs a product in: what was measured for its class, else what suits its kind. A pure choice, so that a plan is the same wherever it is made. */
export function chooseVariant(sizes: Sizes, form: Form, caps: Caps): GemmVariantName {
  const key = caps.tuned && productClass(sizes, form);
  const tuned = key && Object.hasOwn(caps.tuned!, key) ? caps.tuned![key]! : null;
  return tuned !== null && isVariantName(tuned) && isWithin(tuned, caps)
    ? tuned
    : defaultVariant(sizes, caps);
}

/** A table that has every product run in one variant. */
export const allTuned = (name: GemmVariantName): Tuned =>
  Object.fromEntries(PRODUCT_CLASSES.map((key) => [key, name]));
