/** The adapter of WebGPU that is trained on: asked for in more than one way before there is none. */
import { isSoftwareAdapter } from './softwareAdapter.mjs';

/** What is asked for, in turn; undefined leaves it to the browser. */
const PREFERENCES = ['high-performance', undefined, 'low-power'] as const;

/**
 * The first adapter that is a GPU; else the first that there is, which computes on the processor.
 *
 * @returns null where there is none
 * @throws what the last way that broke was refused with, where no way gives one
 */
export async function anyAdapter(gpu: Pick<GPU, 'requestAdapter'>): Promise<GPUAdapter | null> {
  let software: GPUAdapter | null = null;
  let broken: { readonly reason: unknown } | null = null;
  for (const powerPreference of PREFERENCES) {
    try {
      const adapter = await gpu.requestAdapter(powerPreference === undefined ? {} : { powerPreference });
      if (adapter !== null && !isSoftwareAdapter(adapter.info)) return adapter;
      software ??= adapter;
    } catch (reason) {
      broken = { reason };
    }
  }
  if (software === null && broken !== null) throw broken.reason;
  return software;
}
