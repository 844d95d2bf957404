/**
 * What folding a node computed, kept for the next look at the same file: a model is folded several times, at several sizes, and large constants
 * that hang on none of them are computed and held once.
 */
import type { OnnxNode } from '../../onnx/types.ts';
import { evaluate } from './evaluateOps.ts';
import type { Known } from './folded.ts';
import type { Lowered } from './lowering.ts';
import { countAgain, type Numbers } from './room.ts';

interface Computed {
  readonly key: string;
  readonly inputs: readonly Known[];
  readonly results: readonly Known[];
}

/** The last results of a node, as long as its model is there. */
const computed = new WeakMap<OnnxNode, Computed>();

/** Numbers; results of fewer are computed again. */
const WORTH_KEEPING = 2 ** 14;
/** Numbers of an input that are compared where they are not the same array: shapes, axes, fillings. */
const FEW = 2 ** 10;

/** JSON has no infinities, no NaN and no sign of zero. */
const keyOf = ({ op, attrs }: Lowered): string =>
  JSON.stringify([op, attrs], (_, value: unknown) =>
    typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))
      ? `number ${Object.is(value, -0) ? '-0' : value}`
      : value,
  );

const sameNumbers = (a: Numbers, b: Numbers): boolean =>
  a === b || (a.length === b.length && a.length <= FEW && a.every((x, i) => Object.is(x, b[i])));

const sameInput = (a: Known, b: Known | undefined): boolean =>
  b !== undefined && a.dtype === b.dtype && a.shape.join() === b.shape.join() && sameNumbers(a.data, b.data);

/** The results of `evaluate` for a node of the file: those of the look before, where everything it hangs on is the same. */
export function evaluateOnce(node: OnnxNode, lowered: Lowered, inputs: readonly Known[]): Known[] | null {
  const before = computed.get(node);
  const key = keyOf(lowered);
  const isSame =
    before?.key === key &&
    before.inputs.length === inputs.length &&
    inputs.every((input, i) => sameInput(input, before.inputs[i]));
  if (isSame) {
    for (const { data } of before.results) countAgain(data);
    return [...before.results];
  }
  const results = evaluate(lowered.op, inputs, lowered.attrs);
  if (results?.some(({ data }) => data.length >= WORTH_KEEPING)) computed.set(node, { key, inputs, results });
  return results;
}
