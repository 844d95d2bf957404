/**
 * assemble: a tensor put together from windows of others: y = Σ by · x at its strides, each part within its window, zero where there is none.
 * The fuse pass makes it of slices, concatenations, broadcasts, factors and sums that read one another (fuse/assemblies.ts), after
 * differentiation, so it has no gradient.
 */

import { sizeOf } from '../graph/shape.ts';
import type { Kernel, Param } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { divisor, perElement, WORKGROUP } from './dispatch.ts';

/** Parts, each with a binding, and axes that the shader has room for. */
export const MOST_PARTS = 6;
export const MOST_AXES = 4;

/** A window of the result and what an input gives there: element `offset` + (coordinate − low) · strides, times `by`. */
export interface Window {
  readonly low: readonly number[];
  readonly size: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
  readonly by: number;
}

export interface AssembleAttrs {
  readonly shape: readonly number[];
  /** One for each input; what lies in several windows is added up in their order. */
  readonly windows: readonly Window[];
}

/** The last element of an input that a window reads. */
const lastRead = ({ size, strides, offset }: Window): number =>
  offset + size.reduce((sum, d, axis) => sum + (d - 1) * Math.max(0, strides[axis]!), 0);

function checkWindow(window: Window, elements: number, shape: readonly number[]): boolean {
  const { low, size, strides } = window;
  const axes = shape.every((d, i) => low[i]! >= 0 && size[i]! > 0 && low[i]! + size[i]! <= d);
  const ranks = [low, size, strides].every((values) => values.length === shape.length);
  const isForward = strides.every((step) => step >= 0) && window.offset >= 0;
  return ranks && axes && isForward && lastRead(window) < elements;
}

/** The same with fewer axes: neighbours that every window takes whole inside, and steps through evenly, are one. */
export function mergedWindows({ shape, windows }: AssembleAttrs): AssembleAttrs {
  let merged: AssembleAttrs = { shape, windows };
  for (let axis = shape.length - 1; axis > 0; axis--) {
    const inner = merged.shape[axis]!;
    const joins = merged.windows.every(
      ({ size, strides }) =>
        size[axis] === inner &&
        (inner === 1 || size[axis - 1] === 1 || strides[axis - 1] === strides[axis]! * inner),
    );
    if (!joins) continue;
    const join = (values: readonly number[], by: (outer: number, inner: number) => number): number[] => [
      ...values.slice(0, axis - 1),
      by(values[axis - 1]!, values[axis]!),
      ...values.slice(axis + 1),
    ];
    merged = {
      shape: join(merged.shape, (a, b) => a * b),
      windows: merged.windows.map((w) => ({
        ...w,
        low: join(w.low, (a) => a * inner),
        size: join(w.size, (a, b) => a * b),
        strides: join(w.strides, (a, b) => (inner === 1 ? a : b)),
      })),
    };
  }
  return merged;
}

/** P2 to P6: whether there is a second part, and so on. */
const partConditions = (parts: number): Record<string, boolean> =>
  Object.fromEntries([2, 3, 4, 5, 6].map((n) => [`P${n}`, parts >= n]));

const four = (values: readonly number[], fill: number): number[] => [
  ...new Array<number>(MOST_AXES - values.length).fill(fill),
  ...values,
];

/** Output 0 from the inputs, one per window. `join`: the elements are copied as bits, from windows that do not meet, `by` left out. */
export function assembleKernel(entry: 'assemble' | 'join', attrs: AssembleAttrs): Kernel {
  const { shape, windows } = mergedWindows(attrs);
  const n = sizeOf(shape);
  const parts = windows.flatMap(({ low, size, strides, offset, by }): Param[] => [
    ...[...four(low, 0), ...four(size, 1), ...four(strides, 0)],
    ...[offset, { f32: by }, 0, 0],
  ]);
  return {
    dispatches: [
      {
        ...{ shader: 'assemble.wgsl', entry, conditions: partConditions(windows.length) },
        constants: { WG: WORKGROUP },
        params: [
          ...[n, 0, 0, 0],
          ...four(shape, 1)
            .slice(1)
            .flatMap((size) => divisor(size)),
          ...parts,
        ],
        bindings: [{ out: 0 }, ...windows.map((_, i) => ({ in: i }))],
        workgroups: perElement(n),
      },
    ],
  };
}

/** f32 inputs, one per window → f32 [shape]. */
export const assembleOp = defineOp<AssembleAttrs>({
  name: 'assemble',
  infer(inputs, attrs) {
    const { shape, windows } = attrs;
    const fits = windows.every((w, i) => inputs[i] && checkWindow(w, sizeOf(inputs[i].shape), shape));
    if (inputs.length !== windows.length || inputs.length > MOST_PARTS || !fits)
      fail('shape', say`assemble: ${inputs.length} inputs do not go into the windows of [${shape}].`);
    if (inputs.some(({ dtype }) => dtype !== 'f32')) fail('shape', say`assemble: takes f32.`);
    if (mergedWindows(attrs).shape.length > MOST_AXES)
      fail('shape', say`assemble: [${shape}] does not merge into ${MOST_AXES} axes.`);
    return [{ dtype: 'f32', shape }];
  },
  gradient: null,
  kernel: ({ attrs }) => assembleKernel('assemble', attrs),
});
