/** Sizes of butterfly products from the shapes of their operands, and the dispatches that apply a run of factors. */
import type { Dispatch, Param, Ref, TensorType } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import type { ButterflySizes } from './butterflyReference.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

export const SHADER = 'butterfly.wgsl';

/** Longest superblock of `sweep`, whose threads hold it in registers for four rows. */
const SWEEP_LENGTH = 16;

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

/** Columns that m factors mix: the superblock of the widest one. */
const mixed = (size: ButterflySizes): number => size.b * 2 ** (size.m - 1);

/** Whether one thread can take a superblock through all factors in registers. */
export const fitsSweep = (size: ButterflySizes): boolean => mixed(size) <= SWEEP_LENGTH;

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
 * Several factors in registers.
 * @param result where the last row goes (null: to the stages) @param stages where the rows between go (null: nowhere)
 */
export function sweep(
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
