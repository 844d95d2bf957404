/** Lowers products with few columns or rows to skinny.wgsl: what low-rank updates read of an input, and their gradients. */
import type { Caps, Dispatch, Ref } from '../graph/types.ts';
import { type Epilogue, epilogueParts } from './epilogue.ts';

/** Numbers in `Params` of skinny.wgsl. */
const PARAMS = 16;
/** Columns or rows of a result at most. */
const FEW = 32;
/** Shorter sums go the way of all products. */
const LEAST_TERMS = 64;
/** Of the few that a workgroup takes. */
const EIGHT = 8;
/** Lanes that share a sum along rows, and a part of one along columns. */
const ROW_LANES = 8;
const COLUMN_LANES = 16;
/** Threads that a sum along columns is cut into parts for, and the terms that a part has at least, of a long sum and of others. */
const THREADS = 32768;
const LEAST_PART = { long: 128, short: 256 } as const;
const LONG = 512;

/** `lanes`: workgroups that share what they read; `registers`: threads that share nothing, for adapters on a CPU. The same bits. */
export const skinnyForms = ['lanes', 'registers'] as const;

export type SkinnyForm = (typeof skinnyForms)[number];

export interface SkinnySizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transA: boolean;
  readonly transB: boolean;
}

/** Whether skinny.wgsl makes one product of this shape. */
export const isSkinny = ({ m, n, k, transA, transB }: SkinnySizes): boolean =>
  k >= LEAST_TERMS && (transA ? !transB && Math.min(m, n) <= FEW : n <= FEW);

/** Numbers of k in a part of the sum; the order of the sum depends on it, so it looks at the shape alone. */
export function skinnyChunk({ m, n, k, transA }: SkinnySizes): number {
  if (!transA) return k;
  const threads = Math.ceil(Math.max(m, n) / 64) * 256 * Math.ceil(Math.min(m, n) / EIGHT);
  const least = k >= LONG ? LEAST_PART.long : LEAST_PART.short;
  const parts = Math.max(1, Math.min(Math.ceil(THREADS / threads), Math.floor(k / least)));
  const unit = 4 * COLUMN_LANES;
  return Math.ceil(k / unit / parts) * unit;
}

interface SkinnyProduct extends SkinnySizes {
  readonly alpha: number;
  readonly a: Ref;
  readonly b: Ref;
  readonly lda: number;
  readonly ldb: number;
}

/** Where the result lies, elements from row to row and from part to part, and what happens to it before. */
interface SkinnyEnd {
  readonly c: Ref;
  readonly ldc: number;
  readonly part: number;
  readonly epilogue: Epilogue;
}

export function skinnyDispatch(
  product: SkinnyProduct,
  { c, ldc, part, epilogue }: SkinnyEnd,
  form: SkinnyForm,
): Dispatch {
  const { m, n, k, transA, transB, lda, ldb } = product;
  const chunk = skinnyChunk(product);
  const parts = Math.ceil(k / chunk);
  const fewRows = transA && m <= n;
  const tall = form === 'registers' && Math.min(m, n) > EIGHT;
  const [long, few] = fewRows ? [n, m] : [m, n];
  const eights = Math.ceil(few / EIGHT);
  const forms: Record<SkinnyForm, Pick<Dispatch, 'entry' | 'workgroups'>> = {
    lanes: transA
      ? { entry: 'columns_sum', workgroups: [Math.ceil(long / 64), eights, parts] }
      : { entry: 'rows_dot', workgroups: [eights, Math.ceil(m / 16), 1] },
    registers: { entry: 'block_sums', workgroups: [Math.ceil(long / (tall ? 128 : 64)), eights, parts] },
  };
  const end = epilogueParts(c, epilogue, false, product.a);
  return {
    shader: 'skinny.wgsl',
    ...forms[form],
    conditions: {
      TRANS_A: transA,
      TRANS_B: transB,
      VEC_A: lda % 4 === 0,
      VEC_B: ldb % 4 === 0,
      GUARD: form === 'lanes' && !transA && k % 4 !== 0,
      FEW_ROWS: fewRows,
      TALL: tall,
      SECOND: false,
      ...end.conditions,
    },
    constants: end.constants,
    params: [
      ...[m, n, k, chunk],
      { f32: product.alpha },
      ...[lda, ldb, ldc, part],
      // From lane to lane, the length of a lane, from vector to vector, lanes.
      ...(transA
        ? [chunk / COLUMN_LANES, chunk / COLUMN_LANES, 4, COLUMN_LANES]
        : [4, k, 4 * ROW_LANES, ROW_LANES]),
      ...[0, 0, 0],
    ],
    bindings: [product.a, product.b, ...end.bindings],
  };
}

/** The form for a device. */
export const skinnyForm = ({ software }: Caps): SkinnyForm => (software ? 'registers' : 'lanes');

/** Two sums along columns in one dispatch, the first with few columns and the second with few rows; null where they are anything else. */
export function pairOf(first: Dispatch, second: Dispatch): Dispatch | null {
  const isSum = ({ shader, entry, bindings }: Dispatch): boolean =>
    shader === 'skinny.wgsl' && entry === 'columns_sum' && bindings.length === 3;
  const { FEW_ROWS, VEC_A, VEC_B } = second.conditions ?? {};
  if (!isSum(first) || !isSum(second) || first.conditions?.FEW_ROWS || !FEW_ROWS) return null;
  const [[x1, y1, z1], [x2, y2, z2]] = [first.workgroups, second.workgroups];
  return {
    ...first,
    conditions: { ...first.conditions, SECOND: true, VEC_A2: VEC_A!, VEC_B2: VEC_B! },
    params: [...first.params, ...second.params, x1, 0, 0, 0],
    bindings: [...first.bindings, ...second.bindings],
    workgroups: [x1 + x2, Math.max(y1, y2), Math.max(z1, z2)],
  };
}

/** Multiplications of a dispatch of skinny.wgsl. */
export function skinnyWork({ params }: Dispatch): number {
  const of = (at: number): number => (params as number[]).slice(at, at + 3).reduce((n, size) => n * size, 1);
  return of(0) + (params.length > PARAMS ? of(PARAMS) : 0);
}
