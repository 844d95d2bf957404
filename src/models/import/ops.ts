export * from '../../ops/addN.ts';
export * from '../../ops/attention.ts';
export * from '../../ops/binary.ts';
export * from '../../ops/cast.ts';
export * from '../../ops/concat.ts';
export * from '../../ops/expand.ts';
export * from '../../ops/gather.ts';
export * from '../../ops/layerNorm.ts';
export * from '../../ops/linear.ts';
export * from '../../ops/matmul.ts';
export * from '../../ops/reduce.ts';
export * from '../../ops/rmsNorm.ts';
export * from '../../ops/scale.ts';
export * from '../../ops/slice.ts';
export * from '../../ops/softmax.ts';
export * from '../../ops/transpose.ts';
export * from '../../ops/unary.ts';
export * from '../../ops/unfold.ts';
export * from '../../ops/view.ts';
export * from '../../ops/where.ts';

import type { Emitter, Value } from '../../graph/types.ts';
import { binary as bin } from '../../ops/binary.ts';
import { concat as cat } from '../../ops/concat.ts';
import { scale as sc } from '../../ops/scale.ts';
import { slice as sl } from '../../ops/slice.ts';
import { view as vw } from '../../ops/view.ts';

export function rope(
  g: Emitter,
  x: Value,
  cos: Value,
  sin: Value,
  a: { heads: number; headDim: number },
): Value {
  const [b, s] = x.shape as [number, number, number];
  const x4 = vw(g, x, [b, s, a.heads, a.headDim]);
  const h = a.headDim / 2;
  const part = (from: number) =>
    sl(g, x4, { starts: [0, 0, 0, from], ends: [b, s, a.heads, from + h], steps: [1, 1, 1, 1] });
  const turned = cat(g, [sc(g, part(h), { by: -1 }), part(0)], { axis: 3 });
  const table = (t: Value) => vw(g, t, [t.shape[0]!, t.shape[1]!, 1, a.headDim]);
  return vw(
    g,
    bin(g, bin(g, x4, table(cos), { fn: 'mul' }), bin(g, turned, table(sin), { fn: 'mul' }), { fn: 'add' }),
    x.shape,
  );
}
