/**
 * The link: every field of every method and of training goes there and back, what the form refuses the link refuses with a sentence, and what it does not
 * hold is told. Seen to fail with: a copied link without the engine, a field that is lost on the way, a value that only the link takes, a
 * link whose engine is left to the machine.
 */
import { describe, expect, test } from 'vitest';
import { METHODS, type MethodId } from '../../src/adapters/registry.ts';
import { parseSource } from '../../src/hub/names.ts';
import { runRequest } from '../../src/page/features/setup/choice.ts';
import { controlOf } from '../../src/page/features/setup/controls.ts';
import { besideOf, decodeHash, encodeHash, leftOut, takeLink } from '../../src/page/features/setup/link.ts';
import {
  baseSettings,
  configShape,
  type PageSettings,
  refuseConfig,
  refuseValue,
  trainingShape,
} from '../../src/page/features/setup/settings.ts';
import { createStores } from '../../src/page/stores.ts';
import { input } from './page-fixtures.ts';

const METHOD_IDS = Object.keys(METHODS) as MethodId[];
const bytes = new Uint8Array(3);

/** Values of every type that a person may type into a box, or a link may say. */
const VALUES: readonly unknown[] = [
  ...[true, false, null, '', 'none', 'all', 'query', '.*\\.query', 'a b', '12', 'true', 'null', '[1]'],
  ...[0, 1, 2, 3, 4, 8, 16, 0.25, 0.5, -1, 1.5, 1e9, 1e-7, 70_000],
  ...[
    [],
    ['query'],
    ['query', 'value'],
    [1, 2],
    [0.1],
    [null],
    {},
    { query: 4 },
    { query: 0.5 },
    { query: {} },
  ],
];

/** Settings with one field changed, as the form would have it. */
const withConfig = (method: MethodId, key: string, value: unknown): PageSettings => {
  const base = baseSettings('own-model', { method });
  return { ...base, config: { ...base.config, [key]: value } };
};

describe('every field of every method', () => {
  test.each(METHOD_IDS)('%s', (method) => {
    const shape = configShape(method);
    const never: string[] = [];
    for (const key of Object.keys(shape)) {
      let carried = 0;
      for (const value of VALUES) {
        const settings = withConfig(method, key, value);
        const refused = refuseValue(shape, key, value);
        const back = decodeHash(encodeHash(settings));
        if (refused !== null) {
          // Refused by the form: so does the link, in a sentence, and stays at its base.
          expect(back.problems.length, `${key} = ${JSON.stringify(value)}`).toBeGreaterThan(0);
          expect(back.settings.config).toEqual(baseSettings('own-model', { method }).config);
        } else if (refuseConfig(settings) === null) {
          expect(back, `${key} = ${JSON.stringify(value)}`).toEqual({ settings, beside: {}, problems: [] });
          carried++;
        } else {
          // Legal alone and not with the others: the form says so and trains nothing, the link goes back to the method's own.
          expect(back.problems).toHaveLength(1);
          expect(back.settings.config).toEqual(baseSettings('own-model', { method }).config);
        }
      }
      if (carried === 0) never.push(key);
    }
    // Every field can say something: none is there that no link can carry.
    expect(never.filter((key) => controlOf(shape[key]!, undefined).kind !== 'json')).toEqual([]);
  });
});

describe('every field of training', () => {
  test.each(Object.keys(trainingShape))('%s', (key) => {
    const base = baseSettings('letters-boft');
    const values = [...VALUES, 'sgd', 'linear', 'constant', 'adamw', 'cosine'];
    let carried = 0;
    for (const value of values) {
      const settings = { ...base, training: { ...base.training, [key]: value } } as PageSettings;
      const back = decodeHash(encodeHash(settings));
      if (refuseValue(trainingShape, key, value) === null) {
        expect(back, `${key} = ${JSON.stringify(value)}`).toEqual({ settings, beside: {}, problems: [] });
        carried++;
      } else {
        expect(back.settings, `${key} = ${JSON.stringify(value)}`).toEqual(base);
        expect(back.problems).toHaveLength(1);
        expect(back.problems[0]).toMatch(new RegExp(`^${key} = .* is not used: `, 's'));
      }
    }
    expect(carried).toBeGreaterThan(0);
  });
});

describe('beside the settings', () => {
  test('engine, padding, precision, recomputation and codes go there and back', () => {
    const { choice } = createStores();
    choice.setState({
      engine: 'onnxruntime',
      recompute: true,
      quantised: 'float',
      reading: { padding: 'longest' },
    });
    choice.setState(({ model }) => ({ model: { ...model!, precision: 'q4' } }));
    const state = choice.getState();
    const beside = {
      ...{ engine: 'onnxruntime', padding: 'longest', precision: 'q4' },
      ...{ recompute: 'yes', quantised: 'float' },
    } as const;
    expect(besideOf(state)).toEqual(beside);
    expect(decodeHash(encodeHash(state.settings, besideOf(state)))).toEqual({
      ...{ settings: state.settings, beside, problems: [] },
    });
    // What is usual goes without saying.
    const fresh = createStores().choice.getState();
    expect(encodeHash(fresh.settings, besideOf(fresh))).toBe(encodeHash(fresh.settings));
  });

  test.each(['engine', 'padding', 'precision', 'recompute', 'quantised'])(
    '%s of another value is told',
    (name) => {
      const { beside, problems } = decodeHash(`preset=letters-boft&${name}=constructor`);
      expect(beside).toEqual({});
      expect(problems).toEqual([
        expect.stringMatching(new RegExp(`^${name} = "constructor" is not used: choose .+ or `)),
      ]);
    },
  );

  test('names of the Hub and addresses go there and back, and nothing is fetched for them', () => {
    const stores = createStores();
    const { choice } = stores;
    choice.setState({ settings: baseSettings('own-model', { model: 'hub', data: 'hub' }) });
    input(stores, {
      fetchedModel: { kind: 'hub', repo: 'a/b', revision: 'c0ffee', files: ['onnx/model.onnx'] },
      fetchedData: { kind: 'url', url: 'https://example.org/rows.csv' },
    });
    const { settings } = choice.getState();
    const hash = encodeHash(settings, besideOf(choice.getState()));
    const named = { modelFrom: 'hub:a/b@c0ffee/onnx/model.onnx', dataFrom: 'https://example.org/rows.csv' };
    expect(decodeHash(hash)).toEqual({ settings, beside: named, problems: [] });
    // As the box reads them.
    expect(parseSource(named.modelFrom, 'model')).toMatchObject({ repo: 'a/b', revision: 'c0ffee' });
    expect(parseSource(named.dataFrom, 'dataset')).toEqual({ kind: 'url', url: named.dataFrom });
    // Before it is fetched, a link that was opened is the same link again.
    const opened = createStores().choice;
    opened.setState({ settings, named: { model: named.modelFrom, data: named.dataFrom } });
    expect(encodeHash(settings, besideOf(opened.getState()))).toBe(hash);
    expect(opened.getState().model).toBeNull();
  });

  test('a name needs its place, and has an end', () => {
    expect(decodeHash('preset=letters-boft&modelFrom=a/b')).toMatchObject({
      beside: {},
      problems: ['modelFrom = "a/b" is not used: the model is not fetched from anywhere.'],
    });
    expect(decodeHash(`preset=own-model&model=hub&modelFrom=${'a'.repeat(3000)}`).problems).toEqual([
      'modelFrom is not used: a name has at most 2000 letters.',
    ]);
  });

  test('a precision needs the model that is rounded', () => {
    const { beside, problems } = decodeHash('preset=own-model&model=own&precision=f16&engine=webgpu');
    expect(beside).toEqual({ engine: 'webgpu' });
    expect(problems).toEqual(['precision = "f16" is not used: it is chosen once the model is there.']);
  });
});

describe('what a link does not hold', () => {
  test('is nothing where all of it comes with the page', () => {
    expect(leftOut(createStores().choice.getState())).toEqual([]);
  });

  test('is said by name: own files, text, drawings, what was fetched, how it is read, the adapter', () => {
    const stores = createStores();
    const { choice } = stores;
    choice.setState({ settings: baseSettings('own-model', { model: 'own', data: 'files' }) });
    input(stores, {
      modelFiles: [
        { name: 'mine.onnx', bytes },
        { name: 'config.json', bytes },
      ],
      dataFiles: [{ name: 'rows.csv', bytes }],
    });
    choice.setState({ reading: { mapping: { text: 'x' } } });
    choice.setState({ startFrom: { name: 'otter', method: 'lora', files: [] } });
    expect(leftOut(choice.getState())).toEqual([
      'your model (mine.onnx and 1 more)',
      'your data (rows.csv)',
      'how its columns are read',
      'the adapter that the run goes on from (otter)',
    ]);
    choice.setState({ settings: baseSettings('own-model', { model: 'hub', data: 'hub' }), startFrom: null });
    input(stores, {
      fetchedModel: { kind: 'hub', repo: 'a/b', revision: 'c0ffee' },
      fetchedData: { kind: 'url', url: 'https://example.org/rows.csv' },
    });
    // Those the link names.
    expect(leftOut(choice.getState())).toEqual([]);
    input(stores, { fetchedData: { kind: 'url', url: 'https://example.org/rows.csv?token=hush' } });
    expect(leftOut(choice.getState())).toEqual(['what is secret in the address of the data']);
    expect(encodeHash(choice.getState().settings, besideOf(choice.getState()))).not.toContain('hush');
    choice.setState({ settings: baseSettings('own-model', { model: 'hub', data: 'text' }) });
    input(stores, { text: 'Once upon a time.' });
    expect(leftOut(choice.getState())).toEqual(['your text']);
  });
});

describe('a link that a run is asked for with', () => {
  test.each(METHOD_IDS)('says its model, data, method, steps and engine: %s', (method) => {
    const { choice } = createStores();
    const setSettings = (settings: PageSettings) => choice.setState({ settings });
    takeLink({ choice, setSettings }, `v=1&preset=tales-recipes&engine=webgpu&method=${method}&t.steps=3`);
    expect(choice.getState().problems).toEqual([]);
    expect(runRequest(choice.getState())).toMatchObject({
      model: { kind: 'embedded', name: 'tales-gpt' },
      data: { kind: 'embedded', name: 'recipes' },
      ...{ method, engine: 'webgpu', training: { steps: 3 } },
    });
  });
});
