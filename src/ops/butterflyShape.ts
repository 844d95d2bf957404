/** Sizes of butterfly products from the shapes of their operands, and the dispatches that apply a run of factors. */
import type { Caps, Dispatch, Param, Ref, TensorType } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import type { ButterflySizes } from './butterflyReference.ts';
import { perElement, spread, WORKGROUP } from './dispatch.ts';

export const SHADER = 'butterfly.wgsl';

/** Largest number of rows that a workgroup of `sweep` holds. */
const SWEEP_ROWS = 4;

/** From R [T?, m, num | 1, b, b], the width of the rotated axis and the number of rows per entry of the stack. */
export function sizesOf(
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
export interface Run {
  readonly transposed: boolean;
  readonly first: number;
  readonly count: number;
  /** Strides of x and of the upstream gradient along the stack. */
  readonly xStack: number;
  readonly gStack: number;
  readonly chunks: number;
}

export const paramsOf = (size: ButterflySizes, run: Run): Param[] => [
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

/** Rows that fit into workgroup memory twice; 0 where not even one does. */
export const sweepRows = (size: ButterflySizes, caps: Caps): number =>
  Math.min(SWEEP_ROWS, Math.floor(caps.maxWorkgroupStorageBytes / (8 * size.d)));

/** One factor, buffer to buffer. */
export function single(
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
 * Several factors in workgroup memory.
 * @param result where the last row goes (null: to the stages) @param stages where the rows between go (null: nowhere)
 */
export function sweep(
  size: ButterflySizes,
  caps: Caps,
  run: Run,
  source: Ref,
  blocks: Ref,
  result: Ref | null,
  stages: Ref | null,
  keep: Ref | null,
): Dispatch {
  const rows = sweepRows(size, caps);
  const outputs = [...(result ? [result] : []), ...(stages ? [stages] : [])];
  return {
    shader: SHADER,
    entry: 'sweep',
    conditions: { MASK: keep !== null, KEEP: stages !== null, LAST: result !== null, MULTI: false },
    constants: { B: size.b, ROWS: rows, WIDTH: size.d, WG: size.d <= 64 ? 64 : size.d <= 256 ? 128 : 256 },
    params: paramsOf(size, run),
    bindings: [source, blocks, ...outputs, ...(keep ? [keep] : [])],
    workgroups: spread(size.stack * Math.ceil(size.rows / rows)),
  };
}

/** The sum over the stack of [T, rows, d]. */
export function addStack(size: ButterflySizes, run: Run, stacked: Ref, summed: Ref): Dispatch {
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
