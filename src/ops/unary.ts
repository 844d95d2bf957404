/** Elementwise functions of one tensor, and their backward kernel. The functions themselves: scalar.ts. */
import { defineOp } from '../graph/defineOp.ts';
import { sameShape, sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import type { ScalarName } from './scalar.ts';
import { scalarFunction } from './scalar.ts';

/** `not` takes and gives i32 (0 or 1); `isNaN` takes f32 and gives i32; neg, abs and square also take i32. */
export type UnaryName = Exclude<ScalarName, 'none'> | 'not' | 'isNaN';

export interface UnaryAttrs {
  readonly fn: UnaryName;
}

export interface UnaryGradAttrs {
  readonly fn: Exclude<ScalarName, 'none'>;
}

const WHOLE: Readonly<Partial<Record<UnaryName, number>>> = { neg: 6, abs: 15, square: 18, not: 21 };

export const unaryOp = defineOp<UnaryAttrs>({
  name: 'unary',
  infer([x], { fn }) {
    const { dtype, shape } = x!;
    if (dtype === 'f32' && fn === 'isNaN') return [{ dtype: 'i32', shape }];
    if (dtype === 'f32' && fn !== 'not') return [{ dtype, shape }];
    if (dtype === 'i32' && WHOLE[fn] !== undefined) return [{ dtype, shape }];
    return fail('shape', `unary ${fn}: does not take ${dtype}.`);
  },
  gradient(g, node, [dY]) {
    const { fn } = node.attrs;
    if (fn === 'not' || fn === 'isNaN' || !scalarFunction(fn).slope) {
      fail('internal', `unary ${fn} is not differentiable but lies between a target and the loss.`);
    }
    return [unaryGrad(g, node.inputs[0]!, dY!, fn)];
  },
  kernel({ inputs, attrs: { fn } }) {
    const { dtype, shape } = inputs[0]!;
    const n = sizeOf(shape);
    const whole = dtype === 'i32';
    const entry = whole ? 'whole' : fn === 'isNaN' ? 'is_nan' : 'forward';
    const code = whole ? WHOLE[fn]! : fn === 'isNaN' || fn === 'not' ? 0 : scalarFunction(fn).code;
    return {
      dispatches: [
        {
          shader: 'unary.wgsl',
          entry,
          constants: entry === 'is_nan' ? { WG: WORKGROUP } : { WG: WORKGROUP, FN: code },
          params: [n],
          bindings: [{ in: 0 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
});

/** dx = dy · f'(x): x, dy of one shape. */
export const unaryGradOp = defineOp<UnaryGradAttrs>({
  name: 'unaryGrad',
  infer([x, dy], { fn }) {
    if (!sameShape(x!.shape, dy!.shape)) {
      fail('shape', `unaryGrad ${fn}: shapes [${x!.shape}] and [${dy!.shape}] differ.`);
    }
    return [{ dtype: 'f32', shape: x!.shape }];
  },
  gradient: null,
  kernel({ inputs, attrs }) {
    const n = sizeOf(inputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'unary.wgsl',
          entry: 'backward',
          constants: { WG: WORKGROUP, FN: scalarFunction(attrs.fn).code },
          params: [n],
          bindings: [{ in: 0 }, { in: 1 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
});

/** f(x) elementwise. */
export const unary = (g: Emitter, x: Value, attrs: UnaryAttrs): Value => g.emit(unaryOp, [x], attrs)[0]!;

/** dy · f'(x); `none` gives dy itself. */
export const unaryGrad = (g: Emitter, x: Value, dy: Value, fn: ScalarName): Value =>
  fn === 'none' ? dy : g.emit(unaryGradOp, [x, dy], { fn })[0]!;
