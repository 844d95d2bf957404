/**
 * What a model reads and gives, and data held against it before training: lengths, ids, labels, names of inputs, kinds of files.
 *
 * Seen to fail with: a limit that forgets the rows before the first position, a check of the training rows alone, an input known by its
 * place instead of its use, hidden states taken for scores.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Tensor } from '../../src/graph/types.ts';
import { completeFeeds } from '../../src/inference/feeds.ts';
import { openSession } from '../../src/inference/session.ts';
import { type Phrases, speak } from '../../src/lib/say.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { makeTensor } from '../../src/onnx/tensor.ts';
import { interpret } from '../../src/ops/checks.ts';
import { fitLength } from '../../src/training/contract.ts';
import { parity } from '../../src/training/parity.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { setUpRun } from '../../src/training/setup.ts';
import type { PreparedTask } from '../../src/training/task.ts';
import { taskOf } from '../../src/training/task.ts';
import {
  around,
  json,
  labelled,
  opened,
  prepared,
  text,
  textModel,
  tokenizer,
  VOCABULARY,
} from '../tools/contractModels.ts';

const rows = labelled([4, 9, 30, 12, 25, 3, 7, 28, 40, 2, 5, 33]);
const letters = 'a b c d e f g h i j k l m n o p q r s t '.repeat(12);

/** The model's scores of a held-out batch here and in onnxruntime. */
async function compared({ model, batches }: PreparedTask) {
  const { inputs } = batches.load('held', batches.held(0)[0]!);
  const [batch, sequence] = inputs.input_ids!.shape as [number, number];
  const { graph, logits } = model.build(batch, sequence);
  const feeds = new Map<string, Tensor>(
    graph.inputs.map((v) => [v.name, { ...v, data: Float64Array.from(inputs[v.name]!.data) }]),
  );
  const mine = interpret(graph, feeds).get(logits).data;
  const session = await openSession(encodeModel(model.onnx), { providers: ['wasm'] });
  const given = Object.fromEntries(
    Object.entries(inputs).map(([name, t]) => [name, { dtype: t.dtype, dims: t.shape, data: t.data }]),
  );
  const out = await session.run(completeFeeds(session.inputs, given, undefined, model.feeds), [model.output]);
  await session.release();
  return parity(mine, out[model.output]!.data);
}

describe('texts are cut at what the model reads', () => {
  const classifier = (by: 'slice' | 'look-up' | 'counted', size: number) =>
    textModel({ ends: 'classes', positions: { by, rows: size } });

  it.each([
    ['slice', 11, 11],
    ['look-up', 13, 13],
    // The first row is the padding's.
    ['counted', 15, 14],
  ] as const)('by a position table that is read by %s', async (by, size, most) => {
    const task = await prepared([classifier(by, size), tokenizer()], [rows]);
    expect(task.training.sequenceLength).toBe(most);
    expect(task.notes.join()).toMatch(
      `Texts are cut at ${most} tokens: the model's position table has ${size} rows`,
    );
    expect(task.batches.sequence).toBe(most);
    expect((await compared(task)).maxRel).toBeLessThan(1e-4);
  });

  it('by a causal buffer, for windows and for prompts with answers', async () => {
    const model = [textModel({ ends: 'words', causal: 17, names: { mask: null } }), tokenizer()];
    const windows = await prepared(model, [text('t.txt', letters)]);
    expect(windows.data.task).toBe('causal-lm');
    expect(windows.notes).toEqual(["Texts are cut at 17 tokens: the model's causal buffer has 17 rows."]);
    expect(windows.batches.load('train', [0]).inputs.input_ids!.shape).toEqual([2, 17]);
    const chats = text(
      'chats.jsonl',
      Array.from({ length: 12 }, (_, i) =>
        JSON.stringify({ prompt: 'a b c', answer: 'd e '.repeat(i + 2) }),
      ).join('\n'),
    );
    const answers = await prepared(model, [chats]);
    expect(answers.dataset.kind).toBe('instruction');
    expect(answers.batches.sequence).toBeLessThanOrEqual(17);
  });

  it.each([
    ['config.json', { n_positions: 19 }, 19],
    ['config.json', { max_position_embeddings: 21, model_type: 'roberta', pad_token_id: 1 }, 19],
    ['tokenizer_config.json', { model_max_length: 18 }, 18],
    ['sentence_bert_config.json', { max_seq_length: 16 }, 16],
    ['tokenizer_config.json', { model_max_length: 1e30 }, 23],
  ])('by %s %j, the least counts', async (name, content, most) => {
    const model = textModel({ ends: 'classes', positions: { by: 'look-up', rows: 23 } });
    const task = await prepared([model, tokenizer(), json(name, content)], [rows]);
    expect(task.training.sequenceLength).toBe(most);
  });

  it('by tokenizer.json, and not at all where nothing says so', async () => {
    const cut = tokenizer([], {
      truncation: { direction: 'Right', max_length: 15, strategy: 'LongestFirst', stride: 0 },
    });
    const model = textModel({ ends: 'classes' });
    expect((await prepared([model, cut], [rows])).training.sequenceLength).toBe(15);
    const free = await prepared([model, tokenizer()], [rows], { sequenceLength: 30 });
    expect([free.training.sequenceLength, free.notes]).toEqual([30, []]);
  });

  it('and padded to the one length that a file takes', async () => {
    const model = textModel({ ends: 'classes', dims: ['batch', 14] });
    const task = await prepared([model, tokenizer()], [rows], { sequenceLength: 8 });
    expect(task.notes).toEqual([
      'Texts are padded or cut to 14 tokens instead of 8: the file takes no other length.',
    ]);
    expect(task.batches.load('train', [5]).inputs.input_ids!.shape).toEqual([2, 14]);
    expect((await compared(task)).maxRel).toBeLessThan(1e-4);
  });

  it('whatever else the sequence is sliced from', async () => {
    // A buffer that is longer than the table does not count, nor does one that ends where nothing grows.
    const { model } = await opened([
      textModel({ ends: 'words', causal: 40, positions: { by: 'slice', rows: 22 }, names: { mask: null } }),
    ]);
    expect(model.contract.limits.map(({ tokens }) => tokens)).toEqual([22, 40]);
    expect(fitLength({ model, limits: [] }, 128).sequenceLength).toBe(22);
  });
});

describe('ids are held against the tables', () => {
  const known = ['<tool>'];
  const model = (ends: 'words' | 'classes' | 'tags') =>
    textModel({ ends, ...(ends === 'words' ? { causal: 64, names: { mask: null } } : {}) });

  it.each(['training', 'held-out'])('in %s texts', async (where) => {
    const [train, held] =
      where === 'training' ? [`${letters}<tool> a`, letters] : [letters, `a b <tool> c ${letters}`];
    const files = [text('train.txt', train), text('validation.txt', held)];
    await expect(prepared([model('words'), tokenizer(known)], files)).rejects.toMatchObject({
      kind: 'bad-data',
      message: expect.stringMatching(
        new RegExp(
          `gives the token "<tool>" the id ${VOCABULARY} .*${where} text.* has ${VOCABULARY} rows \\(ids 0 to ${VOCABULARY - 1}\\)`,
        ),
      ),
    });
  });

  it('in rows, by the row', async () => {
    const data = text(
      'r.csv',
      `text,label\n${Array.from({ length: 14 }, (_, i) => `${i === 9 ? 'a <tool>' : 'a b'},${i % 2}`).join('\n')}\n`,
    );
    await expect(prepared([model('classes'), tokenizer(known)], [data])).rejects.toThrow(
      /"<tool>" the id 25 \(in row 11 of r\.csv\)/,
    );
  });

  it('only where they occur', async () => {
    const task = await prepared([model('classes'), tokenizer(known)], [rows]);
    expect(task.dataset.kind).toBe('text-class');
  });

  it('of the padding and the mask too', async () => {
    const padded = json('tokenizer_config.json', { pad_token: '<fill>' });
    await expect(prepared([model('classes'), tokenizer(['<fill>']), padded], [rows])).rejects.toThrow(
      /"<fill>", which fills up short rows, the id 25/,
    );
    const hidden = json('tokenizer_config.json', { mask_token: '<hide>' });
    const words = textModel({ ends: 'words' });
    await expect(prepared([words, tokenizer(['<hide>']), hidden], [text('t.txt', letters)])).rejects.toThrow(
      /"<hide>", which hides words, the id 25/,
    );
  });

  it('and random tokens of a masked text are drawn from the rows there are', async () => {
    const task = await prepared(
      [textModel({ ends: 'words' }), tokenizer(['<x>', '<y>', '<z>'])],
      [text('t.txt', letters)],
    );
    expect(task.dataset).toMatchObject({ kind: 'masked-text', vocabSize: VOCABULARY });
  });

  it('of token types', async () => {
    const pairs = text(
      'p.csv',
      `text,text2,label\n${Array.from({ length: 12 }, (_, i) => `a b,c d,${i % 2}`).join('\n')}\n`,
    );
    const config = { mapping: { pair: 'text2' } };
    await expect(
      prepared([textModel({ ends: 'classes', segments: 1 }), tokenizer()], [pairs], {}, config),
    ).rejects.toThrow(/token type 1, but the model's table of token types has one row/);
    const task = await prepared(
      [textModel({ ends: 'classes', segments: 2 }), tokenizer()],
      [pairs],
      {},
      config,
    );
    expect(task.batches.load('train', [0]).inputs.token_type_ids).toBeDefined();
  });
});

describe('inputs go by their use', () => {
  it.each([
    ['input.1', 'mask.1'],
    ['onnx::Gather_0', 'onnx::Unsqueeze_1'],
    ['x', null],
    ['tokens', 'attention_mask'],
  ])('%s is the token input, %s the mask', async (tokens, mask) => {
    const model = textModel({ ends: 'classes', names: { tokens, mask } });
    const task = await prepared([model, tokenizer()], [rows]);
    expect(task.model.feeds[tokens]).toBe('input_ids');
    if (mask !== null && mask !== 'attention_mask') expect(task.model.feeds[mask]).toBe('attention_mask');
    expect(task.model.warnings.join()).toContain(`The input ${tokens} is taken for the token ids`);
    expect((await compared(task)).maxRel).toBeLessThan(1e-4);
  });

  it('in whatever order they come', async () => {
    const { graphBuilder } = await import('../../src/onnx/build.ts');
    const g = graphBuilder();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => g.input(name, 'int64', ['n', 's'])) as [
      string,
      string,
      string,
    ];
    const table = (name: string, size: number) =>
      g.weight(
        name,
        [size, 4],
        Float32Array.from({ length: 4 * size }, (_, i) => Math.sin(i + size)),
      );
    const kept = g.op('Unsqueeze', [g.op('Cast', [a], { to: 1 }), g.ints([2])]);
    const sum = g.op('Add', [
      g.op('Gather', [table('kind', 2), b]),
      g.op('Gather', [table('word', VOCABULARY), c]),
    ]);
    const total = g.op('ReduceSum', [g.op('Mul', [sum, kept]), g.ints([1])], { keepdims: 0 });
    const head = g.weight(
      'fc.weight',
      [2, 4],
      Float32Array.from({ length: 8 }, (_, i) => Math.cos(i)),
    );
    g.output(g.op('Gemm', [total, head], { transB: 1 }), 'float32', ['n', 2], 'scores');
    const task = await prepared([{ name: 'model.onnx', bytes: encodeModel(g.build()) }, tokenizer()], [rows]);
    expect(task.model.feeds).toEqual({ a: 'attention_mask', b: 'token_type_ids', c: 'input_ids' });
    expect((await compared(task)).maxRel).toBeLessThan(1e-4);
  });

  it.each(['Shape', 'Size'])('asking only for the %s of an input is no use of it', async (asks) => {
    const { graphBuilder } = await import('../../src/onnx/build.ts');
    const g = graphBuilder();
    const [mask, ids] = ['a', 'b'].map((name) => g.input(name, 'int64', ['n', 's'])) as [string, string];
    const table = (name: string, size: number) =>
      g.weight(
        name,
        [size, 4],
        Float32Array.from({ length: 4 * size }, (_, i) => Math.sin(i + size)),
      );
    // Positions are counted by the mask's sizes: of the mask itself only the weights of the sum are made.
    let length = g.op('Gather', [g.op('Shape', [mask]), g.ints([1], [])]);
    if (asks === 'Size')
      length = g.op('Div', [g.op('Size', [mask]), g.op('Gather', [g.op('Shape', [ids]), g.ints([0], [])])]);
    const places = g.op('Range', [g.ints([0], []), length, g.ints([1], [])]);
    const sum = g.op('Add', [
      g.op('Gather', [table('word', VOCABULARY), ids]),
      g.op('Gather', [table('place', 64), places]),
    ]);
    const kept = g.op('Unsqueeze', [g.op('Cast', [mask], { to: 1 }), g.ints([2])]);
    const total = g.op('ReduceSum', [g.op('Mul', [sum, kept]), g.ints([1])], { keepdims: 0 });
    g.output(g.op('Gemm', [total, table('fc.weight', 2)], { transB: 1 }), 'float32', ['n', 2], 'scores');
    const task = await prepared([{ name: 'model.onnx', bytes: encodeModel(g.build()) }, tokenizer()], [rows]);
    expect(task.model.feeds).toEqual({ a: 'attention_mask', b: 'input_ids' });
    expect((await compared(task)).maxRel).toBeLessThan(1e-4);
  });

  it('and one whose use is not known is named', async () => {
    const { graphBuilder } = await import('../../src/onnx/build.ts');
    const g = graphBuilder();
    const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
    const extra = g.input('speaker', 'float32', ['batch', 4]);
    const x = g.op(
      'ReduceMean',
      [g.op('Gather', [g.weight('w', [VOCABULARY, 4], new Float32Array(4 * VOCABULARY)), ids])],
      { axes: [1], keepdims: 0 },
    );
    g.output(g.op('Add', [x, extra]), 'float32', ['batch', 4], 'logits');
    const bytes = encodeModel(g.build());
    await expect(prepared([{ name: 'model.onnx', bytes }, tokenizer()], [rows])).rejects.toThrow(
      /has the input speaker, of which neither name nor use in the graph says what to feed \(known are input_ids/,
    );
  });
});

describe('inputs and sizes that are refused or found', () => {
  const picture = async (dims: readonly (number | string)[], perm: readonly number[] | null) => {
    const { graphBuilder } = await import('../../src/onnx/build.ts');
    const g = graphBuilder();
    const x = g.input('image', 'float32', dims);
    const turned = perm ? g.op('Transpose', [x], { perm }) : x;
    const map = g.op(
      'Conv',
      [turned, g.weight('stem.weight', [4, 3, 16, 16], new Float32Array(3072).fill(0.1))],
      { strides: [16, 16] },
    );
    const rows = g.op('Reshape', [map, g.ints([0, 4])]);
    g.output(
      g.op('Gemm', [rows, g.weight('fc.weight', [2, 4], new Float32Array(8))], { transB: 1 }),
      'float32',
      [dims[0]!, 2],
      'scores',
    );
    return { name: 'model.onnx', bytes: encodeModel(g.build()) };
  };

  it('a picture under any name is the picture', async () => {
    const { model } = await opened([await picture(['n', 3, 16, 16], null)]);
    expect([model.task, model.feeds, model.image?.width]).toEqual([
      'image-classification',
      { image: 'pixel_values' },
      16,
    ]);
  });

  it('channels that come last are refused by name', async () => {
    await expect(opened([await picture(['n', 16, 16, 3], [0, 3, 1, 2])])).rejects.toThrow(
      /picture input image has its channels last \(\[n, 16, 16, 3\].*--inputs-as-nchw image/,
    );
  });

  // What the import makes of the model's complaints is no matter of the words that they are in.
  it.each([
    ['English', {}],
    ['Chinese', JSON.parse(readFileSync('src/languages/zh-Hans.json', 'utf8')) as Phrases],
  ])('a length that was baked in is the only one, in %s', async (_language, phrases) => {
    speak({ locale: 'zh-Hans', phrases });
    onTestFinished(() => speak());
    const { graphBuilder } = await import('../../src/onnx/build.ts');
    const g = graphBuilder();
    const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
    const x = g.op('Gather', [
      g.weight(
        'w',
        [VOCABULARY, 6],
        Float32Array.from({ length: 6 * VOCABULARY }, (_, i) => Math.sin(i)),
      ),
      ids,
    ]);
    // The exporter folded the rows of its example's nine positions.
    const placed = g.op('Add', [
      x,
      g.weight(
        'onnx::Add_17',
        [1, 9, 6],
        Float32Array.from({ length: 54 }, (_, i) => Math.cos(i)),
      ),
    ]);
    const mean = g.op('ReduceMean', [placed], { axes: [1], keepdims: 0 });
    g.output(
      g.op('Gemm', [mean, g.weight('fc.weight', [2, 6], new Float32Array(12).fill(0.2))], { transB: 1 }),
      'float32',
      ['batch', 2],
      'logits',
    );
    const task = await prepared([{ name: 'model.onnx', bytes: encodeModel(g.build()) }, tokenizer()], [rows]);
    expect(task.training.sequenceLength).toBe(9);
    expect(task.notes.join()).toContain('9');
    expect((await compared(task)).maxRel).toBeLessThan(1e-4);
  });
});

describe('data that does not suit the model', () => {
  const lines = (row: (i: number) => object) =>
    text('m.jsonl', Array.from({ length: 12 }, (_, i) => JSON.stringify(row(i))).join('\n'));

  it('labels beside the text of a language model are said to be left', async () => {
    const lm = textModel({ ends: 'words', causal: 64, names: { mask: null } });
    const task = await prepared([lm, tokenizer()], [rows]);
    expect(task.data.found.notes.join()).toMatch(/column "label" is not read: the model scores words/);
    await expect(prepared([lm, tokenizer()], [rows], {}, { task: 'text-classification' })).rejects.toThrow(
      /exported without its head \(Optimum's task feature-extraction\)/,
    );
  });

  it.each([
    [
      'hidden',
      3,
      text('t.txt', letters),
      /gives hidden states and no scores, so it is given a new head for the labels/,
    ],
    ['classes', 1, rows, /gives one number for a text; for classes choose the task text-classification/],
    [
      'classes',
      2,
      lines((i) => ({ text: 'a b', label: i / 7 + 0.01 })),
      /labels are numbers such as 0\.01.*--task regression/,
    ],
    [
      'classes',
      2,
      lines((i) => ({ text: 'a b', label: ['x', 'y'].slice(0, 1 + (i % 2)) })),
      /has several labels at once/,
    ],
  ] as const)('a file that ends in %s of %i', async (ends, classes, data, message) => {
    await expect(prepared([textModel({ ends, classes }), tokenizer()], [data])).rejects.toThrow(message);
  });

  it('and one label each stands for several only when that is said', async () => {
    const config = json('config.json', { problem_type: 'multi_label_classification' });
    const task = await prepared([textModel({ ends: 'classes', classes: 2 }), tokenizer(), config], [rows]);
    expect(task.model.warnings.join()).toContain('says problem_type multi_label_classification');
    expect(task.model.config.problem_type).toBe('single_label_classification');
  });
});

describe('what a file is', () => {
  const config = (content: object) => json('config.json', content);
  const task = async (traits: Parameters<typeof textModel>[0], more: Parameters<typeof prepared>[0] = []) =>
    taskOf(await opened([textModel(traits), tokenizer(), ...more]));

  it.each([
    [{ ends: 'words' }, {}, 'masked-lm'],
    [{ ends: 'words', causal: 32, names: { mask: null } }, {}, 'causal-lm'],
    [{ ends: 'classes' }, {}, 'text-classification'],
    [{ ends: 'classes', classes: 1 }, {}, 'regression'],
    [{ ends: 'tags' }, {}, 'token-classification'],
    [
      { ends: 'tags', classes: 20 },
      { architectures: ['BertForTokenClassification'] },
      'token-classification',
    ],
    [
      { ends: 'tags', classes: 20 },
      { id2label: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [i, `T${i}`])) },
      'token-classification',
    ],
    [{ ends: 'words', output: 'output_0' }, {}, 'masked-lm'],
    [{ ends: 'hidden', output: '1234' }, {}, 'text-classification'],
    [{ ends: 'hidden', width: VOCABULARY + 1, rows: VOCABULARY + 1 }, {}, 'text-classification'],
  ] as const)('%j with %j is for %s', async (traits, content, wanted) => {
    expect(await task(traits, [config(content)])).toBe(wanted);
  });

  it('is asked for where it is not clear', async () => {
    await expect(task({ ends: 'tags', classes: 20 })).rejects.toThrow(
      /may be scores of words or scores of classes of words.*--task masked-lm, --task token-classification/,
    );
  });

  it('is no classifier where probabilities come out', async () => {
    await expect(task({ ends: 'probabilities' })).rejects.toThrow(
      /gives probabilities \(logits ends in a softmax\)/,
    );
  });
});

/** Scores of one text of so many tokens, padded to `length`. */
function padded({ model }: PreparedTask, tokens: number, length: number, pad: number) {
  const { graph, logits } = model.build(1, length);
  const fill = (value: (t: number) => number) => Float64Array.from({ length }, (_, t) => value(t));
  const contents: Readonly<Record<string, Float64Array>> = {
    input_ids: fill((t) => (t < tokens ? 5 + t : pad)),
    attention_mask: fill((t) => (t < tokens ? 1 : 0)),
  };
  const feeds = new Map(graph.inputs.map((v) => [v.name, { ...v, data: contents[v.name]! }]));
  return interpret(graph, feeds).get(logits).data;
}

describe('a decoder without a head', () => {
  const decoder = (mask: string | null, width = 12) =>
    textModel({ ends: 'hidden', causal: 48, width, names: { mask } });
  const fill = json('tokenizer_config.json', { pad_token: '[MASK]' });
  const config = (content: object) => json('config.json', content);

  it.each([
    ['llama', null, 'LlamaForSequenceClassification', ['x', 'y', 'z']],
    ['qwen2', 'attention_mask', 'Qwen2ForSequenceClassification', ['x', 'y']],
    ['nobody-knows', 'attention_mask', undefined, ['x', 'y', 'z', 'u']],
  ])('of %s scores the last token of labelled texts', async (family, mask, architecture, labels) => {
    const found = await prepared(
      [decoder(mask), tokenizer(), fill, config({ model_type: family, architectures: ['SomeModel'] })],
      [labelled([4, 9, 30, 12, 25, 3, 7, 28, 40, 2, 5, 33], labels)],
    );
    expect([found.data.task, found.model.fresh, found.model.head]).toEqual([
      'text-classification',
      ['score'],
      'score',
    ]);
    const own = found.model.parameters.filter(({ name }) => name.startsWith('score'));
    expect(own.map(({ name, shape }) => [name, shape])).toEqual([['score.weight', [labels.length, 12]]]);
    expect(found.model.warnings.join()).toContain('score on the last token that is no padding');
    expect(found.model.config).toMatchObject({
      architectures: [architecture ?? 'SomeModel'],
      pad_token_id: 4,
    });
    // Rows of one batch are of several lengths.
    expect((await compared(found)).maxRel).toBeLessThan(1e-4);
    const alone = padded(found, 6, 6, 4);
    expect(parity(padded(found, 6, 13, 4), alone).maxRel).toBeLessThan(1e-5);
    expect(parity(padded(found, 7, 13, 4), alone).maxRel).toBeGreaterThan(1e-3);
  });

  it('whose token table would score words learns labels where the data has them', async () => {
    const files = [decoder(null, 14), tokenizer(), config({ model_type: 'gpt2' })];
    const found = await prepared(files, [rows]);
    expect([found.data.task, found.model.head, found.model.scores]).toEqual([
      'text-classification',
      'score',
      2,
    ]);
    expect(found.data.found.notes.join()).toMatch(/column "label" is learnt with a new head/);
    expect(found.model.warnings.join()).not.toContain('token table');
    expect((await compared(found)).maxRel).toBeLessThan(1e-4);
    const words = await prepared(files, [rows], {}, { task: 'causal-lm' });
    expect([words.data.task, words.model.scores]).toEqual(['causal-lm', VOCABULARY]);
    expect(words.data.found.notes.join()).toMatch(/column "label" is not read/);
    expect((await prepared(files, [text('t.txt', letters)])).data.task).toBe('causal-lm');
  });

  it('learns tags and numbers as well', async () => {
    const tags = text(
      't.conll',
      Array.from({ length: 12 }, (_, i) => `a O\n${i % 2 ? 'b' : 'c'} T\n`).join('\n'),
    );
    const files = [decoder(null), tokenizer(), config({ model_type: 'mistral' })];
    const found = await prepared(files, [tags]);
    expect([found.data.task, found.model.fresh]).toEqual(['token-classification', ['score']]);
    expect((await compared(found)).maxRel).toBeLessThan(1e-4);
    const values = text(
      'v.csv',
      `text,score\n${Array.from({ length: 12 }, (_, i) => `a b,${i / 4}`).join('\n')}\n`,
    );
    const number = await prepared(files, [values], {}, { task: 'regression' });
    expect([number.model.scores, number.model.config.problem_type]).toEqual([1, 'regression']);
  });
});

describe('an encoder without a head gets one', () => {
  const bare = (content: object, more: Parameters<typeof prepared>[0] = []) => [
    textModel({ ends: 'hidden' }),
    tokenizer(),
    json('config.json', content),
    ...more,
  ];

  it.each([
    ['bert', ['bert.pooler.dense', 'classifier'], 'BertForSequenceClassification'],
    ['distilbert', ['pre_classifier', 'classifier'], 'DistilBertForSequenceClassification'],
    ['roberta', ['classifier.dense', 'classifier.out_proj'], 'RobertaForSequenceClassification'],
    ['electra', ['classifier.dense', 'classifier.out_proj'], 'ElectraForSequenceClassification'],
    ['deberta-v2', ['pooler.dense', 'classifier'], 'DebertaV2ForSequenceClassification'],
    ['nobody-knows', ['classifier'], undefined],
  ])('of the kind of %s', async (family, modules, architecture) => {
    const found = await prepared(bare({ model_type: family, architectures: ['SomeModel'] }), [
      labelled(
        Array.from({ length: 12 }, (_, i) => i + 2),
        ['x', 'y', 'z'],
      ),
    ]);
    expect(found.model.fresh).toEqual(modules);
    expect(found.model.head).toBe(modules.at(-1));
    expect(found.model.scores).toBe(3);
    expect(found.model.config.architectures).toEqual([architecture ?? 'SomeModel']);
    expect(found.model.warnings.join()).toContain('gets a new head for 3 classes');
    const names = found.model.parameters.map((p) => p.name);
    for (const module of modules) expect(names).toContain(`${module}.weight`);
    expect(found.model.ownHead === null).toBe(architecture !== undefined);
    expect((await compared(found)).maxRel).toBeLessThan(1e-4);
  });

  it('on the mean over the tokens that the mask counts, where sentence-transformers pools so', async () => {
    const pooling = json('1_Pooling/config.json', {
      pooling_mode_mean_tokens: true,
      pooling_mode_cls_token: false,
    });
    const found = await prepared(bare({ model_type: 'bert' }, [pooling]), [rows]);
    expect(found.model.fresh).toEqual(['classifier']);
    expect(found.model.warnings.join()).toContain('classifier on the mean over the tokens');
    // Rows of one batch are of several lengths: the padding must not count.
    expect((await compared(found)).maxRel).toBeLessThan(1e-4);
    expect(parity(padded(found, 6, 11, 0), padded(found, 6, 6, 0)).maxRel).toBeLessThan(1e-5);
  });

  it('for each token, and for a number', async () => {
    const tagged = text(
      't.conll',
      Array.from({ length: 12 }, (_, i) => `a O\n${i % 2 ? 'b' : 'c'} T\n`).join('\n'),
    );
    const tags = await prepared(bare({ model_type: 'bert' }), [tagged], {}, { task: 'token-classification' });
    expect(tags.model.build(2, 6).logits.shape).toEqual([2, 6, 2]);
    expect((await compared(tags)).maxRel).toBeLessThan(1e-4);
    const values = text(
      'v.csv',
      `text,score\n${Array.from({ length: 12 }, (_, i) => `a b,${i / 4}`).join('\n')}\n`,
    );
    const number = await prepared(bare({ model_type: 'bert' }), [values], {}, { task: 'regression' });
    expect(number.model.scores).toBe(1);
    expect(number.model.config.problem_type).toBe('regression');
  });

  it('and a decoder gets the tied one, or a plain refusal', async () => {
    const decoder = textModel({ ends: 'hidden', causal: 32, names: { mask: null } });
    const files = [text('t.txt', letters)];
    const tied = await prepared(
      [decoder, tokenizer(), json('config.json', { model_type: 'x', tie_word_embeddings: true })],
      files,
    );
    expect(tied.data.task).toBe('causal-lm');
    expect(tied.model.warnings.join()).toContain('scores are made with the token table');
    expect(tied.model.scores).toBe(VOCABULARY);
    expect((await compared(tied)).maxRel).toBeLessThan(1e-4);
    const without = /ends in hidden states \(last_hidden_state\) without the language-model head/;
    await expect(prepared([decoder, tokenizer()], files)).rejects.toThrow(without);
    await expect(prepared([decoder, tokenizer()], files, {}, { task: 'causal-lm' })).rejects.toThrow(without);
  });
});

describe('a head of the right width', () => {
  const csv = (names: readonly string[]) => [
    text(
      'r.csv',
      `text,label\n${Array.from({ length: 24 }, (_, i) => `a b c ${'d e '.repeat(i % 3)}f,${names[i % 3]}`).join('\n')}`,
    ),
  ];
  const withNames = (names: readonly string[]) => [
    textModel({ ends: 'classes' }),
    tokenizer(),
    json('config.json', { id2label: Object.fromEntries(names.map((name, i) => [i, name])) }),
  ];
  const warnings = async (own: readonly string[], data: readonly string[]) => {
    const { model } = await prepared(withNames(own), csv(data));
    return { said: model.warnings.join(' '), labels: model.labels, fresh: model.fresh };
  };

  it('is made anew for other classes than the model’s, and said', async () => {
    const { said, labels, fresh } = await warnings(['bad', 'good', 'so-so'], ['happy', 'sad', 'neither']);
    expect(said).toMatch(
      /is new: the classes happy, neither, sad instead of bad, good, so-so, starting at random/,
    );
    expect(labels).toEqual(['happy', 'neither', 'sad']);
    expect(fresh).toHaveLength(1);
  });

  it.each([
    [
      ['bad', 'good', 'so-so'],
      ['good', 'so-so', 'bad'],
    ],
    [
      ['bad', 'good', 'so-so'],
      ['0', '1', '2'],
    ],
    [
      ['LABEL_0', 'LABEL_1', 'LABEL_2'],
      ['x', 'y', 'z'],
    ],
  ])('is kept for the model’s own, their numbers, or names it does not have (%j, %j)', async (own, data) => {
    const { said, fresh } = await warnings(own, data);
    expect(said).not.toMatch(/is new/);
    expect(fresh).toEqual([]);
  });
});

describe('what merging could not write', () => {
  /** A classifier whose layer `mix` is kept in codes that the branches of an If read; `classifier` is an ordinary one. */
  function branched() {
    const [width, values] = [12, (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i) / 2)];
    const g = graphBuilder({ opset: 17 });
    const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
    const flag = g.input('use_cache_branch', 'bool', [1]);
    const x = g.op('Gather', [g.weight('wte.weight', [VOCABULARY, width], values(VOCABULARY * width)), ids]);
    const codes = Array.from({ length: width * width }, (_, i) => ((i * 37) % 200) - 100);
    g.initializer(makeTensor('mix.weight_quantized', 'int8', [width, width], codes));
    const step = g.scalar(0.01);
    const branch = (output: string) => {
      const b = graphBuilder({ opset: 17 });
      const w = b.op('DequantizeLinear', ['mix.weight_quantized', step], {}, { outputs: [`${output}_w`] });
      b.output(b.op('MatMul', [x, w], {}, { name: '/mix/MatMul', outputs: [output] }), 'float32', null);
      return { kind: 'graph', value: b.graph() } as const;
    };
    const mixed = g.op('If', [flag], { then_branch: branch('cached'), else_branch: branch('plain') });
    const first = g.op('Gather', [mixed, g.ints([0], [])], { axis: 1 });
    const head = g.weight('classifier.weight', [2, width], values(2 * width));
    const bias = g.weight('classifier.bias', [2], values(2));
    g.output(g.op('Gemm', [first, head, bias], { transB: 1 }), 'float32', ['batch', 2], 'logits');
    return { name: 'model.onnx', bytes: encodeModel(g.build()) };
  }

  const setUp = (target: string) =>
    setUpRun(
      {
        model: { kind: 'files', files: [branched(), tokenizer()] },
        data: { kind: 'files', files: [rows], options: {} },
        method: 'lora',
        config: { target_modules: [target] },
        training: trainingSchema.parse({ batchSize: 2 }),
      },
      around,
    );

  it('is refused before training, and other layers of the same file are not', async () => {
    await expect(setUp('mix')).rejects.toThrow(
      /mix\.weight_quantized is kept in codes and read inside a subgraph.*take the file without a cache/,
    );
    expect((await setUp('classifier')).plan.groups[0]!.layers[0]!.name).toBe('classifier');
  });
});
