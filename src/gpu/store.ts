/** Persistent values of a program family: parameters and states, one buffer for each name, filled from their source once. */

import { byteSizeOf } from '../graph/shape.ts';
import type { DeviceData, DType, TensorSource, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import type { Device } from './device.ts';
import { readBuffer } from './readback.ts';

export interface StoredValue {
  readonly name: string;
  readonly role: 'parameter' | 'state';
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: number;
}

export interface Store {
  /** The buffer of a parameter or state, made and filled from `value.source` at the first call. */
  ensure(value: Value): GPUBuffer;
  /** @throws PapilioError('not-found') for a name no program has used yet */
  read(name: string, role?: StoredValue['role']): Promise<DeviceData>;
  /** Replaces the contents; takes effect before the next run. */
  write(name: string, data: DeviceData, role?: StoredValue['role']): void;
  readonly values: ReadonlyMap<string, StoredValue>;
  /** Bytes of all buffers. */
  readonly bytes: number;
  destroy(): void;
}

/** Storage buffers that can be read back and written: STORAGE | COPY_SRC | COPY_DST, whose names are no globals in Node. */
export const storageUsage = 0x80 | 0x04 | 0x08;

/** Writes typed data of any length at a byte offset, padding the last four bytes where f16 data is odd. */
export function writeData(device: Device, buffer: GPUBuffer, data: DeviceData, offset = 0): void {
  const even = data.byteLength - (data.byteLength % 4);
  // Pieces keep the implementation's staging memory small.
  for (let at = 0; at < even; at += 1 << 26) {
    const bytes = Math.min(1 << 26, even - at);
    device.raw.queue.writeBuffer(
      buffer,
      offset + at,
      data.buffer as ArrayBuffer,
      data.byteOffset + at,
      bytes,
    );
  }
  if (even < data.byteLength) {
    const rest = new Uint8Array(4);
    rest.set(new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset + even, data.byteLength - even));
    device.raw.queue.writeBuffer(buffer, offset + even, rest);
  }
}

/** @throws PapilioError('internal') when the data's kind or length is not the type's */
export function checkData(
  label: string,
  type: { dtype: DType; shape: readonly number[] },
  data: DeviceData,
): void {
  const kind =
    data instanceof Float32Array
      ? 'f32'
      : data instanceof Uint16Array
        ? 'f16'
        : data instanceof Int32Array
          ? 'i32'
          : 'u32';
  if (kind !== type.dtype || data.byteLength !== byteSizeOf(type)) {
    fail(
      'internal',
      `${label} is ${type.dtype} [${type.shape}] but was given ${data.length} elements of ${kind}.`,
    );
  }
}

/** Bytes that are kept for rearranging one weight after the other. */
const KEPT_ROOM = 1 << 25;

export function createStore(device: Device): Store {
  const buffers = new Map<string, GPUBuffer>();
  const values = new Map<string, StoredValue>();
  // Frozen weights of one source are one buffer, whatever they are called.
  const bySource = new Map<TensorSource, GPUBuffer>();
  let held = new ArrayBuffer(0);
  const room = (bytes: number): ArrayBuffer => {
    if (held.byteLength >= bytes) return held;
    const made = new ArrayBuffer(bytes);
    // What is rarely needed is not kept.
    if (bytes <= KEPT_ROOM) held = made;
    return made;
  };
  const find = (
    name: string,
    role?: StoredValue['role'],
  ): { key: string; value: StoredValue; buffer: GPUBuffer } => {
    for (const r of role ? [role] : (['state', 'parameter'] as const)) {
      const key = `${r}:${name}`;
      const value = values.get(key);
      if (value) return { key, value, buffer: buffers.get(key)! };
    }
    return fail('not-found', say`There is no state or parameter ${name}.`);
  };

  return {
    ensure(value) {
      const { name, role } = value;
      if (role !== 'parameter' && role !== 'state')
        return fail('internal', `The store keeps no ${role} (${name}).`);
      const key = `${role}:${name}`;
      const known = values.get(key);
      if (known) {
        if (known.dtype !== value.dtype || known.shape.join() !== value.shape.join()) {
          fail(
            'internal',
            `${role} ${name} is [${known.shape}] in the store but [${value.shape}] in this program.`,
          );
        }
        return buffers.get(key)!;
      }
      const twin = role === 'parameter' && value.source && bySource.get(value.source);
      if (twin) {
        buffers.set(key, twin);
        values.set(key, { name, role, dtype: value.dtype, shape: value.shape, bytes: 0 });
        return twin;
      }
      const data = value.source?.(room);
      if (!data) return fail('internal', `${role} ${name} has no source.`);
      checkData(`${role} ${name}`, value, data);
      const bytes = Math.max(16, Math.ceil(byteSizeOf(value) / 16) * 16);
      const buffer = device.buffer(`${role} ${name}`, bytes, storageUsage);
      writeData(device, buffer, data);
      buffers.set(key, buffer);
      if (role === 'parameter') bySource.set(value.source!, buffer);
      values.set(key, { name, role, dtype: value.dtype, shape: value.shape, bytes });
      return buffer;
    },
    read(name, role) {
      const { value, buffer } = find(name, role);
      return readBuffer(device, { buffer, offset: 0, type: value });
    },
    write(name, data, role) {
      const { value, buffer } = find(name, role);
      checkData(`${value.role} ${name}`, value, data);
      device.assertAlive();
      writeData(device, buffer, data);
    },
    values,
    get bytes() {
      return [...values.values()].reduce((sum, v) => sum + v.bytes, 0);
    },
    destroy() {
      for (const buffer of new Set(buffers.values())) device.release(buffer);
      bySource.clear();
      buffers.clear();
      values.clear();
    },
  };
}
