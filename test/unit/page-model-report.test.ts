/**
 * The chosen model's modules as the page learns them, and how a store shows a task. Seen to fail with: a model that is read again for another
 * precision, an answer that comes after another model was chosen, a failure that no later change tries again, modules that are gone while a
 * sidecar is read, a run that opens for ever although other files were dropped.
 */
import { describe, expect, it } from 'vitest';
import { createStore } from 'zustand/vanilla';
import { PapilioError } from '../../src/lib/errors.ts';
import { withPrecision } from '../../src/page/features/setup/choice.ts';
import { baseSettings } from '../../src/page/features/setup/settings.ts';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import { createPage } from '../../src/page/page.ts';
import { createTask, type TaskView } from '../../src/page/task.ts';
import type { ModelReport, ModelSource } from '../../src/training/protocol.ts';
import { fakeTrainer, visionReport } from './page-fixtures.ts';

const unused = () => Promise.reject(new Error('not used in these tests'));
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
const file = (name: string) => ({ name, bytes: Uint8Array.of(1) });

function setUp() {
  const asked: { readonly model: ModelSource; readonly signal: AbortSignal | undefined }[] = [];
  const answers: { give(name: string): void; refuse(error: PapilioError): void }[] = [];
  const trainer = {
    ...fakeTrainer(),
    describe: (model: ModelSource, signal?: AbortSignal) => {
      asked.push({ model, signal });
      return new Promise<ModelReport>((resolve, reject) => {
        answers.push({ give: (name) => resolve({ ...visionReport(), name }), refuse: reject });
      });
    },
  };
  const page = createPage({
    trainer,
    sessions: { save: async () => {}, load: async () => null, clear: async () => {} },
    tabs: new Tabs({}),
    inference: unused,
    hub: unused,
    root: '/',
  });
  page.setSettings(baseSettings('own-model'));
  return { page, trainer, asked, answers, name: () => page.choice.getState().report?.name };
}

describe('the modules of the chosen model', () => {
  it('are read once for a file, however it is rounded and whatever else is chosen', async () => {
    const { page, asked, answers, name } = setUp();
    page.openModel([file('a.onnx')]);
    expect(page.choice.getState()).toMatchObject({ isReading: true, report: null });
    answers[0]!.give('a');
    await settle();
    expect(name()).toBe('a');
    page.setTraining('learningRate', 0.5);
    page.choice.setState(({ model }) => ({ model: withPrecision(model, 'q4') }));
    await settle();
    expect(asked).toHaveLength(1);
    expect(asked[0]!.model).not.toHaveProperty('precision');
  });

  it('are those of the model that was chosen last', async () => {
    const { page, asked, answers, name } = setUp();
    page.openModel([file('a.onnx')]);
    page.openModel([file('b.onnx')]);
    expect(asked[0]!.signal?.aborted).toBe(true);
    answers[1]!.give('b');
    answers[0]!.give('a');
    await settle();
    expect(name()).toBe('b');
    page.input({ modelFiles: [] });
    expect(page.choice.getState()).toMatchObject({ model: null, report: null, isReading: false });
  });

  it('stay on screen while a file is read that was put beside the model', async () => {
    const { page, asked, answers, name } = setUp();
    page.openModel([file('a.onnx')]);
    answers[0]!.give('a');
    await settle();
    page.openModel([file('config.json')]);
    expect(asked[1]!.model).toMatchObject({ files: [{ name: 'a.onnx' }, { name: 'config.json' }] });
    expect(name()).toBe('a');
    answers[1]!.give('a with its configuration');
    await settle();
    expect(name()).toBe('a with its configuration');
  });

  it('that could not be read are asked for again with the next change', async () => {
    const { page, asked, answers, name } = setUp();
    page.openModel([file('a.onnx')]);
    answers[0]!.refuse(new PapilioError('network', 'The line is down.'));
    await settle();
    expect(page.choice.getState()).toMatchObject({ isReading: false, reportError: { kind: 'network' } });
    page.setTraining('steps', 7);
    expect(asked).toHaveLength(2);
    answers[1]!.give('a');
    await settle();
    expect(name()).toBe('a');
    expect(page.choice.getState().reportError).toBeNull();
  });
});

it('a run that is being opened is given up for another model or other data, not for another reading or more text', async () => {
  const { page, trainer } = setUp();
  const ended = () => trainer.calls.filter((call) => call === 'endUnless').length;
  page.openModel([file('a.onnx')]);
  page.input({ dataFiles: [file('a.csv')] });
  expect(ended()).toBe(0);
  page.run.setState({ state: 'loading' });
  page.choose({ method: 'lora' });
  page.choice.setState(({ model }) => ({ model: withPrecision(model, 'q4') }));
  page.data.setPadding('longest');
  expect(ended()).toBe(0);
  page.input({ dataFiles: [file('b.csv')] });
  expect(ended()).toBe(1);
  page.openModel([file('b.onnx')]);
  expect(ended()).toBe(2);
  page.input({ text: 'a' });
  page.choose({ data: 'text' });
  expect(ended()).toBe(3);
  page.input({ text: 'ab' });
  expect(ended()).toBe(3);
});

describe('a task in a store', () => {
  interface View extends TaskView {
    readonly value: number | null;
  }
  const nothing: View = { busy: null, error: null, value: null };

  it('shows its work, then its result or why there is none', async () => {
    const view = createStore<View>(() => nothing);
    const task = createTask(view);
    const done = task.run({ busy: 'Adding' }, async () => ({ value: 3 }));
    expect(view.getState()).toEqual({ ...nothing, busy: 'Adding' });
    expect(await done).toBe(true);
    expect(view.getState()).toEqual({ ...nothing, value: 3 });
    const failing = task.run({ busy: 'Adding' }, unused, { value: null });
    expect(await failing).toBe(false);
    expect(view.getState()).toMatchObject({ busy: null, value: null, error: { kind: 'internal' } });
  });

  it('that was left shows nothing any more, and knows why it was', async () => {
    const view = createStore<View>(() => nothing);
    const task = createTask(view);
    const reasons: unknown[] = [];
    const begin = (value: number) =>
      task.run({ busy: String(value) }, async (signal) => {
        await settle();
        if (signal.aborted) reasons.push(signal.reason);
        return { value };
      });
    const first = begin(1);
    const second = begin(2);
    expect(await Promise.all([first, second])).toEqual([false, true]);
    expect(view.getState()).toEqual({ ...nothing, value: 2 });
    const third = begin(3);
    task.leave('for another');
    expect(await third).toBe(false);
    expect(view.getState().value).toBe(2);
    expect(reasons.at(-1)).toBe('for another');
  });
});
