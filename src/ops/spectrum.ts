/** What the ops of FourierFT say of their sizes, and their frequencies in the lower halves of both sides. */
import type { KernelForm } from './dispatch.ts';

export interface SpectralAttrs {
  readonly out: number;
  readonly in: number;
  /** PEFT's `scaling`; the transform divides by out·in besides. */
  readonly scaling: number;
  /** Of the kernels; absent: by the device. */
  readonly form?: KernelForm;
}

/** A frequency folded to the lower half of its side: cos is the same there, and sin the opposite. */
export const foldedFrequency = (f: number, size: number): number => Math.min(f, size - f);

/** How many there are. */
export const foldedCount = (size: number): number => Math.floor(size / 2) + 1;

/** Whether one frequency of two was folded from the upper half of its side alone: the product of their sines is the opposite then. */
export const isFoldedOdd = (
  row: number,
  column: number,
  { out, in: width }: Pick<SpectralAttrs, 'out' | 'in'>,
): boolean => 2 * row > out !== 2 * column > width;
