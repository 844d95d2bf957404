/** One device for the GPU tests of a worker. Without an adapter this throws, so that no test passes by not running. */
import { openGpu } from '../../src/cli/runtime.ts';
import { type Device, openDevice } from '../../src/gpu/device.ts';

let opened: Promise<Device> | undefined;

/** The files of a worker share it with what was compiled on it, which takes a software adapter far longer than to run it. */
export function testDevice(): Promise<Device> {
  opened ??= openGpu().then((gpu) => openDevice(gpu));
  return opened;
}
