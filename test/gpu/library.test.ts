/**
 * The library's door: bytes in, a merged file and adapter files out, events in between; models and data by name from a Hub; errors as sentences.
 *
 * Seen to fail with: events of a paused run that come with the next, a learning rate of nobody's choice that is not the method's, an adapter
 * that is merged into other weights than the run's own merge, a Hub that is asked twice for what is in memory, two readers who share the events
 * of one run, a device that is gone while updates are in flight.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { openGpu } from '../../src/cli/runtime.ts';
import {
  mergeAdapters,
  openAdapter,
  openData,
  openModel,
  openOnnx,
  PapilioError,
  type Run,
  startRun,
  type TrainEvent,
} from '../../src/index.ts';
import { labelled, textModel, tokenizer } from '../tools/contractModels.ts';
import { type HubServer, startHub } from '../tools/hub.ts';
import { lendingGpu } from './lendingGpu.ts';
import { bars, tinyVision } from './tinyRuns.ts';

const vision = tinyVision().files;
const lora = { peft_type: 'LORA', target_modules: ['query', 'key'], r: 2, modules_to_save: ['classifier'] };
const training = { steps: 6, batchSize: 8, evalEvery: 3, warmupSteps: 0 };

const runs: Run[] = [];
afterAll(() => Promise.all(runs.map((run) => run.close())));

/** One device for all runs but the one of which the end is looked at. */
const lent = openGpu().then(lendingGpu);

async function start(change: Parameters<typeof startRun>[2] = {}): Promise<Run> {
  const model = await openModel(vision);
  const data = await openData(model, bars());
  const run = await startRun(model, data, { gpu: await lent, adapter: lora, training, ...change });
  runs.push(run);
  return run;
}

async function eventsOf(run: Run, steps?: number): Promise<TrainEvent[]> {
  const events: TrainEvent[] = [];
  for await (const event of run.train(steps)) events.push(event);
  return events;
}
const lossesOf = (events: readonly TrainEvent[]) =>
  events.flatMap((event) => (event.type === 'step' ? [event.loss] : []));

describe('a run', () => {
  test('gives every update and evaluation in order, and goes on where its reader stopped', async () => {
    const whole = await eventsOf(await start());
    expect(whole.map(({ type, step }) => `${type} ${step}`)).toEqual([
      'step 1',
      'step 2',
      'step 3',
      'eval 3',
      'step 4',
      'step 5',
      'step 6',
      'eval 6',
    ]);
    const run = await start();
    const first: TrainEvent[] = [];
    for await (const event of run.train()) {
      first.push(event);
      if (event.type === 'step' && event.step === 2) break;
    }
    const rest = await eventsOf(run);
    expect(lossesOf([...first, ...rest])).toEqual(lossesOf(whole));
  });

  test('is trained by one at a time', async () => {
    const run = await start();
    const first = run.train();
    expect((await first.next()).value).toMatchObject({ type: 'step', step: 1 });
    await expect(run.train().next()).rejects.toMatchObject({
      kind: 'bad-argument',
      message: expect.stringMatching(/trained already.*leave the loop/),
    });
    await first.return();
    expect((await eventsOf(run)).at(-1)).toMatchObject({ type: 'eval', step: 6 });
  });

  test('is closed when nothing of it runs any more', async () => {
    const run = await start({ gpu: await openGpu() });
    const reader = run.train();
    await reader.next();
    const asked = run.evaluate();
    await run.close();
    expect((await asked).examples).toBeGreaterThan(0);
    const rest: unknown[] = [];
    for await (const event of reader) rest.push(event);
    // At most two updates were in flight.
    expect(rest.length).toBeLessThan(5);
    for (const ask of [() => run.checkpoint(), () => run.evaluate(), () => run.train().next()])
      await expect(ask()).rejects.toMatchObject({
        kind: 'bad-argument',
        message: expect.stringMatching(/^The run is closed/),
      });
    await run.close();
  });

  test('goes on from its checkpoint, bit for bit', async () => {
    const run = await start();
    await eventsOf(run, 3);
    const checkpoint = await run.checkpoint();
    const ahead = lossesOf(await eventsOf(run));
    expect(lossesOf(await eventsOf(await start({ checkpoint })))).toEqual(ahead);
  });

  test('takes the rate of its method unless one is given', async () => {
    expect((await start({ training: { ...training, learningRate: 0.125 } })).training.learningRate).toBe(
      0.125,
    );
    const own = (
      await start({ adapter: { peft_type: 'FOURIERFT', target_modules: ['query'], n_frequency: 8 } })
    ).training.learningRate;
    expect(own).not.toBe((await start()).training.learningRate);
  });

  test('leaves a file that computes what was trained, and an adapter that merges into the same', async () => {
    const run = await start();
    await eventsOf(run);
    const { parity, onnx, changedInitializers } = await run.mergeChecked();
    expect(parity.verdict).toBe('passed');
    expect(changedInitializers.length).toBeGreaterThan(0);
    expect((await run.inspect(changedModule)).delta.relative).toBeGreaterThan(0);
    expect((await run.evaluate('base')).examples).toBe((await run.evaluate()).examples);

    const adapter = openAdapter((await run.save()).files);
    expect(adapter.method).toBe('lora');
    const model = await openModel(vision);
    const again = await mergeAdapters(model, [adapter], { gpu: await lent });
    const pixels = { dtype: 'float32', dims: [1, 1, 8, 8], data: new Float32Array(64).fill(0.5) } as const;
    const answers = await Promise.all(
      [onnx, again.onnx, vision[0]!.bytes].map(async (file) => {
        const session = await openOnnx(file);
        const { logits } = await session.run({ pixel_values: pixels });
        await session.release();
        return [...(logits!.data as Float32Array)];
      }),
    );
    const off = (a: readonly number[], b: readonly number[]) =>
      Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));
    expect(off(answers[0]!, answers[1]!)).toBeLessThan(1e-5);
    expect(off(answers[0]!, answers[2]!)).toBeGreaterThan(1e-4);

    const further = await start({ adapter });
    expect((await further.evaluate()).loss).toBeCloseTo((await run.evaluate()).loss, 5);
  });
});

const changedModule = 'dinov2.encoder.layer.0.attention.attention.query';

describe('what is opened', () => {
  let hub: HubServer | undefined;
  afterAll(() => hub?.close());

  test('may lie on a Hub, which is asked once', async () => {
    const files = Object.fromEntries(vision.map(({ name, bytes }) => [name, bytes]));
    const text = new TextEncoder().encode('text,label\na,0\n');
    hub = await startHub([
      { kind: 'model', name: 'makers/bars', files, tags: ['onnx'] },
      { kind: 'dataset', name: 'makers/rows', files: { 'train.csv': text } },
    ]);
    const seen: number[] = [];
    const model = await openModel('hub:makers/bars', {
      hub: hub.url,
      onProgress: (progress) => progress.clock === 'download' && seen.push(progress.doneBytes),
    });
    expect(model.report.modules.map(({ name }) => name)).toContain(changedModule);
    expect(seen.at(-1)).toBeGreaterThan(1000);
    const asked = hub.requests.filter((request) => /resolve.*model\.onnx/.test(request)).length;
    expect(asked).toBe(1);
    await expect(openData(model, 'hub:makers/rows', { hub: hub.url })).rejects.toMatchObject({
      kind: 'bad-data',
      message: expect.stringMatching(/column "image"/),
    });
  });

  test('may be a dataset of a Hub, which a run trains on without asking again', async () => {
    const rows = labelled(Array.from({ length: 12 }, (_, i) => 3 + (i % 4)));
    const server = await startHub([
      { kind: 'dataset', name: 'makers/letters', files: { 'train.csv': rows.bytes } },
    ]);
    try {
      const model = await openModel([textModel({ ends: 'classes' }), tokenizer()]);
      const data = await openData(model, 'hub:makers/letters', { hub: server.url });
      expect(data.report.labels).toEqual(['no', 'yes']);
      const asked = server.requests.length;
      const settings = { steps: 2, batchSize: 2, evalEvery: 0, warmupSteps: 0 };
      const own = { peft_type: 'PAPILIO_HEAD', modules_to_save: [model.report.head!] };
      const run = await startRun(model, data, { gpu: await lent, adapter: own, training: settings });
      runs.push(run);
      expect(lossesOf(await eventsOf(run))).toHaveLength(2);
      expect(server.requests).toHaveLength(asked);
    } finally {
      await server.close();
    }
  });

  test('may be a File or bytes alone, and says what it is', async () => {
    const model = await openModel(vision.map(({ name, bytes }) => new File([bytes as BlobPart], name)));
    expect(model.report).toMatchObject({ task: 'image-classification', trains: 'image-classification' });
    const alone = await openModel(vision[0]!.bytes);
    expect(alone.report.modules).toEqual(model.report.modules);
    const { report } = await openData(model, bars());
    expect(report).toMatchObject({ kind: 'image', labels: ['class 0', 'class 1', 'class 2'] });
    expect(report.trainExamples + report.heldExamples).toBe(42);
  });

  test.each([
    [
      'a configuration that is no method',
      { adapter: { peft_type: 'MORA' } },
      'illegal-config',
      /no peft_type "MORA"; choose one of OFT/,
    ],
    ['targets that there are not', { adapter: { target_modules: ['nothing'] } }, 'no-target', /nothing/],
    ['a setting out of range', { training: { batchSize: 0 } }, 'bad-argument', /^training\.batchSize: /],
  ] as const)('%s is a sentence of its kind', async (_what, change, kind, message) => {
    const error = await start(change as Parameters<typeof startRun>[2]).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PapilioError);
    expect(error).toMatchObject({ kind, message: expect.stringMatching(message) });
  });

  test('trains without WebGPU, unless that is asked for, and says where it comes from', async () => {
    const model = await openModel(vision);
    const data = await openData(model, bars());
    await expect(startRun(model, data, { engine: 'webgpu' })).rejects.toMatchObject({
      kind: 'no-webgpu',
      message: expect.stringMatching(/create\(\[\]\) of the package webgpu/),
    });
    const run = await startRun(model, data, { training: { steps: 2, batchSize: 4, evalEvery: 0 } });
    expect(run.device).toMatchObject({ engine: 'onnxruntime', isSoftware: true });
    const steps: number[] = [];
    for await (const event of run.train()) if (event.type === 'step') steps.push(event.step);
    expect(steps).toEqual([1, 2]);
    expect((await run.mergeChecked()).parity.verdict).toBe('passed');
    await run.close();
  });
});
