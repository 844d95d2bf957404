/**
 * Sweeps: what a grid comes to, how long it takes, and the queue as it is worked off. Seen to fail with: a combination trained twice, a refusal that
 * says nothing, a sweep that goes on after a reset, a reload that begins a run anew although its checkpoint is kept, failures that go on for ever,
 * a sweep that changes what a lesson locks.
 */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { speak } from '../../src/lib/say.ts';
import { changedText } from '../../src/page/features/runs/changes.ts';
import { costText, durationOf, type Here } from '../../src/page/features/runs/pace.ts';
import type { RunRow } from '../../src/page/features/runs/rows.ts';
import {
  axisChoices,
  begun,
  countOf,
  done,
  failed,
  isOver,
  left,
  newSweep,
  nextIn,
  planSweep,
  stopped,
  valuesIn,
} from '../../src/page/features/runs/sweep.ts';
import { Sweeper } from '../../src/page/features/runs/sweeper.ts';
import { sweepName, sweepTitle } from '../../src/page/features/runs/sweepName.ts';
import { decodeHash } from '../../src/page/features/setup/link.ts';
import { baseSettings } from '../../src/page/features/setup/settings.ts';
import { Controller } from '../../src/page/features/training/controller.ts';
import { newRun } from '../../src/page/features/training/runs.ts';
import type { SavedSession } from '../../src/page/features/training/sessions.ts';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import { createStores } from '../../src/page/stores.ts';
import { fakeTrainer, lockIn, stepMetric, visionReport } from './page-fixtures.ts';

const base = baseSettings('letters-boft');
const report = visionReport();
const axis = (field: string, ...values: (string | number)[]) => ({ field, values });
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

describe('a grid', () => {
  it('has every combination of the values, each once', () => {
    const { runs, refused } = planSweep(
      base,
      [axis('config.boft_block_size', 2, 4, 4), axis('training.seed', 1, 2)],
      report,
    );
    expect(runs.map(({ config, training }) => [config.boft_block_size, training.seed])).toEqual([
      [2, 1],
      [2, 2],
      [4, 1],
      [4, 2],
    ]);
    expect(refused).toEqual([]);
  });

  it('leaves out what cannot be trained, and says why', () => {
    const { runs, refused } = planSweep(
      base,
      [axis('config.boft_block_size', 4, 3), axis('training.learningRate', base.training.learningRate, -1)],
      report,
    );
    expect(runs).toHaveLength(1);
    expect(refused.join('\n')).toMatch(/b 4 → 3: .*divisible/);
    expect(refused.join('\n')).toMatch(/learningRate = -1: /);
  });

  it('takes another method to the same modules, at its own rate, without the fields that it has not', () => {
    const { runs } = planSweep(
      base,
      [axis('config.boft_block_size', 2, 4), axis('method', 'boft', 'lora', 'none')],
      report,
    );
    expect(runs.map(({ method }) => method)).toEqual(['boft', 'boft', 'lora']);
    expect(runs[2]!.config).toEqual({
      target_modules: base.config.target_modules,
      modules_to_save: base.config.modules_to_save,
    });
    expect(runs[2]!.training).toMatchObject({
      learningRate: baseSettings('letters-boft', { method: 'lora' }).training.learningRate,
      steps: base.training.steps,
    });
  });

  it('is drawn from by a seed, without repeats', () => {
    const axes = [axis('training.seed', ...Array.from({ length: 20 }, (_, i) => i))];
    const seeds = (seed: number) =>
      planSweep(base, axes, report, { count: 6, seed }).runs.map(({ training }) => training.seed);
    expect(seeds(1)).toEqual(seeds(1));
    expect(seeds(1)).not.toEqual(seeds(2));
    expect(new Set(seeds(1)).size).toBe(6);
    expect(planSweep(base, axes, report, { count: 99, seed: 1 }).runs).toHaveLength(20);
  });

  it('offers the sizes of the method, with values that are read as they are written', () => {
    expect(axisChoices(base, report).map(({ title }) => title)).toEqual([
      'Learning rate',
      'Block size b',
      'Butterfly factors m',
      'Method',
      'Seed',
      'Batch size',
    ]);
    for (const { example } of axisChoices(base, report)) expect(valuesIn(example)).toHaveLength(3);
    expect(valuesIn(' 1e-3, 2  oft,,1e-3')).toEqual([0.001, 2, 'oft']);
  });
});

describe('its time', () => {
  const row = (settings: typeof base, secondsPerStep: number | null) =>
    ({
      run: newRun(1, settings, 0, 'calm-apollo'),
      figures: { secondsPerStep, engine: 'webgpu', model: settings.model, data: settings.data },
    }) as RunRow;
  const here: Here = { engine: 'webgpu', model: base.model, data: base.data };

  it('is by the pace of a run like it, and longer with larger batches', () => {
    const rows = [row(base, 0.5)];
    expect(durationOf([base], rows, here, null)).toEqual({
      seconds: 150,
      by: 'the pace of calm-apollo (500 ms a step)',
    });
    const larger = { ...base, training: { ...base.training, batchSize: 32 } };
    expect(durationOf([base, larger], rows, here, null)?.seconds).toBe(450);
  });

  it('is by the forecast where nothing like it was timed, and unknown without one', () => {
    expect(durationOf([base], [], here, { secondsPerStep: 2 })).toEqual({
      seconds: 600,
      by: 'the forecast (2 s a step)',
    });
    expect(
      durationOf([base], [row(base, null), row(baseSettings('tales-recipes'), 1)], here, null),
    ).toBeNull();
    const epochs = { ...base, training: { ...base.training, epochs: 1 } };
    expect(durationOf([epochs], [row(base, 0.5)], here, null)).toBeNull();
  });

  it('is by no run on another engine, another model or other data of the same kind', () => {
    const rows = [row(base, 0.5)];
    for (const other of [
      { engine: 'onnxruntime' },
      { model: 'mine.onnx' },
      { data: 'b.csv' },
      { data: null },
    ])
      expect(durationOf([base], rows, { ...here, ...other } as Here, null), JSON.stringify(other)).toBeNull();
  });

  it('is said with what is known, and nothing else', () => {
    const rows = [row(base, 0.5)];
    expect(costText([base, base], rows, here, null)).toBe(
      '600 steps in all, about 5 min 0 s by the pace of calm-apollo (500 ms a step); opening and scoring come on top.',
    );
    expect(costText([base], [], here, null)).toMatch(
      /^300 steps in all\. How long is not known: nothing like/,
    );
    const epochs = { ...base, training: { ...base.training, epochs: 1 } };
    expect(costText([base, epochs], rows, here, null)).toBe(
      'How long is not known: passes over the data decide how many steps there are.',
    );
    expect(costText([], rows, here, null)).toBe('No combination can be trained.');
  });
});

it('a queue goes on with what was begun, skips what failed, and is over when nothing waits', () => {
  const seeds = planSweep(base, [axis('training.seed', 1, 2, 3)], report).runs;
  let sweep = newSweep('seed', { ...createStores().choice.getState(), settings: base, report }, seeds);
  const words = () => sweep.items.map(({ what }) => changedText(what));
  expect(words()).toEqual(['the same settings', 'seed 1 → 2', 'seed 1 → 3']);
  // What is kept is no words: they are in the language of whoever looks.
  const name = `${sweepName(['training.seed', 'config.boft_block_size'])}, 2`;
  expect([name, sweepTitle(name)]).toEqual(['seed × boft_block_size, 2', 'seed × block size, 2']);
  speak({
    locale: 'zh-Hans',
    phrases: { 'Block size': '块大小', 'the same settings': '设置相同', Seed: '种子' },
  });
  onTestFinished(() => speak());
  expect(words()).toEqual(['设置相同', '种子 1 → 2', '种子 1 → 3']);
  expect(sweepTitle(name)).toBe('种子 × 块大小, 2');
  expect(sweepTitle('learning rate × batch, 3')).toBe('learning rate × batch, 3');
  speak();
  expect(nextIn(sweep)).toBe(0);
  sweep = begun(sweep, 1, 'a');
  expect(nextIn(sweep)).toBe(1);
  expect(nextIn(stopped(sweep))).toBeNull();
  expect(nextIn(left(sweep, 1))).toBe(0);
  sweep = failed(done(sweep, 0), 1, 'why');
  expect([nextIn(sweep), isOver(sweep), countOf(sweep, 'failed')]).toEqual([2, false, 1]);
  expect(isOver(done(sweep, 2))).toBe(true);
});

describe('a sweep', () => {
  const notes = new Map<string, unknown>();
  let saved: SavedSession | null;
  const runs = planSweep(base, [axis('training.seed', 1, 2, 3)], report).runs.map((one) => ({
    ...one,
    training: { ...one.training, steps: 2 },
  }));

  /** The page, opened over what the browser keeps. */
  async function openPage() {
    const stores = createStores();
    const trainer = fakeTrainer();
    const sessions = {
      save: async (session: SavedSession) => {
        saved = session;
      },
      load: async () => saved,
      clear: async () => {},
    };
    stores.run.setState({ saved });
    const controller = new Controller(stores, trainer, sessions, new Tabs({}), () => 1000);
    const setSettings = (settings: typeof base) => stores.choice.setState({ settings });
    const marked: string[] = [];
    const book = {
      change: (key: string) => void marked.push(key),
      keptNote: async (name: string) => notes.get(name),
      keepNote: async (name: string, value: unknown) => void notes.set(name, structuredClone(value)),
    };
    const sweeper = new Sweeper({ ...stores, controller, setSettings }, book);
    await sweeper.load();
    const finish = async (steps = [1, 2]) => {
      for (const step of steps) trainer.send({ type: 'step', metric: stepMetric(step), submits: 1 });
      trainer.send({ type: 'state', state: 'finished' });
      for (let turn = 0; turn < 6; turn++) await settle();
    };
    const states = () => sweeper.view.getState().sweep?.items.map(({ state }) => state);
    const trained = () => trainer.requests.map(({ request }) => request.training.seed);
    return { ...stores, trainer, controller, sweeper, finish, states, trained, marked };
  }

  beforeEach(() => {
    notes.clear();
    saved = null;
  });

  it('trains its runs one after the other, and then what was chosen is chosen again', async () => {
    const page = await openPage();
    const home = page.choice.getState().settings;
    const ended = page.sweeper.start('seed', runs);
    await settle();
    expect([page.states(), page.run.getState().state]).toEqual([['begun', 'waiting', 'waiting'], 'running']);
    await page.finish();
    expect(page.states()).toEqual(['done', 'begun', 'waiting']);
    await page.finish();
    await page.finish();
    await ended;
    expect([page.states(), page.trained()]).toEqual([
      ['done', 'done', 'done'],
      [1, 2, 3],
    ]);
    expect(page.marked).toEqual(page.run.getState().runs.map(({ key }) => key));
    expect(page.choice.getState().settings).toEqual(decodeHash(`seed=${home.training.seed}`).settings);
    expect(page.ui.getState().notice).toBeNull();
  });

  it('leaves the run that was on screen before it to be taken back, through to its end', async () => {
    const page = await openPage();
    await page.controller.toggle();
    page.trainer.send({ type: 'step', metric: stepMetric(1), submits: 1 });
    const mine = page.run.getState().current!.name;
    void page.sweeper.start('seed', runs);
    for (let turn = 0; turn < 6; turn++) await settle();
    expect(page.states()).toEqual(['begun', 'waiting', 'waiting']);
    const taken = () => [page.ui.getState().notice, page.run.getState().undo?.run.name];
    expect(taken()).toEqual([`${mine} was reset at step 1.`, mine]);
    await page.finish();
    await page.finish();
    await page.finish();
    expect([page.states(), taken()]).toEqual([
      ['done', 'done', 'done'],
      [`${mine} was reset at step 1.`, mine],
    ]);
    await page.controller.undoReset();
    expect(page.run.getState().current?.name).toBe(mine);
  });

  it('waits for a run that is paused by hand, and stops when that is reset', async () => {
    const page = await openPage();
    void page.sweeper.start('seed', runs);
    await settle();
    await page.controller.pause();
    await settle();
    expect(page.states()).toEqual(['begun', 'waiting', 'waiting']);
    await page.controller.reset();
    await settle();
    expect(page.sweeper.view.getState().sweep).toMatchObject({
      isStopped: true,
      reason: 'left',
    });
    expect(page.states()).toEqual(['waiting', 'waiting', 'waiting']);
    expect(page.trained()).toEqual([1]);
  });

  it('changes nothing that a lesson holds, and stops where it would', async () => {
    const page = await openPage();
    page.choice.setState({ settings: base });
    lockIn(page, 't.seed');
    await page.sweeper.start('seed', runs.slice(1));
    expect(page.sweeper.view.getState().sweep).toMatchObject({ isStopped: true, reason: 'lesson' });
    expect([page.trained(), page.ui.getState().notice]).toEqual([[], 'The lesson keeps as it is: Seed.']);
    expect(page.choice.getState().settings.training.seed).toBe(base.training.seed);
    // What it leaves alone may be held.
    lockIn(page, 't.learningRate', 'c.boft_block_size', 'method', 'engine');
    void page.sweeper.continue();
    await settle();
    expect(page.trained()).toEqual([2]);
  });

  it('is stopped and continued where it was', async () => {
    const page = await openPage();
    void page.sweeper.start('seed', runs);
    await settle();
    page.trainer.send({ type: 'step', metric: stepMetric(1), submits: 1 });
    await page.sweeper.stop();
    await settle();
    expect(page.run.getState().state).toBe('paused');
    void page.sweeper.continue();
    await settle();
    expect([page.run.getState().state, page.trained()]).toEqual(['running', [1]]);
    await page.finish([2]);
    expect(page.states()).toEqual(['done', 'begun', 'waiting']);
  });

  it('that is stopped while its run is loaded trains nothing further', async () => {
    const page = await openPage();
    void page.sweeper.start('seed', runs);
    await page.sweeper.stop();
    await settle();
    await settle();
    expect([page.run.getState().state, page.sweeper.view.getState().sweep?.isStopped]).toEqual([
      'paused',
      true,
    ]);
    expect(page.trained()).toEqual([1]);
  });

  it('outlives a reload: what was under way goes on from its checkpoint', async () => {
    const before = await openPage();
    void before.sweeper.start('seed', runs);
    await settle();
    await before.finish();
    before.trainer.send({ type: 'step', metric: stepMetric(1), submits: 1 });
    await before.controller.save();
    await settle();
    const page = await openPage();
    expect(page.sweeper.view.getState().sweep).toMatchObject({ name: 'seed', isStopped: true });
    void page.sweeper.continue();
    for (let turn = 0; turn < 6; turn++) await settle();
    expect(page.trainer.requests[0]).toMatchObject({ checkpoint: Uint8Array.of(1) });
    expect(page.run.getState()).toMatchObject({ state: 'running' });
    await page.finish([2]);
    await page.finish();
    expect([page.states(), page.trained()]).toEqual([
      ['done', 'done', 'done'],
      [2, 3],
    ]);
  });

  it('notes a failure and goes on; after two in a row it stops', async () => {
    const page = await openPage();
    page.trainer.refuseOpen(new PapilioError('limit', 'too large a buffer'));
    void page.sweeper.start('seed', runs);
    for (let turn = 0; turn < 6; turn++) await settle();
    expect(page.states()).toEqual(['failed', 'begun', 'waiting']);
    expect(page.sweeper.view.getState().sweep?.items[0]?.reason).toBe('too large a buffer');
    await page.controller.pause();
    page.run.setState({
      error: { report: { kind: 'non-finite', message: 'NaN', details: {} }, canResume: true, losses: 0 },
    });
    for (let turn = 0; turn < 6; turn++) await settle();
    expect(page.states()).toEqual(['failed', 'failed', 'waiting']);
    expect(page.sweeper.view.getState().sweep).toMatchObject({
      isStopped: true,
      reason: 'failures',
    });
  });
});
