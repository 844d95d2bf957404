/**
 * Data before a run, as the page holds it: what each column is, what was told and what was guessed. Seen to fail: a second text that is
 * guessed again after it was left out, a mapping that outlives its file, padding that does not, an old answer that overtakes a new one.
 */
import { describe, expect, test } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { ASKED_ANEW } from '../../src/lib/workers.ts';
import { runRequest } from '../../src/page/features/setup/choice.ts';
import {
  columnRows,
  createDataPreview,
  incomplete,
  rolesIn,
  tasksIn,
} from '../../src/page/features/setup/data.ts';
import { baseSettings } from '../../src/page/features/setup/settings.ts';
import { createStores } from '../../src/page/stores.ts';
import type { DataPreview, DataSource } from '../../src/training/protocol.ts';
import { input } from './page-fixtures.ts';

const file = (name: string) => ({ name, bytes: Uint8Array.of(1) });
const settle = (ms = 5) => new Promise((resolve) => setTimeout(resolve, ms));

const previewOf = (parts: Partial<DataPreview>): DataPreview => ({
  report: {
    name: 'a.csv',
    kind: 'text-class',
    labels: [],
    trainExamples: 8,
    heldExamples: 2,
    notes: [],
    notesInEnglish: [],
  },
  task: 'text-classification',
  tasks: ['text-classification', 'regression'],
  columns: ['text', 'text2', 'stars'],
  mapping: { text: 'text', pair: 'text2', label: 'stars' },
  hasHeader: true,
  firstCells: {},
  examples: [],
  ...parts,
});

function setUp(answer: (data: DataSource) => Promise<DataPreview>) {
  const stores = createStores();
  const asked: DataSource[] = [];
  const left: unknown[] = [];
  const dataPreview = createDataPreview(
    stores,
    {
      preview: (_model, data, _how, signal) => {
        asked.push(data);
        signal?.addEventListener('abort', () => left.push(signal.reason));
        return answer(data);
      },
    },
    0,
  );
  stores.choice.setState({ settings: baseSettings('own-model') });
  input(stores, { modelFiles: [file('model.onnx')], dataFiles: [file('a.csv')] });
  return { ...stores, dataPreview, asked, left };
}

describe('the preview', () => {
  test('is asked for while somebody looks, and again when what it follows from changes', async () => {
    const { dataPreview, asked, choice } = setUp(() => Promise.resolve(previewOf({})));
    await settle();
    expect(asked).toHaveLength(0);
    const leave = dataPreview.watch();
    await settle();
    expect(asked).toHaveLength(1);
    choice.setState((s) => ({
      settings: { ...s.settings, training: { ...s.settings.training, learningRate: 1 } },
    }));
    await settle();
    expect(asked).toHaveLength(1);
    choice.setState((s) => ({
      settings: { ...s.settings, training: { ...s.settings.training, sequenceLength: 32 } },
    }));
    await settle();
    expect(asked).toHaveLength(2);
    leave();
    input({ choice }, { dataFiles: [file('b.csv')] });
    await settle();
    expect(asked).toHaveLength(2);
  });

  test('says that data are bad, of those that it was asked about and of no others', async () => {
    let error = new PapilioError('bad-data', 'No text.');
    const { dataPreview, choice } = setUp(() => Promise.reject(error));
    expect(dataPreview.areBad()).toBe(false);
    const leave = dataPreview.watch();
    await settle();
    expect(dataPreview.areBad()).toBe(true);
    leave();
    // Nobody has looked at these.
    choice.setState((s) => ({ model: s.model && { ...s.model, precision: 'f16' } }));
    expect(dataPreview.view.getState().error).not.toBeNull();
    expect(dataPreview.areBad()).toBe(false);
    // A line that was down says nothing of the data.
    error = new PapilioError('network', 'No line.');
    dataPreview.watch();
    await settle();
    expect(dataPreview.areBad()).toBe(false);
  });

  test('is asked anew for other numbers, and left for other data alone', async () => {
    const { dataPreview, choice, left } = setUp(() => new Promise(() => {}));
    dataPreview.watch();
    await settle();
    choice.setState((s) => ({
      settings: { ...s.settings, training: { ...s.settings.training, seed: 7 } },
    }));
    await settle();
    expect(left).toEqual([ASKED_ANEW]);
    input({ choice }, { dataFiles: [file('b.csv')] });
    await settle();
    expect(left).toEqual([ASKED_ANEW, expect.objectContaining({ name: 'AbortError' })]);
  });

  test('shows the latest answer, whatever comes last', async () => {
    const waiting: ((preview: DataPreview) => void)[] = [];
    const { dataPreview, choice } = setUp(() => new Promise((resolve) => waiting.push(resolve)));
    dataPreview.watch();
    await settle();
    input({ choice }, { dataFiles: [file('b.csv')] });
    await settle();
    waiting[1]!(previewOf({ columns: ['new'] }));
    waiting[0]!(previewOf({ columns: ['old'] }));
    await settle();
    expect(dataPreview.view.getState().preview?.columns).toEqual(['new']);
  });

  test('of data that cannot be read is its sentence, and the columns are still there to map', async () => {
    const { dataPreview, choice } = setUp((data) =>
      data.options?.mapping
        ? Promise.resolve(previewOf({ mapping: { text: 'kommentar', label: 'note' } }))
        : Promise.reject(
            new PapilioError('bad-data', 'a.csv has no column "text".', {
              columns: ['kommentar', 'note'],
              task: 'text-classification',
              tasks: ['text-classification', 'regression'],
            }),
          ),
    );
    dataPreview.watch();
    await settle();
    const view = dataPreview.view.getState();
    expect(view.error?.message).toBe('a.csv has no column "text".');
    expect(choice.getState().inputs.dataFiles).toHaveLength(1);
    expect(tasksIn(view).tasks).toEqual(['text-classification', 'regression']);
    expect(columnRows(view).map(({ column, role }) => [column, role])).toEqual([
      ['kommentar', null],
      ['note', null],
    ]);
    dataPreview.setColumn('kommentar', 'text');
    await settle();
    expect(dataPreview.view.getState().error).toBeNull();
    expect(choice.getState().data?.options?.mapping).toEqual({ text: 'kommentar' });
  });

  test('is not asked for before there is data', async () => {
    const { dataPreview, asked, choice } = setUp(() => Promise.resolve(previewOf({})));
    input({ choice }, { dataFiles: [] });
    dataPreview.watch();
    await settle();
    expect(asked).toHaveLength(0);
    expect(dataPreview.view.getState()).toEqual({ busy: null, preview: null, error: null });
  });
});

describe('columns', () => {
  const view = { busy: null, preview: previewOf({}), error: null };

  test('that nobody named are guesses; those one cannot do without stay', () => {
    expect(columnRows(view, { label: 'stars' })).toEqual([
      { column: 'text', role: 'text', isGuess: true, canDrop: false, begins: '' },
      { column: 'text2', role: 'pair', isGuess: true, canDrop: true, begins: '' },
      { column: 'stars', role: 'label', isGuess: false, canDrop: true, begins: '' },
    ]);
  });

  test('that are left out are not guessed again', async () => {
    const { dataPreview, choice } = setUp(() => Promise.resolve(previewOf({})));
    dataPreview.watch();
    await settle();
    dataPreview.setColumn('text2', null);
    expect(choice.getState().data?.options?.mapping).toEqual({ pair: '' });
    expect(columnRows(view, { pair: '' })[1]).toMatchObject({ role: null });
    expect(runRequest(choice.getState()).data.options).toEqual({ mapping: { pair: '' } });
  });

  test('take a role from another, and exclude ways of reading that do not go together', async () => {
    const chat = previewOf({
      task: 'causal-lm',
      tasks: ['causal-lm'],
      columns: ['q', 'a', 'story'],
      mapping: { text: 'story' },
    });
    const { dataPreview, choice } = setUp(() => Promise.resolve(chat));
    dataPreview.watch();
    await settle();
    dataPreview.setColumn('story', 'text');
    dataPreview.setColumn('q', 'prompt');
    expect(choice.getState().data?.options?.mapping).toEqual({ prompt: 'q' });
    const seen = { busy: null, preview: chat, error: null };
    expect(incomplete(seen, { prompt: 'q' })).toMatch(/answer/);
    dataPreview.setColumn('a', 'answer');
    expect(choice.getState().data?.options?.mapping).toEqual({ prompt: 'q', answer: 'a' });
    expect(
      incomplete({ ...seen, preview: { ...chat, mapping: { prompt: 'q', answer: 'a' } } }, {}),
    ).toBeNull();
    expect(rolesIn(seen)).toContain('messages');
  });

  test('are forgotten with their file; padding is not', async () => {
    const { dataPreview, choice } = setUp(() => Promise.resolve(previewOf({})));
    dataPreview.watch();
    await settle();
    dataPreview.setColumn('text2', 'text');
    dataPreview.setTask('regression');
    dataPreview.setPadding('longest');
    expect(choice.getState().data?.options).toEqual({ task: 'regression', padding: 'longest' });
    input({ choice }, { dataFiles: [file('b.csv')] });
    expect(choice.getState().data?.options).toEqual({ padding: 'longest' });
    // Nor with data that is read in one way, or while there is none.
    choice.setState((s) => ({ settings: { ...s.settings, data: 'text' } }));
    expect(choice.getState().data).toBeNull();
    input({ choice }, { text: 'Once.' });
    expect(choice.getState().data).not.toHaveProperty('options');
    choice.setState((s) => ({ settings: { ...s.settings, data: 'files' } }));
    expect(choice.getState().data?.options).toEqual({ padding: 'longest' });
    // A resumed run brings its files and their reading together.
    const resumed = { kind: 'files', files: [file('c.csv')], options: { mapping: { text: 'x' } } } as const;
    choice.setState(({ inputs }) => ({ data: resumed, inputs: { ...inputs, dataFiles: resumed.files } }));
    expect(choice.getState()).toMatchObject({ data: resumed, reading: resumed.options });
    dataPreview.setPadding('longest');
    dataPreview.setPadding('length');
    expect(choice.getState().data).toEqual(resumed);
  });

  test('are forgotten with the Hub model they were said for', async () => {
    const { dataPreview, choice } = setUp(() => Promise.resolve(previewOf({})));
    const hubModel = (repo: string) => ({ kind: 'hub', repo }) as const;
    choice.setState((s) => ({ settings: { ...s.settings, model: 'hub' } }));
    input({ choice }, { fetchedModel: hubModel('someone/first') });
    dataPreview.watch();
    await settle();
    dataPreview.setTask('regression');
    dataPreview.setColumn('text2', 'text');
    input({ choice }, { fetchedModel: hubModel('someone/second') });
    expect(runRequest(choice.getState()).data.options).toBeUndefined();
  });
});
