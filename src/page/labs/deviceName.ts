/** What computes, in a few words. */

import { say } from '../../common.ts';
import type { DeviceReport } from '../../labs.ts';

export const deviceName = ({ engine, description, vendor, architecture }: DeviceReport): string =>
  engine === 'webgpu'
    ? say`WebGPU on ${description || [vendor, architecture].filter(Boolean).join(' ')}`
    : description;
