/**
 * columnScale: y = x ⊙ s along the last axis, with a gradient that makes both parts in one pass over x (BOFT's learned lengths), and the
 * gradient of a bias after it.
 */
import type { Emitter, Kernel, KernelNode, Param, Ref, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { addParts } from './addParts.ts';
import { perElement, rowRanges, WORKGROUP } from './dispatch.ts';
import { binaryKernel } from './elementwise.ts';
import { normRows } from './norms.ts';

export interface ColumnScaleGradAttrs {
  /** Gives the sums of dy over the rows as well: the gradient of a bias. Made by the fuse pass. */
  readonly bias: boolean;
}

/** x [..., n], s [n] → x ⊙ s. */
export const columnScaleOp = defineOp<Record<never, never>>({
  name: 'columnScale',
  infer([x, s]) {
    normRows('columnScale', x!, s);
    return [{ dtype: 'f32', shape: x!.shape }];
  },
  gradient(g, node, [dY], wants) {
    if (!dY) return [null, null];
    const [dX, dS] = g.emit(columnScaleGradOp, [node.inputs[0]!, node.inputs[1]!, dY], { bias: false });
    return [wants[0] ? dX! : null, wants[1] ? dS! : null];
  },
  kernel: ({ inputs, outputs }) => binaryKernel(inputs, outputs[0]!, 'mul'),
  onnx: (e, [x, s]) => [e.op('Mul', [x!, s!])],
});

function backward({ inputs, attrs }: KernelNode<ColumnScaleGradAttrs>): Kernel {
  const size = normRows('columnScaleGrad', inputs[0]!, inputs[1]!);
  const { chunk, chunks } = rowRanges(size);
  const params: Param[] = [size.rows, size.columns, chunk, chunks];
  const common = {
    ...{ shader: 'columnScale.wgsl', constants: { WG: WORKGROUP }, params },
    conditions: { BIAS: attrs.bias },
  };
  const sums: Ref[] = attrs.bias ? [{ out: 1 }, { out: 2 }] : [{ out: 1 }];
  const parts = chunks === 1 ? sums : sums.map((_, i): Ref => ({ scratch: i }));
  const main = {
    ...common,
    entry: 'backward',
    bindings: [{ in: 0 }, { in: 1 }, { in: 2 }, { out: 0 }, ...parts],
    workgroups: perElement(size.columns * chunks),
  };
  if (chunks === 1) return { dispatches: [main] };
  const finish = {
    ...common,
    entry: 'finish',
    bindings: sums.flatMap((sum, i) => [parts[i]!, sum]),
    workgroups: perElement(size.columns),
  };
  return {
    scratchBytes: parts.map(() => size.columns * chunks * 4),
    dispatches: [main, finish],
    partials: addParts(
      sums.map((sum, i) => ({ scratch: i, out: sum.out!, parts: chunks, count: size.columns })),
    ),
  };
}

/** x [..., n], s [n], dy → dx = dy ⊙ s, ds = Σ over the rows of dy ⊙ x, and with `bias` db = Σ over the rows of dy. */
export const columnScaleGradOp = defineOp<ColumnScaleGradAttrs>({
  name: 'columnScaleGrad',
  infer([x, s], { bias }) {
    normRows('columnScaleGrad', x!, s);
    const sum = { dtype: 'f32', shape: s!.shape } as const;
    return [{ dtype: 'f32', shape: x!.shape }, sum, ...(bias ? [sum] : [])];
  },
  gradient: null,
  kernel: backward,
  onnx: (e, [x, s, dY], { inputs, attrs }) => {
    const rows = inputs[0]!.shape.slice(0, -1).map((_, i) => i);
    const sum = (value: string) => e.op('ReduceSum', [value, e.ints(rows)], { keepdims: 0 });
    return [e.op('Mul', [dY!, s!]), sum(e.op('Mul', [dY!, x!])), ...(attrs.bias ? [sum(dY!)] : [])];
  },
});

/** x ⊙ s over the last axis: x [..., n], s [n]. */
export const columnScale = (g: Emitter, x: Value, s: Value): Value => g.emit(columnScaleOp, [x, s], {})[0]!;
