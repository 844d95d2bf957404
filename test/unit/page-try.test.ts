/**
 * The merged file beside the one before it. Seen to fail: times that hold the other file's, a stop that is not heard, answers with the
 * files changed over, a text that is not padded to a file's one length, token types of 0 for both texts of a pair, a worker that is not ended with its merge.
 */
import { describe, expect, test } from 'vitest';
import {
  type About,
  answerOf,
  type Settings,
  settingsOf,
  type Writing,
  writeBoth,
} from '../../src/inference/beforeAfter.ts';
import { nextTokenLogits } from '../../src/inference/languageModel.ts';
import type { FeedTensor, OrtSession } from '../../src/inference/session.ts';
import { openSession } from '../../src/inference/session.ts';
import type { InputFile } from '../../src/lib/bytes.ts';
import { fail } from '../../src/lib/errors.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { asksFor, createTry } from '../../src/page/features/try/try.ts';
import type { InferenceClient, Pair } from '../../src/page/inferenceClient.ts';
import { createStores, emptyRun, type MergeResult } from '../../src/page/stores.ts';
import { parity } from '../../src/training/parity.ts';
import { reportModel } from '../../src/training/reports.ts';
import type { PreparedTask } from '../../src/training/task.ts';
import { prepared, textModel, tokenizer as words } from '../tools/contractModels.ts';
import { tokenizer } from './data-support.ts';
import { fakeTrainer } from './page-fixtures.ts';

const clock = { now: 0 };

/** Answers every run with `logits` of what it is fed, and takes `milliseconds` of the clock. */
function session(
  logits: (feeds: Readonly<Record<string, FeedTensor>>) => { dims: number[]; data: Float32Array },
  milliseconds = 10,
  name = 'input_ids',
): OrtSession {
  return {
    provider: 'wasm',
    inputs: [{ name, dtype: name === 'input_ids' ? 'int64' : 'float32', dims: ['batch', 1, 2, 2] }],
    outputs: [{ name: 'logits', dtype: 'float32', dims: [] }],
    inputNames: [name],
    outputNames: ['logits'],
    run: async (feeds) => {
      clock.now += milliseconds;
      return { logits: { dtype: 'float32', ...logits(feeds) } };
    },
    release: async () => {},
  };
}

/** A language model that always says the token `id`. */
const says = (id: number, milliseconds = 10) =>
  session(({ input_ids }) => {
    const length = input_ids!.dims[1]!;
    const data = new Float32Array(length * tokenizer.vocabSize);
    for (let t = 0; t < length; t++) data[t * tokenizer.vocabSize + id] = 5;
    return { dims: [1, length, tokenizer.vocabSize], data };
  }, milliseconds);

const settings: Settings = {
  kind: 'text',
  labels: ['no', 'yes'],
  tokenizer,
  tokenizerConfig: {},
  chatTemplate: null,
  positions: 64,
  exactly: null,
  picture: { width: 2, height: 2, channels: 1, mean: [0.5], std: [0.25] },
  feeds: {},
};
const options = { prompt: 'a tale', maxTokens: 5, temperature: 0, topP: 1, seed: 1 };
const letter = (text: string) => tokenizer.encode(text)[0]!;

describe('writing', () => {
  test('streams both files in turns, each with its own time', async () => {
    const seen: [number, number][] = [];
    let last: Awaited<ReturnType<ReturnType<typeof writeBoth>['next']>>['value'];
    const sessions = { before: says(letter('a'), 100), after: says(letter('o'), 20) };
    for await (const both of writeBoth(sessions, settings, options, () => clock.now)) {
      seen.push([both.before.tokens, both.after.tokens]);
      last = both;
    }
    expect(seen.slice(0, 4)).toEqual([
      [1, 0],
      [1, 1],
      [2, 1],
      [2, 2],
    ]);
    expect(last!.before).toMatchObject({ text: 'a taleaaaaa', tokens: 5, isDone: true, isCached: false });
    expect(last!.after.text).toBe('a taleooooo');
    expect(last!.before.tokensPerSecond).toBeCloseTo(10);
    expect(last!.after.tokensPerSecond).toBeCloseTo(50);
    expect(last!.after.promptSeconds).toBeCloseTo(0.02);
  });

  test('ends at the longest text and at the end token', async () => {
    let tokens = 0;
    const sessions = { before: says(letter('a')), after: says(letter('o')) };
    const count = tokenizer.encode('a tale').length;
    for await (const both of writeBoth(sessions, { ...settings, positions: count + 2 }, options))
      tokens = both.after.tokens;
    expect(tokens).toBe(2);
    const tight = writeBoth(sessions, { ...settings, positions: count }, options).next();
    await expect(tight).rejects.toThrow(`The prompt has ${count} tokens, but the model reads ${count}`);
  });
});

describe('answers', () => {
  const classes = (...values: number[]) =>
    session(() => ({ dims: [1, values.length], data: Float32Array.from(values) }));

  test('are probabilities of both files', async () => {
    const sessions = { before: classes(0, 0), after: classes(0, Math.log(3)) };
    const answer = await answerOf(sessions, { ...settings, kind: 'text-class' }, { text: 'a tale' });
    if (answer.kind !== 'classes') throw new Error('no classes');
    expect([...answer.rows[0]!.before]).toEqual([0.5, 0.5]);
    expect(answer.rows[0]!.after[1]).toBeCloseTo(0.75);
  });

  test('of a regression are numbers', async () => {
    const answer = await answerOf(
      { before: classes(1.5), after: classes(4) },
      { ...settings, kind: 'text-value' },
      { text: 'a' },
    );
    expect(answer).toEqual({ kind: 'number', before: 1.5, after: 4 });
  });

  test('to a drawing are asked with normalised pictures', async () => {
    let fed: readonly number[] = [];
    const reads = session(
      ({ pixel_values }) => {
        fed = Array.from(pixel_values!.data);
        return { dims: [1, 2], data: Float32Array.of(1, 0) };
      },
      1,
      'pixel_values',
    );
    await answerOf({ before: reads, after: reads }, settings, {
      pixels: Float32Array.of(0, 1, 0.5, 0),
      size: 2,
    });
    // Drawings are bytes, as pictures from files are: 0.5 is 128 of 255.
    expect(fed.map((v) => Number(v.toFixed(3)))).toEqual([-2, 2, 0.008, -2]);
  });

  test('for tags come a row a token', async () => {
    const tags = session(({ input_ids }) => {
      const length = input_ids!.dims[1]!;
      return { dims: [1, length, 2], data: Float32Array.from({ length: 2 * length }, (_, i) => (i % 2) * 9) };
    });
    const answer = await answerOf(
      { before: tags, after: tags },
      { ...settings, kind: 'token-class' },
      { text: 'a tale' },
    );
    if (answer.kind !== 'classes') throw new Error('no classes');
    expect(answer.rows).toHaveLength(tokenizer.encode('a tale').length);
    expect(answer.rows[0]!.after[1]).toBeGreaterThan(0.99);
  });
});

describe('texts are fed as in training', () => {
  /** A file of the made-up kind, its tokenizer, and data of the run. */
  const trained = async (traits: Parameters<typeof textModel>[0], data: InputFile, mapping = {}) => {
    const files = [textModel(traits), words()];
    const task = await prepared(files, [data], { batchSize: 1 }, { mapping });
    const session = await openSession(encodeModel(task.model.onnx), { providers: ['wasm'] });
    const fed: Record<string, number[]>[] = [];
    const watched: OrtSession = {
      ...session,
      run: (feeds, outputs) => {
        fed.push(Object.fromEntries(Object.entries(feeds).map(([k, t]) => [k, Array.from(t.data, Number)])));
        return session.run(feeds, outputs);
      },
    };
    const report = reportModel(task.opened);
    const own = settingsOf({
      sidecars: task.opened.sidecars,
      data: { kind: task.dataset.kind, labels: ['no', 'yes'] },
      model: report,
    });
    return { task, fed, sessions: { before: watched, after: watched }, own };
  };
  /** What the first row of the training split is trained with. */
  const trainedWith = ({ batches }: PreparedTask, i: number) =>
    Object.fromEntries(
      Object.entries(batches.load('train', [i]).inputs).map(([k, t]) => [k, Array.from(t.data)]),
    );
  const table = (row: (i: number) => string, header: string): InputFile => ({
    name: 'rows.csv',
    bytes: new TextEncoder().encode(
      `${header}\n${Array.from({ length: 10 }, (_, i) => row(i)).join('\n')}\n`,
    ),
  });

  test('padded to the one length that the file takes', async () => {
    const same = table((i) => `b c d,${i % 2}`, 'text,label');
    const { task, fed, sessions, own } = await trained(
      { ends: 'classes', classes: 2, dims: ['batch', 13] },
      same,
    );
    const answer = await answerOf(sessions, own, { text: 'b c d' });
    expect(answer.kind).toBe('classes');
    expect(fed[0]).toEqual(trainedWith(task, 0));
    expect(fed[0]!.attention_mask).toEqual([1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    // Longer ones are cut there.
    await answerOf(sessions, own, { text: 'a b c d e f g h i j k l m n o p' });
    expect(fed[2]!.input_ids).toHaveLength(13);
  });

  test('repeated for a file that takes several at a time, and tags stay those of the tokens', async () => {
    const tags: InputFile = {
      name: 't.conll',
      bytes: new TextEncoder().encode('b no\nc yes\n\n'.repeat(8)),
    };
    const { fed, sessions, own } = await trained({ ends: 'tags', classes: 2, dims: [1, 9] }, tags);
    const answer = await answerOf(sessions, own, { text: 'b c' });
    if (answer.kind !== 'classes') throw new Error('no classes');
    expect(fed[0]!.input_ids).toHaveLength(9);
    expect(answer.rows.map(({ title }) => title)).toEqual(['b', 'c']);
    expect(answer.rows.every(({ before }) => before.length === 2)).toBe(true);
    const several = { ...sessions.before, inputs: [{ name: 'input_ids', dtype: 'int64', dims: [3, 9] }] };
    let given: readonly number[] = [];
    const twice = {
      ...several,
      run: async (feeds: Readonly<Record<string, FeedTensor>>) => {
        given = feeds.input_ids!.dims;
        const data = Float32Array.from({ length: 3 * 9 * 2 }, (_, i) => (i < 18 && i % 2 ? 9 : 0));
        return { logits: { dtype: 'float32' as const, dims: [3, 9, 2], data } };
      },
    } as OrtSession;
    const of = await answerOf({ before: twice, after: twice }, own, { text: 'b c' });
    expect(given).toEqual([3, 9]);
    if (of.kind !== 'classes') throw new Error('no classes');
    expect(of.rows[1]!.after[1]).toBeGreaterThan(0.99);
  });

  test('with the token types of a pair', async () => {
    const pairs = table((i) => `b c,d e f,${i % 2}`, 'text,other,label');
    const { task, fed, sessions, own } = await trained({ ends: 'classes', classes: 2, segments: 2 }, pairs, {
      pair: 'other',
    });
    await answerOf(sessions, own, { text: 'b c', pair: 'd e f' });
    const used = fed[0]!.input_ids!.length;
    const wanted = trainedWith(task, 0);
    for (const name of ['input_ids', 'attention_mask', 'token_type_ids'])
      expect(fed[0]![name]).toEqual(wanted[name]!.slice(0, used));
    expect(fed[0]!.token_type_ids).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
    await answerOf(sessions, own, { text: 'b c' });
    expect(fed[2]!.token_type_ids).toEqual([0, 0, 0, 0]);
  });

  test('while a file of one length writes', async () => {
    const prose: InputFile = {
      name: 't.txt',
      bytes: new TextEncoder().encode('a b c d e f g '.repeat(40)),
    };
    const files = { ends: 'words', causal: 32, dims: ['batch', 11], names: { mask: null } } as const;
    const { fed, sessions, own } = await trained(files, prose);
    let tokens = 0;
    for await (const both of writeBoth(sessions, own, { ...options, prompt: 'a b', maxTokens: 30 }))
      tokens = both.after.tokens;
    expect(fed.every(({ input_ids }) => input_ids!.length === 11)).toBe(true);
    // What comes behind is no part of what is answered: the free file says the same.
    const free = await trained({ ...files, dims: ['batch', 'sequence'] }, prose);
    const [fixed, open] = [
      nextTokenLogits(sessions.before, own.feeds, { exactly: 11, padId: 7 }),
      nextTokenLogits(free.sessions.before, free.own.feeds),
    ];
    expect(parity(await fixed([5, 6, 9]), await open([5, 6, 9])).maxRel).toBeLessThan(1e-5);
    expect(tokens).toBeLessThanOrEqual(9);
  });
});

test('texts are read as the small files say, drawings as the run was fed', () => {
  const json = (name: string, value: object) => ({
    name,
    bytes: new TextEncoder().encode(JSON.stringify(value)),
  });
  const sidecars = [
    json('config.json', { image_size: 28 }),
    json('preprocessor_config.json', { image_mean: [0.5], image_std: [0.2] }),
  ];
  const picture = { width: 12, height: 12, channels: 3, mean: [0.1, 0.2, 0.3], std: [1, 1, 2] };
  const model = { limit: { tokens: 77, because: '' }, exactly: null, feeds: { x: 'input_ids' } };
  expect(settingsOf({ sidecars, data: { kind: 'image', labels: ['a'], picture }, model })).toMatchObject({
    feeds: { x: 'input_ids' },
    positions: 77,
    picture,
    tokenizer: null,
  });
  const oneLength = settingsOf({
    sidecars,
    data: { kind: 'text-class', labels: [] },
    model: { ...model, exactly: 31 },
  });
  expect(oneLength).toMatchObject({ positions: 31, exactly: 31 });
  expect(asksFor('instruction')).toBe('writing');
  expect(asksFor('image')).toBe('picture');
  expect(asksFor('token-class')).toBe('text');
});

/** A page with a merged run, whose inference worker is told what to do. */
function setUp(pair: Partial<Pair>, kind: string) {
  const stores = createStores();
  const seen = { opened: [] as number[], about: [] as About[], ended: 0 };
  const client = {
    openPair: async (before: Blob, after: Blob, about: About) => {
      seen.opened.push(before.size, after.size);
      seen.about.push(about);
      return { provider: 'wasm', ...pair };
    },
    end: () => {
      seen.ended++;
    },
  } as unknown as InferenceClient;
  const trainer = {
    ...fakeTrainer(),
    baseModel: async () => ({ onnx: new Blob(['.'.repeat(7)]), hasNewHead: true }),
  };
  // Files are told apart by their sizes here.
  const merged = {
    onnx: new Blob(['.'.repeat(8)]),
    sidecars: [{ name: 'tokenizer.json', bytes: Uint8Array.of(1) }],
    step: 1,
  } as unknown as MergeResult;
  const model = { limit: null, exactly: null, feeds: {}, modules: ['not asked for'] };
  stores.run.setState({
    open: { data: { kind, labels: [] }, model } as never,
    request: {} as never,
    merged,
  });
  return { trying: createTry(stores, trainer, async () => client), stores, seen };
}

test('both files are opened once a merge, and their worker ends with it', async () => {
  let fails = true;
  const { trying, stores, seen } = setUp(
    {
      answer: async () =>
        fails ? fail('bad-data', 'No tokenizer.json.') : { kind: 'number', before: 1, after: 2 },
    },
    'text-value',
  );
  await trying.ask({ text: 'a' });
  // What cannot be read is told, and the worker is given back.
  expect(trying.view.getState().error?.message).toBe('No tokenizer.json.');
  expect(seen.opened).toEqual([7, 8]);
  // What the tokenizer and the templates say is read there.
  expect(seen.about[0]?.sidecars.map(({ name }) => name)).toEqual(['tokenizer.json']);
  expect(seen.about[0]?.model).toEqual({ limit: null, exactly: null, feeds: {} });
  expect(trying.view.getState().hasNewHead).toBe(true);
  expect(seen.ended).toBe(1);
  fails = false;
  for (const _ of ['once', 'again']) await trying.ask({ text: 'a' });
  expect(trying.view.getState().error).toBeNull();
  expect(trying.view.getState().answer).toEqual({ kind: 'number', before: 1, after: 2 });
  expect(seen.opened).toEqual([7, 8, 7, 8]);
  expect(seen.ended).toBe(1);
  stores.run.setState({ ...emptyRun });
  expect(seen.ended).toBe(2);
  expect(trying.view.getState().provider).toBeNull();
});

test('a stop is heard after the token that is under way', async () => {
  const writing = { tokens: 0 } as Writing;
  let asked = 0;
  const { trying, seen } = setUp(
    {
      async *write() {
        for (;;) {
          asked++;
          await Promise.resolve();
          yield { before: { ...writing, tokens: asked }, after: writing };
        }
      },
    },
    'text',
  );
  trying.view.subscribe(({ writing: now }) => {
    if (now?.before.tokens === 3) void trying.stop();
  });
  await trying.write(options);
  expect(asked).toBe(4);
  expect(trying.view.getState()).toMatchObject({
    busy: null,
    error: null,
    writing: { before: { tokens: 3 } },
  });
  expect(seen.ended).toBe(0);
});
