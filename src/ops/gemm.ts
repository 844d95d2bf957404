/** Lowers one matrix product, batched and with its epilogue, to dispatches of matmul.wgsl; how its work is cut: gemmVariants.ts. */

import { sizeOf } from '../graph/shape.ts';
import type { Caps, Dispatch, Kernel, Ref } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { addParts } from './addParts.ts';
import { divisor, mergeAxes, perElement, rowParts } from './dispatch.ts';
import { type Epilogue, epilogueParts } from './epilogue.ts';
import {
  chooseSplits,
  chooseVariant,
  type Form,
  type GemmVariant,
  type GemmVariantName,
  gemmVariants,
  takesSplits,
  tileOf,
} from './gemmVariants.ts';
import { type QuantFormat, quantConditions, quantConstants, quantLayout, quantParams } from './quantised.ts';
import { isSkinny, type SkinnyForm, skinnyChunk, skinnyDispatch, skinnyForm, skinnyForms } from './skinny.ts';

/** What a tuner or a test may ask for: a cut of matmul.wgsl, or a form of skinny.wgsl. */
export type ProductVariant = GemmVariantName | SkinnyForm;

const isForm = (name: ProductVariant | undefined): name is SkinnyForm =>
  skinnyForms.some((form) => form === name);

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
   * A second pair of f32 operands whose product is added before the epilogue: a [m, groups · k], b as the first one lies, [n, k] with `transB` and
   * else [k, n]. Each of so many groups of columns of the result reads its own k columns of a. Only with alpha 1, without batch axes, a transposed
   * a, a scale, the raw product, or both a slope and a bias.
   */
  readonly second?:
    | { readonly k: number; readonly groups: number; readonly a: Ref; readonly b: Ref }
    | undefined;
  readonly epilogue?: Epilogue;
  readonly variant?: ProductVariant | undefined;
  /** Rows of the product whose piece this is, and by which its sums are split; absent: m. */
  readonly splitAs?: number | undefined;
  /** Where the sums of splits go, so many bytes; absent: into a kernel's first scratch buffer. */
  readonly scratch?: ((bytes: number) => Ref) | undefined;
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
  /** Numbers of k in a split, and splits; the sums of more than one are added up afterwards, or within a workgroup. */
  readonly chunk: number;
  readonly splits: number;
  readonly folded: boolean;
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
  if (merged.shape.length > 3) fail('shape', say`matmul: batch axes [${batch}] do not merge into three.`);
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
  const wanted = inParts ? 1 : chooseSplits({ ...sizes, m: gemm.splitAs ?? m });
  const chunk = skinny ? skinnyChunk(gemm) : Math.ceil(k / wanted / 16) * 16;
  const [aStrides, bStrides, strides] = merged.strides.map((s) => three(s, 0)) as [
    number[],
    number[],
    number[],
  ];
  const splits = inParts ? parts.length : Math.max(1, Math.ceil(k / chunk));
  const named = isForm(gemm.variant) ? undefined : gemm.variant;
  const variant = gemmVariants[named ?? chooseVariant(sizes, formOf(gemm, splits), caps)];
  return {
    ...{ shape, aStrides, bStrides, batches },
    c: { ldc, strides, split: 0 },
    vecC: (vector(n) || gemm.cRoom === true) && [ldc, ...strides].every(vector),
    ...{ variant, skinny, parts, inParts, chunk, splits },
    // A factor would come before the sums elsewhere, and after them here.
    folded: !skinny && !inParts && gemm.alpha === 1 && takesSplits(variant, splits, caps),
  };
}

/** Splits are added up by a dispatch of its own, which has the epilogue, wherever a variant does not take them together. */
const formOf = ({ transA, transB, bHalf, bQuant, epilogue }: Gemm, splits: number): Form => ({
  ...{ transA, transB, b: bQuant ? 'packed' : bHalf ? 'f16' : 'f32' },
  hasEpilogue: splits === 1 && !isBare(epilogue),
});

const isBare = (epilogue: Epilogue = {}): boolean =>
  Object.values(epilogue).every((part) => part === undefined || part === 'none');

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
  if (cut.splits === 1 || cut.folded) {
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
      ...[matrix / width, cut.splits, cut.c.ldc / width, total / width],
      ...[columns, cut.shape[1]!, cut.shape[2]!].flatMap((size) => divisor(size)),
      ...[...cut.c.strides, 0].map((step) => step / width),
      ...[...columnsOf(cut.c), 0].map((step) => step / width),
    ],
    bindings: [sums, sums, ...last.bindings],
    workgroups: [groupsX, groupsY, cut.batches],
  };
  const main = cut.parts.map((_, i) => partDispatch(gemm, { ...cut, c: partial }, end, i));
  // Without gaps and an epilogue the result is the plain sum of the splits.
  const together = columns * width === gemm.n && rowC(gemm) === gemm.n && areTogether(cut, matrix);
  const { scratch } = sums;
  const out = gemm.c.offsetBytes === undefined ? gemm.c.out : undefined;
  return {
    // A part of a larger kernel: that one has the scratch buffers.
    ...(!gemm.scratch && { scratchBytes: [bytes] }),
    dispatches: [...main, sum],
    ...(together &&
      isBare(gemm.epilogue) &&
      scratch !== undefined &&
      out !== undefined && { partials: addParts([{ scratch, out, parts: cut.splits, count: total }]) }),
  };
}

/** Columns of a row of C from a batch to the next along its axes. */
const columnsOf = ({ strides, ldc }: Layout): number[] => strides.map((step) => step % ldc);

/** Whether the batches of C follow each other without gaps, `size` elements each. */
const areTogether = ({ shape, c }: Cut, size: number): boolean =>
  following(shape, size).every((step, i) => shape[i] === 1 || step === c.strides[i]);

/** Where a dispatch of matmul.wgsl stores, and what happens to the numbers before. */
interface End {
  readonly c: Ref;
  readonly epilogue: Epilogue;
}

/** The product with part `i` of B; dispatchedProduct.ts reads its params. */
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
  const splits = inParts || cut.folded ? 1 : cut.splits;
  const [rows, columns] = tileOf(variant);
  const groups = [Math.ceil((along.n[1]! - along.n[0]!) / columns), Math.ceil(m / rows)] as const;
  // The larger operand is read once, while the smaller one stays in the cache.
  const mFirst = variant.entry === 'tiled' && n > m !== (variant.turned === true);
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
      FOLD: cut.folded,
      ...quantConditions(bQuant),
      ...end.conditions,
    },
    constants: {
      ...{ TX: variant.threads[0], TY: variant.threads[1] },
      ...(variant.entry === 'tiled' && { DEPTH: variant.depth }),
      ...(cut.folded && { FOLDS: cut.splits }),
      ...quantConstants(bQuant),
      ...end.constants,
    },
    params: [
      ...[m, n, k, cut.chunk, splits],
      { f32: gemm.alpha },
      ...(second ? [second.groups * second.k, n / second.groups] : [0, n]),
      ...[along.n[0]!, along.n[1]!, along.k[0]!, along.k[1]!],
      ...[...cut.aStrides, 0],
      ...[...cut.bStrides, 0],
      ...[...c.strides, 0],
      ...[rowA(gemm), bQuant ? 0 : rowB(gemm), c.ldc],
      ...[inParts ? i : 0, c.split, first * rowB(gemm), mFirst ? 1 : 0, second?.k ?? 0],
      ...[splits, shape[1]!, shape[2]!].flatMap((size) => divisor(size)),
      ...[...columnsOf(c), 0],
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
