/**
 * The lab of the first fine-tuning without a browser: what it asks the trainer for, what becomes of a run that is paused, left, lost or broken, and the numbers it
 * promises beforehand. Seen to fail with: a run that was left and still draws, a crash that leaves its run training, a head counted with its old classes, a time
 * left by the mean of all steps, a forecast without the scorings, a paused run that gives way to the next, two runs of one name.
 */
import { describe, expect, it, vi } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { loadWebRuntime } from '../../src/onnxruntime/webRuntime.ts';
import { decodeHash } from '../../src/page/features/setup/link.ts';
import { usualValues, type Values } from '../../src/page/labs/controls.ts';
import { guessing } from '../../src/page/labs/first/CurveFigure.tsx';
import { secondsLeft } from '../../src/page/labs/first/RunLine.tsx';
import {
  begun,
  type FirstRun,
  lookOf,
  newestOf,
  runName,
  runTitle,
} from '../../src/page/labs/first/runList.ts';
import { currentOf, FirstRuns } from '../../src/page/labs/first/runs.ts';
import { FIRST_CONTROLS, FIRST_METHODS } from '../../src/page/labs/first/settings.ts';
import { mainPage, numbersIn, requestOf, settingsOf } from '../../src/page/labs/first/setup.ts';
import { stepsWithScoring } from '../../src/page/labs/seconds.ts';
import type { DataPreview, ImageBeforeAfter, TrainerEvent } from '../../src/training/protocol.ts';
import { createTrainer } from '../../src/training/trainer.ts';
import { fakeTrainer, openReport, stepMetric, visionReport } from './page-fixtures.ts';

const values: Values = { ...usualValues(FIRST_CONTROLS), steps: 3 };
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
const answers: ImageBeforeAfter = { kind: 'image', labels: ['A', 'B'], examples: [] };

function setUp() {
  const crashes: ((message: string) => void)[] = [];
  const fake = fakeTrainer();
  const trainer = Object.assign(fake, {
    describe: async () => visionReport(),
    preview: async () => ({ examples: [] }) as unknown as DataPreview,
    beforeAfter: vi.fn(async () => ({ step: 3, value: answers })),
    onCrash: (listener: (message: string) => void) => void crashes.push(listener),
  });
  const runs = new FirstRuns(trainer, async () => Promise.reject(new Error('no onnxruntime here')));
  const send = (event: TrainerEvent) => trainer.send(event);
  return {
    ...{ trainer, runs, send, view: () => runs.view.getState() },
    crash: (message: string) => crashes.forEach((heard) => void heard(message)),
    train: (change: Values = {}) => runs.train('adapter', requestOf('adapter', { ...values, ...change })),
    adapter: () => newestOf(runs.view.getState().runs, 'adapter')!,
    head: () => newestOf(runs.view.getState().runs, 'head')!,
    open: () => send({ type: 'open', report: openReport({ steps: 3 }) }),
  };
}

describe('a run of the lab', () => {
  it('is opened, trained, asked about held-out letters, and can be paused on the way', async () => {
    const { trainer, runs, send, view, train, open, adapter } = setUp();
    await train();
    open();
    for (const step of [1, 2]) send({ type: 'step', metric: stepMetric(step), submits: 1 });
    await runs.pause();
    await settle();
    expect(view()).toMatchObject({ state: 'paused', problem: null });
    expect(currentOf(view())).toBe(adapter());
    expect(adapter().steps.map(({ step }) => step)).toEqual([1, 2]);
    expect(adapter().answers).toBe(answers);
    await runs.goOn(adapter());
    send({ type: 'state', state: 'finished' });
    await settle();
    expect(trainer.calls).toEqual(['open', 'play', 'pause', 'checkpoint', 'play']);
    expect(view().state).toBe('finished');
    expect(adapter().paused).toBeNull();
  });

  it('keeps the head’s curve while the adapter trains, and nothing is heard of a run that was left', async () => {
    const { trainer, runs, send, view } = setUp();
    await runs.train('head', requestOf('head', values));
    send({ type: 'step', metric: stepMetric(1), submits: 1 });
    await runs.train('adapter', requestOf('adapter', values));
    send({ type: 'step', metric: stepMetric(1), submits: 1 });
    await runs.stop();
    send({ type: 'step', metric: stepMetric(2), submits: 1 });
    send({ type: 'state', state: 'finished' });
    await settle();
    expect(view().state).toBe('idle');
    expect(view().runs.map(({ steps }) => steps.length)).toEqual([1, 1]);
    expect(trainer.beforeAfter).not.toHaveBeenCalled();
    expect(trainer.requests.map(({ request }) => request.method)).toEqual(['head', 'boft']);
  });

  it('has the head’s answers when the adapter is trained before they have come', async () => {
    const { trainer, runs, send, view, head } = setUp();
    await runs.train('head', requestOf('head', values));
    let answered = () => {};
    trainer.beforeAfter.mockImplementationOnce(async () => {
      await new Promise<void>((resolve) => {
        answered = resolve;
      });
      return { step: 3, value: answers };
    });
    send({ type: 'state', state: 'finished' });
    const next = runs.train('adapter', requestOf('adapter', values));
    await settle();
    expect(view().state).toBe('loading');
    expect(currentOf(view())?.which).toBe('adapter');
    expect(trainer.calls).toEqual(['open', 'play']);
    answered();
    await next;
    expect(head().answers).toBe(answers);
    expect(view()).toMatchObject({ state: 'running', problem: null });
    expect(trainer.calls).toEqual(['open', 'play', 'open', 'play']);
  });

  it('says in a sentence what stopped it, and goes again', async () => {
    const { trainer, send, view, crash, train, adapter } = setUp();
    await train();
    send({ type: 'step', metric: stepMetric(1), submits: 1 });
    send({ type: 'error', error: { kind: 'device-lost', message: 'The GPU was taken away.', details: {} } });
    send({ type: 'state', state: 'failed' });
    expect(view()).toMatchObject({ state: 'failed', problem: { message: 'The GPU was taken away.' } });
    await train();
    expect(view()).toMatchObject({ state: 'running', problem: null });
    crash('The training worker stopped.');
    send({ type: 'step', metric: stepMetric(9), submits: 1 });
    expect(view()).toMatchObject({ state: 'failed', problem: { message: 'The training worker stopped.' } });
    expect(adapter().steps).toEqual([]);
    trainer.refuseOpen(new PapilioError('network', 'The model could not be fetched.'));
    await train();
    expect(view()).toMatchObject({
      state: 'failed',
      problem: { message: 'The model could not be fetched.' },
    });
  });

  it('goes on from where it was paused after another, with its curve, or is taken away', async () => {
    const { trainer, runs, send, view, train, adapter } = setUp();
    await train();
    for (const step of [1, 2]) send({ type: 'step', metric: stepMetric(step), submits: 1 });
    await runs.pause();
    await settle();
    const boft = adapter();
    await train({ method: 'lora' });
    send({ type: 'step', metric: stepMetric(1), submits: 1 });
    send({ type: 'state', state: 'finished' });
    await settle();
    expect(view().runs.map(({ request }) => request.method)).toEqual(['boft', 'lora']);
    expect(view().runs[0]!.paused).not.toBeNull();

    await runs.goOn(boft);
    expect(trainer.requests.at(-1)).toEqual({ request: boft.request, checkpoint: boft.paused });
    expect(currentOf(view())).toBe(adapter());
    expect(adapter()).toMatchObject({ nth: boft.nth, steps: [{ step: 1 }, { step: 2 }] });
    expect(view().state).toBe('running');
    await runs.stop();
    expect(adapter().paused).toBeNull();
    runs.remove(view().runs[0]!);
    expect(view().runs).toEqual([adapter()]);
  });

  it('that was paused goes on from there when its worker is gone', async () => {
    const { trainer, runs, send, view, crash, train, adapter } = setUp();
    await train();
    send({ type: 'step', metric: stepMetric(1), submits: 1 });
    await runs.pause();
    await settle();
    await runs.goOn(adapter());
    crash('The training worker stopped.');
    expect(view().state).toBe('failed');
    await runs.goOn(adapter());
    expect(trainer.requests.at(-1)!.checkpoint).toBe(adapter().paused);
    expect(view()).toMatchObject({ state: 'running', problem: null });
  });

  it('ends its worker when the lab is left, and says no more', async () => {
    const { trainer, runs, view, crash, train } = setUp();
    await train();
    runs.leave();
    crash('The training worker was ended.');
    expect(trainer.calls.at(-1)).toBe('end');
    expect(view().problem).toBeNull();
  });
});

describe('runs beside each other', () => {
  const run = (nth: number, change: Values, done: Partial<FirstRun> = {}): FirstRun => ({
    ...{ which: 'adapter', nth, request: requestOf('adapter', { ...values, ...change }) },
    ...{ open: openReport({ steps: 3 }), steps: [], evals: [], answers: null, paused: null, ...done },
  });
  const names = (runs: readonly FirstRun[]) => runs.map((one) => runName(one, runs));

  it('are called by what tells them apart', () => {
    expect(names([run(0, { method: 'oft' }), run(1, { method: 'lora' })])).toEqual(['OFT', 'LoRA']);
    const three = [run(0, { m: 2 }), run(1, { m: 3 }), run(2, { m: 3, seed: 4 })];
    expect(names(three)).toEqual(['BOFT (m 2, seed 1)', 'BOFT (m 3, seed 1)', 'BOFT (m 3, seed 4)']);
    expect(names([run(0, {}, { paused: new Uint8Array(1) }), run(1, {})])).toEqual([
      'BOFT (run 1)',
      'BOFT (run 2)',
    ]);
    const head: FirstRun = { ...run(0, {}), which: 'head', request: requestOf('head', values) };
    expect([runName(head, [head]), runTitle(head, [head])]).toEqual(['the head alone', 'The head alone']);
  });

  it('have a look each, and none is there twice', () => {
    const looks = [0, 1, 2, 3, 4, 5].map((nth) => lookOf(run(nth, {})));
    for (const key of ['color', 'dash'] as const)
      expect(new Set(looks.map((look) => look[key])).size).toBe(looks.length);
    const [first, other, unborn] = [run(0, {}), run(1, { m: 3 }), run(2, { m: 4 }, { open: null })];
    const again = run(3, {});
    expect(begun([first, other, unborn], again)).toEqual([other, again]);
    // What is paused is nobody's to take away.
    const paused = { ...first, paused: new Uint8Array(1) };
    expect(begun([paused, other], again)).toEqual([paused, other, again]);
  });
});

describe('what is asked for', () => {
  it.each(FIRST_METHODS)('%s comes to the main page by its link as it is', (method) => {
    const chosen: Values = { ...values, method, rate: '0.02', seed: 7 };
    const { settings, problems } = decodeHash(mainPage(chosen).slice(3));
    expect(problems).toEqual([]);
    expect(settings).toEqual(settingsOf('adapter', chosen));
  });

  it('leaves the rate to the method unless one is chosen', () => {
    expect(requestOf('adapter', values).ownRate).toBe(true);
    const { ownRate, training } = requestOf('adapter', { ...values, rate: '0.02' });
    expect([ownRate, training.learningRate]).toEqual([undefined, 0.02]);
  });
});

it('counts beforehand what the trainer then trains, and what the formulas say', {
  timeout: 60_000,
}, async () => {
  const { readFile } = await import('node:fs/promises');
  const trainer = createTrainer({
    gpu: async () => Promise.reject(new PapilioError('no-webgpu', 'none')),
    onnxruntime: () => loadWebRuntime(),
    readPublic: async (path) => new Uint8Array(await readFile(`public/${path}`)),
    decodeImage: async () => Promise.reject(new Error('no picture')),
  });
  const request = requestOf('adapter', values);
  const model = await trainer.describe(request.model);
  const small = { ...request, training: { ...request.training, steps: 1, evalExamples: 4, batchSize: 2 } };
  let trained = 0;
  await trainer.open(small, (event) => {
    if (event.type === 'open') trained = event.report.counts.trainable.free;
  });
  expect(numbersIn(values, model, 26)).toBe(trained);
  const layers = model.modules.filter(({ name }) => /(query|key|value|output\.dense|fc1|fc2)$/.test(name));
  const sum = (of: (inputs: number, outputs: number) => number) =>
    layers.reduce((all, layer) => all + of(layer.in, layer.out), 0);
  const head = 257 * 26;
  const numbers = (change: Values) => numbersIn({ ...values, ...change }, model, 26);
  expect(trained).toBe(head + sum((inputs, outputs) => (2 * inputs * 3) / 2 + outputs));
  expect(numbers({ method: 'lora', r: '4' })).toBe(head + sum((inputs, outputs) => 4 * (inputs + outputs)));
  expect(numbers({ method: 'oft', b: '8' })).toBe(head + sum((inputs) => (inputs * 7) / 2));
  expect(numbers({ method: 'fourierft', n: '200' })).toBe(head + 200 * layers.length);
  await trainer.close();
});

describe('the time of a run', () => {
  const steps = (seconds: readonly number[]) =>
    seconds.map((at, i) => ({ ...stepMetric(i + 1), seconds: at })) as unknown as FirstRun['steps'];
  const request = requestOf('adapter', { ...values, steps: 200 });

  it('is told by its last steps, as a machine may become busy', () => {
    const slower = Array.from({ length: 100 }, (_, i) => (i < 50 ? 0.1 * (i + 1) : 5 + (i - 49)));
    // A step's own share, and its part of the scorings that are still to come.
    const each = stepsWithScoring(request.training) / 200;
    expect(each).toBeGreaterThan(1);
    expect(secondsLeft({ steps: steps(slower), request })).toBeCloseTo(100 * each, 9);
    expect(secondsLeft({ steps: steps(slower.slice(0, 20)), request })).toBeCloseTo(18 * each, 9);
    expect(secondsLeft({ steps: steps(slower.slice(0, 9)), request })).toBeNull();
    expect(secondsLeft(undefined)).toBeNull();
  });

  it('has its scorings in the forecast, each a third of as many examples learnt from', () => {
    const { training } = request;
    // 25, 50 … 200 and before the first step: nine times 260 letters, a third of a step each sixteen.
    expect([training.evalEvery, training.evalExamples, training.batchSize]).toEqual([25, 260, 16]);
    expect(stepsWithScoring(training)).toBeCloseTo(200 + (9 * 17) / 3, 9);
  });

  it('stands beside what guessing comes to', () => {
    expect(guessing(26)).toEqual({ accuracy: 1 / 26, loss: expect.closeTo(3.2581, 4) });
  });
});
