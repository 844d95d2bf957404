/** The float64 reference and test cases of quantised.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { dequantizeOp } from './quantised.ts';
import { quantCase, unpackTensor } from './reference.ts';

defineCheck(dequantizeOp, {
  reference: ([q], { packed }) => [unpackTensor(q!, packed, 'dequantize')],
  cases: (
    [
      { bits: 4, columns: 64, block: 32, zeros: 'middle' },
      { bits: 4, columns: 37, block: 16, zeros: 'bytes' },
      { bits: 4, columns: 96, block: 16, zeros: 'floats' },
      { bits: 8, columns: 33, block: 16, zeros: 'bytes' },
      { bits: 8, columns: 7, block: 8, zeros: 'middle' },
    ] as const
  ).map((packed) => ({
    name: `${packed.bits} bits, ${packed.columns} by ${packed.block}, ${packed.zeros}`,
    inputs: [quantCase(5, packed)],
    attrs: { packed },
  })),
});
