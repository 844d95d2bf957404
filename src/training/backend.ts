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
import { say } from '../lib/say.ts';
import { CPU_CAPS, type MemoryOverhead, NO_OVERHEAD, type OrtRuntime } from '../onnxruntime/runtime.ts';
import type { BatchPlan } from './batchPlan.ts';
import {
  createEngine,
  type Engine,
  type ForwardGraph,
  type MakeEngine,
  withForwardPasses,
} from './engine.ts';
import { graphRunner, type OpenGraph, openGraph, type RunGraph } from './graphRuns.ts';
import type { Host } from './openModel.ts';
import type { DeviceReport, EngineName } from './protocol.ts';
import { createTuner } from './tuner.ts';
import type { TuningStore } from './tuning.ts';

export interface Backend {
  readonly info: DeviceReport;
  readonly engine: MakeEngine;
  /** Runs single graphs and reads their outputs: merging, looking inside, checks. */
  readonly once: RunGraph;
  /** Opens a graph that is run many times. */
  readonly open: (graph: Graph) => Promise<OpenGraph>;
  /** Forward passes alone, for as long as `task` takes: nothing trains, and what they held is free afterwards. */
  readonly forwardPasses: <T>(
    graphAt: ForwardGraph,
    batches: Pick<BatchPlan, 'batchSize' | 'sequence'>,
    task: (engine: Pick<Engine, 'evaluate'>) => Promise<T>,
  ) => Promise<T>;
  /** Where it is WebGPU. */
  readonly device: Device | null;
  /** What plans are made for. */
  readonly caps: Caps;
  readonly maxBufferBytes: number;
  /** Memory that there is; null where it cannot be known. */
  readonly memoryBytes: number | null;
  /** Memory that a run takes beyond its plans. */
  readonly overhead: MemoryOverhead;
  /** Seconds of a graph with zeros for inputs, without what waiting for it takes. */
  readonly secondsOf: (graph: Graph) => Promise<number>;
  /** Resolves with the error when it is gone; it may never. */
  readonly lost: Promise<PapilioError>;
  readonly close: () => void;
}

/** What a run needs of it: an engine, and its limits where the run must stay within a budget. */
export type RunsOn = Pick<Backend, 'engine'> & Partial<Backend>;

/** @param tunings where what was measured of kernels is kept; absent: with this backend alone */
export function gpuBackend(device: Device, tunings?: TuningStore): Backend {
  const tuner = createTuner(device, { kept: tunings });
  return {
    info: { ...device.info, engine: 'webgpu', isSoftware: device.caps.software },
    engine: (request) => createEngine({ device, tuner, ...request }),
    once: graphRunner(async () => device),
    open: (graph) => openGraph(device, graph),
    forwardPasses: (graphAt, batches, task) => withForwardPasses(device, graphAt, batches, task),
    device,
    caps: device.caps,
    maxBufferBytes: device.raw.limits.maxBufferSize,
    memoryBytes: null,
    overhead: NO_OVERHEAD,
    secondsOf: (graph) => gpuSeconds(device, graph),
    lost: device.lost,
    close: () => device.destroy(),
  };
}

/** A difference of so many milliseconds stands out from what waiting takes. */
const CLEAR_MS = 20;
const MOST_RUNS = 64;
/** Beside so many a wait is nothing. */
const LONG_MS = 200;

/** Runs in a row take as much longer than fewer as the GPU works on them; what is waited for besides is in both. */
async function gpuSeconds(device: Device, graph: Graph): Promise<number> {
  const store = createStore(device);
  const program = await compile(device, store, schedule(graph, device.caps));
  const timed = async (runs: number): Promise<number> => {
    const from = performance.now();
    for (let i = 0; i < runs; i++) program.run();
    await program.idle(0);
    return performance.now() - from;
  };
  try {
    // The first run warms caches and clocks.
    await timed(1);
    for (let runs = 1; ; runs *= 4) {
      const once = await timed(runs);
      if (once > LONG_MS) return once / runs / 1000;
      const longer = await timed(4 * runs);
      const [difference, count] = [longer - once, 3 * runs];
      if (difference >= CLEAR_MS || count >= MOST_RUNS) return Math.max(0, difference) / count / 1000;
    }
  } finally {
    program.destroy();
    store.destroy();
  }
}

/** WebAssembly is compiled better while it runs: the later half counts. */
const settled = (times: readonly number[]): number => median(times.slice(times.length >> 1));

export async function ortBackend(ort: OrtRuntime): Promise<Backend> {
  // References and the interpreter of graphs come with it, which nothing else needs.
  const { ortEngines, ortGraphs, ortOpen, ortSeconds, withOrtForwardPasses } = await import(
    './onnxruntimeEngine.ts'
  );
  return {
    info: {
      engine: 'onnxruntime',
      vendor: 'cpu',
      architecture: ort.cpu,
      // In the language of whoever asks.
      get description() {
        const name = `${ort.name} ${ort.version}`;
        return ort.threads === 1 ? say`${name}, 1 thread` : say`${name}, ${ort.threads} threads`;
      },
      isSoftware: true,
      threads: ort.threads,
    },
    engine: ortEngines(ort),
    once: ortGraphs(ort),
    open: ortOpen(ort),
    forwardPasses: (graphAt, batches, task) => withOrtForwardPasses(ort, graphAt, batches, task),
    device: null,
    caps: CPU_CAPS,
    maxBufferBytes: ort.memoryBytes,
    memoryBytes: ort.memoryBytes,
    overhead: ort.overhead,
    secondsOf: async (graph) => settled(await ortSeconds(ort, graph)),
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
  { gpu, onnxruntime, tunings }: Pick<Host, 'gpu' | 'onnxruntime' | 'tunings'>,
  wanted: EngineName | undefined,
): Promise<Backend> {
  const ort = async (): Promise<Backend> =>
    ortBackend(
      await (onnxruntime?.() ?? fail('bad-argument', say`There is no onnxruntime here; train on WebGPU.`)),
    );
  if (wanted === 'onnxruntime') return ort();
  if (wanted === 'webgpu' || !onnxruntime) return gpuBackend(await openDevice(await gpu()), tunings);
  const device = await Promise.resolve()
    .then(async () => openDevice(await gpu()))
    .catch(() => null);
  if (device && !device.caps.software) return gpuBackend(device, tunings);
  try {
    const backend = await ort();
    device?.destroy();
    return backend;
  } catch (error) {
    // A library's user may have no onnxruntime: a software adapter is slow, and better than nothing.
    if (device) return gpuBackend(device, tunings);
    throw error;
  }
}
