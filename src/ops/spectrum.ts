/** What the ops of FourierFT say of their sizes. */

export interface SpectralAttrs {
  readonly out: number;
  readonly in: number;
  /** PEFT's `scaling`; the transform divides by out·in besides. */
  readonly scaling: number;
}
