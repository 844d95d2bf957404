/**
 * FourierFT's ΔW and its spectra's gradient on a GPU, as products with waves of folded frequencies (spectralProducts.wgsl): sums over the
 * numbers of each frequency of the shorter side, then products of those with the shorter side's waves, and backwards in the opposite order.
 */
import type { Caps, Dispatch, Kernel, Param, Ref } from '../graph/types.ts';
import { divisor, formOf, perElement, WORKGROUP } from './dispatch.ts';
import { type MirroredLayout, mirroredLayout } from './mirroredProduct.ts';
import { foldedCount, foldedFrequency, isFoldedOdd, type SpectralAttrs } from './spectrum.ts';

const SHADER = 'spectralProducts.wgsl';

/** Most bytes of lines at once; longer stacks go through in parts. */
const SCRATCH_BYTES = 64 * 1024 * 1024;

/** Lines are filled up to so many places. */
const PLACES = 8;
/** Matrices of a thread and numbers of a line that it finishes together: four, as the shader's vectors have. */
const MATRICES = 4;
const TOGETHER = 4;
/** Threads that share these. */
const LANES = 8;

type Sizes = Pick<SpectralAttrs, 'out' | 'in'>;

/** Whether the rows of ΔW are the longer side. */
const isTall = ({ out, in: width }: Sizes): boolean => out > width;

/** What spectralProducts.wgsl looks up, and how much of it there is. */
export interface ProductTables {
  readonly tables: Int32Array;
  readonly counts: ProductCounts;
}

export interface ProductCounts {
  /** Frequencies of the shorter side that occur; even ones come first. */
  readonly lines: number;
  /** Even ones of an even side; of an odd side all. */
  readonly evens: number;
  /** Groups of up to four numbers of one line. */
  readonly groups: number;
}

export function productTables(rows: Int32Array, columns: Int32Array, sizes: Sizes): ProductTables {
  const { out, in: width } = sizes;
  const [long, short] = isTall(sizes) ? [rows, columns] : [columns, rows];
  const [longSize, shortSize] = isTall(sizes) ? [out, width] : [width, out];
  const numbersOf = new Map<number, number[]>();
  short.forEach((f, k) => {
    const line = foldedFrequency(f, shortSize);
    const numbers = numbersOf.get(line);
    if (numbers) numbers.push(k);
    else numbersOf.set(line, [k]);
  });
  const isLater = (f: number): boolean => shortSize % 2 === 0 && f % 2 === 1;
  const lines = [...numbersOf].sort(([a], [b]) => Number(isLater(a)) - Number(isLater(b)) || a - b);
  const isOdd = (k: number): boolean => isFoldedOdd(rows[k]!, columns[k]!, sizes);
  const starts = [0];
  const groups: number[] = [];
  lines.forEach(([, numbers], line) => {
    const start = starts.at(-1)!;
    for (let i = 0; i < numbers.length; i += TOGETHER)
      groups.push(start + i, Math.min(TOGETHER, numbers.length - i), line);
    starts.push(start + numbers.length);
  });
  const entries = lines.flatMap(([, numbers]) =>
    numbers.flatMap((k) => [k, foldedFrequency(long[k]!, longSize) + (isOdd(k) ? 2 ** 16 : 0)]),
  );
  return {
    tables: Int32Array.from([...lines.map(([f]) => f), ...starts, ...entries, ...groups]),
    counts: {
      lines: lines.length,
      evens: lines.filter(([f]) => !isLater(f)).length,
      groups: groups.length / 3,
    },
  };
}

/** What a number of S costs for each place of the longer side, and a product's term forwards and backwards, in multiply-adds of a large product, as timed on a processor. */
const NUMBER_COST = 12;
const TERM_COSTS = { delta: 2.3, spectra: 3.4 } as const;

/** What ΔW takes, or the spectrum's gradient by that of ΔW. */
export function productsCost(
  what: keyof typeof TERM_COSTS,
  { out, in: width, n }: Sizes & { readonly n: number },
): number {
  const [long, short] = [foldedCount(Math.max(out, width)), foldedCount(Math.min(out, width))];
  return long * (TERM_COSTS[what] * short * Math.min(short, n) + NUMBER_COST * n);
}

/** What the ops say of their sizes. */
export interface ProductsAttrs extends SpectralAttrs {
  readonly counts: ProductCounts;
  /** The gradient of ΔW comes folded, as mirroredProduct leaves it. */
  readonly mirrored?: boolean;
}

/** Numbers from a row of ΔW to the next, from a matrix to the next, and from the sums of a folded gradient to its differences. */
export function layoutOf({ out, in: width, mirrored }: ProductsAttrs): MirroredLayout {
  return mirrored ? mirroredLayout({ out, in: width }) : { row: width, across: 0, matrix: out * width };
}

/** What the kernels of a stack are told. */
export interface StackedSizes extends ProductsAttrs {
  readonly stack: number;
  readonly n: number;
}

interface Operands {
  readonly tables: Ref;
  readonly turns: Ref;
}

type Entry = 'spread' | 'combine' | 'fold' | 'gather';

/** A dispatch of an entry point. */
type Part = (entry: Entry, bindings: readonly Ref[]) => Dispatch;

/** Places, numbers and lines of a thread: for adapters on a CPU as many as share what they load, for others as many as fit into registers. */
const FORMS = {
  alone: { places: 8, numbers: 8, lines: 16, shares: 1 },
  shared: { places: 4, numbers: 4, lines: 4, shares: 2 },
} as const;

/** A kernel's dispatches for every part of the stack whose lines fit into the scratch buffer. */
function inParts(sizes: StackedSizes, caps: Caps, part: (of: Part) => readonly Dispatch[]): Kernel {
  const { stack, n, scaling, out, in: width, counts } = sizes;
  const { lines, evens, groups } = counts;
  const { row, across, matrix } = layoutOf(sizes);
  const [long, short] = isTall(sizes) ? [out, width] : [width, out];
  const form = formOf(sizes, caps);
  const own = FORMS[form];
  const constants = {
    ...{ PLACES: own.places, NUMBERS: own.numbers, LINES: own.lines },
    ...{ LANES, SHARES: own.shares },
  };
  const eights = Math.ceil(foldedCount(long) / PLACES);
  const half = short % 2 === 0 ? short / 2 : 0;
  const last = Math.floor(short / (half > 0 ? 4 : 2));
  const bytes = 4 * 2 * lines * eights * PLACES;
  const atOnce = Math.max(1, Math.min(stack, Math.floor(SCRATCH_BYTES / bytes / MATRICES) * MATRICES));
  const wg = form === 'alone' ? LANES : WORKGROUP;
  const dispatches: Dispatch[] = [];
  for (let first = 0; first < stack; first += atOnce) {
    const count = Math.min(atOnce, stack - first);
    const fours = Math.ceil(count / MATRICES);
    // Threads, and what an index is divided by: places, what stands beside them, lines or groups.
    const laid = (entry: Entry): readonly [number, number, number, number] => {
      if (entry === 'spread') return [fours * lines * eights, eights, 1, lines];
      if (entry === 'gather') return [fours * groups * own.shares, 1, 1, groups];
      const blocks = (eights * PLACES) / own.places;
      const beside = Math.ceil(entry === 'fold' ? lines / own.lines : (last + 1) / own.numbers);
      return [count * blocks * beside, blocks, beside, 1];
    };
    dispatches.push(
      ...part((entry, bindings) => {
        const [threads, ...by] = laid(entry);
        const params: Param[] = [
          ...[long, short],
          ...(isTall(sizes) ? [0, out, row, 1] : [out, 0, 1, row]),
          ...[first, count, n, { f32: scaling / (out * width) }, threads],
          ...[lines, evens, (eights * PLACES) / 4, last, half, matrix, across, 0, 0],
          ...[...by, long].flatMap((size) => divisor(size)),
        ];
        return {
          ...{ shader: SHADER, entry, bindings, params },
          conditions: { WIDE: form === 'alone', MIRRORED: sizes.mirrored === true && entry === 'fold' },
          constants: { WG: wg, ...constants },
          workgroups: perElement(entry === 'gather' ? threads * LANES : threads, wg),
        };
      }),
    );
  }
  return { scratchBytes: [atOnce * bytes], dispatches };
}

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
