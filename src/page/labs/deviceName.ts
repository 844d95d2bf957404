/** What computes, in a few words. */
import { say } from '../../common.ts';
import type { DeviceReport } from '../../labs.ts';
import { deviceName as nameOf } from '../features/runs/figures.ts';

export const deviceName = (device: DeviceReport): string =>
  device.engine === 'webgpu' ? say`WebGPU on ${nameOf(device)}` : nameOf(device);
