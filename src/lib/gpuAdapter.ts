/** The adapter of WebGPU that is trained on: asked for in more than one way before there is none. */
import { isSoftwareAdapter } from './softwareAdapter.mjs';

/** What is asked for, in turn; undefined leaves it to the browser. */
const PREFERENCES = ['high-performance', undefined, 'low-power'] as const;

/**
 * The first adapter that is a GPU; else the first that there is, which computes on the processor.
 *
 * @returns null where every way gives none, or breaks
 */
export async function anyAdapter(gpu: Pick<GPU, 'requestAdapter'>): Promise<GPUAdapter | null> {
  let software: GPUAdapter | null = null;
  for (const powerPreference of PREFERENCES) {
    const asked = powerPreference === undefined ? {} : { powerPreference };
    const adapter = await gpu.requestAdapter(asked).catch(() => null);
    if (adapter !== null && !isSoftwareAdapter(adapter.info)) return adapter;
    software ??= adapter;
  }
  return software;
}
