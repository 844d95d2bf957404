/** Counts the GPU objects that a device makes, to show that a step makes none. */
import type { Device } from '../../src/gpu/device.ts';

const makers = [
  'createBuffer',
  'createBindGroup',
  'createBindGroupLayout',
  'createPipelineLayout',
  'createComputePipeline',
  'createComputePipelineAsync',
  'createShaderModule',
  'createQuerySet',
  'createTexture',
  'createSampler',
] as const;

export interface Counts {
  /** Objects made since the last reset, by method; methods that were not called are absent. */
  made(): Readonly<Record<string, number>>;
  reset(): void;
}

/** Wraps the device's own methods in place. */
export function countObjects(device: Device): Counts {
  let counts: Record<string, number> = {};
  const raw = device.raw as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const name of makers) {
    const original = raw[name]!.bind(device.raw);
    raw[name] = (...args) => {
      counts[name] = (counts[name] ?? 0) + 1;
      return original(...args);
    };
  }
  return {
    made: () => ({ ...counts }),
    reset: () => {
      counts = {};
    },
  };
}
