/**
 * Conversations as datasets have them: parts, tool calls and their results, thinking, ShareGPT, prompts and completions, chosen and rejected; and
 * what is said where the model's template cannot write them.
 *
 * Seen to fail with: a prompt's own answers learnt, tool calls dropped, parts written as JSON, a template's missing turns passed over.
 */
import { describe, expect, it } from 'vitest';
import { chatFormat } from '../../src/data/chat.ts';
import { type Found, openDataset } from '../../src/data/files/open.ts';
import { stopIds } from '../../src/data/instructions.ts';
import { type Message, readMessages } from '../../src/data/messages.ts';
import { loadTokenizer, tokenizerSettings } from '../../src/data/tokenizer.ts';
import type { InstructionDataset } from '../../src/data/types.ts';
import { trainBpe } from '../../tools/pretrain/bpe.ts';
import { SHAPES } from './chat-shapes.ts';
import { file } from './data-support.ts';

const shape = (start: string) => SHAPES.find(({ name }) => name.startsWith(start))!;
const format = (start: string, changes: object = {}) => {
  const { template, eos, bos } = shape(start);
  return chatFormat({
    chat_template: template,
    eos_token: eos,
    ...(bos ? { bos_token: bos } : {}),
    ...changes,
  });
};
const read = (value: unknown): Message[] => {
  const messages = readMessages(value);
  if (typeof messages === 'string') throw new Error(messages);
  return messages;
};
const learnt = (start: string, value: unknown): string[] => {
  const { text, learnt: spans } = format(start).render(read(value));
  return spans.map((span) => text.slice(span.start, span.end));
};

const call = (name: string, args: unknown) => ({ type: 'function', function: { name, arguments: args } });

describe('messages', () => {
  it('call tools and read their results', () => {
    const messages = [
      { role: 'user', content: 'weather in Bern ?' },
      { role: 'assistant', content: null, tool_calls: [call('weather', { city: 'Bern', days: 2 })] },
      { role: 'tool', name: 'weather', content: '{"sky": "snow"}' },
      { role: 'assistant', content: 'snow' },
    ];
    expect(learnt('Qwen2.5', messages)).toEqual([
      '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern", "days": 2}}\n</tool_call><|im_end|>',
      'snow<|im_end|>',
    ]);
    const { text } = format('Qwen2.5').render(read(messages));
    expect(text).toContain('<|im_start|>user\n<tool_response>\n{"sky": "snow"}\n</tool_response><|im_end|>');
    // Words before a call, two calls at once.
    expect(
      learnt('Qwen2.5', [
        { role: 'user', content: 'both' },
        { role: 'assistant', content: 'I look.', tool_calls: [call('a', {}), call('b', { x: [1, null] })] },
      ]),
    ).toEqual([
      'I look.\n<tool_call>\n{"name": "a", "arguments": {}}\n</tool_call>\n<tool_call>\n{"name": "b", "arguments": {"x": [1, null]}}\n</tool_call><|im_end|>',
    ]);
    expect(() => format('ChatML').render(read(messages))).toThrow(/writes no tool calls/);
  });

  it('think', () => {
    const messages = [
      { role: 'user', content: 'yes ?' },
      { role: 'assistant', reasoning_content: 'surely yes', content: 'yes' },
      { role: 'user', content: 'and no ?' },
      { role: 'assistant', reasoning_content: 'no, never', content: 'no' },
    ];
    expect(learnt('Qwen3', messages)).toEqual([
      'yes<|im_end|>',
      '<think>\nno, never\n</think>\n\nno<|im_end|>',
    ]);
    expect(
      learnt('Qwen3', [
        { role: 'user', content: 'yes ?' },
        { role: 'assistant', content: '<think>\nwell\n</think>\n\nyes' },
        { role: 'user', content: 'no ?' },
        { role: 'assistant', content: '<think>\nhm\n</think>\n\nno' },
      ]),
    ).toEqual(['yes<|im_end|>', '<think>\nhm\n</think>\n\nno<|im_end|>']);
    expect(
      learnt('DeepSeek-R1', [
        { role: 'user', content: 'yes ?' },
        { role: 'assistant', content: 'yes, I think</think>yes' },
      ]),
    ).toEqual(['yes<｜end▁of▁sentence｜>']);
    expect(format('ChatML').render(read(messages)).remarks).toEqual(['does not write thinking']);
  });

  it('may be in parts of text', () => {
    const parts = (...texts: string[]) => texts.map((text) => ({ type: 'text', text }));
    const messages = [
      { role: 'user', content: parts('is it ?') },
      { role: 'assistant', content: parts('yes ') },
    ];
    // A template that reads parts gets them, another the text.
    expect(learnt('Gemma', messages)).toEqual(['yes<end_of_turn>']);
    expect(learnt('ChatML', messages)).toEqual(['yes <|im_end|>']);
    expect(learnt('ChatML', [messages[0], { role: 'assistant', content: parts('a', 'b') }])).toEqual([
      'a\nb<|im_end|>',
    ]);
    const ofParts = chatFormat({
      chat_template:
        "{% for m in messages %}[{{ m.role }}]{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}</s>{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
      eos_token: '</s>',
    });
    const { text, learnt: spans } = ofParts.render(
      read([
        { role: 'user', content: 'a' },
        { role: 'assistant', content: parts('b', 'c') },
      ]),
    );
    expect(text).toBe('[user]a</s>[assistant]bc</s>');
    expect(spans.map((s) => text.slice(s.start, s.end))).toEqual(['bc</s>']);
    expect(readMessages([{ role: 'user', content: [{ type: 'image_url', image_url: 'x' }] }])).toMatch(
      /has a picture in its conversation/,
    );
    expect(readMessages([{ role: 'user', content: [{ type: 'input_audio' }] }])).toMatch(/"input_audio"/);
  });

  it('are ShareGPT with calls and observations', () => {
    const messages = [
      { from: 'system', value: 'tools: weather' },
      { from: 'human', value: 'weather ?' },
      { from: 'function_call', value: '{"name": "weather", "arguments": {"city": "Bern"}}' },
      { from: 'observation', value: 'snow' },
      { from: 'gpt', value: 'It snows.' },
    ];
    expect(learnt('Qwen2.5', messages)).toEqual([
      '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call><|im_end|>',
      'It snows.<|im_end|>',
    ]);
    expect(learnt('ChatML', messages)).toEqual([
      '{"name": "weather", "arguments": {"city": "Bern"}}<|im_end|>',
      'It snows.<|im_end|>',
    ]);
    expect(readMessages([{ from: 'narrator', value: 'x' }])).toMatch(/"narrator"/);
  });

  it('of the developer are the system, where the template knows no developer', () => {
    const messages = read([
      { role: 'developer', content: 'be brief' },
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ]);
    expect(format('ChatML').render(messages).text).toMatch(/^<\|im_start\|>system\nbe brief/);
    const known = format('ChatML', {
      chat_template: `${shape('ChatML').template}{# developer #}`,
    });
    expect(known.render(messages).text).toMatch(/^<\|im_start\|>system/);
    const raw = format('ChatML', {
      chat_template: `{% set known = 'developer' %}${shape('ChatML').template}`,
    });
    expect(raw.render(messages).text).toMatch(/^<\|im_start\|>developer/);
  });

  it('that a template leaves out are told', () => {
    const lossy = chatFormat({
      chat_template:
        "{% for m in messages %}{% if m.role == 'user' or loop.last %}<{{ m.role }}>{{ m.content }}</s>{% endif %}{% endfor %}",
      eos_token: '</s>',
    });
    const messages = read(
      ['a', 'b', 'c', 'd'].map((content, k) => ({ role: k % 2 ? 'assistant' : 'user', content })),
    );
    expect(() => lossy.render(messages)).toThrow(/an answer that the model's chat template leaves out/);
    expect(() =>
      chatFormat({ chat_template: '{% for m in messages %}{{ m.content | length }}{% endfor %}' }).render(
        messages,
      ),
    ).toThrow(/leaves out or writes in another way/);
  });

  it('of one answer only, and templates by name', () => {
    const weighed = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b', weight: 0 },
      { role: 'user', content: 'c', name: null },
      { role: 'assistant', content: 'd', weight: 1 },
    ];
    expect(learnt('ChatML', weighed)).toEqual(['d<|im_end|>']);
    const named = chatFormat({
      chat_template: [
        { name: 'default', template: '{% for m in messages %}{{ m.content }}</s>{% endfor %}' },
        {
          name: 'tool_use',
          template: '{{ tools | length }}{% for m in messages %}{{ m.content }}</s>{% endfor %}',
        },
      ],
      eos_token: '</s>',
    });
    expect(named.render(read(weighed)).text).toBe('a</s>b</s>c</s>d</s>');
    expect(named.render(read(weighed), [{ name: 'x' }]).text).toBe('1a</s>b</s>c</s>d</s>');
  });
});

describe('the files beside a model', () => {
  const settings = (files: Readonly<Record<string, unknown>>) =>
    tokenizerSettings((name) => {
      const content = files[name];
      return content === undefined ? null : typeof content === 'string' ? content : JSON.stringify(content);
    });
  it('name special tokens and the template, each in its place', () => {
    const map = { eos_token: { content: '</s>', lstrip: false }, mask_token: '<mask>' };
    const { config, template } = settings({
      'tokenizer_config.json': { mask_token: '[M]', chat_template: 'own' },
      'special_tokens_map.json': map,
    });
    expect(config).toMatchObject({ mask_token: '[M]', eos_token: { content: '</s>' } });
    expect(template).toBeNull();
    expect(settings({ 'chat_template.json': { chat_template: 'of json' } }).template).toBe('of json');
    expect(
      settings({ 'chat_template.json': { chat_template: 'of json' }, 'chat_template.jinja': 'of jinja' })
        .template,
    ).toBe('of jinja');
    expect(() => settings({ 'special_tokens_map.json': '[1]' })).toThrow(
      /special_tokens_map.json is no JSON/,
    );
  });
});

describe('rows', () => {
  const { template, signs } = shape('ChatML');
  const specials = ['<|endoftext|>', ...signs];
  const tokenizer = loadTokenizer(trainBpe(['is it snow ? yes it is, no'], { vocabSize: 300, specials }));
  const chat = chatFormat({ chat_template: template, eos_token: '<|im_end|>' });
  const open = async (row: object, changes: object = {}, count = 12) => {
    const found: Found = { notes: [] };
    const text = Array.from({ length: count }, () => JSON.stringify(row)).join('\n');
    const set = (await openDataset(
      [file('c.jsonl', text)],
      { task: 'text', tokenizer, chat, ...changes },
      found,
    )) as InstructionDataset;
    const ids = [...set.train.ids(0)];
    const says = ids.filter((_, t) => set.train.learnt(0)[t] === 1);
    return {
      text: tokenizer.decode(ids, { specials: true }),
      learnt: tokenizer.decode(says, { specials: true }),
      notes: found.notes.join('\n'),
      set,
    };
  };
  const user = (content: string) => ({ role: 'user', content });
  const assistant = (content: string) => ({ role: 'assistant', content });

  it.each([
    [
      'prompt and completion as messages',
      { prompt: [user('a'), assistant('x'), user('b')], completion: [assistant('yes')] },
      'yes<|im_end|>',
    ],
    ['prompt and completion as text', { prompt: 'a', completion: 'yes' }, 'yes<|im_end|>'],
    [
      'a prompt as text, the answer as messages',
      { prompt: 'a', completion: [assistant('yes')] },
      'yes<|im_end|>',
    ],
    ['instruction, input and output', { instruction: 'a', input: '', output: 'yes' }, 'yes<|im_end|>'],
    [
      'conversations',
      {
        conversations: [
          { from: 'human', value: 'a' },
          { from: 'gpt', value: 'yes' },
        ],
      },
      'yes<|im_end|>',
    ],
    [
      'messages as Python writes them in a cell',
      {
        messages: `[{'role': 'user', 'content': 'a', 'name': None}, {"role": "assistant", 'content': "yes"}]`,
      },
      'yes<|im_end|>',
    ],
    [
      'messages as JSON in a cell',
      { messages: JSON.stringify([user('a'), assistant('yes')]) },
      'yes<|im_end|>',
    ],
    [
      'a chosen conversation',
      { chosen: [user('a'), assistant('yes')], rejected: [user('a'), assistant('no')] },
      'yes<|im_end|>',
    ],
    [
      'a prompt with chosen and rejected',
      { prompt: [user('a')], chosen: [assistant('yes')], rejected: [assistant('no')] },
      'yes<|im_end|>',
    ],
    [
      'a prompt that the chosen conversation holds',
      { prompt: 'a', chosen: [user('a'), assistant('yes')], rejected: [user('a'), assistant('no')] },
      'yes<|im_end|>',
    ],
  ])('%s', async (_, row, expected) => {
    const { text, learnt: says, notes } = await open(row);
    expect(says).toBe(expected);
    expect(text.split('<|im_start|>user\na<|im_end|>').length).toBe(2);
    expect(text).not.toContain('no<');
    expect(notes.includes('the rejected one is not used')).toBe('rejected' in row);
  });

  it('bring their system text and tools', async () => {
    const withTools = chatFormat({
      chat_template: `{% if tools %}{{ tools | tojson }}{% endif %}${template}`,
      eos_token: '<|im_end|>',
    });
    const row = { system: 'be brief', tools: [{ name: 'f' }], messages: [user('a'), assistant('yes')] };
    const { text } = await open(row, { chat: withTools });
    expect(text).toBe(
      '[{"name": "f"}]<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>\n',
    );
  });

  it('say what cannot be used', async () => {
    const picture = { messages: [{ role: 'user', content: [{ type: 'image' }] }, assistant('yes')] };
    await expect(open(picture)).rejects.toThrow(/c.jsonl has a picture in its conversation.*in rows 1, 2/);
    const long = { messages: [user('is it snow ? '.repeat(60)), assistant('yes')] };
    await expect(open(long, { sequenceLength: 24 })).rejects.toThrow(
      /has a prompt of 24 tokens or more in rows 1/,
    );
    const thinks = { messages: [user('a'), { ...assistant('yes'), thinking: 'hm' }] };
    expect((await open(thinks)).notes).toMatch(
      /The model's chat template does not write thinking \(rows 1, 2/,
    );
    // Of two answers only the first fits: cut, and told.
    const half = {
      messages: [user('a'), assistant('yes'), user('is it snow ? '.repeat(60)), assistant('no')],
    };
    const cut = await open(half, { sequenceLength: 40 });
    expect(cut.learnt).toBe('yes<|im_end|>');
    expect(cut.notes).toMatch(/12 of 12 examples are longer than 40 tokens and lose their end/);
  });

  it('end their answers with the mark of the template, whatever the vocabulary knows of words', async () => {
    const words = loadTokenizer({
      added_tokens: ['<unk>', '<eos>', '<|u|>', '<|end|>'].map((content, id) => ({
        id,
        content,
        special: true,
      })),
      pre_tokenizer: { type: 'Whitespace' },
      model: { type: 'WordLevel', unk_token: '<unk>', vocab: { '<unk>': 0 } },
    });
    const ending = chatFormat({
      chat_template: '{% for m in messages %}<|u|>{{ m.content }}<|end|>{% endfor %}<eos>',
      eos_token: '<eos>',
    });
    expect([...stopIds(ending, words)].sort()).toEqual([1, 3]);
    const { set } = await open({ messages: [user('a'), assistant('yes')] });
    expect([...set.stop].map((id) => tokenizer.token(id)).sort()).toEqual(['<|endoftext|>', '<|im_end|>']);
  });
});
