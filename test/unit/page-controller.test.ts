/**
 * The run as the page drives it, with a trainer that records what it is asked. Seen to fail: a reset without a checkpoint, a resume with
 * the old learning rate, a checkpoint that is not kept on pause.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { createInspection, createQuestions } from '../../src/page/features/inspect/inspection.ts';
import { obstacle } from '../../src/page/features/setup/choice.ts';
import { baseSettings, runTraining } from '../../src/page/features/setup/settings.ts';
import { Controller } from '../../src/page/features/training/controller.ts';
import { canTakeUp, clipped, halvedRate } from '../../src/page/features/training/onTheWay.ts';
import type { SavedSession, Sessions } from '../../src/page/features/training/sessions.ts';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import { createStores } from '../../src/page/stores.ts';
import type { TrainerEvent } from '../../src/training/protocol.ts';
import { fakeTrainer, input, lockIn, stepMetric, visionReport } from './page-fixtures.ts';

function setUp() {
  const stores = createStores();
  const trainer = fakeTrainer();
  let kept: SavedSession | null = null;
  let refusal: PapilioError | null = null;
  const clock = { now: 1000 };
  const sessions: Sessions = {
    save: async (session) => {
      if (refusal) throw refusal;
      kept = session;
    },
    load: async () => kept,
    clear: async () => {
      kept = null;
    },
  };
  const controller = new Controller(stores, trainer, sessions, new Tabs({}), () => clock.now);
  return {
    ...stores,
    trainer,
    controller,
    clock,
    kept: () => kept,
    refuseSaving: (error: PapilioError) => {
      refusal = error;
    },
  };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

describe('a run', () => {
  let page: ReturnType<typeof setUp>;
  beforeEach(() => {
    page = setUp();
  });
  const train = async (steps: number) => {
    await page.controller.toggle();
    for (let step = 1; step <= steps; step++)
      page.trainer.send({ type: 'step', metric: stepMetric(step), submits: 1 });
  };

  test('one press opens and plays, the next pauses and keeps a checkpoint', async () => {
    await train(3);
    expect(page.trainer.calls).toEqual(['open', 'play']);
    expect(page.run.getState().state).toBe('running');
    await page.controller.toggle();
    expect(page.trainer.calls).toEqual(['open', 'play', 'pause', 'checkpoint']);
    expect(page.run.getState().state).toBe('paused');
    expect(page.kept()?.step).toBe(3);
    await page.controller.toggle();
    expect(page.trainer.calls.at(-1)).toBe('play');
  });

  test('a checkpoint is kept every hundred steps and every twenty seconds', async () => {
    await train(99);
    await settle();
    expect(page.kept()).toBeNull();
    page.trainer.send({ type: 'step', metric: stepMetric(100), submits: 1 });
    await settle();
    expect(page.kept()?.step).toBe(100);
    page.clock.now += 20_001;
    page.trainer.send({ type: 'step', metric: stepMetric(101), submits: 1 });
    await settle();
    expect(page.kept()?.step).toBe(101);
  });

  test('a run that another took the place of can be taken back, and then that other', async () => {
    await train(5);
    const first = page.run.getState().current!.name;
    await page.controller.restart();
    const second = page.run.getState().current!.name;
    page.trainer.send({ type: 'step', metric: stepMetric(1), submits: 1 });
    expect(page.ui.getState().notice).toBe(`${first} was reset at step 5.`);
    await page.controller.undoReset();
    expect(page.run.getState().current).toMatchObject({ name: first, series: { length: 5 } });
    expect(page.ui.getState().notice).toBe(`${second} was reset at step 1.`);
    await page.controller.undoReset();
    expect(page.run.getState().current).toMatchObject({ name: second, series: { length: 1 } });
  });

  test('three resets one after the other can be taken back, the newest first; of a fourth the oldest is gone', async () => {
    const names: string[] = [];
    for (const steps of [5, 4, 3, 2]) {
      await train(steps);
      names.push(page.run.getState().current!.name);
      await page.controller.reset();
    }
    const undos = () => {
      const found: string[] = [];
      for (let { undo } = page.run.getState(); undo !== null; undo = undo.older) found.push(undo.run.name);
      return found;
    };
    expect(undos()).toEqual([names[3], names[2], names[1]]);
    await page.controller.undoReset();
    expect(page.run.getState().current).toMatchObject({ name: names[3], series: { length: 2 } });
    expect(undos()).toEqual([names[2], names[1]]);
    // A run that is reset again stands there once.
    await page.controller.reset();
    expect(undos()).toEqual([names[3], names[2], names[1]]);
  });

  test('a reset can be taken back with its curve', async () => {
    await train(5);
    const { current } = page.run.getState();
    await page.controller.reset();
    expect(page.run.getState().current).toBeNull();
    expect(page.run.getState().runs).toHaveLength(1);
    await page.controller.undoReset();
    expect(page.trainer.requests.at(-1)?.checkpoint).toEqual(Uint8Array.of(5));
    expect(page.run.getState().current?.name).toBe(current?.name);
    expect(page.run.getState().current?.series.length).toBe(5);
    expect(page.run.getState().state).toBe('paused');
  });

  test('events of a run that is over are dropped, whichever run is open by then', async () => {
    const listeners: ((event: TrainerEvent) => unknown)[] = [];
    const { open } = page.trainer;
    page.trainer.open = (request, events, checkpoint) => {
      listeners.push(events);
      return open(request, events, checkpoint);
    };
    await train(2);
    await page.controller.reset();
    listeners[0]!({ type: 'step', metric: stepMetric(3), submits: 1 });
    listeners[0]!({ type: 'state', state: 'running' });
    expect(page.run.getState()).toMatchObject({ state: 'idle', current: null });
    await page.controller.toggle();
    listeners[0]!({ type: 'step', metric: stepMetric(1), submits: 1 });
    listeners[0]!({ type: 'state', state: 'failed' });
    expect(page.run.getState().state).toBe('running');
    expect(page.run.getState().current?.series.length).toBe(0);
    listeners[1]!({ type: 'step', metric: stepMetric(1), submits: 1 });
    expect(page.run.getState().current?.series.length).toBe(1);
  });

  test('a worker that hangs when it is to play is waited for on screen', async () => {
    page.trainer.play = () => new Promise(() => {});
    void page.controller.toggle();
    await settle();
    expect(page.run.getState().state).toBe('running');
  });

  test('a reset while the run is being opened is at once, and what comes of the opening is no trouble', async () => {
    let refuse: (error: unknown) => void = () => {};
    const { open } = page.trainer;
    page.trainer.open = () => new Promise((_, reject) => (refuse = reject));
    const starting = page.controller.toggle();
    await settle();
    expect(page.run.getState().state).toBe('loading');
    await page.controller.reset();
    expect(page.run.getState()).toMatchObject({ state: 'idle', current: null, error: null });
    expect(page.trainer.calls).toEqual(['close']);
    refuse({ kind: 'aborted', message: 'The run was left.', details: {} });
    await starting;
    expect(page.run.getState()).toMatchObject({ state: 'idle', error: null });
    page.trainer.open = open;
    await page.controller.toggle();
    expect(page.run.getState().state).toBe('running');
  });

  test('a worker that was ended at a reset: undo goes on from the checkpoint before, and the curve with it', async () => {
    await train(2);
    await page.controller.save();
    page.trainer.send({ type: 'step', metric: stepMetric(3), submits: 1 });
    page.trainer.leave = async () => null;
    await page.controller.reset();
    expect(page.ui.getState().notice).toMatch(/did not answer and was ended; step 2 of it is kept/);
    await page.controller.undoReset();
    expect(page.trainer.requests.at(-1)?.checkpoint).toEqual(Uint8Array.of(2));
    expect([...(page.run.getState().current?.series.column('step') ?? [])]).toEqual([1, 2]);
    expect(page.run.getState().runs).toHaveLength(1);
    await page.controller.reset();
    await page.controller.undoReset();
    expect(page.run.getState().runs).toHaveLength(1);
  });

  test('a worker that was ended by another choice: the run stops and can be resumed', async () => {
    await train(2);
    await page.controller.save();
    page.controller.ended('The worker did not answer.');
    expect(page.run.getState()).toMatchObject({
      state: 'failed',
      error: { canResume: true, report: { message: 'The worker did not answer. Step 2 is kept.' } },
    });
    await page.controller.resumeRun();
    expect(page.trainer.requests.at(-1)?.checkpoint).toEqual(Uint8Array.of(2));
    expect(page.run.getState()).toMatchObject({ state: 'running', error: null });
  });

  test('a worker that was ended while the run went on from a checkpoint: that can still be taken back', async () => {
    await train(4);
    await page.controller.reset();
    page.trainer.open = () => new Promise(() => {});
    void page.controller.undoReset();
    await settle();
    page.controller.ended('The worker did not answer.');
    expect(page.run.getState()).toMatchObject({ state: 'idle', current: null, undo: { step: 4 } });
  });

  test('a worker that broke: the way on is the last checkpoint', async () => {
    await train(2);
    await page.controller.save();
    page.controller.fail({ kind: 'internal', message: 'It stopped.', details: { crashed: true } });
    expect(page.run.getState()).toMatchObject({ state: 'failed', error: { canResume: true } });
    await page.controller.resumeRun();
    expect([...(page.run.getState().current?.series.column('step') ?? [])]).toEqual([1, 2]);
  });

  test('what says that a worker was ended is no second trouble, and a second press of Reset nothing', async () => {
    await train(1);
    page.controller.fail(new PapilioError('aborted', 'Ended.', { ended: true }));
    expect(page.run.getState()).toMatchObject({ state: 'running', error: null });
    await Promise.all([page.controller.reset(), page.controller.reset()]);
    expect(page.trainer.calls.filter((call) => call === 'close')).toHaveLength(1);
  });

  test('a saved session comes back with settings, curve and checkpoint', async () => {
    await train(4);
    await page.controller.pause();
    const later = setUp();
    later.run.setState({ saved: page.kept() });
    await later.controller.resumeSaved();
    expect(later.run.getState().current?.name).toBe(page.kept()?.name);
    expect(later.run.getState().current?.series.length).toBe(4);
    expect(later.trainer.requests[0]?.request).toEqual(page.trainer.requests[0]?.request);
    expect(later.run.getState().saved).toBeNull();
    expect(later.run.getState().state).toBe('paused');
    later.trainer.send({ type: 'state', state: 'ready' });
    expect(later.run.getState().state).toBe('paused');
  });

  test('what a lesson holds is changed by no run that comes back, nor by one that goes on', async () => {
    await train(4);
    await page.controller.pause();
    const seed = page.kept()!.settings.training.seed;
    const later = setUp();
    const { settings } = later.choice.getState();
    const own = { ...settings, training: { ...settings.training, seed: seed + 1 } };
    later.choice.setState({ settings: own });
    later.run.setState({ saved: page.kept() });
    lockIn(later, 't.seed');
    await later.controller.resumeSaved();
    expect([later.run.getState().current, later.choice.getState().settings]).toEqual([null, own]);
    expect(later.run.getState().saved).not.toBeNull();
    expect(later.ui.getState().notice).toBe('The lesson keeps as it is: Seed.');
    // With another lock it goes on, and its rate is then held.
    lockIn(later, 't.learningRate', 'c.boft_block_size');
    await later.controller.resumeSaved();
    expect(later.choice.getState().settings.training.seed).toBe(seed);
    const name = later.run.getState().current?.name;
    await later.controller.resumeRun((now) => ({
      ...now,
      training: { ...now.training, learningRate: now.training.learningRate / 2 },
    }));
    expect(later.choice.getState().settings.training.learningRate).toBe(own.training.learningRate);
    expect(later.run.getState().current?.name).toBe(name);
    await later.controller.reset();
    lockIn(later, 't.seed');
    later.choice.setState({ settings: own });
    await later.controller.undoReset();
    expect([later.run.getState().current, later.choice.getState().settings]).toEqual([null, own]);
    lockIn(later);
    await later.controller.undoReset();
    expect(later.run.getState().current?.name).toBe(name);
  });

  test('after a divergence the way on halves the rate and goes on from the last update', async () => {
    await train(2);
    await page.controller.save();
    page.trainer.send({ type: 'step', metric: stepMetric(3), submits: 1 });
    page.trainer.send({
      type: 'error',
      error: { kind: 'non-finite', message: 'The loss is NaN.', details: {} },
    });
    page.trainer.send({ type: 'state', state: 'paused' });
    expect(page.run.getState().state).toBe('paused');
    expect(page.run.getState().error?.report.kind).toBe('non-finite');
    const { learningRate } = page.choice.getState().settings.training;
    await page.controller.resumeRun((s) => ({
      ...s,
      training: { ...s.training, learningRate: learningRate / 2 },
    }));
    const last = page.trainer.requests.at(-1);
    expect(last?.request.training.learningRate).toBe(learningRate / 2);
    expect(last?.checkpoint).toEqual(Uint8Array.of(3));
    expect(page.run.getState().error).toBeNull();
    expect(page.run.getState().runs).toHaveLength(2);
  });

  test('a rate that the model decided is halved as the run took it, and the trainer no longer decides it', async () => {
    const wide = { ...visionReport(), modules: visionReport().modules.map((row) => ({ ...row, in: 4096 })) };
    page.choice.setState({ settings: baseSettings('own-model', { model: 'glyphs-vit', data: 'letters' }) });
    await train(2);
    const { settings } = page.run.getState().current!;
    expect(page.trainer.requests.at(-1)?.request.ownRate).toBe(true);
    const taken = runTraining(settings, wide).learningRate;
    expect(taken).toBeLessThan(settings.training.learningRate / 4);
    await page.controller.pause();
    await page.controller.resumeRun((s) => halvedRate(s, wide));
    const { request } = page.trainer.requests.at(-1)!;
    expect([request.training.learningRate, request.ownRate]).toEqual([taken / 2, undefined]);
    // A change of something else leaves the rate to the model.
    await page.controller.reset();
    page.choice.setState({
      settings: { ...settings, training: { ...settings.training, maxGradNorm: 0 } },
    });
    await train(2);
    await page.controller.resumeRun(clipped);
    expect(page.trainer.requests.at(-1)?.request).toMatchObject({
      ownRate: true,
      training: { maxGradNorm: 1, learningRate: settings.training.learningRate },
    });
  });

  describe('that is set otherwise on its way', () => {
    const set = (change: object, training: object = {}) => {
      const { settings } = page.choice.getState();
      page.choice.setState({
        settings: { ...settings, ...change, training: { ...settings.training, ...training } },
      });
      return canTakeUp(page.run.getState(), page.choice.getState());
    };

    test('goes on at another rate from the step that it has come to, running or paused', async () => {
      await train(3);
      const { name } = page.run.getState().current!;
      expect(set({}, { learningRate: 1e-4 })).toBe(true);
      await page.controller.goOn();
      expect(page.trainer.calls.slice(2)).toEqual(['pause', 'checkpoint', 'checkpoint', 'open', 'play']);
      const { request, checkpoint } = page.trainer.requests.at(-1)!;
      expect([request.training.learningRate, checkpoint]).toEqual([1e-4, Uint8Array.of(3)]);
      expect(page.run.getState()).toMatchObject({ state: 'running', current: { series: { length: 3 } } });
      // The run of before stays in the list, as it was set.
      expect(page.run.getState().runs.map((run) => run.settings.training.learningRate)).toEqual([5e-3, 1e-4]);
      expect(page.run.getState().current!.name).not.toBe(name);
      page.trainer.send({ type: 'step', metric: stepMetric(4), submits: 1 });
      await page.controller.pause();
      set({}, { schedule: 'constant' });
      await page.controller.goOn();
      expect(page.trainer.requests.at(-1)?.checkpoint).toEqual(Uint8Array.of(4));
    });

    test('goes on to a later end once it is over, and not to one that it has passed', async () => {
      set({}, { steps: 3 });
      await train(3);
      page.trainer.send({ type: 'state', state: 'finished' });
      await settle();
      expect(set({}, { steps: 2 })).toBe(false);
      expect(set({}, { steps: 3, learningRate: 1e-4 })).toBe(false);
      expect(set({}, { steps: 5 })).toBe(true);
      await page.controller.goOn();
      expect(page.run.getState()).toMatchObject({ state: 'running', open: { totalSteps: 5, resumedAt: 3 } });
    });

    test('begins anew for what decides the examples, the adapter or the data', async () => {
      expect(set({}, { learningRate: 1e-4 })).toBe(false);
      await train(3);
      const { settings } = page.run.getState().current!;
      expect(set({})).toBe(false);
      const others: (readonly [object, object?])[] = [
        [{ method: 'oft' }],
        [{ config: { ...settings.config, boft_block_size: 8 } }],
        [{ data: 'wild-digits' }],
        ...['seed', 'batchSize', 'sequenceLength', 'gradientAccumulation', 'epochs'].map(
          (key) => [{}, { [key]: 7 }] as const,
        ),
        [{}, { optimizer: 'sgd' }],
      ];
      for (const [change, training] of others) {
        expect(set(change, { learningRate: 2e-4, ...training }), JSON.stringify([change, training])).toBe(
          false,
        );
        page.choice.setState({ settings });
      }
      page.choice.setState({ recompute: true });
      expect(set({}, { learningRate: 1e-3 })).toBe(false);
    });

    test('by a method that plans for the length of the run keeps that', async () => {
      set({ method: 'adalora', config: {} });
      await train(3);
      expect(set({}, { steps: 400 })).toBe(false);
      expect(set({}, { steps: 300, learningRate: 1e-3 })).toBe(true);
    });
  });

  test('a lost device resumes the same run', async () => {
    await train(2);
    await page.controller.save();
    page.trainer.send({
      type: 'error',
      error: { kind: 'device-lost', message: 'The device was lost.', details: {} },
    });
    page.trainer.send({ type: 'state', state: 'failed' });
    await page.controller.resumeRun();
    expect(page.run.getState().runs).toHaveLength(1);
    expect(page.run.getState().current?.series.length).toBe(2);
  });

  test('a refused run says why and can be tried again', async () => {
    page.trainer.refuseOpen({ kind: 'unsupported-onnx', message: 'Op X is missing.', details: {} });
    await page.controller.toggle();
    expect(page.run.getState().error?.report).toEqual({
      kind: 'unsupported-onnx',
      message: 'Op X is missing.',
      details: {},
    });
    expect(page.run.getState().state).toBe('failed');
    await page.controller.toggle();
    expect(page.run.getState().error).toBeNull();
    expect(page.run.getState().state).toBe('running');
  });

  test('a full browser is told, and training goes on', async () => {
    page.refuseSaving(new PapilioError('quota', 'No room.'));
    await train(100);
    await settle();
    expect(page.run.getState().error?.report.kind).toBe('quota');
    expect(page.run.getState().state).toBe('running');
    expect(page.run.getState().checkpoint?.step).toBe(100);
  });

  test('a question that a reset cuts off is no trouble', async () => {
    let cut: (error: unknown) => void = () => {};
    const slow = {
      ...page.trainer,
      beforeAfter: () => new Promise<never>((_, reject) => (cut = reject)),
    };
    createInspection(page, slow, page.controller, createQuestions(page, page.controller));
    const lost = { kind: 'device-lost', message: 'Device was destroyed.', details: {} };
    page.trainer.onClose(() => setTimeout(() => cut(lost), 5));
    await train(1);
    await settle();
    await page.controller.reset();
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(page.run.getState().error).toBeNull();
  });

  test('data that is missing never reaches the trainer', async () => {
    const { settings } = page.choice.getState();
    page.choice.setState({ settings: { ...settings, data: 'drawings' } });
    await page.controller.toggle();
    expect(page.trainer.calls).toEqual([]);
    expect(page.run.getState().error?.report.kind).toBe('bad-data');
  });

  test('says what a start waits for', () => {
    const now = () => obstacle(page.choice.getState(), null);
    const choose = (change: object) => {
      const { settings } = page.choice.getState();
      page.choice.setState({ settings: { ...settings, ...change } });
      return now();
    };
    expect(now()).toBeNull();
    expect(choose({ data: 'text' })).toBe('waiting for data');
    input(page, { text: 'Once.' });
    expect(now()).toBeNull();
    expect(choose({ model: 'own' })).toBe('waiting for a model');
    input(page, { modelFiles: [{ name: 'a.onnx', bytes: new Uint8Array(1) }] });
    expect(now()).toBeNull();
    page.choice.setState({ reportError: { kind: 'unsupported-onnx', message: 'No.', details: {} } });
    expect(now()).toBe('this model cannot be trained');
    page.choice.setState({ reportError: null });
    expect(obstacle(page.choice.getState(), 'No module.')).toBe('settings need a look');
  });
});
