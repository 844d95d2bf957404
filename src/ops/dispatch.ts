/** Helpers for kernels as data: workgroup counts, index layouts, the shapes of `Params`. */
import { broadcastStrides } from '../graph/shape.ts';
import type { Caps, Dispatch, Param, Ref } from '../graph/types.ts';

/** Threads per workgroup of the elementwise kernels; `override WG` in their shaders. */
export const WORKGROUP = 64;

/** WebGPU's guaranteed limit of workgroups along one axis. */
const MAX_GROUPS = 65535;

/**
 * Lays `workgroups` workgroups out over x and y. In the shader:
 * `let i = gid.x + gid.y * groups.x * WG` (groups = `@builtin(num_workgroups)`), guarded by the count.
 */
export function spread(workgroups: number): [number, number, number] {
  const y = Math.max(1, Math.ceil(workgroups / MAX_GROUPS));
  return [Math.max(1, Math.ceil(workgroups / y)), y, 1];
}

/** Workgroup counts for one thread per element. */
export const perElement = (elements: number, width: number = WORKGROUP): [number, number, number] =>
  spread(Math.ceil(elements / width));

/** Whether threads of a kernel share what they read, or each goes alone: for adapters on a CPU. Both give the same bits. */
export type KernelForm = 'shared' | 'alone';

/** @param asked a test's choice */
export const formOf = (
  { form: asked }: { readonly form?: KernelForm },
  { software }: Pick<Caps, 'software'>,
): KernelForm => asked ?? (software ? 'alone' : 'shared');

/** Threads of a workgroup that wait for nobody, on a processor. */
export const ALONE_WORKGROUP = 4;
/** How `rows` rows are shared out in kernels that fold over rows (lib/rows.wgsl): a workgroup for each, or on a processor a thread. */
export const sharedOut = (
  rows: number,
  { software: alone }: Pick<Caps, 'software'>,
): { readonly alone: boolean; readonly threads: number; readonly workgroups: Dispatch['workgroups'] } => ({
  alone,
  threads: alone ? ALONE_WORKGROUP : WORKGROUP,
  workgroups: alone ? perElement(rows, ALONE_WORKGROUP) : spread(rows),
});

/** Largest rank after merging axes that the strided kernels take (two vec4u in a uniform). */
export const MAX_RANK = 8;

/** An iteration space and the element strides of each operand in it, adjacent axes merged where every operand allows. */
export interface Strided {
  readonly shape: readonly number[];
  readonly strides: readonly (readonly number[])[];
}

/** Merges adjacent axes over which every operand steps uniformly; drops axes of size 1. The result has rank 1 or more. */
export function mergeAxes(shape: readonly number[], strides: readonly (readonly number[])[]): Strided {
  const outShape: number[] = [];
  const outStrides: number[][] = strides.map(() => []);
  for (let axis = 0; axis < shape.length; axis++) {
    const size = shape[axis]!;
    if (size === 1) continue;
    const last = outShape.length - 1;
    if (last >= 0 && strides.every((s, k) => outStrides[k]![last] === s[axis]! * size)) {
      outShape[last] = outShape[last]! * size;
      strides.forEach((s, k) => {
        outStrides[k]![last] = s[axis]!;
      });
    } else {
      outShape.push(size);
      strides.forEach((s, k) => {
        outStrides[k]!.push(s[axis]!);
      });
    }
  }
  if (outShape.length === 0) {
    outShape.push(1);
    for (const s of outStrides) s.push(0);
  }
  return { shape: outShape, strides: outStrides };
}

/** The merged iteration space of operands broadcast to `to`. */
export const mergeBroadcast = (to: readonly number[], ...operands: readonly (readonly number[])[]): Strided =>
  mergeAxes(
    to,
    operands.map((shape) => broadcastStrides(shape, to)),
  );

/** Eight u32 (two vec4u of a uniform): `values` filled up with `fill`. */
export function eight(values: readonly number[], fill = 0): Param[] {
  const out: Param[] = new Array<number>(MAX_RANK).fill(fill);
  values.forEach((v, i) => {
    out[i] = v;
  });
  return out;
}

/**
 * What a shader divides by, as lib/index.wgsl takes it, and a fourth number of the vector: n / size = n · factor >> (31 + shift) for every
 * n < 2³¹, without a division.
 */
export function divisor(size: number, fourth = 0): [number, number, number, number] {
  const shift = Math.ceil(Math.log2(size));
  const whole = 1n << BigInt(31 + shift);
  return [size, Number((whole + BigInt(size) - 1n) / BigInt(size)), shift, fourth];
}

/** Divisors of up to eight axes, each with an operand's stride. */
export const axes = (shape: readonly number[], strides: readonly number[]): Param[] =>
  Array.from({ length: MAX_RANK }, (_, i) => divisor(shape[i] ?? 1, strides[i] ?? 0)).flat();

/** Threads that keep a GPU busy, and how many rows one of them sums up at least and at most. */
const THREADS = 65536;
const LEAST_ROWS = 16;
const MOST_ROWS = 64;
/** Of more ranges the final sum would take longer than the ranges. */
const MOST_RANGES = 256;

/**
 * Rows per range and number of ranges of a sum over rows with one thread per column and range. The order of the sum depends on the sizes
 * alone.
 */
export function rowRanges({ rows, columns }: { readonly rows: number; readonly columns: number }): {
  readonly chunk: number;
  readonly chunks: number;
} {
  if (rows <= MOST_ROWS) return { chunk: rows, chunks: 1 };
  const wanted = Math.ceil((rows * columns) / THREADS / 8) * 8;
  const chunk = Math.max(LEAST_ROWS, Math.min(MOST_ROWS, wanted), Math.ceil(rows / MOST_RANGES));
  return { chunk, chunks: Math.ceil(rows / chunk) };
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** Bindings start at multiples of so many bytes. */
const ALIGNED_BYTES = 256;
/** Rows or columns that a product may be cut at: the steps of a sum and the tiles of every variant divide them, and so many f32 are {@link ALIGNED_BYTES}. */
export const ALIGNED = 64;

/** A matrix's rows in parts that can each be bound: one part where it is within the limit. */
export function rowParts(
  ref: Ref,
  rows: number,
  rowBytes: number,
  limitBytes: number,
): { readonly first: number; readonly end: number; readonly ref: Ref }[] {
  if (rows * rowBytes <= limitBytes) return [{ first: 0, end: rows, ref }];
  const unit = Math.max(ALIGNED, ALIGNED_BYTES / gcd(ALIGNED_BYTES, rowBytes));
  const each = Math.max(unit, Math.floor(limitBytes / rowBytes / unit) * unit);
  return Array.from({ length: Math.ceil(rows / each) }, (_, i) => {
    const first = i * each;
    const end = Math.min(rows, first + each);
    const bytes = Math.ceil(((end - first) * rowBytes) / 4) * 4;
    return {
      first,
      end,
      ref: { ...ref, offsetBytes: (ref.offsetBytes ?? 0) + first * rowBytes, sizeBytes: bytes },
    };
  });
}
