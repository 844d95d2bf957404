/** addN: the sum of tensors of one shape; what differentiation adds gradients up with. */
import { defineOp } from '../graph/defineOp.ts';
import { sameShape, sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import { emptyTensor } from './reference.ts';

/** A stage binds eight storage buffers at least: seven terms and the sum. */
const MOST = 7;

export const addNOp = defineOp<Record<never, never>>({
  name: 'addN',
  infer(inputs) {
    if (inputs.length < 2 || inputs.length > MOST)
      fail('shape', `addN: takes 2 to ${MOST} tensors, not ${inputs.length}.`);
    const first = inputs[0]!;
    for (const t of inputs) {
      if (t.dtype !== 'f32' || !sameShape(t.shape, first.shape)) {
        fail(
          'shape',
          `addN: takes f32 tensors of one shape, not ${t.dtype} [${t.shape}] beside [${first.shape}].`,
        );
      }
    }
    return [{ dtype: 'f32', shape: first.shape }];
  },
  gradient: (_g, node, [dY]) => node.inputs.map(() => dY!),
  kernel({ inputs }) {
    const n = sizeOf(inputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'addN.wgsl',
          entry: `add${inputs.length}`,
          constants: { WG: WORKGROUP },
          params: [n],
          bindings: [{ out: 0 }, ...inputs.map((_, i) => ({ in: i }))],
          workgroups: perElement(n),
        },
      ],
    };
  },
  reference(inputs) {
    const y = emptyTensor('f32', inputs[0]!.shape);
    for (const { data } of inputs) for (let i = 0; i < data.length; i++) y.data[i] = y.data[i]! + data[i]!;
    return [y];
  },
  cases: [2, 3, 4, 5, 6, 7].map((count) => ({
    name: `${count} terms`,
    inputs: Array.from({ length: count }, () => ({ dtype: 'f32' as const, shape: [3, 23] })),
    attrs: {},
  })),
});

/** The sum of any number of tensors of one shape, in order; a single one is returned as it is. */
export function addN(g: Emitter, terms: readonly Value[]): Value {
  if (terms.length === 1) return terms[0]!;
  if (terms.length <= MOST) return g.emit(addNOp, terms, {})[0]!;
  const sum = g.emit(addNOp, terms.slice(0, MOST), {})[0]!;
  return addN(g, [sum, ...terms.slice(MOST)]);
}
