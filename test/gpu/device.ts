/** One device for all GPU tests of a file. Without an adapter this throws, so that no test passes by not running. */
import { openGpu } from '../../src/cli/runtime.ts';
import { type Device, openDevice } from '../../src/gpu/device.ts';

let opened: Promise<Device> | undefined;

export function testDevice(): Promise<Device> {
  opened ??= openGpu().then((gpu) => openDevice(gpu));
  return opened;
}
