/**
 * Every data format and every task from the bytes of files to a model that is better on held-out examples than before.
 */
import { readFileSync } from 'node:fs';
import { zipSync } from 'fflate';
import { afterEach, describe, expect, test } from 'vitest';
import { beforeAfter } from '../../src/training/beforeAfter.ts';
import type { DataSource, ModelSource } from '../../src/training/protocol.ts';
import { idx, png } from '../unit/data-support.ts';
import { tinyLanguage, tinyVision } from './tinyRuns.ts';
import {
  closeAll,
  dataFiles,
  every,
  head,
  range,
  review,
  reviewWords,
  tinyBert,
  tinyChat,
  train,
} from './tinyTasks.ts';

afterEach(closeAll);

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/data/${name}`, import.meta.url)));

const labelled = range(48).map((i) => ({ text: review(i), label: i % 2 === 1 ? 'positive' : 'negative' }));

describe('sequence classification', () => {
  const csv = (rows: typeof labelled, mark: string) =>
    [`review${mark}stars`, ...rows.map((r) => `"${r.text}"${mark}${r.label}`)].join('\n');
  const columns = { mapping: { text: 'review', label: 'stars' } };
  const jsonl = labelled.map((r) => JSON.stringify(r)).join('\n');
  const columnar = JSON.stringify({
    text: labelled.map((r) => r.text),
    label: labelled.map((r) => r.label),
  });
  test.each<[string, () => DataSource]>([
    ['CSV with mapped columns', () => dataFiles({ 'r.csv': csv(labelled, ',') }, columns)],
    ['TSV', () => dataFiles({ 'r.tsv': csv(labelled, '\t') }, columns)],
    ['JSONL', () => dataFiles({ 'r.jsonl': jsonl })],
    ['JSON of columns', () => dataFiles({ 'r.json': columnar })],
    ['Parquet, zstd, with class names', () => dataFiles({ 'r.parquet': fixture('reviews-zstd.parquet') })],
    [
      'a zip of tables that are split',
      () =>
        dataFiles(
          {
            'r.zip': zipSync({
              'r/train.csv': new TextEncoder().encode(csv(labelled.slice(0, 36), ',')),
              'r/validation.csv': new TextEncoder().encode(csv(labelled.slice(36), ',')),
            }),
          },
          columns,
        ),
    ],
  ])('from %s', async (_format, data) => {
    const { session, before, after, notes } = await train(head, tinyBert('sum', reviewWords), data(), {
      steps: 36,
    });
    expect(before.metric).toBe('accuracy');
    expect(after.value).toBeGreaterThan(before.value);
    expect(after.value).toBeGreaterThanOrEqual(0.9);
    expect(session.model.labels).toEqual(['negative', 'positive']);
    expect(session.warnings.join()).toContain('classifier is new: 2 classes instead of 3');
    expect(notes).toMatch(/Columns: .* as text, .* as label/);
  });
});

test('pairs of texts are told apart: the model hears which token belongs to which', async () => {
  const rows = range(48).map((i) => ({ sentence1: 'a day', sentence2: review(i), label: i % 2 }));
  const data = dataFiles({ 'p.jsonl': rows.map((row) => JSON.stringify(row)).join('\n') });
  const { session, before, after } = await train(head, tinyBert('sum', reviewWords), data, { steps: 36 });
  expect(after.value).toBeGreaterThan(before.value);
  const batch = session.batches.load('held', [0]);
  const types = batch.inputs.token_type_ids!;
  expect([...types.data.subarray(0, 8)]).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
  const alone = {
    ...batch,
    inputs: { ...batch.inputs, token_type_ids: { ...types, data: types.data.map(() => 0) } },
  };
  const logits = async (b: typeof batch) => (await session.logits('base', b))[0]!;
  expect(await logits(alone as typeof batch)).not.toBeCloseTo(await logits(batch), 3);
});

test('token classification from Parquet with snappy, and from CoNLL lines', async () => {
  const words = ['ada', 'bert', 'cleo', 'rome', 'oslo', 'lima', 'saw', 'in', 'was'];
  const conll = range(24)
    .map((i) => `${words[i % 3]} B-PER\n${words[6 + (i % 2)]} O\n${words[3 + (i % 3)]} B-LOC\n`)
    .join('\n');
  for (const [data, labels] of [
    [dataFiles({ 't.parquet': fixture('tags-snappy.parquet') }), ['LOC', 'O', 'PER']],
    [dataFiles({ 't.conll': conll }), ['B-LOC', 'B-PER', 'O']],
  ] as const) {
    const { session, before, after } = await train(head, tinyBert('tagger', words), data, {
      steps: 20,
    });
    expect(session.model.labels).toEqual(labels);
    expect(after.value).toBeGreaterThan(before.value);
    expect(after.value).toBeGreaterThanOrEqual(0.9);
    expect(after.others!.macroF1).toBeGreaterThan(before.others!.macroF1!);
    const shown = await beforeAfter(session, { seed: 1, examples: 4 });
    if (shown.kind !== 'text-class') throw new Error(shown.kind);
    expect(shown.examples).toHaveLength(4);
    for (const one of shown.examples)
      expect(one.text).toMatch(/\[(ada|bert|cleo|rome|oslo|lima|saw|in|was)\]/);
  }
});

test('regression from Parquet with lz4', async () => {
  const words = ['n', 'many', 'few'];
  const { session, before, after } = await train(
    head,
    tinyBert('sum', words),
    dataFiles({ 'n.parquet': fixture('numbers-lz4.parquet') }, { task: 'regression' }),
    { steps: 40 },
  );
  expect(session.data.dataset.kind).toBe('text-value');
  expect(after.metric).toBe('rmse');
  expect(after.value).toBeLessThan(0.5 * before.value);
  expect(after.others!.r2).toBeGreaterThan(0.7);
  expect(after.others!.pearson).toBeGreaterThan(0.9);
  const shown = await beforeAfter(session, { seed: 1 });
  if (shown.kind !== 'text-value') throw new Error(shown.kind);
  for (const one of shown.examples)
    expect(Math.abs(one.after - one.value)).toBeLessThan(Math.abs(one.before - one.value));
});

test('masked language modelling from text', async () => {
  const words = ['the', 'cat', 'sat', 'on', 'mat', 'dog', 'ran', 'home'];
  const text = range(120)
    .map((i) => (i % 2 === 0 ? 'the cat sat on the mat' : 'the dog ran home'))
    .join(' ');
  const { session, before, after } = await train(
    every,
    tinyBert('masked-lm', words),
    dataFiles({ 't.txt': text }),
    {
      steps: 30,
    },
  );
  expect(after.metric).toBe('pseudo-perplexity');
  expect(after.value).toBeLessThan(0.5 * before.value);
  expect(after.others!.accuracy).toBeGreaterThan(before.others!.accuracy!);
  const shown = await beforeAfter(session, { seed: 1, examples: 3 });
  if (shown.kind !== 'text-class') throw new Error(shown.kind);
  expect(shown.examples[0]!.text).toContain('[MASK]');
});

describe('pictures', () => {
  const bar = (k: number, level: number) =>
    range(8).map((y) => new Array<number>(8).fill(Math.floor(y / 3) === k ? level : 20));
  const picture = (k: number, i: number) => png(8, 8, { colour: 0, rows: bar(k, 180 + 8 * i) });
  const files = Object.fromEntries(
    range(3).flatMap((k) => range(8).map((i) => [`bars/class ${k}/${i}.png`, picture(k, i)] as const)),
  );
  const all = range(24).map((i) => [i % 3, Math.floor(i / 3)] as const);
  const table = ['file_name,label', ...all.map(([k, i]) => `class ${k}/${i}.png,class ${k}`)].join('\n');
  test.each<[string, DataSource]>([
    ['a folder by class', dataFiles(files)],
    ['a zip by class', dataFiles({ 'bars.zip': zipSync(files) })],
    ['a folder with a table', dataFiles({ ...files, 'bars/metadata.csv': table })],
    ['Parquet with brotli', dataFiles({ 'p.parquet': fixture('pictures-brotli.parquet') })],
    [
      'IDX',
      dataFiles({
        'train-images-idx3-ubyte': idx(
          [24, 8, 8],
          all.flatMap(([k, i]) => bar(k, 180 + 8 * i).flat()),
        ),
        'train-labels-idx1-ubyte': idx(
          [24],
          all.map(([k]) => k),
        ),
      }),
    ],
  ])('from %s', async (_format, data) => {
    const { before, after } = await train(every, tinyVision(), data, { steps: 16 });
    expect(after.value).toBeGreaterThan(before.value);
    expect(after.value).toBe(1);
  });
});

test('causal language modelling from text and from rows of text', async () => {
  const line = 'the cat sat on the mat and the dog ran to the cat. ';
  const rows = range(20).map(() => JSON.stringify({ text: line.repeat(2) }));
  for (const data of [dataFiles({ 't.txt': line.repeat(30) }), dataFiles({ 't.jsonl': rows.join('\n') })]) {
    const { before, after } = await train(every, tinyLanguage(), data, {
      sequenceLength: 12,
    });
    expect(after.metric).toBe('perplexity');
    expect(after.value).toBeLessThan(0.7 * before.value);
  }
});

describe('instructions', () => {
  const pairs = ['ab', 'cd', 'ef', 'gh'].flatMap((a) => ['uv', 'wx', 'yz'].map((b) => [a, b] as const));
  const corpus = pairs.map(([a, b]) => `${a} and ${b} ${b} and ${a}`).join(' ');
  const rows = pairs.map(([a, b], i) =>
    JSON.stringify({
      instruction: `${a} and ${b}`,
      output: i % 3 === 0 ? `yes` : `yes and yes and yes`,
    }),
  );
  test.each<[string, ModelSource, DataSource, string]>([
    [
      'pairs in JSONL with the model’s template',
      tinyChat(corpus),
      dataFiles({ 'i.jsonl': rows.join('\n') }),
      '',
    ],
    [
      'conversations in Parquet with gzip',
      tinyChat(corpus),
      dataFiles({ 'c.parquet': fixture('chat-gzip.parquet') }),
      '',
    ],
    [
      'pairs without a template',
      tinyChat(corpus, null),
      dataFiles({ 'i.jsonl': rows.join('\n') }),
      'no chat template',
    ],
  ])('from %s: the loss counts the answers alone', async (_what, model, data, note) => {
    const { session, before, after, notes } = await train(every, model, data, {
      sequenceLength: 64,
      batchSize: 4,
      steps: 20,
    });
    expect(session.dataset.kind).toBe('instruction');
    expect(after.value).toBeLessThan(0.7 * before.value);
    if (note) expect(notes).toContain(note);
    const { tokenizer } = session.opened;
    const { inputs, labels, count } = session.batches.load('train', [0]);
    expect(count).toBe(1);
    const length = inputs.input_ids!.shape[1]!;
    const learnt = [...labels.subarray(0, length)].filter((l) => l !== -100);
    const said = tokenizer!.decode(learnt, { specials: true });
    expect(said).toMatch(/^(yes( and yes)*|[wxyz] and [abcd])(<\|im_end\|>\n?)$/);
    const shown = await beforeAfter(session, { seed: 1, prompt: 'ab and uv', maxTokens: 3 });
    if (shown.kind !== 'text') throw new Error(shown.kind);
    expect(shown.prompt).toContain('ab and uv');
  });
});
