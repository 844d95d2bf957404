/**
 * FourierFT's ΔW and its spectra's gradient on a GPU, as products with waves of folded frequencies (spectralProducts.wgsl): sums over the
 * numbers of each frequency of the shorter side, then products of those with the shorter side's waves, and backwards in the opposite order.
 */
import type { Caps, Dispatch, Kernel, Param, Ref } from '../graph/types.ts';
import { divisor, perElement, spread, WORKGROUP } from './dispatch.ts';
import type { SpectralAttrs, SpectralForm } from './spectrum.ts';

const SHADER = 'spectralProducts.wgsl';

/** Most bytes of lines at once; longer stacks go through in parts. */
const SCRATCH_BYTES = 64 * 1024 * 1024;

/** Places and matrices of a thread, threads that share a number of the spectra. */
const PLACES = 8;
const MATRICES = 4;
const LANES = 8;

const fold = (f: number, size: number): number => Math.min(f, size - f);
const lower = (size: number): number => Math.floor(size / 2) + 1;

type Sizes = Pick<SpectralAttrs, 'out' | 'in'>;

/** Whether the rows of ΔW are the longer side. */
const isTall = ({ out, in: width }: Sizes): boolean => out > width;

/** What spectralProducts.wgsl looks up; the first number is how many lines there are. */
export function productTables(rows: Int32Array, columns: Int32Array, sizes: Sizes): Int32Array {
  const { out, in: width } = sizes;
  const [long, short] = isTall(sizes) ? [rows, columns] : [columns, rows];
  const [longSize, shortSize] = isTall(sizes) ? [out, width] : [width, out];
  const numbersOf = new Map<number, number[]>();
  short.forEach((f, k) => {
    const line = fold(f, shortSize);
    const numbers = numbersOf.get(line);
    if (numbers) numbers.push(k);
    else numbersOf.set(line, [k]);
  });
  const lines = [...numbersOf].sort(([a], [b]) => a - b);
  const starts = [0];
  for (const [, numbers] of lines) starts.push(starts.at(-1)! + numbers.length);
  const isOdd = (k: number): boolean => 2 * long[k]! > longSize !== 2 * short[k]! > shortSize;
  const entries = lines.flatMap(([, numbers], line) =>
    numbers.flatMap((k) => [k, fold(long[k]!, longSize) + (isOdd(k) ? 2 ** 16 : 0), line]),
  );
  return Int32Array.from([...lines.map(([f]) => f), ...starts, ...entries]);
}

/** What a number of S costs for each place of the longer side, and a product's term, there and back, in multiply-adds of a large product, as timed on a processor. */
const NUMBER_COST = 36;
const TERM_COST = 9;

/** What ΔW takes, and its spectrum's gradient. */
export function productsCost({ out, in: width, n }: Sizes & { readonly n: number }): number {
  const [long, short] = [lower(Math.max(out, width)), lower(Math.min(out, width))];
  return long * (TERM_COST * short * Math.min(short, n) + NUMBER_COST * n);
}

/** Lines in tables of n numbers. */
const linesOf = (tables: number, n: number): number => (tables - 1 - 3 * n) / 2;

/** What the kernels of a stack are told. */
export interface StackedSizes extends SpectralAttrs {
  readonly stack: number;
  readonly n: number;
  /** Words of the tables. */
  readonly tables: number;
}

interface Operands {
  readonly tables: Ref;
  readonly turns: Ref;
}

/** A kernel's two dispatches, each with its own count of threads, for every part of the stack whose lines fit into the scratch buffer. */
function inParts(sizes: StackedSizes, caps: Caps, part: (of: Part) => readonly [Dispatch, Dispatch]): Kernel {
  const { stack, n, tables, scaling, out, in: width } = sizes;
  const lines = linesOf(tables, n);
  const [long, short] = isTall(sizes) ? [out, width] : [width, out];
  const form: SpectralForm = sizes.form ?? (caps.software ? 'vector' : 'workgroup');
  const isWide = form === 'vector';
  const blocks = Math.ceil(lower(long) / PLACES);
  const bytes = 4 * 2 * lines * blocks * PLACES;
  const atOnce = Math.max(1, Math.min(stack, Math.floor(SCRATCH_BYTES / bytes / MATRICES) * MATRICES));
  const beside = (numbers: number): number => Math.ceil(numbers / (isWide ? 8 : 4));
  const dispatches: Dispatch[] = [];
  for (let first = 0; first < stack; first += atOnce) {
    const count = Math.min(atOnce, stack - first);
    const fours = Math.ceil(count / MATRICES);
    const params = (threads: number, across: number): Param[] => [
      ...[long, short],
      ...(isTall(sizes) ? [0, out, width, 1] : [out, 0, 1, width]),
      ...[first, count, n, { f32: scaling / (out * width) }, threads, lines],
      ...[blocks, lines, across, n, long].flatMap((size) => divisor(size)),
    ];
    const threads = {
      spread: fours * lines * blocks,
      combine: count * blocks * beside(lower(short)),
      fold: count * blocks * beside(lines),
      gather: fours * n,
    };
    const wg = isWide ? LANES : WORKGROUP;
    dispatches.push(
      ...part((entry, bindings) => ({
        ...{ shader: SHADER, entry, bindings },
        conditions: { WIDE: isWide },
        constants: { WG: entry === 'gather' ? wg : WORKGROUP },
        params: params(threads[entry], beside(entry === 'fold' ? lines : lower(short))),
        workgroups:
          entry === 'gather' ? spread(Math.ceil((threads.gather * LANES) / wg)) : perElement(threads[entry]),
      })),
    );
  }
  return { scratchBytes: [atOnce * bytes], dispatches };
}

/** A dispatch of an entry point. */
type Part = (entry: 'spread' | 'combine' | 'fold' | 'gather', bindings: readonly Ref[]) => Dispatch;

/** Spectra [T, n] → ΔW [T, out, in]. */
export function deltaKernel(
  sizes: StackedSizes,
  { tables, turns }: Operands,
  spectra: Ref,
  delta: Ref,
  caps: Caps,
): Kernel {
  return inParts(sizes, caps, (dispatch) => [
    dispatch('spread', [tables, turns, spectra, { scratch: 0 }]),
    dispatch('combine', [tables, turns, { scratch: 0 }, delta]),
  ]);
}

/** The gradient of ΔW [T, out, in] → that of the spectra [T, n]. */
export function spectraKernel(
  sizes: StackedSizes,
  { tables, turns }: Operands,
  delta: Ref,
  spectra: Ref,
  caps: Caps,
): Kernel {
  return inParts(sizes, caps, (dispatch) => [
    dispatch('fold', [tables, turns, delta, { scratch: 0 }]),
    dispatch('gather', [tables, turns, { scratch: 0 }, spectra]),
  ]);
}
