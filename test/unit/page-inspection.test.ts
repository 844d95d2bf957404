/**
 * What the page shows of a run besides its curve follows the run: at each evaluation and at the end, of the step that the trainer names, and
 * never of a run before. Seen to fail with: the step read when the answer arrives, no comparison at the end, one that is waited for for ever.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import {
  byChange,
  changeOf,
  createInspection,
  createQuestions,
  tallyOf,
} from '../../src/page/features/inspect/inspection.ts';
import { Controller } from '../../src/page/features/training/controller.ts';
import { remarksOf } from '../../src/page/features/training/runs.ts';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import { createStores } from '../../src/page/stores.ts';
import type { BeforeAfter, Inspection, OfStep } from '../../src/training/protocol.ts';
import { fakeTrainer, stepMetric } from './page-fixtures.ts';

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
const said = (after: string): BeforeAfter => ({
  kind: 'text',
  odds: { before: [], after: [] },
  prompt: '',
  before: '',
  after,
  seed: 1,
  temperature: 0,
});

function setUp() {
  const stores = createStores();
  const trainer = fakeTrainer();
  let step = 0;
  const asked: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  const slow = {
    ...trainer,
    // The trainer answers of the step at which it was asked.
    beforeAfter: (): Promise<OfStep<BeforeAfter>> => {
      const at = step;
      return new Promise((resolve, reject) =>
        asked.push({ resolve: () => resolve({ step: at, value: said(String(at)) }), reject }),
      );
    },
    inspect: async (module: string): Promise<OfStep<Inspection>> => ({
      step,
      value: {
        module,
        method: 'boft',
        delta: { rows: 1, columns: 1, data: new Float32Array(1), relative: 0 },
      },
    }),
  };
  const sessions = { save: async () => {}, load: async () => null, clear: async () => {} };
  const controller = new Controller(stores, trainer, sessions, new Tabs({}), () => 0);
  const inspection = createInspection(stores, slow, controller, createQuestions(stores, controller));
  return {
    ...stores,
    trainer,
    controller,
    inspection,
    asked,
    to(next: number) {
      step = next;
      trainer.send({ type: 'step', metric: stepMetric(next), submits: 1 });
    },
    evaluate(value = 2) {
      trainer.send({
        type: 'eval',
        metric: { step, metric: 'perplexity', value, loss: Math.log(value), examples: 8 },
      });
    },
    async answer() {
      asked.shift()?.resolve();
      await settle();
    },
  };
}

describe('before and after', () => {
  let page: ReturnType<typeof setUp>;
  const shown = () => page.run.getState().comparison;
  beforeEach(async () => {
    page = setUp();
    await page.controller.toggle();
    await settle();
  });

  it('follows every evaluation and the end, and is of the step that was asked', async () => {
    await page.answer();
    expect(shown()).toMatchObject({ step: 0, value: { after: '0' } });
    page.to(5);
    page.evaluate();
    await settle();
    expect(page.run.getState().isComparing).toBe(true);
    page.to(6);
    page.to(7);
    await page.answer();
    // The run has gone on; the answer is that of step 5.
    expect(shown()).toMatchObject({ step: 5, value: { after: '5' } });
    page.to(24);
    page.evaluate();
    page.trainer.send({ type: 'state', state: 'finished' });
    await settle();
    while (page.asked.length > 0) await page.answer();
    expect(shown()).toMatchObject({ step: 24, value: { after: '24' } });
    expect(page.run.getState()).toMatchObject({
      isComparing: false,
      isInspecting: false,
      inspection: { step: 24 },
    });
  });

  it('asks once more however often it is told while one is under way', async () => {
    expect(page.asked).toHaveLength(1);
    for (const step of [1, 2, 3, 4]) {
      page.to(step);
      page.evaluate();
    }
    await settle();
    expect(page.asked).toHaveLength(1);
    await page.answer();
    expect(page.asked).toHaveLength(1);
    await page.answer();
    expect(page.asked).toHaveLength(0);
    expect(shown()?.step).toBe(4);
  });

  it('shows nothing of a run that was reset meanwhile, and asks the next one', async () => {
    page.to(3);
    await page.controller.reset();
    await page.answer();
    expect(shown()).toBeNull();
    page.to(0);
    await page.controller.toggle();
    await settle();
    await page.answer();
    expect(shown()).toMatchObject({ step: 0 });
  });

  it('says why a run failed, and not what that made of a question under way', async () => {
    const error = { kind: 'device-lost', message: 'Lost.', details: {} } as const;
    page.trainer.send({ type: 'error', error });
    page.trainer.send({ type: 'state', state: 'failed' });
    page.asked[0]!.reject(new PapilioError('bad-argument', 'There is no open run.'));
    await settle();
    expect(page.run.getState()).toMatchObject({ state: 'failed', error: { report: error } });
  });

  it('that there is no run to ask is forgotten when there is one', async () => {
    await page.controller.reset();
    while (page.asked.length > 0) await page.answer();
    await page.inspection.compare();
    expect(page.run.getState().isComparing).toBe(false);
    await page.controller.toggle();
    await settle();
    expect(page.asked).toHaveLength(1);
  });

  it('remarks on a run that ended worse, once it has ended', async () => {
    page.evaluate(5);
    page.to(40);
    page.evaluate(9);
    expect(remarksOf(page.run.getState())).toEqual([]);
    page.trainer.send({ type: 'state', state: 'finished' });
    expect(remarksOf(page.run.getState())).toEqual([
      expect.stringMatching(
        /^The run ended worse than it began: held-out perplexity 5\.000 before, 9\.000 after/,
      ),
    ]);
  });
});

describe('what changed most', () => {
  const one = (before: number[], after: number[], label: number) => ({
    text: String(label),
    label,
    before: Float32Array.from(before),
    after: Float32Array.from(after),
  });
  const examples = [
    one([0.5, 0.5], [0.4, 0.6], 1),
    one([0.9, 0.1], [0.1, 0.9], 1),
    one([0.2, 0.8], [0.2, 0.8], 0),
  ];

  it('comes first; the count is of all that were asked', () => {
    expect(byChange(examples)).toEqual([examples[1], examples[0], examples[2]]);
    expect(changeOf(examples[1]!)).toBeCloseTo(0.8, 6);
    expect(
      byChange([
        { before: 1, after: 2 },
        { before: 5, after: 1 },
      ])[0],
    ).toEqual({ before: 5, after: 1 });
    expect(tallyOf({ kind: 'text-class', labels: ['a', 'b'], examples })).toEqual({
      before: 0,
      after: 2,
      of: 3,
    });
    expect(tallyOf(said('x'))).toBeNull();
  });
});
