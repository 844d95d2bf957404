/**
 * Butterfly products (OFT, BOFT): rotates the last axis of activations or weights by m sparse factors of small blocks, by index
 * arithmetic. No permutation matrix and no dense d × d matrix is ever made.
 *
 * Stacks: with R [T, m, num, b, b] one node does T rotations, `own`: x [T, …, d] entry by entry; `share`: one x [..., d] gives
 * [T, …, d] (query, key and value that read one activation); `sum`: x [T, …, d] gives the sum [..., d] (the gradient of `share`).
 *
 * The gradient of y = x B_(m−1) … B_0 in its blocks, and on the way in x: rows between the factors are recomputed in registers where
 * they fit; the blocks' gradient needs rows · d · b multiply-adds per factor, never a d × d matrix.
 */
import { sizeOf } from '../graph/shape.ts';
import type { Dispatch, Emitter, Kernel, KernelNode, Param, Ref, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { butterflyGradOnnx, butterflyOnnx } from './butterflyOnnx.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

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

const SHADER = 'butterfly.wgsl';

/** Longest superblock of `sweep`, whose threads hold it in registers for four rows. */
const SWEEP_LENGTH = 16;

/** From R [T?, m, num | 1, b, b], the width of the rotated axis and the number of rows per entry of the stack. */
function sizesOf(blocks: TensorType, d: number, rows: number, mask: TensorType | undefined): ButterflySizes {
  const shape = blocks.shape;
  const [m, stored, b, c] = shape.slice(-4) as [number, number, number, number];
  const stack = shape.length === 5 ? shape[0]! : 1;
  const num = d / b;
  const bad = (why: string) =>
    fail('shape', `butterfly: blocks [${shape}] on an axis of ${d}: ${why}.`, { blocks: shape, d });
  if ((shape.length !== 4 && shape.length !== 5) || b !== c) bad('blocks must be [m, num, b, b]');
  if (!Number.isInteger(num) || (stored !== num && stored !== 1))
    bad(`${stored} blocks of ${b} do not tile the axis`);
  if (m > 1 && (b % 2 !== 0 || num % 2 ** (m - 1) !== 0)) {
    bad(`${m} factors need an even block size and a number of blocks divisible by ${2 ** (m - 1)}`);
  }
  const maskShape = shape.length === 5 ? [stack, m, num] : [m, num];
  if (mask && mask.shape.join() !== maskShape.join()) bad(`the mask [${mask.shape}] must be [${maskShape}]`);
  return { rows, d, m, b, stored, stack };
}

/** A run of factors: `count` of them from `first` on, downwards, or upwards when transposed. */
interface Run {
  readonly transposed: boolean;
  readonly first: number;
  readonly count: number;
  /** Strides of x and of the upstream gradient along the stack. */
  readonly xStack: number;
  readonly gStack: number;
  readonly chunks: number;
}

const paramsOf = (size: ButterflySizes, run: Run): Param[] => [
  size.rows,
  size.d,
  size.m,
  size.stored,
  run.transposed ? 1 : 0,
  run.first,
  run.count,
  run.xStack,
  run.gStack,
  size.stack,
  run.chunks,
];

/** Columns that m factors mix: the superblock of the widest one. */
const mixed = (size: ButterflySizes): number => size.b * 2 ** (size.m - 1);

/** Whether one thread can take a superblock through all factors in registers. */
const fitsSweep = (size: ButterflySizes): boolean => mixed(size) <= SWEEP_LENGTH;

/** One factor, buffer to buffer. */
function single(
  size: ButterflySizes,
  run: Run,
  source: Ref,
  blocks: Ref,
  result: Ref,
  keep: Ref | null,
): Dispatch {
  return {
    shader: SHADER,
    entry: 'single',
    conditions: { MASK: keep !== null, KEEP: false, LAST: true, MULTI: false },
    constants: { B: size.b, WG: WORKGROUP },
    params: paramsOf(size, run),
    bindings: [source, blocks, result, ...(keep ? [keep] : [])],
    workgroups: perElement(size.stack * Math.ceil(size.rows / 4) * size.d),
  };
}

/**
 * Several factors in registers.
 * @param result where the last row goes (null: to the stages) @param stages where the rows between go (null: nowhere)
 */
function sweep(
  size: ButterflySizes,
  run: Run,
  source: Ref,
  blocks: Ref,
  result: Ref | null,
  stages: Ref | null,
  keep: Ref | null,
): Dispatch {
  const outputs = [...(result ? [result] : []), ...(stages ? [stages] : [])];
  return {
    shader: SHADER,
    entry: 'sweep',
    conditions: { MASK: keep !== null, KEEP: stages !== null, LAST: result !== null, MULTI: false },
    constants: { B: size.b, LENGTH: mixed(size), WG: WORKGROUP },
    params: paramsOf(size, run),
    bindings: [source, blocks, ...outputs, ...(keep ? [keep] : [])],
    workgroups: perElement((size.stack * Math.ceil(size.rows / 4) * size.d) / mixed(size)),
  };
}

/** The sum over the stack of [T, rows, d]. */
function addStack(size: ButterflySizes, run: Run, stacked: Ref, summed: Ref): Dispatch {
  return {
    shader: SHADER,
    entry: 'add_stack',
    conditions: { MASK: false, KEEP: false, LAST: false, MULTI: false },
    constants: { B: size.b, WG: WORKGROUP },
    params: paramsOf(size, run),
    bindings: [stacked, summed],
    workgroups: perElement(size.rows * size.d),
  };
}

export interface ButterflyAttrs {
  /** Multiplies by Mᵀ instead of M. */
  readonly transpose: boolean;
  readonly stack: 'own' | 'share' | 'sum';
}

interface Laid {
  readonly size: ButterflySizes;
  readonly output: readonly number[];
  readonly xStack: number;
}

export function butterflyLayout([x, blocks, mask]: readonly TensorType[], attrs: ButterflyAttrs): Laid {
  const shape = x!.shape;
  const stacked = blocks!.shape.length === 5;
  const own = attrs.stack !== 'share';
  if (!stacked && attrs.stack !== 'own') fail('shape', `butterfly: blocks [${blocks!.shape}] are no stack.`);
  if (stacked && own && shape[0] !== blocks!.shape[0]) {
    fail('shape', `butterfly: x [${shape}] and blocks [${blocks!.shape}] are stacks of different lengths.`);
  }
  const entry = stacked && own ? shape.slice(1) : shape;
  const d = entry.at(-1)!;
  const rows = sizeOf(entry) / d;
  const size = sizesOf(blocks!, d, rows, mask);
  const output = attrs.stack === 'share' ? [size.stack, ...shape] : attrs.stack === 'sum' ? entry : shape;
  return { size, output, xStack: attrs.stack === 'share' ? 0 : rows * d };
}

function forward({ inputs, attrs }: KernelNode<ButterflyAttrs>): Kernel {
  const { size, xStack } = butterflyLayout(inputs, attrs);
  const { m } = size;
  const elements = size.stack * size.rows * size.d;
  const run: Run = {
    transposed: attrs.transpose,
    first: attrs.transpose ? 0 : m - 1,
    count: m,
    xStack,
    gStack: 0,
    chunks: 1,
  };
  const keep: Ref | null = inputs.length > 2 ? { in: 2 } : null;
  const scratchBytes: number[] = [];
  const makeScratch = (): Ref => ({ scratch: scratchBytes.push(4 * elements) - 1 });
  const target: Ref = attrs.stack === 'sum' ? makeScratch() : { out: 0 };
  const dispatches: Dispatch[] = [];
  if (m > 1 && fitsSweep(size)) {
    dispatches.push(sweep(size, run, { in: 0 }, { in: 1 }, target, null, keep));
  } else {
    const between = Array.from({ length: Math.min(2, m - 1) }, makeScratch);
    let source: Ref = { in: 0 };
    for (let s = 0; s < m; s++) {
      const result = s === m - 1 ? target : between[s % 2]!;
      const one = {
        ...run,
        first: attrs.transpose ? s : m - 1 - s,
        count: 1,
        xStack: s === 0 ? xStack : size.rows * size.d,
      };
      dispatches.push(single(size, one, source, { in: 1 }, result, keep));
      source = result;
    }
  }
  if (attrs.stack === 'sum') dispatches.push(addStack(size, run, target, { out: 0 }));
  return { scratchBytes, dispatches };
}

/** x f32 [..., d], R [T?, m, num | 1, b, b], mask? [T?, m, num] (0: that block is the identity) → rotated x. */
export const butterflyOp = defineOp<ButterflyAttrs>({
  name: 'butterfly',
  infer: (inputs, attrs) => [{ dtype: 'f32', shape: [...butterflyLayout(inputs, attrs).output] }],
  gradient: (g, node, [dY], [wantX, wantBlocks]) => {
    const [x, blocks, mask] = node.inputs as [Value, Value, Value | undefined];
    const { transpose, stack } = node.attrs;
    if (!dY) return node.inputs.map(() => null);
    const masked = mask ? [mask] : [];
    const turn = (): Value => {
      const back = stack === 'share' ? 'sum' : stack === 'sum' ? 'share' : 'own';
      return g.emit<ButterflyAttrs>(butterflyOp, [dY, blocks, ...masked], {
        transpose: !transpose,
        stack: back,
      })[0]!;
    };
    if (!wantBlocks) return [wantX ? turn() : null, null, ...masked.map(() => null)];
    // y = x Mᵀ pairs with dY as x = dY M pairs with x: the same gradient with the two exchanged.
    const shared = {
      own: 'none',
      share: transpose ? 'upstream' : 'x',
      sum: transpose ? 'x' : 'upstream',
    } as const;
    const attrs = { wantX: wantX! && !transpose, shared: shared[stack] };
    const [dBlocks, dX] = g.emit(
      butterflyGradOp,
      [transpose ? dY : x, blocks, transpose ? x : dY, ...masked],
      attrs,
    );
    return [wantX ? (dX ?? turn()) : null, dBlocks!, ...masked.map(() => null)];
  },
  kernel: forward,
  onnx: butterflyOnnx,
});

/**
 * Rotates the last axis of x by the butterfly product of R.
 * @param mask blocks to leave out (0), f32 [m, num]
 */
export function butterfly(
  g: Emitter,
  x: Value,
  blocks: Value,
  attrs: { readonly transpose?: boolean; readonly stack?: ButterflyAttrs['stack'] } = {},
  mask?: Value,
): Value {
  const { transpose = false, stack = 'own' } = attrs;
  return g.emit<ButterflyAttrs>(butterflyOp, mask ? [x, blocks, mask] : [x, blocks], {
    transpose,
    stack,
  })[0]!;
}

export interface ButterflyGradAttrs {
  readonly wantX: boolean;
  /** What all entries of the stack have in common: nothing, one x, or one upstream gradient. */
  readonly shared: 'none' | 'x' | 'upstream';
}

/** Threads that keep a GPU busy; rows are cut into chunks until there are about as many. */
const THREADS = 16384;

/** Rows below which a chunk is not worth its share of the final sum. */
const MIN_CHUNK = 32;

interface GradLaid {
  readonly size: ButterflySizes;
  readonly xStack: number;
  readonly gStack: number;
  /** Shape of dX. */
  readonly dX: readonly number[];
}

export function butterflyGradLayout(
  [x, blocks, upstream, mask]: readonly TensorType[],
  { shared }: ButterflyGradAttrs,
): GradLaid {
  const stacked = blocks!.shape.length === 5;
  const entry =
    shared === 'x' ? x!.shape : shared === 'upstream' ? upstream!.shape : x!.shape.slice(stacked ? 1 : 0);
  const d = entry.at(-1)!;
  const rows = sizeOf(entry) / d;
  return {
    size: sizesOf(blocks!, d, rows, mask),
    xStack: shared === 'x' ? 0 : rows * d,
    gStack: shared === 'upstream' ? 0 : rows * d,
    dX: x!.shape,
  };
}

/** The sum of the chunks' parts of the blocks' gradient. */
function addParts(size: ButterflySizes, run: Run, partial: Ref, summed: Ref, keep: Ref | null): Dispatch {
  return {
    shader: SHADER,
    entry: 'add_parts',
    conditions: { MASK: keep !== null, KEEP: false, LAST: false, MULTI: false },
    constants: { B: size.b, WG: WORKGROUP },
    params: paramsOf(size, run),
    bindings: [partial, summed, ...(keep ? [keep] : [])],
    workgroups: perElement(size.stack * size.m * size.stored * size.b * size.b),
  };
}

function backward({ inputs, attrs }: KernelNode<ButterflyGradAttrs>): Kernel {
  const { size, xStack, gStack } = butterflyGradLayout(inputs, attrs);
  const { rows, d, m, b, stack, stored } = size;
  const [x, blocks, upstream] = [{ in: 0 }, { in: 1 }, { in: 2 }];
  const keep: Ref | null = inputs.length > 3 ? { in: 3 } : null;
  const each = rows * d;
  const scratchBytes: number[] = [];
  const makeScratch = (elements: number): Ref => ({ scratch: scratchBytes.push(4 * elements) - 1 });
  const dispatches: Dispatch[] = [];

  const perChunk = stack * m * d * Math.ceil(b / 4);
  const chunks = Math.max(1, Math.min(Math.round(THREADS / perChunk), Math.ceil(rows / MIN_CHUNK)));
  const run: Run = { transposed: false, first: 0, count: 1, xStack, gStack, chunks };
  const sumX = attrs.wantX && attrs.shared === 'x' && stack > 1;
  const dX: Ref | null = attrs.wantX ? (sumX ? makeScratch(stack * each) : { out: 1 }) : null;
  // One chunk of blocks that are not shared needs no further sum.
  const direct = chunks === 1 && (stored !== 1 || d === b) && !keep;
  const partial: Ref = direct ? { out: 0 } : makeScratch(chunks * stack * m * d * b);
  const up = { transposed: true, first: 0, count: m, xStack: gStack, gStack, chunks };

  const sums = (first: number, count: number, strides: Partial<Run>, sources: readonly Ref[]): void => {
    dispatches.push({
      shader: SHADER,
      entry: 'block_sums',
      conditions: { MASK: false, KEEP: false, LAST: false, MULTI: sources.length > 2 },
      constants: { B: b, WG: WORKGROUP },
      params: paramsOf(size, { ...run, first, count, ...strides }),
      bindings: [sources[0]!, sources[1]!, partial, ...sources.slice(2)],
      workgroups: perElement(chunks * stack * count * d * Math.ceil(b / 4)),
    });
  };

  if (m === 1) {
    if (dX) dispatches.push(single(size, up, upstream, blocks, dX, keep));
    sums(0, 1, {}, [x, upstream]);
  } else if (fitsSweep(size)) {
    const before = makeScratch((m - 1) * stack * each);
    const after = makeScratch((m - 1) * stack * each);
    const down = { ...run, first: m - 1, count: m - 1 };
    dispatches.push(
      sweep(size, down, x, blocks, null, before, keep),
      sweep(size, dX ? up : { ...up, count: m - 1 }, upstream, blocks, dX, after, keep),
    );
    sums(0, m, {}, [x, upstream, before, after]);
  } else {
    // Superblocks too long for registers: one dispatch per factor, one buffer per row of the chain.
    const before: Ref[] = [];
    before[m - 1] = x;
    for (let f = m - 1; f > 0; f--) {
      before[f - 1] = makeScratch(stack * each);
      const strides = { xStack: f === m - 1 ? xStack : each };
      dispatches.push(
        single(size, { ...run, ...strides, first: f }, before[f]!, blocks, before[f - 1]!, keep),
      );
    }
    let grad: Ref = upstream;
    for (let f = 0; f < m; f++) {
      const strides = { xStack: f === m - 1 ? xStack : each, gStack: f === 0 ? gStack : each };
      sums(f, 1, strides, [before[f]!, grad]);
      if (f === m - 1 && !dX) break;
      const next = f === m - 1 ? dX! : makeScratch(stack * each);
      dispatches.push(
        single(size, { ...up, first: f, count: 1, xStack: strides.gStack }, grad, blocks, next, keep),
      );
      grad = next;
    }
  }
  if (!direct) dispatches.push(addParts(size, run, partial, { out: 0 }, keep));
  if (sumX) dispatches.push(addStack(size, run, dX!, { out: 1 }));
  return { scratchBytes, dispatches };
}

/** x, R [T?, m, num | 1, b, b], dY, mask? → dR, and dX with `wantX` (summed over the stack where x is shared). */
export const butterflyGradOp = defineOp<ButterflyGradAttrs>({
  name: 'butterflyGrad',
  infer: (inputs, attrs) => {
    const dX = butterflyGradLayout(inputs, attrs).dX;
    const dBlocks = { dtype: 'f32' as const, shape: [...inputs[1]!.shape] };
    return attrs.wantX ? [dBlocks, { dtype: 'f32', shape: [...dX] }] : [dBlocks];
  },
  gradient: null,
  kernel: backward,
  onnx: butterflyGradOnnx,
});
