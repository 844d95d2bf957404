/** Where the command line trains: on the GPU, or on onnxruntime's native CPU build for machines whose WebGPU is software. */
import { type Device, type DeviceInfo, openDevice } from '../gpu/device.ts';
import { fail } from '../lib/errors.ts';
import type { MakeEngine } from '../training/engine.ts';
import type { Values } from './finetuneOptions.ts';
import { ortEngines } from './pretrain/ortEngine.ts';
import { loadOrtRuntime } from './pretrain/ortRuntime.ts';
import { openGpu, runtimeName } from './runtime.ts';

interface Executor {
  readonly engines: Device | MakeEngine;
  readonly info: DeviceInfo;
  readonly runtime: string;
  close(): void;
}

/** @throws PapilioError 'no-adapter', or 'bad-argument' for an executor that there is not */
export async function openExecutor(values: Values): Promise<Executor> {
  if (values.executor === 'onnxruntime') {
    const folder = values['executor-path'];
    const ort = loadOrtRuntime(
      typeof folder === 'string' ? folder : undefined,
      values.threads === undefined ? undefined : Number(values.threads),
    );
    const info = { vendor: 'cpu', architecture: ort.cpu, description: `${ort.threads} threads` };
    return { engines: ortEngines(ort), info, runtime: `${ort.name} ${ort.version}`, close: () => {} };
  }
  if (values.executor !== 'webgpu')
    return fail('bad-argument', `--executor must be webgpu or onnxruntime, not "${values.executor}".`);
  const device = await openDevice(await openGpu());
  return { engines: device, info: device.info, runtime: runtimeName, close: () => device.destroy() };
}
