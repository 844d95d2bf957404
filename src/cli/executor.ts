/** Where the command line trains: on the GPU, or on onnxruntime's native CPU build for machines whose WebGPU is software. */
import { type Device, type DeviceInfo, openDevice } from '../engine.ts';
import { loadOrtRuntime, type MakeEngine, ortEngines } from '../trainer.ts';
import type { OptionTable, Values } from './options.ts';
import { openGpu, runtimeName } from './runtime.ts';

/** Where `finetune`, `compare` and others execute. */
export const executorOptions = {
  executor: {
    type: 'string',
    choices: ['webgpu', 'onnxruntime'],
    default: 'webgpu',
    about:
      'where it computes; onnxruntime: the same graphs on its native CPU build, for machines without a GPU',
    group: 'Execution',
  },
  'executor-path': {
    type: 'string',
    value: 'DIR',
    about: 'the folder whose node_modules holds onnxruntime-node',
    otherwise: 'the current folder',
    group: 'Execution',
  },
  threads: {
    type: 'number',
    about: 'threads of onnxruntime',
    otherwise: 'as many as there are',
    group: 'Execution',
  },
} as const satisfies OptionTable;

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
