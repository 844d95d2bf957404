/**
 * FourierFT by fast Fourier transforms along rows: spectral adds ΔW to a linear layer without making it (y = Re IDFT(S · DFT(x))). For even
 * sizes of small prime factors up to 4096.
 */

import { sizeOf } from '../graph/shape.ts';
import type {
  Caps,
  Dispatch,
  Emitter,
  OnnxForm,
  OnnxWriter,
  Param,
  Ref,
  TensorType,
  Value,
} from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { addParts } from './addParts.ts';
import { divisor, formOf, perElement, spread, WORKGROUP } from './dispatch.ts';
import { matmul } from './onnx.ts';
import { deltaOnnx, spectraOf, spectrumOnnx } from './spectralOnnx.ts';
import type { ProductCounts } from './spectralProducts.ts';
import { foldedFrequency, isFoldedOdd, type SpectralAttrs } from './spectrum.ts';

/** Half a row as complex numbers fits into the workgroup memory that every device has. */
const LONGEST = 4096;

/** Passes over a transform of so many numbers: 4 as often as it goes, then 2, 3, 5; null for other sizes. */
function radices(size: number): number[] | null {
  const found: number[] = [];
  let rest = size;
  for (const radix of [4, 2, 3, 5]) {
    for (; rest % radix === 0; rest /= radix) found.push(radix);
  }
  return rest === 1 ? found : null;
}

/** Most passes of {@link LONGEST} numbers. */
const MOST_PASSES = 8;

/** The passes of one side as `Pass` in spectral.wgsl, filled up to {@link MOST_PASSES}. */
function passesOf(size: number): number[] {
  const passes = radices(size)!;
  let length = size;
  const found = passes.map((radix) => {
    const apart = length / radix;
    const step = (2 * size) / length;
    length = apart;
    return [...divisor(size / radix, radix), ...divisor(apart, step)];
  });
  const none = [...divisor(1), ...divisor(1)];
  return [...found, ...new Array<number[]>(MOST_PASSES - found.length).fill(none)].flat();
}

/** Whether rows of this length are transformed fast. */
const isFast = (size: number): boolean => size % 2 === 0 && size <= LONGEST && radices(size / 2) !== null;

export const hasFastTransform = ({
  out,
  in: width,
}: {
  readonly out: number;
  readonly in: number;
}): boolean => isFast(out) && isFast(width);

/** What looking up a number of S takes, and a butterfly's share of a number's transform, in multiply-adds of a large product, as timed on a processor. */
const LOOKUP_COST = 30;
const PASS_COST = 60;

/** What a row through ΔW takes: a transform there and one back, and the sums over S. */
export const rowCost = (out: number, width: number, n: number): number =>
  LOOKUP_COST * n +
  PASS_COST * [out, width].reduce((sum, size) => sum + (size / 2) * (radices(size / 2)!.length + 1), 0);

/** Where frequency f of `size` numbers lies after the passes: its digits in reverse. */
function places(size: number): number[] {
  const passes = radices(size)!;
  return Array.from({ length: size }, (_, f) => {
    let at = 0;
    let rest = f;
    let step = size;
    for (const radix of passes) {
      step /= radix;
      at += (rest % radix) * step;
      rest = Math.floor(rest / radix);
    }
    return at;
  });
}

/** (cos, sin) of every whole angle: of `out` parts of a turn, then of `width` parts [out + width, 2]. */
export function turnTable(out: number, width: number): Float32Array {
  const turns = new Float32Array(2 * (out + width));
  const fill = (parts: number, offset: number) => {
    for (let i = 0; i < parts; i++) {
      turns[2 * (offset + i)] = Math.cos((2 * Math.PI * i) / parts);
      turns[2 * (offset + i) + 1] = Math.sin((2 * Math.PI * i) / parts);
    }
  };
  fill(out, 0);
  fill(width, out);
  return turns;
}

/**
 * What spectral.wgsl looks up: places of the frequencies of both sides; both frequencies of every number of S, below half of the size by
 * symmetry, with 1 at bit 24 if one alone was above; and for every row and every column of S its numbers, each with the other frequency and that
 * bit (16).
 */
export function spectralTables(
  rows: Int32Array,
  columns: Int32Array,
  out: number,
  width: number,
): Int32Array {
  const n = rows.length;
  const odd = (k: number) => Number(isFoldedOdd(rows[k]!, columns[k]!, { out, in: width }));
  const words = Array.from(
    { length: n },
    (_, k) =>
      foldedFrequency(rows[k]!, out) + foldedFrequency(columns[k]!, width) * 2 ** 12 + odd(k) * 2 ** 24,
  );
  const lists = (own: Int32Array, size: number, other: Int32Array, otherSize: number): number[] => {
    const starts = new Array<number>(size / 2 + 2).fill(0);
    for (const f of own) starts[foldedFrequency(f, size) + 1]!++;
    for (let i = 1; i < starts.length; i++) starts[i]! += starts[i - 1]!;
    const next = starts.slice();
    const entries = new Array<number>(2 * n);
    own.forEach((f, k) => {
      const at = next[foldedFrequency(f, size)]!++;
      entries[2 * at] = k;
      entries[2 * at + 1] = foldedFrequency(other[k]!, otherSize) + odd(k) * 2 ** 16;
    });
    return [...starts, ...entries];
  };
  return Int32Array.from([
    ...places(out / 2),
    ...places(width / 2),
    ...words,
    ...lists(rows, out, columns, width),
    ...lists(columns, width, rows, out),
  ]);
}

const SHADER = 'spectral.wgsl';

/** Rows that a workgroup takes at a time: as many as its memory holds of a row's half, where four can share what they look up. */
const rowsTogether = (half: number): number => (half <= 64 ? 8 : half <= LONGEST / 8 ? 4 : 1);

/** Workgroups that keep a device busy, and rows of one below which the rest of its work is not worth it. */
const GROUPS = 256;
const FEWEST_ROWS = 4;

interface SpectralSizes extends SpectralAttrs {
  readonly n: number;
  /** Numbers that a spectrum takes: n, or more where those behind are there for their place in memory alone. */
  readonly stride: number;
  readonly rows: number;
}

/** Threads that a processor runs as one vector, so that a barrier costs nothing. */
const ONE_VECTOR = 8;

/** What the dispatches of one size have in common. @param wanted whether dx is */
function laid(sizes: SpectralSizes, wanted: boolean, caps: Caps) {
  const { out, in: width, scaling, n, stride, rows } = sizes;
  const half = [out / 2, width / 2] as const;
  const longest = Math.max(...half);
  const together = rowsTogether(longest);
  const numbers = together * longest;
  const isAlone = formOf(sizes, caps) === 'alone';
  const threads = isAlone ? ONE_VECTOR : numbers <= 256 ? 64 : numbers <= 1024 ? 128 : 256;
  const take = Math.max(FEWEST_ROWS, Math.ceil(rows / GROUPS / together) * together);
  const ranges = Math.ceil(rows / take);
  const params: Param[] = [
    ...[rows, ranges, take, n, ...half, ...half.map((size) => radices(size)!.length)],
    ...half.flatMap((size) => divisor(size)),
    ...half.flatMap(passesOf),
    ...[wanted ? 1 : 0, { f32: scaling / (out * width) }, stride],
  ];
  return {
    params,
    ranges,
    spectraBytes: 8 * together * (half[0] + half[1] + 2) * ranges,
    constants: { WG: threads, ROWS: together, SIZE: numbers },
  };
}

/** x [..., in], spectrum [n or more], rows, columns i32 [n], tables i32, turns f32 [out + in, 2]; for the gradient dY [..., out] besides. */
function sizesOf(name: string, inputs: readonly TensorType[], attrs: SpectralAttrs): SpectralSizes {
  const [x, spectrum, places] = inputs;
  const n = places!.shape[0]!;
  const rows = sizeOf(x!.shape) / attrs.in;
  const stride = spectrum!.shape[0]!;
  if (x!.shape.at(-1) !== attrs.in || spectrum!.shape.length !== 1 || stride < n)
    fail(
      'shape',
      say`${name}: [${x!.shape}] and [${spectrum!.shape}] are not [..., ${attrs.in}] and [${n}].`,
    );
  if (!hasFastTransform(attrs))
    fail('shape', say`${name}: ${attrs.out} × ${attrs.in} has no fast transform of rows.`);
  return { ...attrs, n, stride, rows };
}

/** The spectrum, tables and turns among the inputs. */
const TABLES: readonly Ref[] = [{ in: 1 }, { in: 4 }, { in: 5 }];

/** ΔW [out, in] of the numbers of a spectrum that mean something. */
function ownDelta(
  e: OnnxWriter,
  names: readonly string[],
  inputs: readonly Value[],
  attrs: SpectralAttrs,
): string {
  const one = spectraOf(1, attrs, inputs, names, 2);
  const numbers = e.op('Slice', [names[1]!, e.ints([0]), e.ints([one.n]), e.ints([0])]);
  return e.reshape(deltaOnnx(e, e.reshape(numbers, [1, one.n]), one), [attrs.out, attrs.in]);
}

/** x f32 [..., in], spectrum f32 [n or more], its rows and columns, tables and turns (`frequencyInputs`) → x ΔWᵀ [..., out]. */
export const spectralOp = defineOp<SpectralAttrs>({
  name: 'spectral',
  infer: (inputs, attrs) => {
    sizesOf('spectral', inputs, attrs);
    return [{ dtype: 'f32', shape: [...inputs[0]!.shape.slice(0, -1), attrs.out] }];
  },
  gradient: (g, node, [dY], [wantX]) => {
    const none = node.inputs.slice(2).map(() => null);
    if (!dY) return [null, null, ...none];
    const [dS, dX] = g.emit<SpectralGradAttrs>(spectralGradOp, [...node.inputs, dY], {
      ...node.attrs,
      wantX: wantX!,
    });
    return [dX ?? null, dS!, ...none];
  },
  kernel: ({ inputs, attrs }, caps) => {
    const sizes = sizesOf('spectral', inputs, attrs);
    const { params, ranges, spectraBytes, constants } = laid(sizes, false, caps);
    return {
      scratchBytes: [spectraBytes],
      dispatches: [
        {
          ...{ shader: SHADER, entry: 'apply', constants, params },
          bindings: [{ in: 0 }, ...TABLES, { out: 0 }, { scratch: 0 }],
          workgroups: spread(ranges),
        },
      ],
    };
  },
  onnx: (e, names, { inputs, outputs, attrs }) => {
    const delta = ownDelta(e, names, inputs, attrs);
    const y = e.op('Gemm', [e.reshape(names[0]!, [-1, attrs.in]), delta], { transB: 1 });
    return [e.reshape(y, outputs[0]!.shape)];
  },
});

export interface SpectralGradAttrs extends SpectralAttrs {
  readonly wantX: boolean;
}

const spectralGradOnnx: OnnxForm<SpectralGradAttrs> = (e, names, { inputs, outputs, attrs }) => {
  const [x, , , , , , dY] = names;
  const d = e.reshape(dY!, [-1, attrs.out]);
  const dDelta = e.op('Gemm', [d, e.reshape(x!, [-1, attrs.in])], { transA: 1 });
  const one = spectraOf(1, attrs, inputs, names, 2);
  const whole = e.reshape(dDelta, [1, attrs.out, attrs.in]);
  const numbers = e.reshape(spectrumOnnx(e, whole, one), [one.n]);
  const behind = outputs[0]!.shape[0]! - one.n;
  const dS = behind > 0 ? e.op('Concat', [numbers, e.zeros([behind])], { axis: 0 }) : numbers;
  if (!attrs.wantX) return [dS];
  const delta = ownDelta(e, names, inputs, attrs);
  return [dS, e.reshape(matmul(e, d, delta), outputs[1]!.shape)];
};

/** The inputs of spectral and dY [..., out] → dS [n or more, the rest 0] and, where wanted, dx [..., in]. */
export const spectralGradOp = defineOp<SpectralGradAttrs>({
  name: 'spectralGrad',
  infer: (inputs, attrs) => {
    const { stride } = sizesOf('spectralGrad', inputs, attrs);
    const dS: TensorType = { dtype: 'f32', shape: [stride] };
    return attrs.wantX ? [dS, { dtype: 'f32', shape: inputs[0]!.shape }] : [dS];
  },
  gradient: null,
  kernel: ({ inputs, attrs }, caps) => {
    const sizes = sizesOf('spectralGrad', inputs, attrs);
    const { params, ranges, spectraBytes, constants } = laid(sizes, attrs.wantX, caps);
    const parts: Ref = ranges === 1 ? { out: 0 } : { scratch: 1 };
    const dX: Ref = attrs.wantX ? { out: 1 } : { scratch: 2 };
    const main: Dispatch = {
      ...{ shader: SHADER, entry: 'backward', constants, params },
      bindings: [{ in: 0 }, ...TABLES, dX, { scratch: 0 }, parts, { in: 6 }],
      workgroups: spread(ranges),
    };
    const finish: Dispatch = {
      ...{ shader: SHADER, entry: 'finish', constants: { WG: WORKGROUP }, params },
      bindings: [parts, { out: 0 }],
      workgroups: perElement(sizes.stride),
    };
    return {
      scratchBytes: [spectraBytes, ranges === 1 ? 16 : 4 * ranges * sizes.stride, 16],
      dispatches: ranges === 1 ? [main] : [main, finish],
      ...(ranges > 1 && {
        partials: addParts([{ scratch: 1, out: 0, parts: ranges, count: sizes.stride }]),
      }),
    };
  },
  onnx: spectralGradOnnx,
});

/** The constants of one shape of layers, made once for all of them. */
export interface FrequencyInputs {
  readonly attrs: SpectralAttrs;
  readonly places: readonly [rows: Value, columns: Value];
  readonly counts: ProductCounts;
  /** Tables of products that make ΔW, and of rows' transforms where the sizes have fast ones. */
  readonly products: Value;
  readonly transforms: Value | null;
  readonly turns: Value;
}

/** y, through whose gradient and x that of the spectrum comes: ΔW, which y was made with, has none then. */
export const spectralSourceOp = defineOp<SpectralAttrs>({
  name: 'spectralSource',
  infer: ([y, ...inputs], attrs) => {
    sizesOf('spectralSource', inputs, attrs);
    return [{ dtype: 'f32', shape: y!.shape }];
  },
  gradient: (g, node, [dY]) => {
    const [, ...inputs] = node.inputs;
    const none = inputs.slice(2).map(() => null);
    if (!dY) return [null, null, null, ...none];
    const attrs: SpectralGradAttrs = { ...node.attrs, wantX: false };
    return [dY, null, g.emit<SpectralGradAttrs>(spectralGradOp, [...inputs, dY], attrs)[0]!, ...none];
  },
  alias: () => ({ kind: 'view', byteOffsets: [0] }),
  onnx: (_e, [y]) => [y!],
});

export const spectralSource = (
  g: Emitter,
  y: Value,
  x: Value,
  spectrum: Value,
  { attrs, places, transforms, turns }: FrequencyInputs,
): Value =>
  g.emit<SpectralAttrs>(spectralSourceOp, [y, x, spectrum, ...places, transforms!, turns], attrs)[0]!;

/** x ΔWᵀ for x [..., in]: what FourierFT adds to a layer's output. */
export const spectral = (
  g: Emitter,
  x: Value,
  spectrum: Value,
  { attrs, places, transforms, turns }: FrequencyInputs,
): Value => g.emit<SpectralAttrs>(spectralOp, [x, spectrum, ...places, transforms!, turns], attrs)[0]!;
