/** Forecasts: parts that add up, limits that are named, and ways to fit that do fit. No device: plans are made without one. */
import { describe, expect, test } from 'vitest';
import { liveNodes } from '../../src/graph/placements.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import { baseCaps, type Graph, type Node } from '../../src/graph/types.ts';
import type { ForecastLimits } from '../../src/training/forecast.ts';
import { forecastReport } from '../../src/training/forecast.ts';
import type { EngineName, RunRequest } from '../../src/training/protocol.ts';
import { type StepTimer, stepTimer } from '../../src/training/stepTime.ts';
import { testHost, tinyLanguage, tinyRequest, tinyText } from '../gpu/tinyRuns.ts';

const limits = (more: Partial<ForecastLimits> = {}): ForecastLimits => ({
  engine: 'webgpu',
  caps: baseCaps,
  maxBufferBytes: 2 ** 28,
  ...more,
});

const request = (change: Partial<RunRequest['training']> = {}): RunRequest =>
  tinyRequest({
    method: 'oft',
    config: { target_modules: 'all-linear', oft_block_size: 4 },
    model: tinyLanguage(),
    data: tinyText,
    training: change,
  });

const report = (run: RunRequest, at: ForecastLimits) => forecastReport(run, testHost, at, null);

describe('a forecast', () => {
  test('adds up, and says nothing of time without a probe', async () => {
    const { bytes, refusal, ways, secondsPerStep, dispatchesPerStep } = await report(request(), limits());
    const { peak, ...parts } = bytes;
    expect(Object.values(parts).reduce((n, b) => n + b, 0)).toBe(peak);
    expect(Math.min(...Object.values(parts))).toBeGreaterThan(0);
    // Two moments per trained number.
    expect(bytes.optimiser).toBe(2 * bytes.adapter);
    expect([refusal, ways, secondsPerStep]).toEqual([null, [], null]);
    expect(dispatchesPerStep).toBeGreaterThan(10);
  });

  test('counts what a runtime takes beyond the plans', async () => {
    const plain = (await report(request(), limits())).bytes;
    const overhead = { bytes: 1000, temporaries: 2 };
    const { bytes } = await report(request(), limits({ overhead }));
    expect(bytes.activations).toBe(2 * plain.activations);
    expect(bytes.peak).toBe(plain.peak + plain.activations + 1000);
  });

  /** A device that needs so much for a node, and for a run besides; how much work it was given comes with it. */
  const timedOn = (engine: EngineName, secondsPerNode: (node: Node) => number, perRun: number) => {
    const asked: Graph[] = [];
    const timer = stepTimer({
      info: { engine, isSoftware: false },
      secondsOf: async (graph) => {
        asked.push(graph);
        return (
          perRun + liveNodes(graph).reduce((n, node) => n + (node.op.alias ? 0 : secondsPerNode(node)), 0)
        );
      },
    });
    return { asked, timer };
  };
  const numbers = ({ inputs, outputs }: Node): number =>
    [...inputs, ...outputs].reduce((n, v) => n + sizeOf(v.shape), 0);

  test('counts the nodes of a step at their own sizes, whatever an op costs, and no wait', async () => {
    for (const perRun of [0, 0.015]) {
      const cost = ({ op, inputs }: Node) =>
        1e-5 * (1 + op.name.length) + 1e-8 * sizeOf(inputs[0]?.shape ?? []);
      let all = 0;
      const { timer } = timedOn('webgpu', cost, perRun);
      const step: StepTimer = async (graphs) => {
        for (const { graph } of graphs.at(graphs.batch, graphs.sequence))
          for (const node of liveNodes(graph)) all += node.op.alias ? 0 : cost(node);
        return timer(graphs);
      };
      const { secondsPerStep } = await forecastReport(request(), testHost, limits(), step);
      expect(secondsPerStep! / (all + perRun)).toBeGreaterThan(0.8);
      expect(secondsPerStep! / (all + perRun)).toBeLessThan(1.25);
    }
  });

  test('each kind of node is timed once on a device, for whatever forecast', async () => {
    const { asked, timer } = timedOn('webgpu', (node) => 1e-7 * numbers(node), 0.01);
    const { secondsPerStep } = await forecastReport(request(), testHost, limits(), timer);
    const { length } = asked;
    const { secondsPerStep: again } = await forecastReport(request(), testHost, limits(), timer);
    expect([again, asked.length]).toEqual([secondsPerStep, length]);
    await forecastReport(request({ batchSize: 4 }), testHost, limits(), timer);
    expect(asked.length).toBeGreaterThan(length);
  });

  test('on a processor a short step is timed whole; of a long one, the part that grows with the batch is told from the part that does not', async () => {
    const at = limits({ engine: 'onnxruntime' });
    const secondsOf = async (scale: number, batchSize: number) => {
      const batches: number[] = [];
      const timer = stepTimer({
        info: { engine: 'onnxruntime', isSoftware: true },
        secondsOf: async ({ inputs }) => {
          const batch = inputs.find((v) => v.name === 'input_ids')!.shape[0]!;
          batches.push(batch);
          return scale * (0.1 + 0.02 * batch);
        },
      });
      const { secondsPerStep } = await forecastReport(request({ batchSize }), testHost, at, timer);
      return { seconds: Number(secondsPerStep!.toFixed(6)), batches };
    };
    expect(await secondsOf(1, 16)).toEqual({ seconds: 0.42, batches: [4, 16] });
    expect(await secondsOf(10, 16)).toEqual({ seconds: 4.2, batches: [4, 8] });
    expect(await secondsOf(100, 1)).toEqual({ seconds: 12, batches: [1] });
    expect(await secondsOf(100, 2)).toEqual({ seconds: 24, batches: [1] });
  });

  test('onnxruntime takes 32-bit weights whatever they are stored as, and keeps what it computed', async () => {
    const at = limits({ engine: 'onnxruntime' });
    const plain = request();
    const { weightBytes, bytes } = await report(plain, at);
    expect([weightBytes.f16, weightBytes.q4]).toEqual([weightBytes.file, weightBytes.file]);
    const narrow = await report({ ...plain, model: { ...plain.model, precision: 'q4' } }, at);
    expect(narrow.bytes.weights).toBe(bytes.weights);
    const again = await report({ ...request(), recompute: true }, at);
    expect(again.bytes).toEqual(bytes);
    const { ways } = await report(request(), limits({ engine: 'onnxruntime', budgetBytes: bytes.peak - 1 }));
    expect(ways.length).toBeGreaterThan(0);
    expect(ways.filter(({ change }) => change.precision || change.recompute)).toEqual([]);
  });

  test('what does not fit is not timed', async () => {
    const { asked, timer } = timedOn('webgpu', () => 1, 0);
    const { secondsPerStep } = await forecastReport(
      request(),
      testHost,
      limits({ budgetBytes: 1024 }),
      timer,
    );
    expect([secondsPerStep, asked.length]).toEqual([null, 0]);
  });

  test('names a buffer that the device does not allow', async () => {
    const { refusal, largest } = await report(request(), limits({ maxBufferBytes: 4096 }));
    expect(refusal).toContain(largest.label);
    expect(largest.bytes).toBeGreaterThan(4096);
  });

  test('names a binding that the device does not allow', async () => {
    const caps = { ...baseCaps, maxStorageBindingBytes: 2048 };
    const { refusal, bytes } = await report(request(), limits({ caps }));
    expect(refusal).toContain('in one binding');
    expect(bytes.peak).toBeNaN();
  });
});

describe('ways to fit', () => {
  test('begin with what changes nothing, and fit', async () => {
    const { bytes } = await report(request(), limits());
    const budgetBytes = Math.floor(0.97 * bytes.peak);
    const tight = await report(request(), limits({ budgetBytes }));
    expect(tight.refusal).toContain('more than');
    expect(tight.ways[0]!.change).toEqual({ batchSize: 4, gradientAccumulation: 2 });
    expect(tight.ways.length).toBeGreaterThan(1);
    for (const way of tight.ways) expect(way.peakBytes).toBeLessThanOrEqual(budgetBytes);
    const taken = await report(request({ batchSize: 4, gradientAccumulation: 2 }), limits({ budgetBytes }));
    expect(taken.refusal).toBeNull();
    expect(taken.bytes.peak).toBe(tight.ways[0]!.peakBytes);
  });

  test('are none where nothing helps', async () => {
    const { refusal, ways } = await report(request(), limits({ budgetBytes: 1000 }));
    expect(refusal).not.toBeNull();
    expect(ways).toEqual([]);
  });

  test('lower precision takes less', async () => {
    const run = request();
    const whole = await report(run, limits());
    const half = await report({ ...run, model: { ...run.model, precision: 'f16' } }, limits());
    expect(half.bytes.weights).toBeLessThan(0.8 * whole.bytes.weights);
    expect(half.bytes.adapter).toBe(whole.bytes.adapter);
  });
});
