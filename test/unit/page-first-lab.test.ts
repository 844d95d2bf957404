/**
 * The lab of the first fine-tuning without a browser: what it asks the trainer for, what becomes of a run that is paused, left, lost or broken, and the numbers it
 * promises beforehand. Seen to fail with: a run that was left and still draws, a crash that leaves its run training, a head counted with its old classes, a time
 * left by the mean of all steps, a forecast without the scorings.
 */
import { describe, expect, it, vi } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { loadWebRuntime } from '../../src/onnxruntime/webRuntime.ts';
import { decodeHash } from '../../src/page/features/setup/link.ts';
import { usualValues, type Values } from '../../src/page/labs/controls.ts';
import { guessing } from '../../src/page/labs/first/CurveFigure.tsx';
import { secondsLeft } from '../../src/page/labs/first/RunLine.tsx';
import { type FirstRun, FirstRuns } from '../../src/page/labs/first/runs.ts';
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
    train: () => runs.train('adapter', requestOf('adapter', values)),
    open: () => send({ type: 'open', report: openReport({ steps: 3 }) }),
  };
}

describe('a run of the lab', () => {
  it('is opened, trained, asked about held-out letters, and can be paused on the way', async () => {
    const { trainer, runs, send, view, train, open } = setUp();
    await train();
    open();
    for (const step of [1, 2]) send({ type: 'step', metric: stepMetric(step), submits: 1 });
    await runs.pause();
    await settle();
    expect(view()).toMatchObject({ state: 'paused', which: 'adapter', problem: null });
    expect(view().runs.adapter!.steps.map(({ step }) => step)).toEqual([1, 2]);
    expect(view().runs.adapter!.answers).toBe(answers);
    await runs.resume();
    send({ type: 'state', state: 'finished' });
    await settle();
    expect(trainer.calls).toEqual(['open', 'play', 'pause', 'play']);
    expect(view().state).toBe('finished');
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
    expect(Object.values(view().runs).map(({ steps }) => steps.length)).toEqual([1, 1]);
    expect(trainer.beforeAfter).not.toHaveBeenCalled();
    expect(trainer.requests.map(({ request }) => request.method)).toEqual(['head', 'boft']);
  });

  it('has the head’s answers when the adapter is trained before they have come', async () => {
    const { trainer, runs, send, view } = setUp();
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
    expect(view()).toMatchObject({ state: 'loading', which: 'adapter' });
    expect(trainer.calls).toEqual(['open', 'play']);
    answered();
    await next;
    expect(view().runs.head!.answers).toBe(answers);
    expect(view()).toMatchObject({ state: 'running', problem: null });
    expect(trainer.calls).toEqual(['open', 'play', 'open', 'play']);
  });

  it('says in a sentence what stopped it, and goes again', async () => {
    const { trainer, send, view, crash, train } = setUp();
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
    expect(view().runs.adapter!.steps).toEqual([]);
    trainer.refuseOpen(new PapilioError('network', 'The model could not be fetched.'));
    await train();
    expect(view()).toMatchObject({
      state: 'failed',
      problem: { message: 'The model could not be fetched.' },
    });
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
