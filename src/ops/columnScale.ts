/** columnScale: y = x ⊙ s along the last axis, with a gradient that makes both parts in one pass over x (BOFT's learned lengths). */
import type { Emitter, KernelNode, Param, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import { binaryKernel } from './elementwise.ts';
import { normRows, rowChunks } from './norms.ts';

type None = Record<never, never>;

const common = ({ inputs }: KernelNode<None>) => {
  const size = normRows('columnScaleGrad', inputs[0]!, inputs[1]!);
  const { chunk, chunks } = rowChunks(size);
  const params: Param[] = [size.rows, size.columns, chunk, chunks];
  return { size, chunks, shared: { shader: 'columnScale.wgsl', constants: { WG: WORKGROUP }, params } };
};

/** x [..., n], s [n] → x ⊙ s. */
export const columnScaleOp = defineOp<None>({
  name: 'columnScale',
  infer([x, s]) {
    normRows('columnScale', x!, s);
    return [{ dtype: 'f32', shape: x!.shape }];
  },
  gradient(g, node, [dY], wants) {
    if (!dY) return [null, null];
    const [dX, dS] = g.emit(columnScaleGradOp, [node.inputs[0]!, node.inputs[1]!, dY], {});
    return [wants[0] ? dX! : null, wants[1] ? dS! : null];
  },
  kernel: ({ inputs, outputs }) => binaryKernel(inputs, outputs[0]!, 'mul'),
  onnx: (e, [x, s]) => [e.op('Mul', [x!, s!])],
});

/** x [..., n], s [n], dy → dx = dy ⊙ s, ds = Σ over the rows of dy ⊙ x. */
export const columnScaleGradOp = defineOp<None>({
  name: 'columnScaleGrad',
  infer([x, s]) {
    normRows('columnScaleGrad', x!, s);
    return [
      { dtype: 'f32', shape: x!.shape },
      { dtype: 'f32', shape: s!.shape },
    ];
  },
  gradient: null,
  kernel(node) {
    const { size, chunks, shared } = common(node);
    const parts = chunks === 1 ? { out: 1 } : { scratch: 0 };
    const sums = {
      ...shared,
      entry: 'backward',
      bindings: [{ in: 0 }, { in: 1 }, { out: 0 }, { in: 2 }, parts],
      workgroups: perElement(size.columns * chunks),
    };
    if (chunks === 1) return { dispatches: [sums] };
    const finish = {
      ...shared,
      entry: 'finish',
      bindings: [parts, { out: 1 }],
      workgroups: perElement(size.columns),
    };
    return { scratchBytes: [size.columns * chunks * 4], dispatches: [sums, finish] };
  },
  onnx: (e, [x, s, dY], { inputs }) => {
    const rows = inputs[0]!.shape.slice(0, -1).map((_, i) => i);
    const dS = e.op('ReduceSum', [e.op('Mul', [dY!, x!]), e.ints(rows)], { keepdims: 0 });
    return [e.op('Mul', [dY!, s!]), dS];
  },
});

/** x ⊙ s over the last axis: x [..., n], s [n]. */
export const columnScale = (g: Emitter, x: Value, s: Value): Value => g.emit(columnScaleOp, [x, s], {})[0]!;
