/** columnScale: y = x ⊙ s along the last axis, with a gradient that makes both parts in one pass over x (BOFT's learned lengths). */
import { defineOp } from '../graph/defineOp.ts';
import type { Emitter, KernelNode, Param, Value } from '../graph/types.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import { normRows, rowChunks } from './norm.ts';
import { emptyTensor } from './reference.ts';

type None = Record<never, never>;

const common = (name: string, { inputs }: KernelNode<None>) => {
  const size = normRows(name, inputs[0]!, inputs[1]!);
  const { chunk, chunks } = rowChunks(size);
  const params: Param[] = [size.rows, size.columns, chunk, chunks];
  return { size, chunks, shared: { shader: 'columnScale.wgsl', constants: { WG: WORKGROUP }, params } };
};

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

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
  kernel(node) {
    const { size, shared } = common('columnScale', node);
    return {
      dispatches: [
        {
          ...shared,
          entry: 'forward',
          bindings: [{ in: 0 }, { in: 1 }, { out: 0 }],
          workgroups: perElement(size.rows * size.columns),
        },
      ],
    };
  },
  reference([x, s]) {
    const columns = s!.data.length;
    return [{ dtype: 'f32', shape: x!.shape, data: x!.data.map((v, i) => v * s!.data[i % columns]!) }];
  },
  cases: [
    { name: 'odd', inputs: [f32(2, 3, 7), f32(7)], attrs: {} },
    { name: 'many rows', inputs: [f32(150, 6), f32(6)], attrs: {} },
  ],
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
    const { size, chunks, shared } = common('columnScaleGrad', node);
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
  reference([x, s, dy]) {
    const columns = s!.data.length;
    const ds = emptyTensor('f32', s!.shape);
    dy!.data.forEach((d, i) => {
      ds.data[i % columns]! += d * x!.data[i]!;
    });
    return [{ dtype: 'f32', shape: x!.shape, data: dy!.data.map((d, i) => d * s!.data[i % columns]!) }, ds];
  },
  cases: [
    { name: 'few rows', inputs: [f32(2, 3, 7), f32(7), f32(2, 3, 7)], attrs: {} },
    { name: 'many rows', inputs: [f32(333, 5), f32(5), f32(333, 5)], attrs: {} },
  ],
});

/** x ⊙ s over the last axis: x [..., n], s [n]. */
export const columnScale = (g: Emitter, x: Value, s: Value): Value => g.emit(columnScaleOp, [x, s], {})[0]!;
