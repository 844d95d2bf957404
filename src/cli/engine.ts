/** What the command line computes on: WebGPU, or onnxruntime, native where it is installed and else as WebAssembly; and where it keeps what it measured. */
import { join } from 'node:path';
import { jsonOf, PapilioError } from '../common.ts';
import { ENGINES } from '../protocol.ts';
import {
  type Backend,
  loadNativeRuntime,
  loadWebRuntime,
  type OrtRuntime,
  openBackend,
  type TuningStore,
} from '../trainer.ts';
import { cacheFolder } from './hubFolder.ts';
import type { OptionTable, Values } from './options.ts';
import { gpuRuntimeName, openGpu, readText, runtimeName, writeInto } from './runtime.ts';
import { note } from './terminal.ts';

/** Where `finetune`, `compare` and others compute. */
export const engineOptions = {
  engine: {
    type: 'string',
    choices: ['auto', ...ENGINES],
    default: 'auto',
    about:
      'what computes; auto: WebGPU on a GPU, else onnxruntime on the processor, which is many times faster than a software adapter',
    group: 'Execution',
  },
  'engine-path': {
    type: 'string',
    value: 'DIR',
    about: 'the folder whose node_modules holds onnxruntime-node',
    otherwise: 'the current folder; without it onnxruntime-web computes, on one thread',
    group: 'Execution',
  },
  threads: {
    type: 'number',
    about: 'threads of onnxruntime-node',
    otherwise: 'as many as there are',
    group: 'Execution',
  },
  tune: {
    type: 'string',
    choices: ['on', 'off'],
    about:
      'whether half a second before the first step goes to finding the fastest way of each large product on this device, which is kept in PAPILIO_CACHE and changes no number',
    otherwise: 'on with a GPU, off with a software adapter',
    group: 'Execution',
  },
} as const satisfies OptionTable;

export type EngineValues = Values<typeof engineOptions>;

/** @throws PapilioError 'not-found' where the folder that is named has none */
async function onnxruntime(values: Pick<EngineValues, 'engine-path' | 'threads'>): Promise<OrtRuntime> {
  try {
    return loadNativeRuntime(values['engine-path'], values.threads);
  } catch (error) {
    const isAbsent = error instanceof PapilioError && error.kind === 'not-found';
    if (!isAbsent || values['engine-path'] !== undefined || values.threads !== undefined) throw error;
    return loadWebRuntime();
  }
}

const TUNINGS = 'tuning.json';

/** One file in the cache folder for all adapters. */
export function fileTunings(folder = cacheFolder()): TuningStore {
  const all = async (): Promise<Readonly<Record<string, unknown>>> => {
    const kept = jsonOf(await readText(join(folder, TUNINGS)));
    return typeof kept === 'object' && kept !== null ? (kept as Record<string, unknown>) : {};
  };
  return {
    read: async (adapter) => new Map(Object.entries(await all())).get(adapter),
    async write(adapter, kept) {
      // A file that cannot be read is begun anew.
      const others = await all().catch(() => ({}));
      await writeInto(folder, TUNINGS, `${JSON.stringify({ ...others, [adapter]: kept }, null, 1)}\n`);
    },
  };
}

/** @throws PapilioError 'no-adapter', 'not-found' */
export async function openEngine(values: EngineValues): Promise<Backend> {
  const { engine, tune } = values;
  const opened = await openBackend(
    { gpu: openGpu, onnxruntime: () => onnxruntime(values), tunings: fileTunings() },
    engine === 'auto' ? undefined : engine,
  );
  const backend: Backend =
    tune === undefined
      ? opened
      : {
          ...opened,
          engine: (request) => opened.engine({ ...request, tune: request.tune ?? tune === 'on' }),
        };
  if (engine === 'auto' && backend.info.engine === 'onnxruntime')
    note(
      `There is no GPU: ${backend.info.description} computes. --engine webgpu takes the software adapter.\n`,
    );
  return backend;
}

/** What runs the program, with its WebGPU where that computes: "node 20.20.2 (Dawn)", "node 20.20.2". */
export const programOf = ({ info }: Backend): string =>
  info.engine === 'webgpu' ? gpuRuntimeName : runtimeName;

/** What runs the program and what computes in it, for records: "node 20.20.2, onnxruntime-node 1.30.0, 2 threads". */
export const runtimeOf = (on: Backend): string =>
  [programOf(on), on.info.description].filter(Boolean).join(', ');
