/** What the ops of FourierFT say of their sizes. */

/** How many threads share a row of a fast transform; both give the same bits. */
export type SpectralForm = 'vector' | 'workgroup';

export interface SpectralAttrs {
  readonly out: number;
  readonly in: number;
  /** PEFT's `scaling`; the transform divides by out·in besides. */
  readonly scaling: number;
  /** Of the kernels; absent: by the device. */
  readonly form?: SpectralForm;
}
