/** Rotary position embedding over heads that lie side by side in the last axis: half-split (Llama) or interleaved (GPT-J) pairs. */
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, OnnxForm, OnnxWriter, Op, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
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
      `rope: x [${x!.shape}], cos [${cos!.shape}], sin [${sin!.shape}] do not fit ${heads} heads of ${headDim} with ${rotaryDim} rotated.`,
    );
  }
  return { sequence, table, tableBatch: tableRows === 1 ? 0 : sequence * table };
}

// In ONNX, for half-split whole heads.

/** The first or second half of the last axis. */
function half(e: OnnxWriter, x: string, which: 0 | 1, length: number): string {
  const from = (which * length) / 2;
  return e.op('Slice', [x, e.ints([from]), e.ints([from + length / 2]), e.ints([-1])]);
}

const exchanged = (e: OnnxWriter, a: string, b: string): string => e.op('Concat', [a, b], { axis: -1 });

const ropeOnnx: OnnxForm<RopeAttrs> = (e, [x, cos, sin], { inputs, attrs }) => {
  const { heads: count, headDim, rotaryDim, interleaved, inverse } = attrs;
  if (interleaved || rotaryDim !== headDim)
    return fail('unsupported-onnx', 'The op rope has a translation to ONNX only for half-split whole heads.');
  const [batch, sequence] = inputs[0]!.shape as [number, number];
  const table = inputs[1]!.shape;
  const rows = table.length === 3 ? table[0]! : 1;
  const wide = (t: string): string => {
    const full = table.at(-1) === rotaryDim ? t : exchanged(e, t, t);
    return e.reshape(full, [rows, sequence, 1, headDim]);
  };
  const sines = wide(sin!);
  const [first, second] = [half(e, sines, 0, headDim), half(e, sines, 1, headDim)];
  // y = x·cos + exchanged halves of x · (−sin, sin); the transpose exchanges the signed sines too.
  const signed = inverse
    ? exchanged(e, second, e.op('Neg', [first]))
    : exchanged(e, e.op('Neg', [first]), second);
  const apart = e.reshape(x!, [batch, sequence, count, headDim]);
  const other = exchanged(e, half(e, apart, 1, headDim), half(e, apart, 0, headDim));
  const y = e.op('Add', [e.op('Mul', [apart, wide(cos!)]), e.op('Mul', [other, signed])]);
  return [e.reshape(y, inputs[0]!.shape)];
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
