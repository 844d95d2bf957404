/** Lowers one matrix product, batched and with its epilogue, to dispatches of matmul.wgsl; chooses among its variants. */
import { sizeOf } from '../graph/shape.ts';
import type { Caps, Dispatch, Kernel, Param, Ref } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { mergeAxes, perElement, rowParts } from './dispatch.ts';
import { type QuantFormat, quantConditions, quantConstants, quantLayout, quantParams } from './quantised.ts';
import type { Activation } from './scalar.ts';
import { scalarFunction } from './scalar.ts';

/** How the work is cut: an entry of matmul.wgsl, threads along n and m, columns and rows of C per thread. */
export interface GemmVariant {
  readonly entry: 'direct' | 'tiled';
  readonly threads: readonly [number, number];
  readonly block: readonly [4 | 8, 4 | 8 | 16];
}

/** The choices by name. Workgroup memory of the tiled ones: 64 bytes per row and column of the tile. */
export const gemmVariants = {
  /** No workgroup memory, no barrier: small results. */
  direct4: { entry: 'direct', threads: [8, 8], block: [4, 4] },
  /** For adapters on a CPU, where a load costs as much as thirty multiplications and registers spill cheaply. */
  direct16: { entry: 'direct', threads: [8, 1], block: [8, 16] },
  tiled32: { entry: 'tiled', threads: [8, 8], block: [4, 4] },
  tiled64: { entry: 'tiled', threads: [16, 16], block: [4, 4] },
  tiled128: { entry: 'tiled', threads: [16, 16], block: [4, 8] },
} as const satisfies Record<string, GemmVariant>;

export type GemmVariantName = keyof typeof gemmVariants;

/** What happens to an element of the product before it is stored, in this order. Results of the shape of C, except where noted. */
export interface Epilogue {
  /** Gets the product as it is. */
  readonly raw?: Ref | undefined;
  /** [n], multiplies the columns; never with `slope`. */
  readonly scale?: Ref | undefined;
  /** [n], is added to the columns. */
  readonly bias?: Ref | undefined;
  /** [n], multiplies the columns after the bias; never with `pre`. */
  readonly gain?: Ref | undefined;
  readonly add?: Ref | undefined;
  /** Gets the value before the activation. */
  readonly pre?: Ref | undefined;
  readonly activation?: Activation;
  /** Multiplies by the slope of `of` at the given values; never with an activation. */
  readonly slope?: { readonly at: Ref; readonly of: Activation } | undefined;
}

/** Conditions, constants and bindings from 3 on of a kernel that ends in lib/epilogue.wgsl. What it does not use is bound to `spare`. */
function epilogueParts(
  c: Ref,
  epilogue: Epilogue,
  vector: boolean,
  spare: Ref,
): Required<Pick<Dispatch, 'conditions' | 'constants' | 'bindings'>> {
  const { raw, scale, bias, gain, pre, activation = 'none', slope, add } = epilogue;
  const curve = slope?.of ?? activation;
  const conditions: Record<string, boolean> = {
    VEC_C: vector,
    RAW: raw !== undefined,
    SCALE: scale !== undefined,
    BIAS: bias !== undefined,
    GAIN: gain !== undefined,
    KEEP_PRE: pre !== undefined,
    ACTIVATE: activation !== 'none',
    SLOPE: slope !== undefined,
    ADD: add !== undefined,
  };
  const slots = [c, scale ?? slope?.at, bias, pre ?? gain, raw, add];
  const used = slots.findLastIndex((ref) => ref !== undefined) + 1;
  return {
    conditions,
    // Without either, the linked shader has no such constant.
    constants: curve === 'none' ? {} : { ACTIVATION: scalarFunction(curve).code },
    bindings: slots.slice(0, used).map((ref) => ref ?? spare),
  };
}

export interface Gemm {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Batch axes of the result, and the steps of A and B along them in elements (0: broadcast). */
  readonly batch: readonly number[];
  readonly aStrides: readonly number[];
  readonly bStrides: readonly number[];
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
  readonly epilogue?: Epilogue;
  readonly variant?: GemmVariantName | undefined;
}

/** A pure choice by shape class and limits, so that a plan is the same wherever it is made. */
export function chooseVariant(m: number, n: number, k: number, batches: number, caps: Caps): GemmVariantName {
  const fits = (name: GemmVariantName): boolean => {
    const { threads, block } = gemmVariants[name];
    return (
      threads[0] * threads[1] <= caps.maxInvocationsPerWorkgroup &&
      (threads[0] * block[0] + threads[1] * block[1]) * 64 <= caps.maxWorkgroupStorageBytes
    );
  };
  const blocks = (rows: number, columns: number): number =>
    Math.ceil(m / rows) * Math.ceil(n / columns) * batches;
  if (caps.software) return m >= 16 && n >= 8 ? 'direct16' : 'direct4';
  if (k < 16 || m < 16 || n < 16) return 'direct4';
  if (blocks(128, 64) >= 256 && k >= 64 && fits('tiled128')) return 'tiled128';
  if (blocks(64, 64) >= 128 && fits('tiled64')) return 'tiled64';
  return fits('tiled32') ? 'tiled32' : 'direct4';
}

/** Splits of k: only where the result is too small to fill a device and k is long (dW over many tokens). */
export function chooseSplits(m: number, n: number, k: number, batches: number): number {
  const blocks = Math.ceil(m / 32) * Math.ceil(n / 32) * batches;
  if (blocks >= 64 || k < 512) return 1;
  return Math.max(1, Math.min(Math.ceil(64 / blocks), Math.floor(k / 128), 16));
}

/** A product cut into dispatches: how its batch axes merge, and how k and the rows of B are divided. */
interface Cut {
  /** Three merged batch axes, and the strides of a and b along them. */
  readonly shape: readonly number[];
  readonly aStrides: readonly number[];
  readonly bStrides: readonly number[];
  readonly batches: number;
  readonly variant: GemmVariant;
  readonly parts: ReturnType<typeof partsOf>;
  /** Whether the parts of B divide k. */
  readonly inParts: boolean;
  /** Numbers of k in a split, and splits; the sums of more than one are added up afterwards. */
  readonly chunk: number;
  readonly splits: number;
}

function cutOf(gemm: Gemm, caps: Caps): Cut {
  const { m, n, k } = gemm;
  const merged = mergeAxes(gemm.batch, [gemm.aStrides, gemm.bStrides]);
  if (merged.shape.length > 3) fail('shape', `matmul: batch axes [${gemm.batch}] do not merge into three.`);
  const three = (values: readonly number[], fill: number): number[] => [
    ...new Array<number>(3 - values.length).fill(fill),
    ...values,
  ];
  const shape = three(merged.shape, 1);
  const batches = sizeOf(shape);
  const parts = partsOf(gemm, caps);
  // Parts of B along k are splits already.
  const inParts = parts.length > 1 && !gemm.transB;
  const wanted = inParts ? 1 : chooseSplits(m, n, k, batches);
  const chunk = Math.ceil(k / wanted / 16) * 16;
  return {
    ...{ shape, aStrides: three(merged.strides[0]!, 0), bStrides: three(merged.strides[1]!, 0), batches },
    variant: gemmVariants[gemm.variant ?? chooseVariant(m, n, k, batches, caps)],
    ...{ parts, inParts, chunk, splits: inParts ? parts.length : Math.max(1, Math.ceil(k / chunk)) },
  };
}

/** Whether a size is read and written in vectors of four. */
const vector = (size: number): boolean => size % 4 === 0;

export function gemmKernel(gemm: Gemm, caps: Caps): Kernel {
  const cut = cutOf(gemm, caps);
  const { n } = gemm;
  const whole = cut.splits === 1;
  const end = epilogueParts(
    whole ? gemm.c : { scratch: 0 },
    whole ? (gemm.epilogue ?? {}) : {},
    vector(n),
    gemm.a,
  );
  const main = cut.parts.map((_, i) => partDispatch(gemm, cut, end, i));
  if (whole) return { dispatches: main };
  const total = cut.batches * gemm.m * n;
  const width = vector(n) ? 4 : 1;
  const params: Param[] = [total / width, n / width, cut.splits];
  const last = epilogueParts(gemm.c, gemm.epilogue ?? {}, vector(n), { scratch: 0 });
  const sum: Dispatch = {
    shader: 'matmulSplit.wgsl',
    entry: 'sum_splits',
    conditions: last.conditions,
    constants: last.constants,
    params,
    bindings: [{ scratch: 0 }, { scratch: 0 }, ...last.bindings],
    workgroups: perElement(total / width),
  };
  return { scratchBytes: [total * cut.splits * 4], dispatches: [...main, sum] };
}

/** The product with part `i` of B; {@link gemmWork} reads its params. */
function partDispatch(gemm: Gemm, cut: Cut, end: ReturnType<typeof epilogueParts>, i: number): Dispatch {
  const { m, n, k, bQuant } = gemm;
  const { shape, batches, variant, inParts } = cut;
  const { first, end: last, ref } = cut.parts[i]!;
  const along = gemm.transB ? { n: [first, last], k: [0, k] } : { n: [0, n], k: [first, last] };
  const splits = inParts ? 1 : cut.splits;
  const [tx, ty] = variant.threads;
  const [columns, rows] = variant.block;
  return {
    shader: 'matmul.wgsl',
    entry: variant.entry,
    conditions: {
      TRANS_A: gemm.transA,
      TRANS_B: gemm.transB,
      VEC_A: vector(gemm.transA ? m : k),
      VEC_B: !bQuant && vector(gemm.transB ? k : n),
      B_F16: gemm.bHalf,
      GUARD: k % (variant.entry === 'tiled' ? 16 : 4) !== 0,
      TALL: rows === 8,
      HUGE: rows === 16,
      ...quantConditions(bQuant),
      ...end.conditions,
    },
    constants: { TX: tx, TY: ty, ...quantConstants(bQuant), ...end.constants },
    params: [
      ...[m, n, k, cut.chunk, splits],
      { f32: gemm.alpha },
      ...[shape[1]!, shape[2]!, batches, along.n[0]!, along.n[1]!, along.k[0]!],
      ...[...cut.aStrides, 0],
      ...[...cut.bStrides, 0],
      ...[along.k[1]!, inParts ? i : 0, first * rowElements(gemm), 0],
      ...quantParams(bQuant),
    ],
    bindings: [gemm.a, ref, ...end.bindings],
    workgroups: [
      Math.ceil((along.n[1]! - along.n[0]!) / (tx * columns)),
      Math.ceil(m / (ty * rows)),
      batches * splits,
    ],
  };
}

/** Elements of a stored row of B; words where it is packed. */
const rowElements = ({ bQuant, transB, k, n }: Gemm): number =>
  bQuant ? quantLayout(bQuant).stride : transB ? k : n;

/** B's rows as they can be bound: all at once, unless it is one matrix beyond the binding limit. */
function partsOf(gemm: Gemm, caps: Caps): { first: number; end: number; ref: Ref }[] {
  const rows = gemm.transB ? gemm.n : gemm.k;
  if (gemm.batch.length > 0) return [{ first: 0, end: rows, ref: gemm.b }];
  return rowParts(gemm.b, rows, rowElements(gemm) * (gemm.bHalf ? 2 : 4), caps.maxStorageBindingBytes);
}

/** Multiplications of a product's dispatch; null for any other. */
export function gemmWork({ shader, params }: Dispatch): number | null {
  if (shader !== 'matmul.wgsl') return null;
  // As `partDispatch` lays them out: m, n, k, …, batches, the columns and the part of the sum that this dispatch is for.
  const [m, , , , , , , , batches, nFirst, nEnd, kFirst] = params as number[];
  const kEnd = params[20] as number;
  return m! * (nEnd! - nFirst!) * (kEnd - kFirst!) * batches!;
}
