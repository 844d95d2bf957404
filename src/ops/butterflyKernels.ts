/**
 * Butterfly products as dispatches. Factors are applied in passes from buffer to buffer: blocks of 2 and 4 two factors at a time, blocks of
 * 8 one at a time with its numbers in registers (butterflyPairs.wgsl), one factor of larger blocks (OFT) as a matrix product for each block
 * (matmul.wgsl), any other block one at a time (butterfly.wgsl).
 *
 * On the way back a pass turns its rows again, gives the sums of its factors' block gradients over ranges of rows, and the gradient in its
 * rows; what stands between passes is a buffer, what stands between the two factors of a pass is not.
 */

import type { Caps, Dispatch, Kernel, Param, Partials, Ref, TensorType } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { addParts } from './addParts.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import { type Gemm, gemmKernel } from './gemm.ts';
import { type Activation, scalarFunction } from './scalar.ts';

export interface ButterflySizes {
  /** Rows of x in one entry of the stack. */
  readonly rows: number;
  readonly d: number;
  readonly m: number;
  readonly b: number;
  /** Blocks stored per factor: d/b, or 1 when all share one. */
  readonly stored: number;
  readonly stack: number;
}

/** From R [T?, m, num | 1, b, b], the width of the rotated axis and the number of rows per entry of the stack. */
export function butterflySizes(
  blocks: TensorType,
  d: number,
  rows: number,
  mask: TensorType | undefined,
): ButterflySizes {
  const shape = blocks.shape;
  const [m, stored, b, c] = shape.slice(-4) as [number, number, number, number];
  const stack = shape.length === 5 ? shape[0]! : 1;
  const num = d / b;
  const bad = (why: string) =>
    fail('shape', say`butterfly: blocks [${shape}] on an axis of ${d}: ${why}.`, { blocks: shape, d });
  if ((shape.length !== 4 && shape.length !== 5) || b !== c) bad(say`blocks must be [m, num, b, b]`);
  if (!Number.isInteger(num) || (stored !== num && stored !== 1))
    bad(say`${stored} blocks of ${b} do not tile the axis`);
  if (m > 1 && (b % 2 !== 0 || num % 2 ** (m - 1) !== 0)) {
    bad(say`${m} factors need an even block size and a number of blocks divisible by ${2 ** (m - 1)}`);
  }
  const maskShape = shape.length === 5 ? [stack, m, num] : [m, num];
  if (mask && mask.shape.join() !== maskShape.join())
    bad(say`the mask [${mask.shape}] must be [${maskShape}]`);
  return { rows, d, m, b, stored, stack };
}

/** One factor, or two that a thread applies together; `factor` is the lower. */
interface Pass {
  readonly factor: number;
  readonly isPair: boolean;
}

/** Rows on their way through a pass; `xStack`: numbers from one entry of the stack to the next, 0 where all have one. */
interface Turned {
  readonly x: Ref;
  readonly xStack: number;
  readonly transpose: boolean;
  readonly y: Ref;
  /** y is the sum over the stack. */
  readonly sum: boolean;
}

/** The same on the way back. */
interface Back {
  readonly x: Ref;
  readonly xStack: number;
  readonly upstream: Ref;
  readonly gStack: number;
  /** Null: not wanted. */
  readonly dX: Ref | null;
  readonly sum: boolean;
  readonly slope?: Slope | undefined;
  /** Gets the block gradients of each range of rows: [ranges, stack, m, num, b, b]. */
  readonly partial: Ref;
}

/** The operands of a gradient behind x, blocks and the upstream gradient. */
export function gradOperands<T>(
  inputs: readonly T[],
  { slope }: { readonly slope: Activation },
): { readonly mask: T | undefined; readonly slopeAt: T | undefined } {
  const end = inputs.length - (slope === 'none' ? 0 : 1);
  return { mask: inputs.slice(3, end)[0], slopeAt: inputs[end] };
}

/** What the gradient in x is multiplied with: the slope of an activation, at the values that it was taken of. */
export interface Slope {
  readonly of: Activation;
  readonly at: Ref;
}

/** A way to apply factors. */
interface Route {
  /** The lowest factors first. */
  readonly passes: readonly Pass[];
  /** Ranges of rows over which block gradients are summed. */
  readonly ranges: number;
  turn(pass: Pass, rows: Turned): void;
  /** What the last dispatch adds up, if it only does that. */
  back(pass: Pass, rows: Back): Partials | undefined;
}

/** Dispatches and scratch buffers of a kernel in the making. */
class Work {
  readonly dispatches: Dispatch[] = [];
  readonly scratchBytes: number[] = [];

  scratch(elements: number): Ref {
    return { scratch: this.scratchBytes.push(4 * elements) - 1 };
  }
}

/** Whether butterflyPairs.wgsl has the size of the blocks. */
const isSmallBlock = (b: number): boolean => b === 2 || b === 4 || b === 8;

/** Smallest block that is worth a product. */
const SMALLEST_PRODUCT = 16;

const isProduct = (m: number, b: number, isMasked: boolean): boolean =>
  m === 1 && b >= SMALLEST_PRODUCT && !isMasked;

/** Whether the gradient of a rotation by blocks [T?, m, num | 1, b, b] can take an activation's slope with it. */
export function takesSlope({ shape }: TensorType, isMasked: boolean): boolean {
  const b = shape.at(-1)!;
  return isSmallBlock(b) || (shape.length === 4 && isProduct(shape[0]!, b, isMasked));
}

function routeOf(work: Work, size: ButterflySizes, keep: Ref | null, caps: Caps): Route {
  if (isSmallBlock(size.b)) return pairs(work, size, keep);
  return isProduct(size.m, size.b, keep !== null) ? products(work, size, caps) : singles(work, size, keep);
}

/** One factor of one block for all is a rotation of b columns: the pieces of a row are then rows themselves. */
const cutRows = (size: ButterflySizes, keep: Ref | null): ButterflySizes =>
  size.m === 1 && size.stored === 1 && !keep
    ? { ...size, rows: (size.rows * size.d) / size.b, d: size.b }
    : size;

// Blocks of 2, 4 and 8.

/**
 * Threads that keep a GPU busy, and the rows of one: of fewer the partial sums would be more than a third of what is read and written. The sums of
 * a range depend on these, so they are the same everywhere.
 */
const THREADS = 32768;
const LEAST_ROWS = 6;
const MOST_ROWS = 64;

function pairs(work: Work, size: ButterflySizes, keep: Ref | null): Route {
  const { rows, d, m, b, stored, stack } = size;
  const paired = b < 8;
  const passes: Pass[] = [];
  for (let factor = 0; factor < m; factor += paired ? 2 : 1)
    passes.push({ factor, isPair: paired && factor + 1 < m });
  const pieces = (pass: Pass): number => d / (pass.isPair ? 2 * b : b);
  const threads = rows * stack * pieces(passes[0]!);
  const range = Math.max(LEAST_ROWS, Math.min(MOST_ROWS, Math.floor(threads / THREADS)));
  const ranges = Math.ceil(rows / range);
  const halves = (numbers: number): number => numbers / (b / 2);

  const dispatch = (
    entry: string,
    pass: Pass,
    { sum, transpose }: { readonly sum: boolean; readonly transpose: boolean },
    [xStack, gStack]: readonly [number, number],
    conditions: Readonly<Record<string, boolean>>,
    bindings: readonly (Ref | null)[],
    constants: Readonly<Record<string, number>> = {},
  ): void => {
    const together = sum ? stack : 1;
    const params: Param[] = [
      ...[rows, halves(d), m, stored, stack, together, pass.factor, transpose ? 1 : 0, range],
      ...[halves(xStack), halves(gStack)],
    ];
    work.dispatches.push({
      shader: 'butterflyPairs.wgsl',
      entry,
      conditions: {
        ...{ B2: b === 2, B8: b === 8, PAIR: pass.isPair, MASK: keep !== null },
        ...{ DX: false, SLOPE: false },
        ...conditions,
      },
      constants: { WG: WORKGROUP, ...constants },
      params,
      bindings: bindings.map((ref) => ref ?? bindings[0]!),
      workgroups: perElement((pieces(pass) * ranges * stack) / together),
    });
  };

  return {
    passes,
    ranges,
    turn(pass, { x, xStack, transpose, y, sum }) {
      const bindings = [x, { in: 1 }, keep, y];
      dispatch('forward', pass, { sum, transpose }, [xStack, 0], {}, bindings);
    },
    back(pass, { x, xStack, upstream, gStack, dX, sum, slope, partial }) {
      const bindings = [x, { in: 1 }, keep, dX, upstream, partial, ...(slope ? [slope.at] : [])];
      const conditions = { DX: dX !== null, SLOPE: slope !== undefined };
      const constants: Record<string, number> = slope ? { ACTIVATION: scalarFunction(slope.of).code } : {};
      const way = { sum, transpose: false };
      dispatch('backward', pass, way, [xStack, gStack], conditions, bindings, constants);
      return undefined;
    },
  };
}

// One factor of larger blocks: x, y [stack, rows, d] as a matrix of b columns for each block, d numbers from row to row.

function products(work: Work, { rows, d, b, stored, stack }: ButterflySizes, caps: Caps): Route {
  const batch = [stack, d / b];
  const whole = [rows * d, b];
  const blocks = [stored * b * b, b * b];
  const product = (
    part: Pick<Gemm, 'm' | 'n' | 'k' | 'a' | 'b' | 'c'> & Partial<Gemm>,
  ): Partials | undefined => {
    const kernel = gemmKernel(
      {
        ...{ batch, aStrides: whole, bStrides: blocks, cStrides: whole, transA: false, transB: false },
        ...{ alpha: 1, bHalf: false, scratch: (bytes) => work.scratch(bytes / 4) },
        ...part,
      },
      caps,
    );
    work.dispatches.push(...kernel.dispatches);
    return kernel.partials;
  };
  const turn = ({ x, xStack, transpose, y, sum }: Turned, slope?: Slope): void => {
    const result = sum ? work.scratch(stack * rows * d) : y;
    product({
      ...{ m: rows, n: b, k: b, a: x, b: { in: 1 }, c: result, lda: d, ldc: d, transB: transpose },
      ...{ aStrides: [xStack, b], epilogue: { slope } },
    });
    if (sum) addStack(work, { rows, d, b, stored, stack, m: 1 }, result, y);
  };
  return {
    passes: [{ factor: 0, isPair: false }],
    ranges: 1,
    turn: (_, rows) => turn(rows),
    back(_, { x, xStack, upstream, gStack, dX, sum, slope, partial }) {
      if (dX) turn({ x: upstream, xStack: gStack, transpose: true, y: dX, sum }, slope);
      return product({
        ...{ m: b, n: b, k: rows, a: x, b: upstream, c: partial, lda: d, ldb: d, transA: true },
        ...{ aStrides: [xStack, b], bStrides: [gStack, b], cStrides: blocks },
      });
    },
  };
}

// Blocks of any size.

/** Threads that keep a GPU busy, and rows below which a range is not worth its share of the final sum. */
const BUSY = 16384;
const MIN_RANGE = 32;

function singles(work: Work, size: ButterflySizes, keep: Ref | null): Route {
  const { rows, d, m, b, stored, stack } = size;
  const perRange = stack * m * d * Math.ceil(b / 4);
  const ranges = Math.max(1, Math.min(Math.round(BUSY / perRange), Math.ceil(rows / MIN_RANGE)));
  const dispatch = (
    entry: string,
    factor: number,
    transpose: boolean,
    [xStack, gStack]: readonly [number, number],
    bindings: readonly (Ref | null)[],
    threads: number,
  ): void => {
    work.dispatches.push({
      shader: 'butterfly.wgsl',
      entry,
      conditions: { MASK: keep !== null },
      constants: { B: b, WG: WORKGROUP },
      params: [rows, d, m, stored, transpose ? 1 : 0, factor, xStack, gStack, stack, ranges],
      bindings: bindings.map((ref) => ref ?? bindings[0]!),
      workgroups: perElement(threads),
    });
  };
  const turn: Route['turn'] = ({ factor }, { x, xStack, transpose, y, sum }) => {
    const result = sum ? work.scratch(stack * rows * d) : y;
    const threads = stack * Math.ceil(rows / 4) * d;
    dispatch('single', factor, transpose, [xStack, 0], [x, { in: 1 }, keep, result], threads);
    if (sum) addStack(work, size, result, y);
  };
  return {
    passes: Array.from({ length: m }, (_, factor) => ({ factor, isPair: false })),
    ranges,
    turn,
    back(pass, { x, xStack, upstream, gStack, dX, sum, partial }) {
      const bindings = [x, { in: 1 }, keep, null, upstream, partial];
      const threads = ranges * stack * d * Math.ceil(b / 4);
      dispatch('block_sums', pass.factor, false, [xStack, gStack], bindings, threads);
      if (dX) turn(pass, { x: upstream, xStack: gStack, transpose: true, y: dX, sum });
      return undefined;
    },
  };
}

const sumOf = (
  { rows, d, m, b, stored, stack }: ButterflySizes,
  entry: string,
  ranges: number,
  bindings: readonly Ref[],
  threads: number,
): Dispatch => ({
  ...{ shader: 'butterfly.wgsl', entry, conditions: { MASK: false }, constants: { B: b, WG: WORKGROUP } },
  ...{ params: [rows, d, m, stored, 0, 0, 0, 0, stack, ranges], bindings, workgroups: perElement(threads) },
});

/** The sum over the stack of [stack, rows, d]. */
function addStack(work: Work, size: ButterflySizes, stacked: Ref, summed: Ref): void {
  work.dispatches.push(sumOf(size, 'add_stack', 1, [stacked, summed], size.rows * size.d));
}

/** The sum of the ranges' block gradients. */
function addRanges(work: Work, size: ButterflySizes, ranges: number, partial: Ref, summed: Ref): void {
  const { m, b, stored, stack } = size;
  work.dispatches.push(sumOf(size, 'add_parts', ranges, [partial, summed], stack * m * stored * b * b));
}

export interface ButterflyTurn {
  readonly transpose: boolean;
  readonly xStack: number;
  /** The result is the sum over the stack. */
  readonly sum: boolean;
  /** Blocks to leave out. */
  readonly keep: Ref | null;
}

/** Input 0 turned by input 1: output 0. */
export function turnKernel(
  given: ButterflySizes,
  { transpose, xStack, sum, keep }: ButterflyTurn,
  caps: Caps,
): Kernel {
  const work = new Work();
  const size = cutRows(given, keep);
  const route = routeOf(work, size, keep, caps);
  const each = size.rows * size.d;
  const passes = transpose ? route.passes : route.passes.toReversed();
  const between = passes.slice(1, 3).map(() => work.scratch(size.stack * each));
  let x: Ref = { in: 0 };
  passes.forEach((pass, i) => {
    const isLast = i === passes.length - 1;
    const y = isLast ? { out: 0 } : between[i % 2]!;
    route.turn(pass, { x, xStack: i === 0 ? xStack : each, transpose, y, sum: sum && isLast });
    x = y;
  });
  return work;
}

export interface ButterflyBack extends Pick<ButterflyTurn, 'xStack' | 'sum' | 'keep'> {
  readonly gStack: number;
  readonly wantX: boolean;
  readonly slope?: Slope | undefined;
}

/** Of rows in input 0, blocks in input 1 and the upstream gradient in input 2: the blocks' gradient, and with `wantX` the rows'. */
export function backKernel(
  given: ButterflySizes,
  { xStack, gStack, sum, wantX, keep, slope }: ButterflyBack,
  caps: Caps,
): Kernel {
  const work = new Work();
  const size = cutRows(given, keep);
  const route = routeOf(work, size, keep, caps);
  const { rows, d, m, b, stored, stack } = size;
  const each = rows * d;
  const top = route.passes.length - 1;
  const isShared = stored === 1 && d !== b;
  // One range of blocks that are not shared needs no further sum.
  const isWhole = route.ranges === 1 && !isShared;
  const partial: Ref = isWhole ? { out: 0 } : work.scratch(route.ranges * stack * m * d * b);

  const before: Ref[] = [];
  before[top] = { in: 0 };
  const strideAt = (i: number): number => (i === top ? xStack : each);
  for (let i = top; i > 0; i--) {
    before[i - 1] = work.scratch(stack * each);
    const rows = { x: before[i]!, xStack: strideAt(i), transpose: false, y: before[i - 1]!, sum: false };
    route.turn(route.passes[i]!, rows);
  }
  let upstream: Ref = { in: 2 };
  let partials: Partials | undefined;
  route.passes.forEach((pass, i) => {
    const isTop = i === top;
    const dX = isTop ? (wantX ? { out: 1 } : null) : work.scratch(stack * each);
    partials = route.back(pass, {
      ...{ x: before[i]!, xStack: strideAt(i), upstream, gStack: i === 0 ? gStack : each, dX, partial },
      sum: isTop && sum,
      slope: isTop ? slope : undefined,
    });
    if (dX) upstream = dX;
  });
  if (isWhole) return { ...work, ...(partials && { partials }) };
  addRanges(work, size, route.ranges, partial, { out: 0 });
  const count = stack * m * d * b;
  const sums = [{ scratch: partial.scratch!, out: 0, parts: route.ranges, count }];
  return isShared ? work : { ...work, partials: addParts(sums) };
}
