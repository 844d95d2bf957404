/**
 * Butterfly products in ONNX. The axis that is turned comes first: [entries of the stack, d, rows], where a factor's permutation moves whole
 * lines, and its blocks are one batched product whose long side is the rows.
 */
import type { OnnxForm, OnnxWriter, TensorType } from '../graph/types.ts';
import { butterflyPermutation } from '../lib/butterfly.ts';
import { gradOperands } from './butterflyKernels.ts';
import { identity, matmul, swapped } from './onnx.ts';
import type { Activation } from './scalar.ts';
import { slopeOnnx } from './unary.ts';

interface Turn {
  readonly d: number;
  readonly m: number;
  readonly b: number;
  readonly num: number;
  readonly stored: number;
  readonly stack: number;
  /** R of factor f, [stack, num | 1, b, b], dropped blocks replaced by the identity. */
  readonly block: (f: number) => string;
  /** 1 for kept blocks [stack, num, 1, 1], or null. */
  readonly kept: (f: number) => string | null;
}

function turns(e: OnnxWriter, d: number, blocks: string, value: TensorType, mask: string | undefined): Turn {
  const [m, stored, b] = value.shape.slice(-4) as [number, number, number];
  const stack = value.shape.length === 5 ? value.shape[0]! : 1;
  const num = d / b;
  const all = e.reshape(blocks, [stack, m, stored, b, b]);
  const keeps = mask === undefined ? null : e.reshape(mask, [stack, m, num, 1, 1]);
  const ofFactor = (x: string, f: number) => e.op('Gather', [x, e.ints([f], [])], { axis: 1 });
  const kept = (f: number) => (keeps === null ? null : ofFactor(keeps, f));
  return {
    ...{ d, m, b, num, stored, stack, kept },
    block: (f) => {
      const R = ofFactor(all, f);
      const keep = kept(f);
      if (keep === null) return R;
      const dropped = e.op('Mul', [e.op('Sub', [e.scalar(1), keep]), identity(e, b)]);
      return e.op('Add', [e.op('Mul', [keep, R]), dropped]);
    },
  };
}

/** Lines [stack | 1, d, rows] in the order in which a factor's blocks are consecutive; that of factor 0 is their own. */
interface Lines {
  readonly name: string;
  readonly factor: number;
}

const linesOf = (e: OnnxWriter, x: string, turn: Turn, isShared: boolean): Lines => ({
  name: swapped(e, e.reshape(x, [isShared ? 1 : turn.stack, -1, turn.d]), 3),
  factor: 0,
});

function inOrderOf(e: OnnxWriter, { name, factor }: Lines, turn: Turn, wanted: number): Lines {
  if (factor === wanted) return { name, factor };
  const places = butterflyPermutation(turn.d, turn.b, factor);
  const order = new Array<number>(turn.d);
  butterflyPermutation(turn.d, turn.b, wanted).forEach((place, k) => {
    order[place] = places[k]!;
  });
  return { name: e.op('Gather', [name, e.ints(order)], { axis: 1 }), factor: wanted };
}

/** By block: [stack | 1, num, b, rows]. */
const byBlock = (e: OnnxWriter, { name }: Lines, turn: Turn): string =>
  e.reshape(name, [0, turn.num, turn.b, -1]);

/** Lines in the order of a factor, turned by its blocks. */
function turned(e: OnnxWriter, lines: Lines, turn: Turn, transposed: boolean): Lines {
  const R = turn.block(lines.factor);
  const product = matmul(e, transposed ? R : swapped(e, R, 4), byBlock(e, lines, turn));
  return { name: e.reshape(product, [0, turn.d, -1]), factor: lines.factor };
}

/** Rows again, in the given shape; the sum over the stack where it is wanted. */
function rowsOf(e: OnnxWriter, lines: Lines, turn: Turn, isSum: boolean, shape: readonly number[]): string {
  const { name } = inOrderOf(e, lines, turn, 0);
  const whole = isSum && turn.stack > 1 ? e.reduce('ReduceSum', name, [0]) : name;
  return e.reshape(swapped(e, whole, 3), shape);
}

export const butterflyOnnx: OnnxForm<{
  readonly transpose: boolean;
  readonly stack: 'own' | 'share' | 'sum';
}> = (e, [x, blocks, mask], { inputs, outputs, attrs }) => {
  const turn = turns(e, inputs[0]!.shape.at(-1)!, blocks!, inputs[1]!, mask);
  let lines = linesOf(e, x!, turn, attrs.stack === 'share');
  for (let s = 0; s < turn.m; s++) {
    const factor = attrs.transpose ? s : turn.m - 1 - s;
    lines = turned(e, inOrderOf(e, lines, turn, factor), turn, attrs.transpose);
  }
  return [rowsOf(e, lines, turn, attrs.stack === 'sum', outputs[0]!.shape)];
};

export const butterflyGradOnnx: OnnxForm<{
  readonly wantX: boolean;
  readonly shared: 'none' | 'x' | 'upstream';
  readonly slope: Activation;
}> = (e, operands, { inputs, outputs, attrs }) => {
  const [x, blocks, upstream] = operands;
  const { mask, slopeAt } = gradOperands(operands, attrs);
  const turn = turns(e, inputs[0]!.shape.at(-1)!, blocks!, inputs[1]!, mask);
  const before: Lines[] = [];
  let lines = linesOf(e, x!, turn, attrs.shared === 'x');
  for (let f = turn.m - 1; f >= 0; f--) {
    before[f] = inOrderOf(e, lines, turn, f);
    lines = turned(e, before[f]!, turn, false);
  }
  const sums: string[] = [];
  let back = linesOf(e, upstream!, turn, attrs.shared === 'upstream');
  for (let f = 0; f < turn.m; f++) {
    back = inOrderOf(e, back, turn, f);
    const product = matmul(e, byBlock(e, before[f]!, turn), swapped(e, byBlock(e, back, turn), 4));
    const keep = turn.kept(f);
    const masked = keep === null ? product : e.op('Mul', [product, keep]);
    const summed = turn.stored < turn.num ? e.reduce('ReduceSum', masked, [1]) : masked;
    sums.push(e.reshape(summed, [turn.stack, 1, turn.stored, turn.b, turn.b]));
    back = turned(e, back, turn, true);
  }
  const result = [e.reshape(e.op('Concat', sums, { axis: 1 }), outputs[0]!.shape)];
  if (attrs.wantX) {
    const dX = rowsOf(e, back, turn, attrs.shared === 'x', inputs[0]!.shape);
    result.push(slopeAt === undefined ? dX : e.op('Mul', [dX, slopeOnnx(e, slopeAt, attrs.slope)]));
  }
  return result;
};
