/**
 * Opens a WebGPU device with the adapter's own limits, and turns what can go wrong on it into PapilioErrors: no adapter, memory
 * that is not there, limits, a lost device.
 */

import type { Caps } from '../graph/types.ts';
import { fail, PapilioError } from '../lib/errors.ts';
import { anyAdapter } from '../lib/gpuAdapter.ts';
import { fixed, say } from '../lib/say.ts';
import { isSoftwareAdapter } from '../lib/softwareAdapter.mjs';
import { createPipelines, type Pipelines, type ShaderLibrary, shaderLibrary } from './pipelines.ts';

export interface DeviceInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
}

/** What tells one adapter from another, as far as the browser says. */
export type AdapterIdentity = readonly [
  vendor: string,
  architecture: string,
  device: string,
  description: string,
];

export interface OpenOptions {
  /** Kernels to use in place of the project's, for tests. */
  readonly shaders?: ShaderLibrary;
}

export interface Device {
  readonly raw: GPUDevice;
  readonly caps: Caps;
  readonly info: DeviceInfo;
  readonly identity: AdapterIdentity;
  readonly timestamps: boolean;
  readonly pipelines: Pipelines;
  /** Resolves with the error when the device is lost other than by {@link Device.destroy}. */
  readonly lost: Promise<PapilioError>;
  /** Throws 'device-lost' once the device is gone, and once what WebGPU reported outside of any call's own check. */
  assertAlive(): void;
  /** Waits for what the GPU is to say (work done, a buffer mapped), and in Firefox asks for it every few milliseconds. */
  heard<T>(news: Promise<T>): Promise<T>;
  /** When the latest submit was seen to finish, by `performance.now()`; programs on one queue share it to time their submits. */
  lastDone: number;
  /**
   * A buffer, zero at first. The promise of `settle` must be awaited before its contents are trusted.
   * @throws PapilioError('limit') before anything is allocated when it is larger than the device allows
   */
  buffer(label: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer;
  /** Waits until all buffers asked for are known to exist. @throws PapilioError('out-of-memory') naming the first that does not */
  settle(): Promise<void>;
  /** Bytes of the buffers made here and not destroyed yet. */
  bytes(): number;
  /** Destroys one of the device's buffers. */
  release(buffer: GPUBuffer): void;
  destroy(): void;
}

/** wgpu gives the number that the vendor has in PCI and Vulkan; Dawn gives the name. */
const VENDORS: Readonly<Record<string, string>> = {
  '4098': 'amd',
  '4203': 'apple',
  '4318': 'nvidia',
  '5045': 'arm',
  '6880': 'google',
  '20803': 'qualcomm',
  '32902': 'intel',
  '65541': 'mesa',
};
const vendorName = (vendor: string): string => VENDORS[vendor] ?? vendor;

/** On Metal wgpu gives no number, but a name that begins with Apple. */
const vendorOf = ({ vendor, description }: GPUAdapterInfo): string =>
  /^apple\b/i.test(description) ? 'apple' : vendorName(vendor).toLowerCase();

const identityOf = ({ vendor, architecture, device, description }: GPUAdapterInfo): AdapterIdentity => [
  vendor,
  architecture,
  device,
  description,
];

const megabytes = (bytes: number): string => `${fixed(bytes / 1048576, 1)} MiB`;

const WANTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
] as const;

/** Dawn for Node frees the instance with its GPU object, so the device keeps it. */
const owners = new WeakMap<GPUDevice, GPU>();

/**
 * @throws PapilioError('no-adapter') when the browser has WebGPU but no usable GPU;
 * 'no-webgpu' when the adapter refuses a device
 */
export async function openDevice(gpu: GPU, options: OpenOptions = {}): Promise<Device> {
  const adapter = await adapterOf(gpu);
  const timestamps = adapter.features.has('timestamp-query');
  const raw = await requestDevice(adapter, timestamps);
  owners.set(raw, gpu);
  const { lost, assertAlive, close } = watchDevice(raw);
  return {
    raw,
    caps: capsOf(adapter, raw),
    info: {
      vendor: vendorName(adapter.info.vendor),
      architecture: adapter.info.architecture || adapter.info.description,
      description: adapter.info.description,
    },
    identity: identityOf(adapter.info),
    timestamps,
    pipelines: createPipelines(raw, options.shaders ?? shaderLibrary),
    lost,
    assertAlive,
    heard: createHearing(raw.queue),
    lastDone: 0,
    ...createBuffers(raw, assertAlive),
    destroy() {
      close();
      raw.destroy();
    },
  };
}

/** @throws PapilioError('no-adapter') */
async function adapterOf(gpu: GPU): Promise<GPUAdapter> {
  let adapter: GPUAdapter | null;
  try {
    adapter = await anyAdapter(gpu);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return fail(
      'no-adapter',
      say`WebGPU is there but offers no adapter (${reason}): check the graphics driver.`,
    );
  }
  return (
    adapter ?? fail('no-adapter', say`WebGPU is there but offers no adapter: check the graphics driver.`)
  );
}

/** A device with the adapter's own limits. */
async function requestDevice(adapter: GPUAdapter, timestamps: boolean): Promise<GPUDevice> {
  const requiredLimits = Object.fromEntries(WANTED_LIMITS.map((name) => [name, adapter.limits[name]]));
  try {
    return await adapter.requestDevice({
      requiredFeatures: timestamps ? ['timestamp-query'] : [],
      requiredLimits,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return fail('no-webgpu', say`The adapter gives no device: ${reason}.`);
  }
}

const capsOf = (adapter: GPUAdapter, { limits }: GPUDevice): Caps => ({
  software:
    isSoftwareAdapter(adapter.info) ||
    // Where older browsers have it.
    (adapter as { readonly isFallbackAdapter?: boolean }).isFallbackAdapter === true,
  vendor: vendorOf(adapter.info),
  maxWorkgroupStorageBytes: limits.maxComputeWorkgroupStorageSize,
  maxInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
  maxStorageBindingBytes: limits.maxStorageBufferBindingSize,
  maxStorageBuffersPerStage: limits.maxStorageBuffersPerShaderStage,
});

/** Turns a lost device and errors outside of any call's own check into PapilioErrors; after `close` a loss is nobody's news. */
function watchDevice(raw: GPUDevice): Pick<Device, 'lost' | 'assertAlive'> & { readonly close: () => void } {
  let gone: PapilioError | null = null;
  let refused: PapilioError | null = null;
  let closed = false;
  const lost = new Promise<PapilioError>((resolve) => {
    void raw.lost.then((info) => {
      const [why = ''] = info.message.split('\n');
      gone = new PapilioError(
        'device-lost',
        why === ''
          ? say`The GPU device was lost: start again, a run from its last checkpoint.`
          : say`The GPU device was lost (${why}): start again, a run from its last checkpoint.`,
        { reason: info.reason ?? 'unknown' },
      );
      if (!closed) resolve(gone);
    });
  });
  raw.onuncapturederror = (event) => {
    // The first error is the cause; what follows usually only repeats that something is invalid.
    refused ??= new PapilioError('internal', `WebGPU refused a command: ${event.error.message}`);
    event.preventDefault?.();
  };
  return {
    lost,
    assertAlive() {
      if (gone) throw gone;
      if (refused) {
        const error = refused;
        refused = null;
        throw error;
      }
    },
    close() {
      closed = true;
    },
  };
}

/** Firefox looks for finished work every 100 ms, and at every submit: where it has said nothing for so long, an empty submit makes it look. */
const ASK_EVERY_MS = 4;

function createHearing(queue: GPUQueue): Device['heard'] {
  if (!/\bFirefox\//.test(globalThis.navigator?.userAgent ?? '')) return (news) => news;
  let waiting = 0;
  let timer: ReturnType<typeof setInterval> | undefined;
  return async (news) => {
    waiting++;
    timer ??= setInterval(() => queue.submit([]), ASK_EVERY_MS);
    try {
      return await news;
    } finally {
      waiting--;
      if (waiting === 0) {
        clearInterval(timer);
        timer = undefined;
      }
    }
  };
}

/** The device's buffers, their bytes counted and their errors collected until `settle`. */
function createBuffers(
  raw: GPUDevice,
  assertAlive: () => void,
): Pick<Device, 'buffer' | 'settle' | 'bytes' | 'release'> {
  let total = 0;
  let pending: Promise<void>[] = [];
  return {
    buffer(label, bytes, usage) {
      assertAlive();
      if (bytes > raw.limits.maxBufferSize) {
        fail(
          'limit',
          say`${label} needs a buffer of ${megabytes(bytes)}, but this device allows ${megabytes(raw.limits.maxBufferSize)}: use a smaller batch, sequence or model.`,
          { label, bytes, limit: raw.limits.maxBufferSize },
        );
      }
      raw.pushErrorScope('out-of-memory');
      raw.pushErrorScope('validation');
      const buffer = raw.createBuffer({ label, size: bytes, usage });
      const invalid = raw.popErrorScope();
      const short = raw.popErrorScope();
      total += bytes;
      const used = total;
      const made = Promise.all([invalid, short]).then(([validation, memory]) => {
        if (memory) {
          throw new PapilioError(
            'out-of-memory',
            say`The GPU has no ${megabytes(bytes)} left for ${label} (${megabytes(used)} in use with it): use a smaller batch, sequence or model.`,
            { label, bytes, total: used, memory: 'gpu' },
          );
        }
        if (validation)
          throw new PapilioError('internal', `The buffer for ${label} was refused: ${validation.message}`);
      });
      // `settle` reports it; until then it must not count as unhandled.
      made.catch(() => {});
      pending.push(made);
      return buffer;
    },
    async settle() {
      const waiting = pending;
      pending = [];
      const results = await Promise.allSettled(waiting);
      assertAlive();
      for (const r of results) if (r.status === 'rejected') throw r.reason;
    },
    bytes: () => total,
    release(buffer) {
      total -= buffer.size;
      buffer.destroy();
    },
  };
}
