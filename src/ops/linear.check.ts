/** The float64 reference and test cases of linear.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { sizeOf } from '../graph/shape.ts';
import { linearOp } from './linear.ts';
import type { QuantFormat } from './quantised.ts';
import { emptyTensor, quantCase, unpackTensor } from './reference.ts';
import type { Activation } from './scalar.ts';
import { scalarFunction } from './scalar.ts';

defineCheck(linearOp, {
  reference([x, stored, b], attrs) {
    const w = unpackTensor(stored!, attrs.packed, 'linear');
    const [n, k] = w.shape as [number, number];
    const rows = sizeOf(x!.shape) / k;
    const y = emptyTensor('f32', [...x!.shape.slice(0, -1), n]);
    const pre = emptyTensor('f32', y.shape);
    const { value } = scalarFunction(attrs.activation);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < n; j++) {
        let sum = b ? b.data[j]! : 0;
        for (let l = 0; l < k; l++) sum += x!.data[i * k + l]! * w.data[j * k + l]!;
        pre.data[i * n + j] = sum;
        y.data[i * n + j] = value(sum);
      }
    }
    return attrs.keepPre ? [y, pre] : [y];
  },
  cases: [
    linearCase('plain', [5, 8], 12, true, 'none', false),
    linearCase('odd, no bias', [2, 3, 7], 5, false, 'none', false),
    linearCase('relu kept', [2, 5, 6], 9, true, 'relu', true),
    linearCase('gelu kept', [7, 8], 8, true, 'gelu', true),
    linearCase('gelu not kept', [7, 9], 6, true, 'gelu', false),
    linearCase('geluTanh kept, no bias', [6, 4], 8, false, 'geluTanh', true),
    linearCase('silu kept', [3, 5], 5, true, 'silu', true),
    linearCase('quickGelu', [3, 8], 4, true, 'quickGelu', true),
    { ...linearCase('tiles', [70, 64], 68, true, 'gelu', true), gradientInputs: [] },
    { ...linearCase('long inner axis, split', [6, 600], 10, true, 'gelu', true), gradientInputs: [] },
    { ...linearCase('one row', [600], 7, true, 'silu', true), gradientInputs: [] },
    {
      name: 'f16 weight',
      inputs: [
        { dtype: 'f32', shape: [5, 8] },
        { dtype: 'f16', shape: [6, 8] },
        { dtype: 'f32', shape: [6] },
      ],
      attrs: { activation: 'none', keepPre: false },
      gradientInputs: [0, 2],
    },
    packedCase('4 bit', [5, 64], 12, { bits: 4, columns: 64, block: 32, zeros: 'middle' }),
    packedCase('4 bit, odd, bytes', [3, 37], 7, { bits: 4, columns: 37, block: 16, zeros: 'bytes' }),
    packedCase('8 bit, one block, floats', [2, 18], 20, { bits: 8, columns: 18, block: 20, zeros: 'floats' }),
    packedCase('4 bit, tiles', [70, 64], 68, { bits: 4, columns: 64, block: 16, zeros: 'bytes' }),
    packedCase('8 bit, split', [6, 600], 10, { bits: 8, columns: 600, block: 32, zeros: 'middle' }),
  ],
});

/** Packed weights come after differentiation, so there is no gradient to check. */
function packedCase(name: string, x: number[], out: number, packed: QuantFormat) {
  return {
    name,
    inputs: [
      { dtype: 'f32' as const, shape: x },
      quantCase(out, packed),
      { dtype: 'f32' as const, shape: [out] },
    ],
    attrs: { activation: 'gelu' as const, keepPre: true, packed },
    gradientInputs: [],
  };
}

function linearCase(
  name: string,
  x: number[],
  out: number,
  bias: boolean,
  activation: Activation,
  keepPre: boolean,
) {
  const f32 = (shape: number[]) => ({ dtype: 'f32' as const, shape });
  return {
    name,
    inputs: [f32(x), f32([out, x.at(-1)!]), ...(bias ? [f32([out])] : [])],
    attrs: { activation, keepPre },
  };
}
