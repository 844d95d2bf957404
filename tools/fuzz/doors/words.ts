/** Tokenizers and chat templates, as a model's folder brings them. */
import { type ChatFormat, chatFormat } from '../../../src/data/chat.ts';
import type { Message } from '../../../src/data/messages.ts';
import { endOf, loadTokenizer, tokenizerSettings } from '../../../src/data/tokenizer.ts';
import type { Rng } from '../../../src/lib/rng.ts';
import { tokenizer as wordLevel } from '../../../test/tools/contractModels.ts';
import { trainBpe } from '../../pretrain/bpe.ts';
import { type Door, fuzzFile, type Input, textOf, utf8, withFile } from '../door.ts';
import { mutateJson } from '../mutate/json.ts';
import { enlargedJson, enlargeText } from '../mutate/large.ts';
import { mutatePattern } from '../mutate/pattern.ts';
import { mutateText } from '../mutate/text.ts';

const TEXTS = [
  'A tale of words, and more words.',
  '  [CLS] aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!  123,456.78\n\n\tÀé 😀 <|endoftext|>',
  'a b c d e '.repeat(40),
];

const LETTERS = [...'abcdefghijklmnopqrstuvwxyz'];
const special = (id: number, content: string) => ({
  ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
});

/** One tokenizer of each kind, with every part that has a pattern or a number in it. Long because it is a list of files. */
function tokenizers(): object[] {
  const common = { version: '1.0', truncation: null, padding: null };
  const pieces = ['▁', '▁a', 'le', ...LETTERS];
  return [
    trainBpe(['a tale of words and more words'], { vocabSize: 290 }),
    JSON.parse(textOf(wordLevel().bytes)) as object,
    {
      ...common,
      added_tokens: ['[UNK]', '[CLS]', '[SEP]', '[PAD]', '[MASK]'].map((t, i) => special(i, t)),
      normalizer: {
        type: 'BertNormalizer',
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase: true,
      },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: { type: 'BertProcessing', sep: ['[SEP]', 2], cls: ['[CLS]', 1] },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: {
        ...{
          type: 'WordPiece',
          unk_token: '[UNK]',
          continuing_subword_prefix: '##',
          max_input_chars_per_word: 100,
        },
        vocab: Object.fromEntries(
          [
            '[UNK]',
            '[CLS]',
            '[SEP]',
            '[PAD]',
            '[MASK]',
            'tale',
            'word',
            '##s',
            ...LETTERS,
            ...LETTERS.map((l) => `##${l}`),
          ].map((token, i) => [token, i]),
        ),
      },
    },
    {
      ...common,
      added_tokens: [special(0, '<unk>'), special(1, '<s>'), special(2, '</s>')],
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Prepend', prepend: '▁' },
          { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
          { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' },
          { type: 'NFKC' },
          { type: 'Strip', strip_left: true, strip_right: true },
        ],
      },
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          {
            type: 'Split',
            pattern: { Regex: '\\p{N}{1,3}|\\s+(?!\\S)|[^\\s\\p{L}]+' },
            behavior: 'Isolated',
            invert: false,
          },
          { type: 'Digits', individual_digits: true },
          { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
        ],
      },
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
        pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
        special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
      },
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          { type: 'Strip', content: ' ', start: 1, stop: 0 },
        ],
      },
      model: {
        ...{ type: 'Unigram', unk_id: 0, byte_fallback: false },
        vocab: [['<unk>', 0], ['<s>', 0], ['</s>', 0], ...pieces.map((p, i) => [p, -i / 4])],
      },
    },
    {
      ...common,
      added_tokens: [
        special(0, '<|endoftext|>'),
        { ...special(30, 'xyz'), special: false, lstrip: true, single_word: true },
      ],
      normalizer: { type: 'Lowercase' },
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      post_processor: { type: 'ByteLevel', trim_offsets: false },
      decoder: { type: 'ByteLevel' },
      model: {
        ...{ type: 'BPE', dropout: null, unk_token: null, ignore_merges: true, byte_fallback: false },
        vocab: Object.fromEntries(['<|endoftext|>', ...LETTERS, 'Ġ', 'Ġa', 'al'].map((t, i) => [t, i])),
        merges: ['Ġ a', 'a l'],
      },
    },
  ];
}

const CONFIG = 'tokenizer_config.json';

/** The tokenizer's text with one of its patterns changed as a pattern. */
function spoilPattern(json: string, random: Rng): string {
  const all = [...json.matchAll(/"Regex":"((?:[^"\\]|\\.)*)"/g)];
  if (all.length === 0) return mutateJson(json, random);
  const [whole, quoted] = random.pick(all) as unknown as [string, string];
  const pattern = mutatePattern(JSON.parse(`"${quoted}"`) as string, random);
  return json.replace(whole, () => `"Regex":${JSON.stringify(pattern)}`);
}

export const tokenizerDoor: Door = {
  name: 'tokenizer',
  about: 'tokenizer.json with tokenizer_config.json, and texts encoded by it',
  seeds: () =>
    tokenizers().map((json) => ({
      files: [
        fuzzFile('tokenizer.json', JSON.stringify(json)),
        fuzzFile(CONFIG, '{"eos_token":"</s>","pad_token":{"content":"[PAD]"},"model_max_length":128}'),
      ],
    })),
  mutate: (input, random) => ({
    files: input.files.map(({ name, bytes }) =>
      random.chance(name === CONFIG ? 0.15 : 0.95)
        ? fuzzFile(name, (random.chance(0.2) ? spoilPattern : mutateJson)(textOf(bytes), random))
        : { name, bytes },
    ),
  }),
  enlarge: ({ files: [first, ...others] }, random) => ({
    files: [{ ...first!, bytes: enlargedJson(first!.bytes, random) }, ...others],
  }),
  open({ files }) {
    const text = (name: string) => {
      const file = files.find((f) => f.name === name);
      return file ? textOf(file.bytes) : null;
    };
    const tokenizer = loadTokenizer(text('tokenizer.json') ?? '', tokenizerSettings(text).config);
    for (const words of TEXTS) {
      const ids = tokenizer.encode(words, { specials: true });
      tokenizer.encodeSpans(words, [{ start: 2, end: 9 }]);
      tokenizer.decode(ids, { specials: true });
    }
    endOf(tokenizer);
  },
};

const TEMPLATES = [
  `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`,
  `{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + (message['content'] | trim) + ' [/INST]' }}{% else %}{{ ' ' + message['content'] + ' ' + eos_token }}{% endif %}{% endfor %}`,
  `{%- macro turn(name, words) -%}{{ '<' ~ name ~ '>' ~ words ~ '</' ~ name ~ '>' }}{%- endmacro -%}{%- set ns = namespace(count=0) -%}{%- for m in messages -%}{%- set ns.count = ns.count + 1 -%}{%- if m.role in ['user', 'assistant'] -%}{{ turn(m.role, (m.content or '') | replace('a', 'b') | upper) }}{%- elif m.tool_calls is defined -%}{{ m.tool_calls | tojson(indent=2) }}{%- else -%}{{ m.content.split('\\n') | join(' ') }}{%- endif -%}{%- endfor -%}{{ strftime_now('%d %b %Y') }}{% for i in range(3) %}{{ i }}{% endfor %}`,
];

const JINJA = [
  ...['{{', '}}', '{%', '%}', '{#', '#}', '-', 'for', 'endfor', 'in', 'if', 'else', 'elif', 'endif', 'set'],
  ...[
    'macro',
    'endmacro',
    'call',
    'range(9)',
    'range(99999999)',
    'messages',
    'message',
    "['content']",
    '|',
    '~',
  ],
  ...[
    'join',
    'length',
    'tojson',
    'upper',
    'replace',
    'list',
    'sort',
    'map',
    'selectattr',
    'items()',
    '*',
    '**',
  ],
  ...[
    '+',
    '[',
    ']',
    '(',
    ')',
    ':',
    '::-1',
    '[1:]',
    'loop.index',
    '{% for i in range(9999) %}',
    '{% endfor %}',
  ],
  ...["('a' * 999999)", "'ab'", '1e9', '-1', 'none', 'true', 'not', 'and', 'is', 'defined', 'namespace()'],
  ...[
    'constructor',
    '__proto__',
    '.toString()',
    ".format('x')",
    '.split("")',
    'raise_exception("no")',
    '\n',
    ' ',
  ],
  ...['{% set x = messages ~ messages %}', '{% set x = x ~ x %}', '{{ x }}', '{{ loop(messages) }}'],
];

const CHAT: readonly Message[] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'What is\nabove?' },
  { role: 'assistant', content: 'The sky <b>.' },
  { role: 'user', content: [{ type: 'text', text: 'And below?' }] },
  { role: 'assistant', content: 'Ground.' },
];

const CALLING: readonly Message[] = [
  { role: 'user', content: 'Add.' },
  {
    ...{ role: 'assistant', content: null },
    tool_calls: [{ type: 'function', function: { name: 'f', arguments: { a: 1 } } }],
  },
  { role: 'tool', content: '2', more: { name: 'f' } },
  { role: 'assistant', content: 'Two.' },
];

const VALUES = [
  'messages',
  "'ab'",
  '3',
  '99999',
  '1e9',
  '-1',
  'none',
  'true',
  '[1, 2]',
  "{'a': 1}",
  'x',
  'bos_token',
];
const FILTERS = [
  ...[
    'length',
    'list',
    'join',
    "join('ab')",
    'tojson',
    'tojson(indent=99)',
    'upper',
    'trim',
    'string',
    'sort',
  ],
  ...["replace('a', 'aaaa')", "replace('', 'b')", 'indent(50)', 'reverse', 'unique', 'first', 'items', 'int'],
  ...[
    "map(attribute='content')",
    "selectattr('role')",
    "default('z')",
    'safe',
    'dictsort',
    'batch(2)',
    'abs',
  ],
];

function expression(random: Rng, depth: number): string {
  if (depth === 0) return random.pick(VALUES);
  const inner = () => expression(random, depth - 1);
  switch (random.int(9)) {
    case 0:
      return `(${inner()} | ${random.pick(FILTERS)})`;
    case 1:
      return `range(${inner()})`;
    case 2:
      return `(${inner()} ${random.pick(['+', '*', '~', '-', '%', '//', 'in', '==', 'and', 'or'])} ${inner()})`;
    case 3:
      return `${inner()}[${random.pick(['0', '-1', '1:', '::-1', "'content'", "'constructor'", inner()])}]`;
    case 4:
      return `${inner()}.${random.pick(['content', 'split()', 'upper()', 'strip()', '__proto__', 'items()', 'length'])}`;
    case 5:
      return `[${inner()}, ${inner()}]`;
    case 6:
      return `(${inner()} if ${inner()} else ${inner()})`;
    case 7:
      return `namespace(a=${inner()})`;
    default:
      return random.pick(VALUES);
  }
}

/** Statements that can stand anywhere in a template. */
function statements(random: Rng, depth: number): string {
  const value = () => expression(random, random.int(4));
  const inner = () => (depth > 0 ? statements(random, depth - 1) : `{{ ${value()} }}`);
  switch (random.int(8)) {
    case 0:
      return `{% set x = ${value()} %}${inner()}`;
    case 1:
      return `{% for i in ${value()} %}${inner()}{% endfor %}`;
    case 2:
      return `{% for i in range(${random.pick(['9', '999', '99999999', '-1', '10 ** 9'])}) %}${inner()}{% endfor %}`;
    case 3:
      return `{% if ${value()} %}${inner()}{% else %}${inner()}{% endif %}`;
    case 4:
      return `{% macro f(a) %}${inner()}{{ f(a) }}{% endmacro %}{{ f(${value()}) }}`;
    case 5:
      return `{% set x = 'ab' %}{% for i in range(${random.pick(['5', '60'])}) %}{% set ns.x = x ~ x %}{% set x = x ~ x %}{% endfor %}{{ x }}`;
    case 6:
      return `${inner()}${inner()}`;
    default:
      return `{{ ${value()} }}`;
  }
}

/** A place between the tags of a template. */
function between(words: string, random: Rng): number {
  const places = [0, ...[...words.matchAll(/%\}|\}\}/g)].map(({ index }) => index + 2)];
  return random.pick(places);
}

/** A template that is nothing but words of the language in any order, between tags. */
const anyTemplate = (random: Rng): string =>
  Array.from({ length: 1 + random.int(25) }, () => random.pick(JINJA)).join(random.pick(['', ' ', ' ']));

export const template: Door = {
  name: 'template',
  about: 'a chat template, rendered with a conversation',
  seeds: (): Input[] => [
    ...TEMPLATES.map((source) => ({ files: [fuzzFile('chat_template.jinja', source)] })),
    {
      files: [
        fuzzFile(
          CONFIG,
          JSON.stringify({ chat_template: TEMPLATES[0], eos_token: '</s>', bos_token: '<s>' }),
        ),
      ],
    },
    {
      files: [
        fuzzFile(
          CONFIG,
          JSON.stringify({
            chat_template: [
              { name: 'default', template: TEMPLATES[0] },
              { name: 'tool_use', template: TEMPLATES[2] },
            ],
          }),
        ),
      ],
    },
  ],
  mutate: (input, random) =>
    withFile(input, random, (bytes, name) => {
      const words = textOf(bytes);
      if (name === CONFIG) return utf8(mutateJson(words, random));
      const what = random.int(20);
      if (what < 2) return utf8(anyTemplate(random));
      if (what < 4) return utf8(statements(random, 3));
      if (what < 11) {
        const at = between(words, random);
        return utf8(words.slice(0, at) + statements(random, 2) + words.slice(at));
      }
      return utf8(mutateText(words, random, random.chance(0.8) ? JINJA : undefined));
    }),
  enlarge: (input, random) =>
    withFile(input, random, (bytes, name) =>
      name === CONFIG ? enlargedJson(bytes, random) : utf8(enlargeText(textOf(bytes), random)),
    ),
  open({ files }) {
    const text = (name: string) => {
      const file = files.find((f) => f.name === name);
      return file ? textOf(file.bytes) : null;
    };
    const { config, template: source } = tokenizerSettings(text);
    const format: ChatFormat = chatFormat(config, source, '</s>');
    format.render(CHAT.slice(1, 3));
    format.render(CHAT, [{ name: 'f' }]);
    format.prompt(CHAT.slice(1, 2));
    if (files.some(({ bytes }) => textOf(bytes).includes('tool_calls'))) format.render(CALLING);
  },
};
