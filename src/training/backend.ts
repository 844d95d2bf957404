/**
 * Where graphs are computed: on a GPU through WebGPU, or on the processor in onnxruntime. What a run, a forecast or an opened adapter asks of it
 * is the same; which one it is is always said.
 */
import { compile } from '../gpu/compile.ts';
import { type Device, openDevice } from '../gpu/device.ts';
import { createStore } from '../gpu/store.ts';
import { schedule } from '../graph/schedule.ts';
import type { Caps, Graph } from '../graph/types.ts';
import { fail, type PapilioError } from '../lib/errors.ts';
import { median } from '../lib/numbers.ts';
import { CPU_CAPS, type OrtRuntime } from '../onnxruntime/runtime.ts';
import type { BatchPlan } from './batchPlan.ts';
import {
  createEngine,
  type Engine,
  type ForwardGraph,
  graphRunner,
  type MakeEngine,
  type RunGraph,
  withForwardPasses,
} from './engine.ts';
import type { Host } from './openModel.ts';
import type { DeviceReport, EngineName } from './protocol.ts';

export interface Backend {
  readonly info: DeviceReport;
  readonly engine: MakeEngine;
  /** Runs single graphs and reads their outputs: merging, looking inside, checks. */
  readonly once: RunGraph;
  /** Forward passes alone, for as long as `task` takes: nothing trains, and what they held is free afterwards. */
  readonly forwardPasses: <T>(
    graphAt: ForwardGraph,
    batches: Pick<BatchPlan, 'batchSize' | 'sequence'>,
    task: (engine: Pick<Engine, 'evaluate'>) => Promise<T>,
  ) => Promise<T>;
  /** What plans are made for. */
  readonly caps: Caps;
  readonly maxBufferBytes: number;
  /** Memory that there is; null where it cannot be known. */
  readonly memoryBytes: number | null;
  /** Median seconds of a graph with zeros for inputs. */
  readonly secondsOf: (graph: Graph) => Promise<number>;
  /** Resolves with the error when it is gone; it may never. */
  readonly lost: Promise<PapilioError>;
  readonly close: () => void;
}

/** What a run needs of it: an engine, and its limits where the run must stay within a budget. */
export type RunsOn = Pick<Backend, 'engine'> & Partial<Backend>;

const RUNS = 5;

export function gpuBackend(device: Device): Backend {
  return {
    info: { ...device.info, engine: 'webgpu', isSoftware: device.caps.software },
    engine: (request) => createEngine({ device, ...request }),
    once: graphRunner(async () => device),
    forwardPasses: (graphAt, batches, task) => withForwardPasses(device, graphAt, batches, task),
    caps: device.caps,
    maxBufferBytes: device.raw.limits.maxBufferSize,
    memoryBytes: null,
    secondsOf: (graph) => gpuSeconds(device, graph),
    lost: device.lost,
    close: () => device.destroy(),
  };
}

async function gpuSeconds(device: Device, graph: Graph): Promise<number> {
  const store = createStore(device);
  const program = await compile(device, store, schedule(graph, device.caps));
  try {
    // The first run warms caches and clocks.
    program.run();
    await program.idle(0);
    const times: number[] = [];
    for (let i = 0; i < RUNS; i++) {
      const from = performance.now();
      program.run();
      await program.idle(0);
      times.push((performance.now() - from) / 1000);
    }
    return median(times);
  } finally {
    program.destroy();
    store.destroy();
  }
}

export async function ortBackend(ort: OrtRuntime): Promise<Backend> {
  // References and the interpreter of graphs come with it, which nothing else needs.
  const { ortEngines, ortGraphs, ortSeconds, withOrtForwardPasses } = await import('./onnxruntimeEngine.ts');
  return {
    info: {
      engine: 'onnxruntime',
      vendor: 'cpu',
      architecture: ort.cpu,
      description: `${ort.name} ${ort.version}, ${ort.threads} ${ort.threads === 1 ? 'thread' : 'threads'}`,
      isSoftware: true,
      threads: ort.threads,
    },
    engine: ortEngines(ort),
    once: ortGraphs(ort),
    forwardPasses: (graphAt, batches, task) => withOrtForwardPasses(ort, graphAt, batches, task),
    caps: CPU_CAPS,
    maxBufferBytes: ort.memoryBytes,
    memoryBytes: ort.memoryBytes,
    secondsOf: async (graph) => median(await ortSeconds(ort, graph, RUNS)),
    lost: new Promise(() => {}),
    close: () => {},
  };
}

/**
 * The engine that a request names, or else the one that suits the machine: WebGPU where a GPU is behind it, onnxruntime where there is none or
 * only a software adapter; that is taken where no onnxruntime can be loaded.
 * @throws PapilioError 'no-webgpu', 'no-adapter', 'not-found'
 */
export async function openBackend(
  { gpu, onnxruntime }: Pick<Host, 'gpu' | 'onnxruntime'>,
  wanted: EngineName | undefined,
): Promise<Backend> {
  const ort = async (): Promise<Backend> =>
    ortBackend(
      await (onnxruntime?.() ?? fail('bad-argument', 'There is no onnxruntime here; train on WebGPU.')),
    );
  if (wanted === 'onnxruntime') return ort();
  if (wanted === 'webgpu' || !onnxruntime) return gpuBackend(await openDevice(await gpu()));
  const device = await Promise.resolve()
    .then(async () => openDevice(await gpu()))
    .catch(() => null);
  if (device && !device.caps.software) return gpuBackend(device);
  try {
    const backend = await ort();
    device?.destroy();
    return backend;
  } catch (error) {
    // A library's user may have no onnxruntime: a software adapter is slow, and better than nothing.
    if (device) return gpuBackend(device);
    throw error;
  }
}
