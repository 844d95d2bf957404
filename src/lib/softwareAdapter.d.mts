/** Types of softwareAdapter.mjs. */

/** What an adapter says of itself: a GPUAdapterInfo. */
export interface AdapterWords {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly isFallbackAdapter?: boolean;
}

export function isSoftwareAdapter(info: AdapterWords): boolean;
