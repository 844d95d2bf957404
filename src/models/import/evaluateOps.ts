/** The table of canonical ops that are evaluated on the CPU when all their operands are known. */
import { isFloat } from '../../onnx/dtype.ts';
import { binaryFns, comparisons, map1, map2, matmul, rounding, unaryFns, where } from './evaluate.ts';
import * as moves from './evaluateMoves.ts';
import type { Attr, FoldedValue, Known } from './folded.ts';
import { MOVES, numbers } from './folded.ts';
import { allot, work } from './room.ts';

type Attrs = Readonly<Record<string, Attr>>;

const integerDivision = (a: number, b: number): number => Math.trunc(a / b);

const evaluators: Readonly<Record<string, (x: readonly Known[], a: Attrs) => Known[]>> = {
  Reshape: ([x], a) => [moves.reshaped(x!, numbers(a.shape))],
  Expand: ([x], a) => [moves.expand(x!, numbers(a.shape))],
  Cast: ([x], a) => [map1(a.to as Known['dtype'], x!, (v) => v)],
  Transpose: ([x], a) => [moves.transpose(x!, numbers(a.perm))],
  Slice: ([x], a) => [moves.slice(x!, numbers(a.starts), numbers(a.steps), numbers(a.shape))],
  Split: ([x], a) => {
    let at = 0;
    return numbers(a.sizes).map((n) => {
      const axis = a.axis as number;
      const starts = x!.shape.map((_, i) => (i === axis ? at : 0));
      at += n;
      return moves.slice(
        x!,
        starts,
        x!.shape.map(() => 1),
        x!.shape.map((d, i) => (i === axis ? n : d)),
      );
    });
  },
  Concat: (xs, a) => [moves.concat(xs, a.axis as number)],
  Gather: ([x, ids], a) => [moves.gather(x!, ids!, a.axis as number)],
  GatherElements: ([x, ids]) => [moves.gatherElements(x!, ids!)],
  GatherND: ([x, ids]) => [moves.gatherNd(x!, ids!)],
  ScatterND: ([x, ids, u]) => [moves.scatterNd(x!, ids!, u!)],
  Where: ([c, x, y]) => [where(c!, x!, y!)],
  Trilu: ([x], a) => [moves.trilu(x!, a.k as number, a.upper as boolean)],
  Tile: ([x], a) => [moves.tile(x!, numbers(a.repeats))],
  CumSum: ([x], a) => [moves.cumSum(x!, a.axis as number, a.exclusive as boolean, a.reverse as boolean)],
  ArgMax: ([x], a) => [moves.argMax(x!, a.axis as number, a.keepdims as boolean)],
  NonZero: ([x]) => [moves.nonZero(x!)],
  Clip: ([x], a) => [map1(x!.dtype, x!, (v) => Math.min(Math.max(v, a.min as number), a.max as number))],
  MatMul: ([x, y]) => [matmul(x!, y!)],
  Reduce: ([x], a) => [moves.reduce(x!, a.fn as string, numbers(a.axes), a.keepdims as boolean)],
};

/** What a node costs however small it is. */
const STEPS_OF_A_NODE = 64;

/** Ops that look at no more of their operands than they give. */
const TAKES_SOME: ReadonlySet<string> = new Set([...MOVES, 'Split', 'GatherND', 'GatherElements']);

/** The results of a canonical node on known operands, or null where this op is not evaluated here. */
export function evaluate(op: string, xs: readonly Known[], attrs: Attrs): Known[] | null {
  work(STEPS_OF_A_NODE + (TAKES_SOME.has(op) ? 0 : xs.reduce((n, x) => n + x.data.length, 0)));
  const unary = Object.hasOwn(unaryFns, op) ? unaryFns[op] : undefined;
  if (unary) return [map1(op === 'Not' || op === 'IsNaN' ? 'bool' : xs[0]!.dtype, xs[0]!, unary)];
  const binary = Object.hasOwn(binaryFns, op) ? binaryFns[op] : undefined;
  if (binary) {
    const { dtype } = xs[0]!;
    const f = op === 'Div' && !isFloat(dtype) ? integerDivision : binary;
    return [map2(comparisons.has(op) ? 'bool' : dtype, op, xs[0]!, xs[1]!, f)];
  }
  return Object.hasOwn(evaluators, op) ? evaluators[op]!(xs, attrs) : null;
}

export const toKnown = (v: FoldedValue): Known => ({ dtype: v.dtype, shape: v.shape, data: v.known!() });

/** A known tensor of one repeated number. */
export const filled = (dtype: Known['dtype'], shape: readonly number[], value: number): Known => ({
  dtype,
  shape,
  data: allot(dtype, shape).fill(rounding(dtype)(value)),
});
