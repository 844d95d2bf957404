/**
 * Opened adapters and compared methods as the page drives them, with trainers made for the purpose. Seen to fail: an error that empties the
 * list, a model that is bound twice for one choice or at every letter of a text, a run that goes on with the page's configuration, rows that
 * come after a stop.
 */
import { describe, expect, test } from 'vitest';
import type { InputFile } from '../../src/lib/bytes.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { keepComparison } from '../../src/page/features/methods/keptComparison.ts';
import { methodComparisonCsv } from '../../src/page/features/methods/methodComparison.ts';
import { runRequest, withPrecision } from '../../src/page/features/setup/choice.ts';
import { baseSettings } from '../../src/page/features/setup/settings.ts';
import type { Sessions } from '../../src/page/features/training/sessions.ts';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import { createPage } from '../../src/page/page.ts';
import type {
  AdapterCommand,
  AdapterRow,
  AdapterSetReport,
  MethodComparisonEvent,
  MethodComparisonRequest,
  MethodRow,
} from '../../src/training/protocol.ts';
import { fakeTrainer, visionReport } from './page-fixtures.ts';

const row = (name: string): AdapterRow => ({
  name,
  method: 'lora',
  title: 'LoRA',
  modules: ['a.query'],
  saved: [],
  parameters: 12,
  config: { r: 3, lora_alpha: 5, target_modules: ['query'], peft_type: 'LORA' },
  warnings: [],
  fit: { reason: null, warnings: [] },
});

const measured: MethodRow = {
  method: 'oft',
  settings: { oft_block_size: [8] },
  config: {},
  learningRate: 4e-3,
  adapter: 300,
  trainable: { stored: 399, free: 399 },
  metric: 'accuracy',
  before: 0.25,
  after: 0.5,
  examples: 16,
  own: {
    data: 'digits',
    head: 'base',
    before: { step: 4, metric: 'accuracy', value: 0.9, loss: 1, examples: 512 },
    after: { step: 4, metric: 'accuracy', value: 0.7, loss: 2, examples: 512 },
  },
  steps: 4,
  secondsPerStep: null,
  peakBytes: 1000,
  dispatchesPerStep: 20,
};

const files: readonly InputFile[] = [
  { name: 'adapter_config.json', bytes: Uint8Array.of(1) },
  { name: 'adapter_model.safetensors', bytes: Uint8Array.of(2) },
];

const noSessions: Sessions = { save: async () => {}, load: async () => null, clear: async () => {} };
const unused = () => Promise.reject(new Error('not used in these tests'));

function setUp() {
  const asked: AdapterCommand[] = [];
  const comparisons: MethodComparisonRequest[] = [];
  let rows: readonly AdapterRow[] = [];
  let refusal: PapilioError | null = null;
  let tell: (event: MethodComparisonEvent) => void = () => {};
  let endComparison: () => void = () => {};
  const trainer = {
    ...fakeTrainer(),
    async changeAdapters(command: AdapterCommand): Promise<AdapterSetReport> {
      asked.push(command);
      if (refusal && command.kind === 'open') throw refusal;
      if (command.kind === 'open') rows = [...rows, row(command.name ?? `adapter-${rows.length + 1}`)];
      if (command.kind === 'delete') rows = rows.filter(({ name }) => name !== command.name);
      const merged = command.kind === 'merge' ? command.names : [];
      return { rows, active: [], enabled: true, merged, warnings: [] };
    },
    adapterFiles: async () => files,
    async compareMethods(request: MethodComparisonRequest, events: (event: MethodComparisonEvent) => void) {
      comparisons.push(request);
      tell = events;
      await new Promise<void>((resolve) => {
        endComparison = resolve;
      });
      return { rows: [measured], ranOn: 'a device', isWhole: true };
    },
    stopMethodComparison: async () => endComparison(),
  };
  const parts = { trainer, sessions: noSessions, inference: unused, hub: unused, root: '/' };
  const page = createPage({ ...parts, tabs: new Tabs({}) });
  page.choice.setState({ report: visionReport() });
  return {
    page,
    asked,
    comparisons,
    trainer,
    tell: (event: MethodComparisonEvent) => tell(event),
    end: () => endComparison(),
    refuse: (error: PapilioError | null) => {
      refusal = error;
    },
  };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
const kinds = (asked: readonly AdapterCommand[]) => asked.map(({ kind }) => kind);

describe('opened adapters', () => {
  test('are held against the chosen model, once until it changes', async () => {
    const { page, asked } = setUp();
    await page.adapterSet.open(files);
    await page.adapterSet.open(files);
    expect(kinds(asked)).toEqual(['open', 'bind', 'open']);
    expect(asked[1]).toMatchObject({ task: { model: { kind: 'embedded', name: 'glyphs-vit' } } });
    page.choose({ model: 'tales-gpt' });
    await page.adapterSet.merge(['adapter-2', 'adapter-1']);
    expect(kinds(asked)).toEqual(['open', 'bind', 'open', 'bind', 'merge']);
    expect(page.adapterSet.view.getState().merged).toEqual(['adapter-2', 'adapter-1']);
  });

  test('are held anew against the model at another precision, and with other padding', async () => {
    const { page, asked } = setUp();
    page.setSettings(baseSettings('own-model'));
    page.input({
      modelFiles: [{ name: 'model.onnx', bytes: Uint8Array.of(1) }],
      dataFiles: [{ name: 'rows.csv', bytes: Uint8Array.of(1) }],
    });
    await page.adapterSet.open(files);
    page.choice.setState(({ model }) => ({ model: withPrecision(model, 'f16') }));
    await page.adapterSet.merge(['adapter-1']);
    expect(asked.at(-2)).toMatchObject({ kind: 'bind', task: { model: { precision: 'f16' } } });
    page.data.setPadding('longest');
    await page.adapterSet.merge(['adapter-1']);
    expect(asked.at(-2)).toMatchObject({ kind: 'bind', task: { data: { options: { padding: 'longest' } } } });
  });

  test('stay on the model while somebody writes, and are held against the whole text at the next command', async () => {
    const { page, asked } = setUp();
    page.choose({ model: 'tales-gpt' });
    await page.adapterSet.open(files);
    page.input({ text: 'a' });
    page.choose({ data: 'text' });
    await settle();
    expect(kinds(asked)).toEqual(['open', 'bind', 'bind']);
    await page.adapterSet.merge(['adapter-1']);
    page.input({ text: 'ab' });
    await settle();
    expect(kinds(asked)).toEqual(['open', 'bind', 'bind', 'merge']);
    expect(page.adapterSet.view.getState().merged).toEqual(['adapter-1']);
    await page.adapterSet.activate(['adapter-1']);
    expect(asked.at(-2)).toMatchObject({ kind: 'bind', task: { data: { kind: 'text', text: 'ab' } } });
  });

  test('stay as they were when files are wrong, and the sentence stands where they were dropped', async () => {
    const { page, refuse } = setUp();
    await page.adapterSet.open(files);
    page.adapterSet.tick('adapter-1', true);
    const before = page.adapterSet.view.getState();
    refuse(new PapilioError('malformed-adapter', 'The zip cannot be unpacked.'));
    await page.adapterSet.open(files);
    const after = page.adapterSet.view.getState();
    expect(after).toEqual({
      ...before,
      error: { kind: 'malformed-adapter', message: 'The zip cannot be unpacked.', details: {} },
      errorAt: 'open',
    });
    refuse(null);
    await page.adapterSet.open(files);
    expect(page.adapterSet.view.getState()).toMatchObject({
      error: null,
      rows: [{}, {}],
      ticked: ['adapter-1'],
    });
  });

  test('are ticked in an order, and forgotten with what was removed', async () => {
    const { page } = setUp();
    await page.adapterSet.open(files);
    await page.adapterSet.open(files);
    page.adapterSet.tick('adapter-2', true);
    page.adapterSet.tick('adapter-1', true);
    expect(page.adapterSet.view.getState().ticked).toEqual(['adapter-2', 'adapter-1']);
    await page.adapterSet.remove('adapter-2');
    expect(page.adapterSet.view.getState()).toMatchObject({
      ticked: ['adapter-1'],
      rows: [{ name: 'adapter-1' }],
    });
  });

  test('can be gone on from: method and settings are theirs, the rest is free, and the way back is short', async () => {
    const { page } = setUp();
    await page.adapterSet.open(files);
    page.setTraining('steps', 7);
    await page.adapterSet.goOn('adapter-1');
    expect(page.choice.getState().settings.training.steps).toBe(7);
    const { settings, startFrom } = page.choice.getState();
    expect(settings).toMatchObject({
      method: 'lora',
      config: { r: 3, lora_alpha: 5, target_modules: ['query'] },
    });
    expect(settings.config).not.toHaveProperty('peft_type');
    expect(startFrom?.files).toBe(files);
    expect(runRequest(page.choice.getState())).toMatchObject({ method: 'lora', adapter: files });
    expect(page.setConfig('r', 4)).toMatch(/goes on from adapter-1/);
    expect(page.setTraining('steps', 9)).toBeNull();
    await page.controller.toggle();
    expect(page.isChanged()).toBe(false);
    page.startAfresh();
    expect(page.isChanged()).toBe(true);
    expect(runRequest(page.choice.getState())).not.toHaveProperty('adapter');
    expect(page.setConfig('r', 4)).toBeNull();
    await page.adapterSet.goOn('adapter-1');
    page.choose({ method: 'oft' });
    expect(page.choice.getState().startFrom).toBeNull();
  });

  test('the adapter of a reset run comes back with it', async () => {
    const { page, trainer } = setUp();
    await page.adapterSet.open(files);
    await page.adapterSet.goOn('adapter-1');
    await page.controller.toggle();
    trainer.send({
      type: 'step',
      metric: { step: 1, loss: 1, learningRate: 1, gradNorm: 1, examples: 1, tokens: 0, seconds: 1 },
      submits: 1,
    });
    await page.controller.reset();
    page.startAfresh();
    await page.controller.undoReset();
    expect(page.choice.getState().startFrom?.files).toBe(files);
    expect(trainer.requests.at(-1)?.request.adapter).toBe(files);
  });
});

describe('methods side by side', () => {
  test('rows fill in as they come; budget and targets are those that are chosen', async () => {
    const { page, comparisons, tell, end } = setUp();
    const budget = page.methodComparison.budget()!;
    expect(budget).toBe(page.derived().count?.adapter);
    const running = page.methodComparison.start({ methods: ['oft', 'lora'], budget, steps: 4 });
    expect(comparisons[0]).toMatchObject({
      methods: ['oft', 'lora'],
      budget,
      training: { steps: 4, epochs: 0 },
      where: { target_modules: ['query', 'value', 'key', 'output.dense', 'mlp.fc1', 'mlp.fc2'] },
    });
    tell({ type: 'start', method: 'oft', settings: {}, adapter: 300 });
    tell({ type: 'step', method: 'oft', step: 3, total: 4 });
    expect(page.methodComparison.view.getState()).toMatchObject({
      busy: 'Comparing',
      now: { method: 'oft', step: 3 },
    });
    tell({ type: 'row', row: measured });
    tell({ type: 'refused', method: 'lora', reason: 'No size fits.' });
    expect(page.methodComparison.view.getState()).toMatchObject({
      rows: [measured],
      refused: [{ method: 'lora' }],
    });
    end();
    await running;
    tell({ type: 'row', row: measured });
    expect(page.methodComparison.view.getState()).toMatchObject({
      busy: null,
      now: null,
      rows: [measured],
    });
  });

  test('are kept row by row, and shown by the page that is opened next, unless that has newer ones', async () => {
    let kept: unknown;
    const book = {
      keptNote: async () => kept,
      keepNote: async (_: string, value: unknown) => {
        kept = structuredClone(value);
      },
    };
    const first = setUp();
    await keepComparison(first.page.methodComparison.view, book, () => 5);
    const running = first.page.methodComparison.start({ methods: ['oft', 'lora'], budget: 300, steps: 4 });
    expect(kept).toBeUndefined();
    first.tell({ type: 'row', row: measured });
    first.tell({ type: 'refused', method: 'lora', reason: 'No size fits.' });
    const opened = async () => {
      const { page } = setUp();
      await keepComparison(page.methodComparison.view, book);
      return page.methodComparison.view.getState();
    };
    const about = { model: 'glyphs-vit', data: 'letters', budget: 300 };
    const shown = { about, rows: [measured], keptAt: 5, busy: null };
    expect(await opened()).toMatchObject({ ...shown, report: null, refused: [{ method: 'lora' }] });
    first.end();
    await running;
    expect(await opened()).toMatchObject({ ...shown, report: { ranOn: 'a device', isWhole: true } });

    const later = setUp();
    void later.page.methodComparison.start({ methods: ['oft'], budget: 9, steps: 1 });
    await keepComparison(later.page.methodComparison.view, book);
    expect(later.page.methodComparison.view.getState()).toMatchObject({ rows: [], keptAt: null });
    // What no page writes is left out.
    kept = { about, rows: [{ ...measured, metric: 'luck' }], refused: [], ended: null, at: 5 };
    expect(await opened()).toMatchObject({ rows: [], about: null });
  });

  test('as CSV, what was not measured is empty', () => {
    const [head, line] = methodComparisonCsv([measured])
      .split('\n')
      .map((text) => text.split(','));
    expect(line).toHaveLength(head!.length);
    expect(line![head!.indexOf('seconds_per_step')]).toBe('');
    expect(line![head!.indexOf('after')]).toBe('0.5');
    expect(['own_task', 'own_before', 'own_after'].map((name) => line![head!.indexOf(name)])).toEqual([
      'digits',
      '0.9',
      '0.7',
    ]);
  });
});
