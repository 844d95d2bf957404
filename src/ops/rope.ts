/** Rotary position embedding over heads that lie side by side in the last axis: half-split (Llama) or interleaved (GPT-J) pairs. */

import { sizeOf } from '../graph/shape.ts';
import type { Emitter, OnnxForm, OnnxWriter, Op, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

export interface RopeAttrs {
  readonly heads: number;
  readonly headDim: number;
  /** The first numbers of a head that are rotated; even, at most headDim. */
  readonly rotaryDim: number;
  /** Pairs (2i, 2i + 1) instead of (i, i + rotaryDim/2). */
  readonly interleaved: boolean;
  /** Applies the transpose. */
  readonly inverse: boolean;
}

interface Laid {
  readonly sequence: number;
  /** Numbers per position in the tables: rotaryDim, or half of it. */
  readonly table: number;
  readonly tableBatch: number;
}

export function ropeLayout(
  [x, cos, sin]: readonly TensorType[],
  { heads, headDim, rotaryDim }: RopeAttrs,
): Laid {
  const [batch, sequence, width] = x!.shape as [number, number, number];
  const table = cos!.shape.at(-1)!;
  const tableRows = cos!.shape.length === 3 ? cos!.shape[0]! : 1;
  const positions = cos!.shape.at(-2);
  if (
    x!.shape.length !== 3 ||
    width !== heads * headDim ||
    rotaryDim > headDim ||
    rotaryDim % 2 !== 0 ||
    cos!.shape.join() !== sin!.shape.join() ||
    (table !== rotaryDim && table !== rotaryDim / 2) ||
    positions !== sequence ||
    (tableRows !== 1 && tableRows !== batch)
  ) {
    fail(
      'shape',
      say`rope: x [${x!.shape}], cos [${cos!.shape}], sin [${sin!.shape}] do not fit ${heads} heads of ${headDim} with ${rotaryDim} rotated.`,
    );
  }
  return { sequence, table, tableBatch: tableRows === 1 ? 0 : sequence * table };
}

// In ONNX.

/** Numbers from..to of the last axis. */
const lastAxis = (e: OnnxWriter, x: string, from: number, to: number): string =>
  e.op('Slice', [x, e.ints([from]), e.ints([to]), e.ints([-1])]);

const exchanged = (e: OnnxWriter, a: string, b: string): string => e.op('Concat', [a, b], { axis: -1 });

/** Angles [rows, S, 1, d] and numbers [B, S, heads, d], each with the two of every pair d/2 apart. */
const ropeOnnx: OnnxForm<RopeAttrs> = (e, [x, cos, sin], { inputs, attrs }) => {
  const { heads, headDim, rotaryDim, interleaved, inverse } = attrs;
  const [batch, sequence] = inputs[0]!.shape as [number, number];
  const table = inputs[1]!.shape;
  const rows = table.length === 3 ? table[0]! : 1;
  const half = rotaryDim / 2;
  /** [..., d] of pairs side by side, as pairs d/2 apart. */
  const apart = (t: string, lead: readonly number[]): string =>
    e.reshape(e.transpose(e.reshape(t, [...lead, half, 2]), [0, 1, 2, 4, 3]), [...lead, rotaryDim]);
  const together = (t: string, lead: readonly number[]): string =>
    e.reshape(e.transpose(e.reshape(t, [...lead, 2, half]), [0, 1, 2, 4, 3]), [...lead, rotaryDim]);
  const angles = (t: string): string => {
    const lead = [rows, sequence, 1];
    if (table.at(-1) !== rotaryDim) return e.reshape(exchanged(e, t, t), [...lead, rotaryDim]);
    const full = e.reshape(t, [...lead, rotaryDim]);
    return interleaved ? apart(full, lead) : full;
  };
  const halves = (t: string) => [lastAxis(e, t, 0, half), lastAxis(e, t, half, rotaryDim)] as const;
  const [first, second] = halves(angles(sin!));
  // y = x·cos + exchanged halves of x · (−sin, sin); the transpose exchanges the signed sines too.
  const signed = inverse
    ? exchanged(e, second, e.op('Neg', [first]))
    : exchanged(e, e.op('Neg', [first]), second);
  const lead = [batch, sequence, heads];
  const whole = e.reshape(x!, [...lead, headDim]);
  const part = rotaryDim === headDim ? whole : lastAxis(e, whole, 0, rotaryDim);
  const turned = interleaved ? apart(part, lead) : part;
  const [a, b] = halves(turned);
  const y = e.op('Add', [e.op('Mul', [turned, angles(cos!)]), e.op('Mul', [exchanged(e, b, a), signed])]);
  const back = interleaved ? together(y, lead) : y;
  const all = rotaryDim === headDim ? back : exchanged(e, back, lastAxis(e, whole, rotaryDim, headDim));
  return [e.reshape(all, inputs[0]!.shape)];
};

/** x f32 [B, S, heads·D], cos and sin f32 [B | 1, S, rotaryDim | rotaryDim/2] (or without the batch axis) → y like x. */
export const ropeOp: Op<RopeAttrs> = defineOp({
  name: 'rope',
  infer: (inputs, attrs) => {
    ropeLayout(inputs, attrs);
    return [{ dtype: 'f32', shape: [...inputs[0]!.shape] }];
  },
  gradient: (g, node, [dY], [wantX, ...tables]) => {
    if (tables.includes(true)) fail('internal', 'rope: the angle tables are not differentiable.');
    const [, cos, sin] = node.inputs;
    const attrs = { ...node.attrs, inverse: !node.attrs.inverse };
    return [dY && wantX ? g.emit<RopeAttrs>(ropeOp, [dY, cos!, sin!], attrs)[0]! : null, null, null];
  },
  kernel: ({ inputs, attrs }) => {
    const { sequence, table, tableBatch } = ropeLayout(inputs, attrs);
    const size = sizeOf(inputs[0]!.shape);
    const flag = (on: boolean) => (on ? 1 : 0);
    return {
      dispatches: [
        {
          shader: 'rope.wgsl',
          entry: 'rotate',
          constants: { WG: WORKGROUP },
          params: [
            size,
            sequence,
            attrs.heads,
            attrs.headDim,
            attrs.rotaryDim,
            table,
            tableBatch,
            flag(attrs.interleaved),
            flag(attrs.inverse),
          ],
          bindings: [{ in: 0 }, { in: 1 }, { in: 2 }, { out: 0 }],
          workgroups: perElement(size),
        },
      ],
    };
  },
  onnx: ropeOnnx,
});

export interface RopeOptions {
  readonly heads: number;
  readonly headDim: number;
  /** All of the head by default. */
  readonly rotaryDim?: number;
  readonly interleaved?: boolean;
}

/** Rotates queries or keys by their positions. */
export function rope(g: Emitter, x: Value, cos: Value, sin: Value, options: RopeOptions): Value {
  const { heads, headDim, rotaryDim = headDim, interleaved = false } = options;
  return g.emit<RopeAttrs>(ropeOp, [x, cos, sin], {
    heads,
    headDim,
    rotaryDim,
    interleaved,
    inverse: false,
  })[0]!;
}
