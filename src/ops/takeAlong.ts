/** takeAlong: from every row the entries that a row of indices names (torch.gather along the last axis); takeAlongGrad adds them back. */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

export interface TakeAlongGradAttrs {
  /** Length of the axis that was taken from. */
  readonly length: number;
}

/** [rows, taken] of y, and how many rows of indices there are; they repeat over the rows of x. */
export function takeAlongLayout(
  op: string,
  x: TensorType,
  index: TensorType,
): { rows: number; period: number; taken: number } {
  const rows = sizeOf(x.shape.slice(0, -1));
  const [period, taken] = index.shape as [number, number];
  if (
    x.dtype !== 'f32' ||
    index.dtype !== 'i32' ||
    index.shape.length !== 2 ||
    x.shape.length < 1 ||
    rows % period !== 0
  ) {
    fail('shape', `${op}: ${x.dtype} [${x.shape}] does not take ${index.dtype} [${index.shape}] row by row.`);
  }
  return { rows, period, taken };
}

/** x f32 [..., L], index i32 [P, K] whose rows repeat over those of x → y [..., K]. */
export const takeAlongOp = defineOp<Record<never, never>>({
  name: 'takeAlong',
  infer([x, index]) {
    const { taken } = takeAlongLayout('takeAlong', x!, index!);
    return [{ dtype: 'f32', shape: [...x!.shape.slice(0, -1), taken] }];
  },
  gradient(g, node, [dY]) {
    const [x, index] = node.inputs as [Value, Value];
    return [g.emit(takeAlongGradOp, [dY!, index], { length: x.shape.at(-1)! })[0]!, null];
  },
  kernel({ inputs: [x, index] }) {
    const { rows, period, taken } = takeAlongLayout('takeAlong', x!, index!);
    return {
      dispatches: [
        {
          shader: 'takeAlong.wgsl',
          entry: 'take_along',
          constants: { WG: WORKGROUP },
          params: [rows * taken, x!.shape.at(-1)!, taken, period],
          bindings: [{ in: 0 }, { in: 1 }, { out: 0 }],
          workgroups: perElement(rows * taken),
        },
      ],
    };
  },
});

/** dY [..., K], index i32 [P, K] → dX [..., length]. */
export const takeAlongGradOp = defineOp<TakeAlongGradAttrs>({
  name: 'takeAlongGrad',
  infer([dY, index], { length }) {
    takeAlongLayout('takeAlongGrad', dY!, index!);
    return [{ dtype: 'f32', shape: [...dY!.shape.slice(0, -1), length] }];
  },
  gradient: null,
  kernel({ inputs: [dY, index], attrs: { length } }) {
    const { rows, period, taken } = takeAlongLayout('takeAlongGrad', dY!, index!);
    return {
      dispatches: [
        {
          shader: 'takeAlong.wgsl',
          entry: 'put_along',
          constants: { WG: WORKGROUP },
          params: [rows * length, length, taken, period],
          bindings: [{ in: 0 }, { in: 1 }, { out: 0 }],
          workgroups: perElement(rows * length),
        },
      ],
    };
  },
});

/** Entries of the last axis of x by rows of indices [P, K] (non-negative), which repeat over the rows of x. */
export const takeAlong = (g: Emitter, x: Value, index: Value): Value =>
  g.emit(takeAlongOp, [x, index], {})[0]!;
