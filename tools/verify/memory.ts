/**
 * `papilio verify memory DIR [--json]`: writes a model of GPT-2's size with random weights and external data into DIR, loads it, trains
 * a step, evaluates and merges it, and holds the peaks against what they may be: JavaScript's memory against the file, the GPU's against
 * the forecast. Takes minutes without a GPU.
 */
import { join } from 'node:path';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { validateConfig } from '../../src/adapters/config.ts';
import { chooseAdapter, initialValues, loadMethod } from '../../src/adapters/plan.ts';
import { methodById } from '../../src/adapters/registry.ts';
import { openGpu, readBytes, writeChunks } from '../../src/cli/runtime.ts';
import { print } from '../../src/cli/terminal.ts';
import { openDevice } from '../../src/gpu/device.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { Graph, TensorSource } from '../../src/graph/types.ts';
import type { InputFile } from '../../src/lib/bytes.ts';
import { rng } from '../../src/lib/rng.ts';
import { type LoadedModel, loadModel } from '../../src/models/load.ts';
import { encodeExternalChunks } from '../../src/onnx/encode.ts';
import { gpuBackend } from '../../src/training/backend.ts';
import type { FullBatch } from '../../src/training/batchPlan.ts';
import { createEngine, type Engine } from '../../src/training/engine.ts';
import { forecastRun, limitsOf, mebibytes } from '../../src/training/forecast.ts';
import { mergedWeights, mergeModel } from '../../src/training/merging.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { type Gpt2Shape, gpt2Model } from '../bench/gpt2.ts';

/** GPT-2 small: 124 million numbers, the head tied to the embedding. */
const GPT2: Gpt2Shape = { layers: 12, width: 768, heads: 12, vocabulary: 50257, context: 1024 };
const SEQUENCE = 16;
/** JavaScript's peak over the size of the files, and the GPU's off the forecast. */
const HEAP_BOUND = 1.3;
const FORECAST_BOUND = 0.1;
const DATA = 'model.onnx_data';

interface MemoryReport {
  readonly fileBytes: number;
  /** Peak of JavaScript's memory, array buffers included, over what there was before the model was read. */
  readonly heapBytes: number;
  /** What was going on at that peak. */
  readonly heapDuring: string;
  readonly gpuBytes: number;
  readonly forecastBytes: number;
  readonly losses: readonly number[];
  readonly seconds: Readonly<Record<string, number>>;
}

/** Uniform numbers of the right spread: drawing 124 million normal ones takes longer than all the rest. */
function drawn(dims: readonly number[], seed: number): Float32Array {
  const out = new Float32Array(sizeOf(dims));
  let state = seed | 1;
  for (let i = 0; i < out.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = (state / 2 ** 31) * 0.035;
  }
  return out;
}

async function writeSized(folder: string, shape: Gpt2Shape): Promise<void> {
  let weights = 0;
  const model = gpt2Model(shape, (kind, _name, dims) =>
    kind === 'one'
      ? new Float32Array(dims[0]!).fill(1)
      : kind === 'zero' || kind === 'bias'
        ? new Float32Array(dims[0]!)
        : drawn(dims, 7919 * ++weights),
  );
  const { proto, data } = encodeExternalChunks(model, DATA);
  await writeChunks(join(folder, 'model.onnx'), proto);
  await writeChunks(join(folder, DATA), data);
}

/** Frees what is unreachable, where the runtime lets us, so that the baseline is honest. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('typeof gc === "function" ? gc : null');
  if (typeof gc === 'function') gc();
}

const held = (): number => {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** Watches JavaScript's memory over stages that it times. */
function createMeter() {
  collectGarbage();
  const start = held();
  const seconds: Record<string, number> = {};
  let peak = { bytes: 0, during: '' };
  let stage = 'read';
  const sample = (): void => {
    const bytes = held() - start;
    if (bytes > peak.bytes) peak = { bytes, during: stage };
  };
  return {
    seconds,
    sample,
    peak: () => peak,
    async timed<T>(what: string, work: () => Promise<T>): Promise<T> {
      stage = what;
      const from = performance.now();
      const result = await work();
      seconds[what] = (performance.now() - from) / 1000;
      sample();
      return result;
    },
  };
}

type Meter = ReturnType<typeof createMeter>;

async function measureMemory(folder: string, shape: Gpt2Shape): Promise<MemoryReport> {
  const device = await openDevice(await openGpu());
  const meter = createMeter();
  const { sample, timed } = meter;
  const files: InputFile[] = [];
  for (const name of ['model.onnx', DATA]) files.push({ name, bytes: await readBytes(join(folder, name)) });
  const fileBytes = files.reduce((n, f) => n + f.bytes.length, 0);
  sample();
  const model = await timed('load', async () => loadModel(files));
  const request = await runOn(model, sample);
  const forecast = await timed('forecast', async () =>
    forecastRun({ ...request, readsLogits: false }, limitsOf(gpuBackend(device))),
  );
  const parameters = new Map(model.parameters.map((p) => [p.name, p]));
  const engine = await timed('upload and compile', () =>
    createEngine({
      device,
      ...request,
      totalSteps: 1,
      initial: () => initialValues(request.plan, 1, parameters),
      onCompile: sample,
    }),
  );
  const losses = await trainStep(engine, randomBatch(shape.vocabulary), meter);
  const gpuBytes = engine.stats!.peakBytes;
  const packed = await engine.readState('trainable');
  const once: Engine['once'] = async (graph) => {
    const outputs = await engine.once(graph);
    sample();
    return outputs;
  };
  await timed('merge', () =>
    mergeTo(
      join(folder, 'merged'),
      model,
      () => mergedWeights(request.plan, parameters, once, packed),
      sample,
    ),
  );
  await engine.close();
  device.destroy();
  const { bytes: heapBytes, during: heapDuring } = meter.peak();
  const { seconds } = meter;
  return { fileBytes, heapBytes, heapDuring, gpuBytes, forecastBytes: forecast.bytes.peak, losses, seconds };
}

/** One update of OFT on the attention, whose weights are watched while they are read. */
async function runOn(model: LoadedModel, sample: () => void) {
  const method = methodById('oft');
  const { config } = validateConfig(method, { target_modules: ['c_attn'] });
  const { plan } = chooseAdapter(await loadMethod(method), config, model.targets, model.parameters);
  const settings = trainingSchema.parse({
    learningRate: method.start.learningRate,
    batchSize: 1,
    sequenceLength: SEQUENCE,
    steps: 1,
  });
  const build = (batch: number, sequence: number) => {
    const built = model.build(batch, sequence);
    watchSources(built.graph, sample);
    return { ...built, loss: 'cross-entropy' as const };
  };
  return { build, plan, settings, sequence: SEQUENCE };
}

/** @returns the losses of the base, of the adapter as it starts, and of the adapter after one update */
async function trainStep(engine: Engine, batch: FullBatch, { timed }: Meter): Promise<number[]> {
  const losses: number[] = [];
  for (const which of ['base', 'adapted'] as const) {
    const { loss } = await timed(`evaluate ${which}`, () => engine.evaluate(which, batch, false));
    losses.push(loss);
  }
  await timed('step', async () => {
    await engine.train(1, [batch]);
    await engine.settle();
  });
  losses.push((await engine.evaluate('adapted', batch, false)).loss);
  return losses;
}

/** Tells of every weight when it has just been read, which is when most is held. */
function watchSources(graph: Graph, sample: () => void): void {
  for (const v of new Set(graph.nodes.flatMap((n) => n.inputs))) {
    const { source } = v;
    if (v.role !== 'parameter' || !source) continue;
    const watched: TensorSource = (room) => {
      const data = source(room);
      sample();
      return data;
    };
    Object.assign(v, { source: watched });
  }
}

function randomBatch(vocabulary: number): FullBatch {
  const random = rng(4);
  const ids = Int32Array.from({ length: SEQUENCE }, () => random.int(vocabulary));
  const labels = Int32Array.from(ids, (_, i) => ids[i + 1] ?? -100);
  const input_ids = { dtype: 'int32' as const, shape: [1, SEQUENCE], data: ids };
  return { inputs: { input_ids }, labels, count: 1, validLabels: SEQUENCE - 1, tokens: SEQUENCE };
}

/** The merged model into a folder, its weights straight from where they are. */
async function mergeTo(
  folder: string,
  model: LoadedModel,
  weights: () => Promise<Map<string, Float32Array>>,
  sample: () => void,
): Promise<void> {
  const { onnx } = mergeModel(model, await weights(), 'requantise');
  sample();
  const { proto, data } = encodeExternalChunks(onnx, DATA);
  await writeChunks(join(folder, 'model.onnx'), proto);
  await writeChunks(join(folder, DATA), data);
}

/** @returns the exit code */
export async function verifyMemory(folder: string, json: boolean): Promise<number> {
  await writeSized(folder, GPT2);
  const report = await measureMemory(folder, GPT2);
  const heap = report.heapBytes / report.fileBytes;
  const off = Math.abs(report.gpuBytes / report.forecastBytes - 1);
  const [, before, after] = report.losses as [number, number, number];
  const ok = heap <= HEAP_BOUND && off <= FORECAST_BOUND && Number.isFinite(after) && after !== before;
  if (json) print(`${JSON.stringify({ ok, ...report })}\n`);
  else {
    const seconds = Object.entries(report.seconds).map(([what, s]) => `${what} ${s.toFixed(1)} s`);
    const lines = [
      `${ok ? 'ok  ' : 'FAIL'} files of ${mebibytes(report.fileBytes)}`,
      `     JavaScript's peak ${mebibytes(report.heapBytes)}, ${heap.toFixed(2)} times the files (at most ${HEAP_BOUND}), during: ${report.heapDuring}`,
      `     GPU peak ${mebibytes(report.gpuBytes)}, forecast ${mebibytes(report.forecastBytes)}, off by ${(100 * off).toFixed(1)} %`,
      `     loss before and after a step ${before.toFixed(4)}, ${after.toFixed(4)}; ${seconds.join(', ')}`,
    ];
    print(`${lines.join('\n')}\n`);
  }
  return ok ? 0 : 1;
}
