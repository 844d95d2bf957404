/** Where the command line trains: on the GPU, or on onnxruntime's native CPU build for machines whose WebGPU is software. */
import { type Device, type DeviceInfo, openDevice } from '../gpu/device.ts';
import { ortEngines } from '../onnxruntime/engine.ts';
import { loadOrtRuntime } from '../onnxruntime/runtime.ts';
import type { MakeEngine } from '../training/engine.ts';
import type { executorOptions } from './finetuneOptions.ts';
import type { Values } from './options.ts';
import { openGpu, runtimeName } from './runtime.ts';

export interface Executor {
  readonly engines: Device | MakeEngine;
  readonly info: DeviceInfo;
  readonly runtime: string;
  close(): void;
}

/** @throws PapilioError 'no-adapter' */
export async function openExecutor(values: Values<typeof executorOptions>): Promise<Executor> {
  if (values.executor === 'onnxruntime') {
    const ort = loadOrtRuntime(values['executor-path'], values.threads);
    const info = { vendor: 'cpu', architecture: ort.cpu, description: `${ort.threads} threads` };
    return { engines: ortEngines(ort), info, runtime: `${ort.name} ${ort.version}`, close: () => {} };
  }
  const device = await openDevice(await openGpu());
  return { engines: device, info: device.info, runtime: runtimeName, close: () => device.destroy() };
}
