/** Lowers one matrix product, batched and with its epilogue, to dispatches of matmul.wgsl; chooses among its variants. */
import { sizeOf } from '../graph/shape.ts';
import type { Caps, Dispatch, Kernel, Ref } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { addParts } from './addParts.ts';
import { mergeAxes, perElement, rowParts } from './dispatch.ts';
import { type Epilogue, epilogueParts } from './epilogue.ts';
import { type QuantFormat, quantConditions, quantConstants, quantLayout, quantParams } from './quantised.ts';
import {
  isSkinny,
  type SkinnyForm,
  skinnyChunk,
  skinnyDispatch,
  skinnyForm,
  skinnyForms,
  skinnyWork,
} from './skinny.ts';

/**
 * How the work is cut: an entry of matmul.wgsl, threads along n and m, columns and rows of C per thread, k staged at a time. No choice among
 * them changes the order of a sum, so a tuner may take any.
 */
export interface GemmVariant {
  readonly entry: 'direct' | 'tiled';
  readonly threads: readonly [number, number];
  readonly block: readonly [4 | 8, 4 | 8 | 16];
  readonly depth: 4 | 8 | 16;
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
} as const satisfies Record<string, GemmVariant>;

export type GemmVariantName = keyof typeof gemmVariants;

/** What a tuner or a test may ask for: a cut of matmul.wgsl, or a form of skinny.wgsl. */
export type ProductVariant = GemmVariantName | SkinnyForm;

const isForm = (name: ProductVariant | undefined): name is SkinnyForm =>
  skinnyForms.some((form) => form === name);

/** Rows and columns of C that a workgroup makes. */
const tileOf = ({ threads, block }: GemmVariant): [rows: number, columns: number] => [
  threads[1] * block[1],
  threads[0] * block[0],
];

/** Bytes of workgroup memory: both tiles, and two vectors of air after every fourth k. */
export function workgroupBytes(variant: GemmVariant): number {
  if (variant.entry === 'direct') return 0;
  const [rows, columns] = tileOf(variant);
  return 4 * variant.depth * (rows + columns + 4);
}

export interface Gemm {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Batch axes of the result, and the steps of A and B along them in elements (0: broadcast). */
  readonly batch: readonly number[];
  readonly aStrides: readonly number[];
  readonly bStrides: readonly number[];
  /** Of the result and of what its epilogue reads and writes beside it; absent: one matrix after the other. */
  readonly cStrides?: readonly number[] | undefined;
  /** Elements from a stored row to the next; absent: the rows lie close together. */
  readonly lda?: number | undefined;
  readonly ldb?: number | undefined;
  readonly ldc?: number | undefined;
  /** What lies between the rows of C may be overwritten. */
  readonly cRoom?: boolean | undefined;
  readonly transA: boolean;
  readonly transB: boolean;
  readonly alpha: number;
  /** B is stored as f16. */
  readonly bHalf: boolean;
  /** B is packed codes; then it is one matrix for all batches. */
  readonly bQuant?: QuantFormat | undefined;
  readonly a: Ref;
  readonly b: Ref;
  readonly c: Ref;
  /**
   * A second pair of f32 operands whose product is added before the epilogue: a [m, k], b as the first one lies, [n, k] with `transB` and
   * else [k, n]. Only with alpha 1, without batch axes, a transposed a, a scale, the raw product, or both a slope and a bias.
   */
  readonly second?: { readonly k: number; readonly a: Ref; readonly b: Ref } | undefined;
  readonly epilogue?: Epilogue;
  readonly variant?: ProductVariant | undefined;
  /** Where the sums of splits go, so many bytes; absent: into a kernel's first scratch buffer. */
  readonly scratch?: ((bytes: number) => Ref) | undefined;
}

/** A shape of a product, batches multiplied out. */
type Sizes = Pick<Gemm, 'm' | 'n' | 'k'> & { readonly batches: number };

const tilesOf = (variant: GemmVariant, { m, n, batches }: Sizes): number => {
  const [rows, columns] = tileOf(variant);
  return Math.ceil(m / rows) * Math.ceil(n / columns) * batches;
};

/** Whether the sum is so long that a result of few tiles is better split than cut small. */
const isLong = ({ m, n, k }: Sizes): boolean => k >= 4096 && m >= 64 && n >= 64;

/** Tiles that a result should have: enough for a large GPU. */
const ENOUGH = 96;

/** The form that suits a shape on most GPUs: large tiles where enough of them remain, or splits make them enough. Every device can run it. */
function usualVariant(sizes: Sizes): GemmVariantName {
  const { m, n, k } = sizes;
  if (k < 16 || m < 16 || n < 16) return 'direct4';
  if (m <= 32 || n <= 32) return 'tiled32x32';
  if (k >= 64 && tilesOf(gemmVariants.tiled128x64, sizes) >= 256) return 'tiled128x64';
  if (isLong(sizes)) return m >= 256 ? 'tiled128x64' : 'tiled64x64';
  return tilesOf(gemmVariants.tiled64x64, sizes) >= ENOUGH ? 'tiled64x64' : 'tiled32x32';
}

/** A pure choice by shape and device class, so that a plan is the same wherever it is made. */
export function chooseVariant(sizes: Sizes, caps: Caps): GemmVariantName {
  if (caps.software) {
    if (sizes.m < 16 || sizes.n < 8) return 'direct4';
    return sizes.n > 32 ? 'direct16' : 'direct16narrow';
  }
  const usual = usualVariant(sizes);
  const { threads } = gemmVariants[usual];
  const fits =
    threads[0] * threads[1] <= caps.maxInvocationsPerWorkgroup &&
    workgroupBytes(gemmVariants[usual]) <= caps.maxWorkgroupStorageBytes;
  return fits ? usual : 'direct4';
}

/**
 * Splits of k: only where the result has too few tiles to fill a device and k is long (a loss over 50,000 classes, dW over many tokens).
 * It decides the order of the sum, so it looks at the shape alone.
 */
export function chooseSplits(sizes: Sizes): number {
  const { k } = sizes;
  const tiles = tilesOf(gemmVariants[usualVariant(sizes)], sizes);
  if (k < 512 || tiles >= (isLong(sizes) ? 256 : ENOUGH)) return 1;
  const [aim, least] = isLong(sizes) ? [512, 1024] : [256, 256];
  return Math.max(1, Math.min(Math.ceil(aim / tiles), Math.floor(k / least), 32));
}

/** Where C lies: elements from row to row, along the three batch axes and from split to split. */
interface Layout {
  readonly ldc: number;
  readonly strides: readonly number[];
  readonly split: number;
}

/** A product cut into dispatches: how its batch axes merge, and how k and the rows of B are divided. */
interface Cut {
  /** Three merged batch axes, and the strides of a and b along them. */
  readonly shape: readonly number[];
  readonly aStrides: readonly number[];
  readonly bStrides: readonly number[];
  readonly batches: number;
  readonly c: Layout;
  /** Whether the rows of C are written in vectors of four. */
  readonly vecC: boolean;
  readonly variant: GemmVariant;
  /** Of skinny.wgsl, where that makes the product. */
  readonly skinny: SkinnyForm | null;
  readonly parts: ReturnType<typeof partsOf>;
  /** Whether the parts of B divide k. */
  readonly inParts: boolean;
  /** Numbers of k in a split, and splits; the sums of more than one are added up afterwards. */
  readonly chunk: number;
  readonly splits: number;
}

/** Elements of a stored row of A, of B (words where it is packed) and of C. */
const rowA = ({ lda, transA, m, k }: Gemm): number => lda ?? (transA ? m : k);
const rowB = ({ ldb, bQuant, transB, k, n }: Gemm): number =>
  bQuant ? quantLayout(bQuant).stride : (ldb ?? (transB ? k : n));
const rowC = ({ ldc, n }: Gemm): number => ldc ?? n;

/** Steps along batch axes of matrices that follow each other, `size` elements each. */
function following(batch: readonly number[], size: number): number[] {
  return batch.map((_, i) => sizeOf(batch.slice(i + 1)) * size);
}

function cutOf(gemm: Gemm, caps: Caps): Cut {
  const { m, n, k, batch } = gemm;
  const ldc = rowC(gemm);
  const merged = mergeAxes(batch, [gemm.aStrides, gemm.bStrides, gemm.cStrides ?? following(batch, m * ldc)]);
  if (merged.shape.length > 3) fail('shape', `matmul: batch axes [${batch}] do not merge into three.`);
  const three = (values: readonly number[], fill: number): number[] => [
    ...new Array<number>(3 - values.length).fill(fill),
    ...values,
  ];
  const shape = three(merged.shape, 1);
  const batches = sizeOf(shape);
  const sizes = { m, n, k, batches };
  const parts = partsOf(gemm, caps);
  // Parts of B along k are splits already.
  const inParts = parts.length > 1 && !gemm.transB;
  const skinny = parts.length === 1 && batches === 1 ? skinnyOf(gemm, caps) : null;
  const wanted = inParts ? 1 : chooseSplits(sizes);
  const chunk = skinny ? skinnyChunk(gemm) : Math.ceil(k / wanted / 16) * 16;
  const [aStrides, bStrides, strides] = merged.strides.map((s) => three(s, 0)) as [
    number[],
    number[],
    number[],
  ];
  const named = isForm(gemm.variant) ? undefined : gemm.variant;
  return {
    ...{ shape, aStrides, bStrides, batches },
    c: { ldc, strides, split: 0 },
    vecC: (vector(n) || gemm.cRoom === true) && [ldc, ...strides].every(vector),
    variant: gemmVariants[named ?? chooseVariant(sizes, caps)],
    ...{ skinny, parts, inParts, chunk, splits: inParts ? parts.length : Math.max(1, Math.ceil(k / chunk)) },
  };
}

/** The form of skinny.wgsl for a product that is one for it. */
function skinnyOf(gemm: Gemm, caps: Caps): SkinnyForm | null {
  const { variant, bHalf, bQuant, second } = gemm;
  if (bHalf || bQuant || second || !isSkinny(gemm)) return null;
  if (variant === undefined) return skinnyForm(caps);
  return isForm(variant) ? variant : null;
}

/** Whether a size is read and written in vectors of four. */
const vector = (size: number): boolean => size % 4 === 0;

export function gemmKernel(gemm: Gemm, caps: Caps): Kernel {
  const cut = cutOf(gemm, caps);
  if (cut.splits === 1) {
    const end = { c: gemm.c, epilogue: gemm.epilogue ?? {} };
    return { dispatches: cut.parts.map((_, i) => partDispatch(gemm, cut, end, i)) };
  }
  const width = cut.vecC ? 4 : 1;
  const columns = Math.ceil(gemm.n / width);
  const matrix = gemm.m * columns * width;
  const total = cut.batches * matrix;
  const partial = { ldc: columns * width, strides: following(cut.shape, matrix), split: total };
  const bytes = total * cut.splits * 4;
  const sums = gemm.scratch?.(bytes) ?? { scratch: 0 };
  const end = { c: sums, epilogue: {} };
  const last = epilogueParts(gemm.c, gemm.epilogue ?? {}, cut.vecC, sums);
  const [groupsX, groupsY] = perElement(matrix / width);
  const sum: Dispatch = {
    shader: 'matmulSplit.wgsl',
    entry: 'sum_splits',
    conditions: last.conditions,
    constants: last.constants,
    params: [
      ...[matrix / width, columns, cut.splits, cut.shape[1]!, cut.shape[2]!],
      ...[cut.c.ldc, total, 0, ...cut.c.strides].map((step) => step / width),
      0,
    ],
    bindings: [sums, sums, ...last.bindings],
    workgroups: [groupsX, groupsY, cut.batches],
  };
  const main = cut.parts.map((_, i) => partDispatch(gemm, { ...cut, c: partial }, end, i));
  // Without gaps and an epilogue the result is the plain sum of the splits.
  const together = columns * width === gemm.n && rowC(gemm) === gemm.n && areTogether(cut, matrix);
  const bare = Object.values(gemm.epilogue ?? {}).every((part) => part === undefined || part === 'none');
  const { scratch } = sums;
  const out = gemm.c.offsetBytes === undefined ? gemm.c.out : undefined;
  return {
    // A part of a larger kernel: that one has the scratch buffers.
    ...(!gemm.scratch && { scratchBytes: [bytes] }),
    dispatches: [...main, sum],
    ...(together &&
      bare &&
      scratch !== undefined &&
      out !== undefined && { partials: addParts([{ scratch, out, parts: cut.splits, count: total }]) }),
  };
}

/** Whether the batches of C follow each other without gaps, `size` elements each. */
const areTogether = ({ shape, c }: Cut, size: number): boolean =>
  following(shape, size).every((step, i) => shape[i] === 1 || step === c.strides[i]);

/** Where a dispatch of matmul.wgsl stores, and what happens to the numbers before. */
interface End {
  readonly c: Ref;
  readonly epilogue: Epilogue;
}

/** The product with part `i` of B; {@link gemmWork} reads its params. */
function partDispatch(gemm: Gemm, cut: Cut, { c: to, epilogue }: End, i: number): Dispatch {
  const { m, n, k, bQuant } = gemm;
  const { shape, batches, variant, inParts, c } = cut;
  if (cut.skinny) {
    const strides = { lda: rowA(gemm), ldb: rowB(gemm) };
    return skinnyDispatch(
      { ...gemm, ...strides },
      { c: to, ldc: c.ldc, part: c.split, epilogue },
      cut.skinny,
    );
  }
  const { first, end: last, ref } = cut.parts[i]!;
  // Of parts of k the last one goes on.
  const second = inParts && i < cut.parts.length - 1 ? undefined : gemm.second;
  const end = epilogueParts(to, epilogue, cut.vecC, gemm.a, second);
  const along = gemm.transB ? { n: [first, last], k: [0, k] } : { n: [0, n], k: [first, last] };
  const splits = inParts ? 1 : cut.splits;
  const [rows, columns] = tileOf(variant);
  const groups = [Math.ceil((along.n[1]! - along.n[0]!) / columns), Math.ceil(m / rows)] as const;
  // The larger operand is read once, while the smaller one stays in the cache.
  const mFirst = variant.entry === 'tiled' && n > m;
  return {
    shader: 'matmul.wgsl',
    entry: variant.entry,
    conditions: {
      TRANS_A: gemm.transA,
      TRANS_B: gemm.transB,
      VEC_A: [rowA(gemm), ...cut.aStrides].every(vector),
      VEC_B: !bQuant && [rowB(gemm), ...cut.bStrides].every(vector),
      B_F16: gemm.bHalf,
      SECOND: second !== undefined,
      VEC_2: second !== undefined && [second.k, ...(gemm.transB ? [] : [n])].every(vector),
      GUARD: [k, second?.k ?? 0].some((size) => size % variant.depth !== 0),
      TALL: variant.block[1] === 8,
      HUGE: variant.block[1] === 16,
      WIDE: variant.block[0] === 8,
      ...quantConditions(bQuant),
      ...end.conditions,
    },
    constants: {
      ...{ TX: variant.threads[0], TY: variant.threads[1] },
      ...(variant.entry === 'tiled' && { DEPTH: variant.depth }),
      ...quantConstants(bQuant),
      ...end.constants,
    },
    params: [
      ...[m, n, k, cut.chunk, splits],
      { f32: gemm.alpha },
      ...[shape[1]!, shape[2]!, along.n[0]!, along.n[1]!, along.k[0]!, along.k[1]!],
      ...[...cut.aStrides, 0],
      ...[...cut.bStrides, 0],
      ...[...c.strides, 0],
      ...[rowA(gemm), bQuant ? 0 : rowB(gemm), c.ldc],
      ...[inParts ? i : 0, c.split, first * rowB(gemm), mFirst ? 1 : 0, second?.k ?? 0],
      ...quantParams(bQuant),
    ],
    bindings: [gemm.a, ref, ...end.bindings],
    workgroups: [...(mFirst ? ([groups[1], groups[0]] as const) : groups), batches * splits],
  };
}

/** B's rows as they can be bound: all at once, unless it is one matrix beyond the binding limit. */
function partsOf(gemm: Gemm, caps: Caps): { first: number; end: number; ref: Ref }[] {
  const rows = gemm.transB ? gemm.n : gemm.k;
  if (gemm.batch.length > 0) return [{ first: 0, end: rows, ref: gemm.b }];
  return rowParts(gemm.b, rows, rowB(gemm) * (gemm.bHalf ? 2 : 4), caps.maxStorageBindingBytes);
}

/** Where the params of matmul.wgsl have the length of the second sum. */
const SECOND_K = 31;

/** Multiplications of a product's dispatch, of either shader; null for any other. */
export function gemmWork(dispatch: Dispatch): number | null {
  const { shader, params, workgroups } = dispatch;
  if (shader === 'skinny.wgsl') return skinnyWork(dispatch);
  if (shader !== 'matmul.wgsl') return null;
  // As `partDispatch` lays them out: m, n, k, chunk, splits, …, the columns and the part of the sum that this dispatch is for.
  const [m, , , , splits, , , , nFirst, nEnd, kFirst, kEnd] = params as number[];
  return (
    (m! * (nEnd! - nFirst!) * (kEnd! - kFirst! + (params[SECOND_K] as number)) * workgroups[2]) / splits!
  );
}
