/** The float64 reference and test cases of stackedMatmul.ts. */
import { defineCheck, type OpCase } from '../graph/interpret.ts';
import { emptyTensor } from './reference.ts';
import {
  type Lies,
  type StackedMatmulAttrs,
  stackedMatmulOp,
  stackedSizes,
  stepsOf,
} from './stackedMatmul.ts';

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

interface Form extends Partial<Omit<StackedMatmulAttrs, 'count'>> {
  readonly name: string;
  readonly sizes: readonly [count: number, m: number, n: number, k: number];
}

function stackedCase({ name, sizes: [count, m, n, k], ...given }: Form): OpCase<StackedMatmulAttrs> {
  const attrs = {
    count,
    transA: false,
    transB: false,
    a: 'apart',
    b: 'apart',
    c: 'apart',
    ...given,
  } as const;
  const operand = (lies: Lies, rows: number, columns: number) =>
    lies === 'apart' ? f32(count, rows, columns) : f32(rows, count * columns);
  const a = attrs.transA ? operand(attrs.a, k, m) : operand(attrs.a, m, k);
  const b = attrs.transB ? operand(attrs.b, n, k) : operand(attrs.b, k, n);
  return { name, inputs: [a, b], attrs };
}

defineCheck(stackedMatmulOp, {
  reference(inputs, attrs) {
    const { count, transA, transB } = attrs;
    const { a, b, m, n, k } = stackedSizes(inputs, attrs);
    const [x, y] = [inputs[0]!.data, inputs[1]!.data];
    const c = emptyTensor('f32', attrs.c === 'apart' ? [count, m, n] : [m, count * n]);
    const [aRow, aStep] = stepsOf(attrs.a, count, ...a);
    const [bRow, bStep] = stepsOf(attrs.b, count, ...b);
    const [cRow, cStep] = stepsOf(attrs.c, count, m, n);
    for (let z = 0; z < count; z++)
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let l = 0; l < k; l++) {
            const left = x[z * aStep + (transA ? l * aRow + i : i * aRow + l)]!;
            sum += left * y[z * bStep + (transB ? j * bRow + l : l * bRow + j)]!;
          }
          c.data[z * cStep + i * cRow + j] = sum;
        }
    return [c];
  },
  cases: [
    { name: 'layers of turned rows', sizes: [3, 17, 20, 24] as const, transB: true, c: 'beside' as const },
    {
      name: 'low ranks',
      sizes: [3, 9, 12, 4] as const,
      a: 'beside' as const,
      transB: true,
      c: 'beside' as const,
    },
    { name: 'their gradients', sizes: [3, 33, 4, 12] as const, a: 'beside' as const, c: 'beside' as const },
    {
      name: 'of their factors',
      sizes: [3, 12, 4, 21] as const,
      transA: true,
      a: 'beside' as const,
      b: 'beside' as const,
    },
    { name: 'odd, apart', sizes: [2, 5, 7, 3] as const, transA: true, transB: true },
    {
      name: 'odd, beside',
      sizes: [2, 5, 7, 3] as const,
      a: 'beside' as const,
      b: 'beside' as const,
      c: 'beside' as const,
    },
    {
      name: 'long sums, split',
      sizes: [2, 6, 10, 1100] as const,
      transA: true,
      a: 'beside' as const,
      b: 'beside' as const,
    },
    {
      name: 'long sums of rows side by side',
      sizes: [3, 7, 8, 1030] as const,
      transB: true,
      c: 'beside' as const,
    },
  ].map(stackedCase),
});
