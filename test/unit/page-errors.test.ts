/**
 * What the page says and offers when something fails. Seen to fail with: a memory that is always the GPU's, a device that is lost once and counted for everyone who hears of it.
 */
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import type { ErrorReport } from '../../src/lib/errors.ts';
import { heardAgain } from '../../src/lib/heard.ts';
import { Ambient } from '../../src/page/Ambient.tsx';
import { titleOf } from '../../src/page/errorGuide.ts';
import type { Finder, HubState } from '../../src/page/features/hub/hub.ts';
import { Trouble } from '../../src/page/features/hub/Trouble.tsx';
import { newRun } from '../../src/page/features/training/runs.ts';
import { stillness } from '../../src/page/features/training/Still.tsx';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import { createPage } from '../../src/page/page.ts';
import { ErrorCard, ErrorText } from '../../src/page/parts/Errors.tsx';
import { PageContext } from '../../src/page/usePage.ts';
import { fakeTrainer, openReport, stepMetric, visionReport } from './page-fixtures.ts';

const unused = () => Promise.reject(new Error('not used in these tests'));

function setUp() {
  const trainer = fakeTrainer();
  const page = createPage({
    trainer,
    sessions: { save: async () => {}, load: async () => null, clear: async () => {} },
    ...{ tabs: new Tabs({}), inference: unused, hub: unused, root: '/' },
  });
  page.choice.setState({ report: visionReport() });
  return { page, trainer };
}
type Page = ReturnType<typeof setUp>['page'];

/** As it is drawn; React takes the state that a store began with, as for a server. */
function shown(page: Page, element: ReturnType<typeof createElement>): string {
  for (const store of [page.run, page.room.view, page.ui, page.choice])
    store.getInitialState = store.getState as () => never;
  return renderToStaticMarkup(createElement(PageContext, { value: page }, element)).replaceAll('\u00a0', ' ');
}
const card = (page: Page) => shown(page, createElement(ErrorCard, { panel: 'train' }));

const memory = (details: ErrorReport['details'] = {}): ErrorReport => ({
  ...{ kind: 'out-of-memory', message: 'No 310.0 MiB left for state adamw.m.', details },
});

describe('too little memory', () => {
  it('is the GPU’s only where the GPU says so', () => {
    expect(titleOf(memory({ memory: 'gpu' }))).toBe('The GPU ran out of memory');
    expect(titleOf(memory())).toBe('There is too little memory');
    expect(titleOf({ kind: 'quota', details: { memory: 'gpu' } })).toBe('There is no room left');
  });

  it('says where the run was, what there was no room for, and what helps without a forecast', async () => {
    const { page, trainer } = setUp();
    trainer.refuseOpen(memory({ memory: 'gpu' }));
    await page.controller.toggle();
    const opening = card(page);
    expect(opening).toMatch(/The GPU ran out of memory[\s\S]*310\.0 MiB left for state adamw\.m/);
    expect(opening).toContain('The run was being opened, before its first step.');
    expect(opening).toContain('Halve the batch and start again');
    expect(opening).not.toContain('Halve the sequence length');
    page.setTraining('batchSize', 1);
    expect(card(page)).not.toContain('Halve the batch');
  });

  it('is helped by shorter texts where the model reads texts', async () => {
    const { page } = setUp();
    page.choice.setState({ report: { ...visionReport(), task: 'causal-lm' } });
    page.run.setState({ error: { report: memory(), canResume: false, losses: 0 } });
    expect(card(page)).toContain('Halve the sequence length and start again');
    page.setTraining('sequenceLength', 3);
    expect(card(page)).not.toContain('Halve the sequence length');
  });
});

describe('a lost device', () => {
  const lost: ErrorReport = { kind: 'device-lost', message: 'The GPU device was lost.', details: {} };
  async function lose(page: Page, trainer: ReturnType<typeof fakeTrainer>) {
    trainer.send({ type: 'step', metric: stepMetric(1), submits: 1 });
    await page.controller.save();
    trainer.send({ type: 'error', error: lost });
    // Whoever asked for something meanwhile hears of it too.
    page.controller.fail(lost);
  }

  it('is opened again after the first loss; after the second smaller pieces and the processor are offered', async () => {
    const { page, trainer } = setUp();
    await page.controller.toggle();
    await lose(page, trainer);
    expect(page.run.getState()).toMatchObject({ state: 'failed', error: { losses: 1, canResume: true } });
    const first = card(page);
    expect(first).toContain('Resume from the last checkpoint');
    expect(first).toContain('The last step that was heard of is 1.');
    expect(first).toContain('The checkpoint is of step 1, taken just now.');
    const { checkpoint } = page.run.getState();
    page.run.setState({ checkpoint: { ...checkpoint!, at: Date.now() - 5 * 60_000 } });
    expect(card(page)).toContain('The checkpoint is of step 1, taken 5 min ago.');
    expect(first).not.toMatch(/has lost the device|Halve the batch|Go on with onnxruntime/);

    await page.controller.resumeRun();
    await lose(page, trainer);
    const second = card(page);
    expect(second).toContain('This run has lost the device 2 times.');
    for (const offer of ['Resume', 'Halve the batch', 'Go on with onnxruntime, on the processor'])
      expect(second).toContain(offer);

    await page.controller.resumeOn('onnxruntime');
    expect(trainer.requests.at(-1)).toMatchObject({
      request: { engine: 'onnxruntime' },
      checkpoint: Uint8Array.of(1),
    });
    expect(page.isChanged()).toBe(false);
  });

  it('is of its run alone', async () => {
    const { page, trainer } = setUp();
    for (const _ of [1, 2]) {
      await page.controller.restart();
      await lose(page, trainer);
      expect(page.run.getState().error?.losses).toBe(1);
    }
  });
});

it('a run that diverged is offered to be clipped where it is not yet', async () => {
  const { page, trainer } = setUp();
  const diverge = async (maxGradNorm: number): Promise<string> => {
    page.setTraining('maxGradNorm', maxGradNorm);
    await page.controller.restart();
    trainer.send({ type: 'error', error: { kind: 'non-finite', message: 'It is NaN.', details: {} } });
    return card(page);
  };
  for (const late of [0, 5]) expect(await diverge(late)).toContain('Clip the gradient at 1 and go on');
  const already = await diverge(1);
  expect(already).toContain('Halve the learning rate and go on');
  expect(already).not.toContain('Clip the gradient');
});

it('a worker that stopped leaves the last of what it said, to copy', async () => {
  const { page, trainer } = setUp();
  await page.controller.toggle();
  for (let step = 1; step <= 30; step++) trainer.send({ type: 'step', metric: stepMetric(step), submits: 1 });
  page.controller.fail({
    kind: 'internal',
    message: 'The training worker stopped.',
    details: { crashed: true },
  });
  const text = card(page);
  expect(text).toMatch(/What it said last[\s\S]*copy the lines/);
  const [, lines = ''] = /<pre[^>]*>([\s\S]*)<\/pre>/.exec(text) ?? [];
  expect(lines.split('\n')).toHaveLength(20);
  expect(lines.split('\n').at(-1)).toMatch(/^\+\d+\.\d s \{.*step.*30/);
  expect(lines.split('\n').every((line) => line.length < 2000)).toBe(true);
  // What is no crash has no such lines.
  page.controller.fail({ kind: 'internal', message: 'Something else.', details: {} });
  expect(card(page)).not.toContain('What it said last');
});

describe('operators that are missing', () => {
  const missing = [
    { op: 'acme.Swirl', node: 'swirl_1', reason: 'unknown' },
    { op: 'acme.Swirl', node: 'swirl_2', reason: 'unknown' },
    { op: 'Hardmax', node: '', reason: 'axis 0' },
  ];
  const recognised = {
    ...{ family: 'bert', nodes: { total: 40, supported: 37, waiting: 0 } },
    modules: [
      { name: 'encoder.query', kind: 'linear' },
      { name: 'encoder.norm', kind: 'norm' },
    ],
  };
  const text = (details: object) => {
    const { page } = setUp();
    const report: ErrorReport = { kind: 'unsupported-onnx', message: 'It cannot.', details: { ...details } };
    return shown(page, createElement(ErrorText, { report }));
  };

  it('are listed by operator with their nodes, and what was recognised', () => {
    const list = text({ missing, recognised });
    expect(list).toContain('2 operators are missing, at 3 nodes');
    expect(list.match(/<dt>/g)).toHaveLength(2);
    expect(list).toMatch(/swirl_1[\s\S]*swirl_2[\s\S]*a node without a name[\s\S]*axis 0/);
    expect(list).toContain('Recognised: 37 of 40 nodes, a bert model, 2 modules.');
    expect(list).toContain('copy the list');
  });

  it('leave no layer that can be adapted, and say so', () => {
    expect(text({ missing, recognised })).toMatch(
      /Its layers: encoder\.query<[\s\S]*none of them can be adapted/,
    );
    expect(text({ missing, recognised: { ...recognised, modules: [] } })).not.toContain('Its layers');
    expect(text({ missing })).not.toMatch(/Recognised|can be adapted/);
  });

  it('are not said where an error lists none, or something else', () => {
    for (const details of [{}, { missing: [] }, { missing: 'all' }, { missing: [1, { op: 2 }] }])
      expect(text(details)).not.toContain('missing,');
  });
});

describe('a run that does not learn', () => {
  const run = (rates: readonly number[], relative: number) => {
    const { page } = setUp();
    const current = newRun(1, page.choice.getState().settings, 0);
    rates.forEach((learningRate, i) => {
      current.series.add({ ...stepMetric(i + 1), learningRate });
    });
    const delta = { rows: 1, columns: 1, data: new Float32Array(1), relative };
    const value = { module: 'encoder.query', method: 'boft' as const, delta };
    return { current, open: openReport({ steps: 40 }), inspection: { step: rates.length, value } };
  };
  const zeros = (n: number) => Array.from({ length: n }, () => 0);

  it('says so after 20 steps, and leads to the control that is the cause', () => {
    expect(stillness(run(zeros(19), 0))).toBeNull();
    expect(stillness(run(zeros(20), 0))).toMatchObject({
      text: 'After 20 steps encoder.query is as it was: the learning rate was 0 at every step.',
      ...{ section: 'training', control: 'training-learningRate' },
    });
    expect(stillness(run([...zeros(20), 0.1], 0))).toMatchObject({
      text: expect.stringMatching(/^After 21 steps .*no gradient reaches it/),
      ...{ section: 'targets', control: 'target-box' },
    });
  });

  it('is none once anything has moved, or before there is a look inside', () => {
    expect(stillness(run(zeros(30), 1e-9))).toBeNull();
    expect(stillness({ ...run(zeros(30), 0), inspection: null })).toBeNull();
    expect(stillness({ ...run(zeros(30), 0), current: null })).toBeNull();
  });
});

it('only the words about a reset have an undo beside them', async () => {
  const { page, trainer } = setUp();
  await page.controller.toggle();
  trainer.send({ type: 'step', metric: stepMetric(1), submits: 1 });
  await page.controller.reset();
  const said = () => shown(page, createElement(Ambient));
  expect(said()).toMatch(/was reset at step 1\.<\/span>.*>undo</);
  page.ui.setState({ notice: 'The browser does not let the page copy.' });
  expect(said()).toMatch(/does not let the page copy\.<\/span>/);
  expect(said()).not.toContain('>undo<');
});

it('what the Hub’s worker said is said again in another language', () => {
  const view = { getState: () => ({ failed: null }), getInitialState: () => ({ failed: null }) };
  const finder = { view: { ...view, subscribe: () => () => {} } } as unknown as Finder;
  const report = { kind: 'not-found', message: 'There is no such model.', details: {} } as const;
  const props = { finder, report, state: {} as HubState, onWords: () => {} };
  const { page } = setUp();
  expect(shown(page, createElement(Trouble, props))).toContain('There is no such model.');
  heardAgain([['There is no such model.', '没有这个模型。']]);
  expect(shown(page, createElement(Trouble, props))).toContain('没有这个模型。');
});
