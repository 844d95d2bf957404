/** The float64 references and test cases of unfold.ts. */
import { defineCheck } from '../graph/interpret.ts';
import type { Tensor } from '../graph/types.ts';
import { emptyTensor } from './reference.ts';
import { foldOp, patchShape, type UnfoldAttrs, unfoldOp, windows } from './unfold.ts';

/** Calls `visit(patch element, pixel)` for every pair that lies inside the picture. */
function eachPair(
  shape: readonly number[],
  attrs: UnfoldAttrs,
  visit: (element: number, pixel: number) => void,
): void {
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const [down, across] = windows(shape, attrs);
  let element = 0;
  for (let n = 0; n < batch; n++) {
    for (let window = 0; window < down * across; window++) {
      const top = Math.floor(window / across) * attrs.stride[0] - attrs.pads[0];
      const left = (window % across) * attrs.stride[1] - attrs.pads[1];
      for (let c = 0; c < channels; c++) {
        for (let row = 0; row < attrs.kernel[0]; row++) {
          for (let column = 0; column < attrs.kernel[1]; column++, element++) {
            const h = top + row;
            const w = left + column;
            if (h < 0 || w < 0 || h >= height || w >= width) continue;
            visit(element, ((n * channels + c) * height + h) * width + w);
          }
        }
      }
    }
  }
}

defineCheck(unfoldOp, {
  reference([x], attrs): readonly Tensor[] {
    const y = emptyTensor('f32', patchShape(x!.shape, attrs));
    eachPair(x!.shape, attrs, (element, pixel) => {
      y.data[element] = x!.data[pixel]!;
    });
    return [y];
  },
  cases: [
    {
      name: 'patches',
      inputs: [{ dtype: 'f32', shape: [2, 3, 8, 8] }],
      attrs: { kernel: [4, 4], stride: [4, 4], pads: [0, 0, 0, 0] },
    },
    {
      name: 'overlapping, padded, odd',
      inputs: [{ dtype: 'f32', shape: [1, 2, 7, 6] }],
      attrs: { kernel: [3, 2], stride: [2, 1], pads: [1, 0, 1, 1] },
    },
  ],
});

defineCheck(foldOp, {
  reference([patches], attrs) {
    const x = emptyTensor('f32', attrs.shape);
    eachPair(attrs.shape, attrs, (element, pixel) => {
      x.data[pixel] = x.data[pixel]! + patches!.data[element]!;
    });
    return [x];
  },
  cases: [
    {
      name: 'overlapping, padded, odd',
      inputs: [{ dtype: 'f32', shape: [1, 24, 12] }],
      attrs: { kernel: [3, 2], stride: [2, 1], pads: [1, 0, 1, 1], shape: [1, 2, 7, 6] },
    },
  ],
});
