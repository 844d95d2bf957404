/** A small model made in place, and pictures for it: what both examples train. A file of your own goes into openModel just so. */
import { encodeModel, graphBuilder } from 'papilio/onnx';

const SIZE = 8;
let state = 1;
/** The same numbers everywhere, -1 … 1. */
const noise = () => (state = (Math.imul(state, 48271) >>> 0) % 2147483647) / 1073741823.5 - 1;

/** pixel_values [batch, 1, 8, 8] → two layers → logits [batch, 2]. */
function layers() {
  const g = graphBuilder({ name: 'halves' });
  let x = g.op('Flatten', [g.input('pixel_values', 'float32', ['batch', 1, SIZE, SIZE])], { axis: 1 });
  for (const [name, inner, outer] of [
    ['fc1', 64, 32],
    ['fc2', 32, 2],
  ]) {
    const weight = g.weight(
      `${name}.weight`,
      [outer, inner],
      Array.from({ length: outer * inner }, () => noise() / 4),
    );
    const bias = g.weight(`${name}.bias`, [outer], new Array(outer).fill(0));
    x = g.op(
      'Gemm',
      [name === 'fc1' ? x : g.op('Relu', [x]), weight, bias],
      { transB: 1 },
      { name: `/${name}/Gemm` },
    );
  }
  g.output(x, 'float32', ['batch', 2], 'logits');
  return encodeModel(g.build());
}

export const model = layers();

/** Noise, brighter in the upper or in the left half. */
const drawn = (isBright) =>
  Array.from({ length: 40 }, () =>
    Float32Array.from({ length: SIZE * SIZE }, (_, i) => {
      const base = isBright(i % SIZE, Math.floor(i / SIZE)) ? 0.7 : 0.3;
      return Math.min(1, Math.max(0, base + noise() / 4));
    }),
  );

export const pictures = {
  size: SIZE,
  classes: [
    { label: 'left', images: drawn((x) => x < SIZE / 2) },
    { label: 'upper', images: drawn((_x, y) => y < SIZE / 2) },
  ],
};
