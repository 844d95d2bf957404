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
