/**
 * What a model is trained on, token by token: which tokens of a conversation are learnt, which words bear tags, and the
 * preview that shows it.
 *
 * Seen to fail with: a loss on the prompt, an answer's end that is not learnt, a tag on every token of a word, words without their space.
 */
import { describe, expect, it } from 'vitest';
import { batch } from '../../src/data/batches.ts';
import { chatFormat } from '../../src/data/chat.ts';
import { type Found, openDataset } from '../../src/data/files/open.ts';
import { type Message, readMessages } from '../../src/data/messages.ts';
import { previewExamples } from '../../src/data/preview.ts';
import { loadTokenizer } from '../../src/data/tokenizer.ts';
import type { InstructionDataset, TokenClassDataset } from '../../src/data/types.ts';
import { trainBpe } from '../../tools/pretrain/bpe.ts';
import { file } from './data-support.ts';

const specials = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<mask>'];
const tokenizer = loadTokenizer(
  trainBpe(['a tale of words and more words, said the user to the assistant'], { vocabSize: 320, specials }),
  { mask_token: '<mask>' },
);
const TEMPLATE =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const chatml = chatFormat({ chat_template: TEMPLATE, eos_token: '<|im_end|>' });

const user = (content: string): Message => ({ role: 'user', content });
const assistant = (content: string): Message => ({ role: 'assistant', content });

/** The rendering, what is learnt in brackets. */
const shown = (format: ReturnType<typeof chatFormat>, messages: readonly Message[]): string => {
  const { text, learnt } = format.render(messages);
  return learnt.reduceRight(
    (so, { start, end }) => `${so.slice(0, start)}[${so.slice(start, end)}]${so.slice(end)}`,
    text,
  );
};

describe('chat format', () => {
  it('tells what the assistant says, and its end, from what it reads', () => {
    expect(shown(chatml, [user('hi'), assistant('yes'), user('and'), assistant('no')])).toBe(
      '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n[yes<|im_end|>]\n<|im_start|>user\nand<|im_end|>\n<|im_start|>assistant\n[no<|im_end|>]\n',
    );
    expect(chatml.prompt([user('hi')])).toBe('<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n');
  });

  it('finds the answer where a template begins it with what it then leaves out', () => {
    const thinking = chatFormat({
      chat_template: TEMPLATE.replace("'<|im_start|>assistant\n'", "'<|im_start|>assistant\n<think>\n'"),
      eos_token: { content: '<|im_end|>' },
    });
    expect(shown(thinking, [user('hi'), assistant('yes'), user('so'), assistant('no')])).toBe(
      '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n[yes<|im_end|>]\n<|im_start|>user\nso<|im_end|>\n<|im_start|>assistant\n[no<|im_end|>]\n',
    );
  });

  it('may be one of several, or a file of its own', () => {
    const list = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: '{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}' },
    ];
    const format = chatFormat({ chat_template: list, bos_token: '<s>' });
    expect(shown(format, [user('a'), assistant('b')])).toBe('<s>a[b]');
    expect(chatFormat({ chat_template: list }, TEMPLATE).prompt([user('x')])).toContain('<|im_start|>user');
  });

  it('without a template is plain', () => {
    const plain = chatFormat({ eos_token: '</s>' });
    expect(plain.kind).toBe('plain');
    expect(shown(plain, [user('why?'), assistant('so')])).toBe('why?\n[so</s>]');
    expect(shown(plain, [user('a'), assistant('b'), user('c'), assistant('d')])).toBe('a\n[b</s>]c\n[d</s>]');
  });

  it('says when a template is no Jinja or refuses a conversation', () => {
    expect(() => chatFormat({ chat_template: '{% for' })).toThrow(/chat template cannot be read/);
    const strict = chatFormat({
      chat_template: "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}x",
    });
    expect(() => strict.render([{ role: 'system', content: 's' }, assistant('b')])).toThrow(
      /refused by the model's chat template \(.*no system/,
    );
  });

  it('reads conversations as datasets have them', () => {
    expect(
      readMessages([
        { from: 'human', value: 'a' },
        { from: 'gpt', value: 'b' },
      ]),
    ).toEqual([user('a'), assistant('b')]);
    expect(readMessages('[{"role": "user", "content": "a"}]')).toEqual([user('a')]);
    for (const value of [[], 'no', 3, [{ role: 'user' }], [{ role: 'nobody', content: 'x' }]])
      expect(readMessages(value)).toMatch(/^has /);
  });
});

describe('instructions', () => {
  const open = async (rows: readonly object[], changes: object = {}) => {
    const found: Found = { notes: [] };
    const files = [file('i.jsonl', rows.map((row) => JSON.stringify(row)).join('\n'))];
    const options = { task: 'text', tokenizer, chat: chatml, ...changes } as const;
    const set = (await openDataset(files, options, found)) as InstructionDataset;
    return { set, notes: found.notes.join('\n') };
  };
  const pairs = Array.from({ length: 12 }, (_, i) => ({
    instruction: `tale ${i}`,
    input: 'of words',
    output: `more ${i}`,
  }));

  it('learn the answers alone, context below the prompt', async () => {
    const { set, notes } = await open(pairs);
    expect(set.kind).toBe('instruction');
    expect(notes).toContain('Columns: "instruction" as prompt, "output" as answer, "input" as context.');
    const { inputs, labels } = batch(set, 'train', [0], { sequenceLength: 96 });
    const ids = [...inputs.input_ids!.data];
    const learnt = [...labels.data].filter((l) => l !== -100);
    expect(tokenizer.decode(learnt, { specials: true })).toMatch(/^more \d+<\|im_end\|>$/);
    expect(tokenizer.decode(ids.slice(0, set.train.ids(0).length), { specials: true })).toMatch(
      /^<\|im_start\|>user\ntale \d+\n\nof words<\|im_end\|>\n<\|im_start\|>assistant\nmore \d+<\|im_end\|>\n$/,
    );
    // Each label is the id that follows.
    labels.data.forEach((label, t) => {
      if (label !== -100) expect(label).toBe(ids[t + 1]);
    });
    // The prompt's tokens are those that the model will be asked with.
    const begins = set.train.learnt(0).indexOf(1);
    const asked = tokenizer.decode(set.train.ids(0).subarray(0, begins), { specials: true });
    const content = /user\n([\s\S]*?)<\|im_end\|>/.exec(asked)![1]!;
    expect(set.prompt(content)).toEqual([...set.train.ids(0).subarray(0, begins)]);
  });

  it('are messages, prompts with answers or plain text, as the columns say', async () => {
    const messages = pairs.map((p) => ({ messages: [user(p.instruction), assistant(p.output)] }));
    expect((await open(messages)).set.kind).toBe('instruction');
    expect((await open(pairs, { mapping: { text: 'instruction' } })).set.kind).toBe('text');
    const mapped = await open(pairs, { mapping: { prompt: 'input', answer: 'instruction' } });
    expect(mapped.notes).toContain('"input" as prompt, "instruction" as answer');
  });

  it('that are too long lose their end or are left out, by row', async () => {
    const rows = Array.from({ length: 30 }, (_, i) => ({
      prompt: i === 4 ? 'and more words '.repeat(30) : 'tale',
      answer: i === 7 ? 'words and more '.repeat(30) : 'words',
    }));
    const { set, notes } = await open(rows, { sequenceLength: 40 });
    expect(set.train.count + set.held.count).toBe(29);
    expect(notes).toContain('i.jsonl has a prompt of 40 tokens or more in row 5: left out.');
    expect(notes).toContain(
      '1 of 30 examples are longer than 40 tokens and lose their end: row 8 of i.jsonl.',
    );
    await expect(
      open([
        { prompt: 'a', answer: ' ' },
        { prompt: '', answer: 'b' },
      ]),
    ).rejects.toThrow(/has no (answer|prompt) in row/);
    await expect(open(pairs.map(() => ({ messages: [user('a')] })))).rejects.toThrow(
      /has no answer in its conversation in rows 1/,
    );
  });
});

describe('tags', () => {
  const open = async (rows: readonly object[], changes: object = {}) => {
    const found: Found = { notes: [] };
    const files = [file('t.jsonl', rows.map((row) => JSON.stringify(row)).join('\n'))];
    const set = (await openDataset(
      files,
      { task: 'token-class', tokenizer, ...changes },
      found,
    )) as TokenClassDataset;
    return { set, notes: found.notes.join('\n') };
  };
  const row = { tokens: ['words', 'unheard', 'tale'], tags: ['A', 'B', 'A'] };

  it('stand on the first token of each word, words encoded as in the sentence', async () => {
    const { set } = await open(Array.from({ length: 10 }, () => row));
    expect(set.labels).toEqual(['A', 'B']);
    const ids = [...set.train.ids(0)];
    expect(ids).toEqual(tokenizer.encode('words unheard tale'));
    const marks = [...set.train.labels(0)];
    const starts = ['words', 'words unheard'].map((text) => tokenizer.encode(text).length);
    expect(marks.flatMap((m, t) => (m === -100 ? [] : [[t, set.labels[m]!]]))).toEqual([
      [0, 'A'],
      [starts[0], 'B'],
      [starts[1], 'A'],
    ]);
    const { labels, inputs } = batch(set, 'train', [0], { sequenceLength: 32 });
    expect(labels.shape).toEqual(inputs.input_ids!.shape);
    expect([...labels.data].slice(0, marks.length)).toEqual(marks);
  });

  it('may be written as lists in a cell, or words between spaces', async () => {
    const csv = ['words,ner', ...Array.from({ length: 10 }, () => `"['a', 'tale']","O X"`)].join('\n');
    const set = (await openDataset([file('t.csv', csv)], {
      task: 'token-class',
      tokenizer,
    })) as TokenClassDataset;
    expect(set.labels).toEqual(['O', 'X']);
  });

  it('that do not fit the words are said by row, and rows that are cut too', async () => {
    const rows = Array.from({ length: 20 }, (_, i) => (i === 2 ? { ...row, tags: ['A'] } : row));
    const { set, notes } = await open(rows, { sequenceLength: 4 });
    expect(set.train.count + set.held.count).toBe(19);
    expect(notes).toContain('t.jsonl has another number of tags than of words in row 3: left out.');
    expect(notes).toContain('19 of 19 examples are longer than 4 tokens');
    await expect(
      open([
        { tokens: ['a'], tags: ['A'] },
        { tokens: ['a'], tags: ['A'] },
      ]),
    ).rejects.toThrow(/only one tag \("A"\)/);
    await expect(open([{ tokens: ['a'], pos: ['A'] }])).rejects.toThrow(
      /no column "tags"; it has "tokens", "pos"/,
    );
  });

  it('in CoNLL lines have the row of their first line', async () => {
    const sentence = 'a X A\ntale X B\n';
    const text = Array.from({ length: 20 }, (_, i) => (i === 3 ? 'alone\n' : sentence)).join('\n');
    const found: Found = { notes: [] };
    const set = (await openDataset(
      [file('t.conll', `-DOCSTART-\n\n${text}`)],
      { task: 'token-class', tokenizer },
      found,
    )) as TokenClassDataset;
    expect(set.train.count + set.held.count).toBe(19);
    expect(found.notes.join('\n')).toContain('t.conll has a word without a tag in row 12: left out.');
  });
});

describe('preview', () => {
  it('shows tokens, what counts, labels and origins, by task', async () => {
    const preview = async (
      name: string,
      content: string,
      task: 'text' | 'masked-text' | 'text-class' | 'text-value' | 'token-class',
    ) => {
      const set = await openDataset([file(name, content)], { task, tokenizer, chat: chatml });
      return previewExamples(set, tokenizer, 2, { sequenceLength: 24 });
    };
    const jsonl = (row: object) =>
      Array.from({ length: 8 }, (_, i) => JSON.stringify({ ...row, ...(i % 2 ? {} : { label: 2 }) })).join(
        '\n',
      );
    const [chat] = await preview('a.jsonl', jsonl({ prompt: 'a', answer: 'words' }), 'text');
    expect(
      chat!.tokens
        .filter((t) => t.counts)
        .map((t) => t.text)
        .join(''),
    ).toBe('words<|im_end|>');
    expect(chat!.tokens.map((t) => t.text).join('')).toContain('user\na<|im_end|>');
    expect(chat!.origin).toMatch(/^row \d of a\.jsonl$/);
    const [text] = await preview('a.txt', 'a tale of words '.repeat(40), 'text');
    expect(text!.tokens.map((t) => t.counts)).toEqual([false, ...new Array<boolean>(23).fill(true)]);
    const [hidden] = await preview('a.txt', 'a tale of words '.repeat(40), 'masked-text');
    expect(hidden!.tokens.some((t) => t.counts && t.label !== undefined)).toBe(true);
    expect(hidden!.tokens.every((t) => t.counts === (t.label !== undefined))).toBe(true);
    const [labelled] = await preview('a.jsonl', jsonl({ text: 'words', label: 1 }), 'text-class');
    expect(labelled).toMatchObject({ label: expect.stringMatching(/^[12]$/) });
    expect(labelled!.tokens.every((t) => !t.counts)).toBe(true);
    const [valued] = await preview('a.jsonl', jsonl({ text: 'words', label: 1.5 }), 'text-value');
    expect(['1.5', '2']).toContain(valued!.label);
    const [tagged] = await preview(
      'a.jsonl',
      jsonl({ tokens: ['a', 'tale'], tags: ['X', 'Y'] }),
      'token-class',
    );
    expect(tagged!.tokens.filter((t) => t.counts).map((t) => t.label)).toEqual(['X', 'Y']);
  });
});
