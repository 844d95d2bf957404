/**
 * Loaded before the command line in a process that something is to happen to, as FAULT says: the disk takes so many bytes and no more (or not
 * for a while), or the device is destroyed at a submit. Without a fault it counts, and writes the counts down at the end.
 */
import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const fault = JSON.parse(process.env.FAULT ?? '{}');
const counts = { bytes: 0, submits: 0 };
const struck = (what) => process.stderr.write(`fault: ${what}\n`);

await watchFiles();
await watchDevices();
if (fault.counts) process.on('exit', () => writeFileSync(fault.counts, JSON.stringify(counts)));

async function watchFiles() {
  const file = await open(fileURLToPath(import.meta.url));
  const handle = Object.getPrototypeOf(file);
  await file.close();
  const { write } = handle;
  let left = fault.refusals ?? Number.POSITIVE_INFINITY;
  handle.write = async function (bytes, offset = 0, length = bytes.length - offset, position = null) {
    const room = fault.kind === 'disk' && left > 0 ? fault.at - counts.bytes : Number.POSITIVE_INFINITY;
    if (room < length) {
      if (room > 0) {
        counts.bytes += room;
        return write.call(this, bytes, offset, room, position);
      }
      left--;
      struck('the disk is full');
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    }
    counts.bytes += length;
    return write.call(this, bytes, offset, length, position);
  };
}

async function watchDevices() {
  const { GPUAdapter, GPUQueue } = globalThis.GPUAdapter ? globalThis : (await import('webgpu')).globals;
  const { requestDevice } = GPUAdapter.prototype;
  const { submit } = GPUQueue.prototype;
  const devices = [];
  GPUAdapter.prototype.requestDevice = async function (...args) {
    const device = await requestDevice.apply(this, args);
    devices.push(device);
    return device;
  };
  GPUQueue.prototype.submit = function (...args) {
    counts.submits++;
    if (fault.kind === 'device' && counts.submits === fault.at) {
      struck('the device is destroyed');
      for (const device of devices) device.destroy();
    }
    return submit.apply(this, args);
  };
}
