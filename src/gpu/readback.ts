/** Brings buffers back to the CPU: one at a time, or through a ring of staging buffers that never makes a step wait. */
import { byteSizeOf, sizeOf } from '../graph/shape.ts';
import type { DeviceData, TensorType } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import type { Device } from './device.ts';

export interface BufferRange {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly type: TensorType;
}

/** MAP_READ | COPY_DST, whose names are no globals in Node. */
const stagingUsage = 0x01 | 0x08;
const mapRead = 1;
const padded = (type: TensorType): number => Math.max(4, Math.ceil(byteSizeOf(type) / 4) * 4);

function decode(type: TensorType, bytes: ArrayBuffer, offset = 0): DeviceData {
  const count = sizeOf(type.shape);
  const copy = bytes.slice(offset, offset + byteSizeOf(type));
  switch (type.dtype) {
    case 'f32':
      return new Float32Array(copy, 0, count);
    case 'f16':
      return new Uint16Array(copy, 0, count);
    case 'i32':
      return new Int32Array(copy, 0, count);
    case 'u32':
      return new Uint32Array(copy, 0, count);
  }
}

/** Waits for everything submitted before it. @throws PapilioError('device-lost' | 'out-of-memory') */
export async function readBuffer(device: Device, range: BufferRange): Promise<DeviceData> {
  const bytes = padded(range.type);
  const staging = device.buffer('read-back', bytes, stagingUsage);
  try {
    await device.settle();
    const encoder = device.raw.createCommandEncoder();
    encoder.copyBufferToBuffer(range.buffer, range.offset, staging, 0, bytes);
    device.raw.queue.submit([encoder.finish()]);
    await map(device, staging);
    return decode(range.type, staging.getMappedRange());
  } finally {
    device.release(staging);
  }
}

async function map(device: Device, staging: GPUBuffer): Promise<void> {
  try {
    await device.heard(staging.mapAsync(mapRead));
  } catch (error) {
    // The rejection may arrive just before the news that the device is lost.
    await Promise.race([device.raw.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
    device.assertAlive();
    throw error;
  }
}

export interface RingValue<T> {
  readonly tag: T;
  readonly data: Readonly<Record<string, DeviceData>>;
}

/**
 * Collects small outputs of every run without waiting: each collection copies into a free staging buffer and maps it while later
 * runs go on. Values arrive in the order of their runs.
 */
export interface Ring<T> {
  /** Slots that are not under way. */
  readonly free: number;
  /** Adds the copies to an encoder. @throws PapilioError('internal') when no slot is free */
  encode(encoder: GPUCommandEncoder, tag: T): void;
  /** To be called after the encoder was submitted; resolves when what it collected has been delivered. */
  submitted(): Promise<void>;
  onValue(listener: (value: RingValue<T>) => void): void;
  /** Resolves when every value collected so far has been delivered. */
  drain(): Promise<void>;
  destroy(): void;
}

/** Bytes that a ring of these outputs takes. */
export const ringBytes = (types: readonly TensorType[], slots: number): number =>
  slots *
  Math.max(
    4,
    types.reduce((n, type) => n + padded(type), 0),
  );

export function createRing<T>(
  device: Device,
  ranges: Readonly<Record<string, BufferRange>>,
  slots = 4,
): Ring<T> {
  const names = Object.keys(ranges);
  const starts: number[] = [];
  let bytes = 0;
  for (const name of names) {
    starts.push(bytes);
    bytes += padded(ranges[name]!.type);
  }
  const staging = Array.from({ length: slots }, (_, i) =>
    device.buffer(`read-back ring ${i}`, Math.max(4, bytes), stagingUsage),
  );
  const free = [...staging];
  const encoded: { buffer: GPUBuffer; tag: T }[] = [];
  const listeners: ((value: RingValue<T>) => void)[] = [];
  let tail: Promise<void> = Promise.resolve();
  let destroyed = false;

  return {
    get free() {
      return free.length;
    },
    encode(encoder, tag) {
      const buffer =
        free.shift() ?? fail('internal', 'The read-back ring is full: wait with idle() for earlier runs.');
      names.forEach((name, i) => {
        const { buffer: from, offset, type } = ranges[name]!;
        encoder.copyBufferToBuffer(from, offset, buffer, starts[i]!, padded(type));
      });
      encoded.push({ buffer, tag });
    },
    submitted() {
      for (const { buffer, tag } of encoded.splice(0)) {
        const mapped = map(device, buffer);
        tail = tail.then(async () => {
          await mapped;
          if (destroyed) return;
          const all = buffer.getMappedRange();
          const data = Object.fromEntries(
            names.map((name, i) => [name, decode(ranges[name]!.type, all, starts[i]!)]),
          );
          buffer.unmap();
          free.push(buffer);
          for (const listener of listeners) listener({ tag, data });
        });
        // `drain` reports a failure; without a listener it must not end the process.
        tail.catch(() => {});
        mapped.catch(() => {});
      }
      return tail;
    },
    onValue(listener) {
      listeners.push(listener);
    },
    drain: () => tail,
    destroy() {
      destroyed = true;
      for (const buffer of staging) device.release(buffer);
    },
  };
}
