/** What the shader lab's page asks of its worker: a kernel's files with what they should give, and a check of a reader's version of them. */
import type { DeviceReport } from '../../training/protocol.ts';

export const KERNELS = ['cayley', 'butterfly', 'idft'] as const;
export type KernelName = (typeof KERNELS)[number];

/** Letters of a file that are read: four times the longest kernel. */
export const MOST_LETTERS = 100_000;

/** Texts by path below shaders/. */
export type ShaderTexts = Readonly<Record<string, string>>;

/** Matrices of one size, row by row, one after the other. */
export interface Matrices {
  /** The symbol that it has in the formula. */
  readonly symbol: string;
  readonly count: number;
  readonly rows: number;
  readonly columns: number;
  readonly values: readonly number[];
}

/** One size that the kernel is tried on. */
export interface ShaderCase {
  /** Sizes by their letters: b, n, m and so on. */
  readonly sizes: Readonly<Record<string, number>>;
  readonly inputs: readonly Matrices[];
  /** In float64, by the op's reference. */
  readonly expected: Matrices;
}

export interface ShaderKernel {
  /** The file that is run, then those that it imports. */
  readonly files: ShaderTexts;
  /** Functions of these files that the cases reach. */
  readonly reached: readonly string[];
  readonly cases: readonly ShaderCase[];
}

/** What a cell holds that nothing was written to. */
export const UNWRITTEN = null;

export interface CheckedCase {
  /** By the reader's text, in 32 bits. */
  readonly found: readonly (number | typeof UNWRITTEN)[];
  /** Cells that are further from what is expected than {@link allowedOf}, or are no finite number. */
  readonly wrong: readonly number[];
}

/** A file as people know it. */
export const fileName = (path: string): string => `shaders/${path}`;

export interface ReaderPlace {
  readonly path: string;
  readonly line: number;
}

export interface ReaderMessage {
  /** Null where the compiler does not say. */
  readonly place: ReaderPlace | null;
  readonly text: string;
}

export type ShaderAnswer =
  | { readonly kind: 'checked'; readonly cases: readonly CheckedCase[] }
  /** It does not compile. */
  | { readonly kind: 'compile'; readonly messages: readonly ReaderMessage[] }
  /** A loop went round too often. */
  | { readonly kind: 'budget'; readonly place: ReaderPlace | null; readonly most: number }
  /** It compiles, and WebGPU does not run it; or it is too much to be compiled. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** The device was lost, or said nothing; the next check opens another. */
  | { readonly kind: 'lost'; readonly reason: string };

export interface ShaderApi {
  /** @throws PapilioError 'no-webgpu', 'no-adapter' */
  device(): Promise<DeviceReport>;
  kernel(name: KernelName): Promise<ShaderKernel>;
  /**
   * @param texts the kernel's files as the reader has them
   * @param signal lets the caller go; it stays on the page's side
   */
  check(name: KernelName, texts: ShaderTexts, signal?: AbortSignal): Promise<ShaderAnswer>;
}

/** A part of the largest number that is expected: 32 bits keep to a tenth of it. */
const ALLOWED = 1e-5;

/** The largest of the numbers, without their signs. */
export const greatestOf = ({ values }: Matrices): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** How far a cell may be from what is expected. */
export const allowedOf = (expected: Matrices): number => ALLOWED * greatestOf(expected);
