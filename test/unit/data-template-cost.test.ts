// Chat templates that cost too much end in a sentence, soon; long conversations do not.
import { describe, expect, it } from 'vitest';
import { chatFormat } from '../../src/data/chat.ts';
import { compileTemplate, TemplateCost } from '../../src/data/chatTemplate.ts';
import { instructionDataset } from '../../src/data/instructions.ts';
import type { Message } from '../../src/data/messages.ts';
import { createDrops } from '../../src/data/notes.ts';
import { loadTokenizer } from '../../src/data/tokenizer.ts';
import { trainBpe } from '../../tools/pretrain/bpe.ts';
import { SHAPES } from './chat-shapes.ts';

const TALK: readonly Message[] = [
  { role: 'user', content: 'Which bird is that?' },
  { role: 'assistant', content: 'A wren.' },
];

/** Runs a template; the error's kind, or null. */
function outcome(template: unknown, messages: readonly Message[] = TALK): string | null {
  try {
    chatFormat({ chat_template: template as string }).render(messages);
    return null;
  } catch (error) {
    expect(error).toMatchObject({ name: 'PapilioError' });
    expect(String(error)).toMatch(/chat template/);
    return (error as { kind: string }).kind;
  }
}

const SAYS = '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}';
const doubled = (times: number, step: string) =>
  `{% set x = 'ab\n' %}{% for i in range(${times}) %}{% set x = x %}{% endfor %}${Array.from({ length: times }, () => step).join('')}`;

describe('a template', () => {
  it.each([
    ['counts to a billion', '{% for i in range(700000000) %}{% endfor %}'],
    ['counts without end', '{% for i in range(9e999) %}{% endfor %}'],
    ['counts backwards', '{% for i in range(0, -800000000, -1) %}{% endfor %}'],
    ['counts inside counting', `${'{% for i in range(900) %}'.repeat(4)}.${'{% endfor %}'.repeat(4)}`],
    ['joins what it counts', "{{ range(90000) | join('long words between ') | length }}".repeat(90)],
    ['doubles a text', `${doubled(40, '{% set x = x ~ x %}')}{{ x }}`],
    ['doubles a list', `{% set x = ['a'] %}${'{% set x = x + x %}'.repeat(40)}{{ x | length }}`],
    [
      'puts a list in itself twice',
      `{% set x = ['a'] %}${'{% set x = [x, x] %}'.repeat(40)}{{ x | tojson }}`,
    ],
    ['compares such lists', `{% set x = ['a'] %}${'{% set x = [x, x] %}'.repeat(40)}{{ x == 'a' }}`],
    ['puts a namespace in itself', '{% set n = namespace() %}{% set n.n = [n, n] %}{{ n.n | tojson }}'],
    [
      'changes namespaces after they were put in lists',
      `{% set n0 = namespace() %}${Array.from({ length: 40 }, (_, k) => `{% set n${k + 1} = namespace() %}{% set n${k}.n = [n${k + 1}, n${k + 1}] %}`).join('')}{{ [n0] == 'a' }}`,
    ],
    ['calls itself', '{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}'],
    [
      'calls itself twice',
      '{% macro f(x) %}{% if x %}{{ f(x - 1) }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(40) }}',
    ],
    ['replaces every letter', `${doubled(18, '{% set x = x ~ x %}')}{{ x | replace('a', x) | length }}`],
    ['replaces by a method', `${doubled(18, '{% set x = x ~ x %}')}{{ x.replace('a', x) | length }}`],
    ['indents far', `${doubled(16, '{% set x = x ~ x %}')}{{ x | indent(100000) | length }}`],
    ['prints far apart', '{{ messages | tojson(indent=100000000) }}'],
    ['slices without end', `${doubled(18, '{% set x = x ~ x %}')}${'{{ x[::1] | length }}'.repeat(400)}`],
    [
      'splits again and again',
      `${doubled(17, '{% set x = x ~ x %}')}${"{{ x.split('a') | length }}".repeat(400)}`,
    ],
    [
      'marks turns without end',
      `{% set x %}{% for i in range(60000) %}a{% endfor %}{% endset %}${'{{ x | indent }}'.repeat(60)}`,
    ],
    ['has blanks in a tag', `{% if true ${' '.repeat(200_000)}%}{% endif %}`],
    ['has blanks outside', `${' '.repeat(150_000)}{{ 1 }}`],
    ['has line breaks', `${'\n'.repeat(150_000)}{{ 1 }}`],
    ['is long', `${SAYS}{# ${'comment '.repeat(50_000)} #}`],
  ])('that %s is refused', (name, template) => {
    const started = performance.now();
    expect(outcome(template)).toBe(name === 'counts without end' ? 'bad-data' : 'too-large');
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it.each([
    ['deep brackets', `{{ ${'('.repeat(30_000)}1${')'.repeat(30_000)} }}`],
    ['comments that never end', '{#'.repeat(100_000)],
    ['texts like comments', `${SAYS}{{ '${'{# '.repeat(60_000)}' | length }}`],
    ['a number', 7],
    ['a list of nothing', [null]],
    ['an object of numbers', { default: 3 }],
    [
      'names of prototypes',
      [
        { name: '__proto__', template: SAYS },
        { name: 'constructor', template: SAYS },
      ],
    ],
    ['filters of prototypes', '{{ messages | constructor }}{{ messages.__proto__ }}{{ toString }}'],
    ['a date of no format', '{{ strftime_now(messages) }}'],
    ['an exception of a list', '{{ raise_exception(messages) }}'],
    ['steps of zero', '{{ range(1, 5, 0) }}'],
  ])('of %s ends in words or in a rendering', (_, template) => {
    const started = performance.now();
    expect([null, 'too-large', 'bad-data', 'malformed-file']).toContain(outcome(template));
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it('says that it takes too many steps', () => {
    const format = chatFormat({ chat_template: `${SAYS}{% for i in range(2 ** 40) %}{% endfor %}` });
    expect(() => format.prompt(TALK)).toThrow(
      expect.objectContaining({
        kind: 'too-large',
        message: expect.stringMatching(/^The model's chat template takes too many steps/),
      }),
    );
  });

  it('renders a conversation of thousands of turns', () => {
    const word = 'a word of many '.repeat(10);
    const messages = Array.from(
      { length: 600 },
      (_, k): Message => ({
        role: k % 2 === 0 ? 'user' : 'assistant',
        content: `${word}${k}`,
      }),
    );
    const template = `{% set ns = namespace(out='') %}{% for m in messages %}{% if loop.index0 > 0 and messages[loop.index0 - 1].role == m.role %}{{ raise_exception('twice') }}{% endif %}<{{ m.role }}>{{ m.content | trim }}</s>\n{% endfor %}`;
    const started = performance.now();
    const { text } = { text: chatFormat({ chat_template: template }).prompt(messages) };
    expect(text.length).toBeGreaterThan(90_000);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

const tokenizer = loadTokenizer(trainBpe(['which bird is that, a wren'], { vocabSize: 280 }));

/** What becomes of a dataset of so many conversations, and how many were looked at. */
function datasetOf(
  template: string,
  count: number,
  talk: (k: number) => readonly Message[] = () => TALK,
): { readonly kind: string | null; readonly says: string; readonly rendered: number } {
  let rendered = 0;
  const format = chatFormat({ chat_template: template });
  const counted: typeof format = {
    ...format,
    render: (...given) => {
      rendered++;
      return format.render(...given);
    },
  };
  const rows = Array.from({ length: count }, (_, k) => ({
    messages: talk(k),
    origin: { file: 'talks.jsonl', row: k + 1 },
  }));
  const options = { drops: createDrops(), total: count, seed: 1 };
  try {
    instructionDataset('talks', rows, tokenizer, counted, options);
    return { kind: null, says: '', rendered };
  } catch (error) {
    expect(error).toMatchObject({ name: 'PapilioError' });
    return { kind: (error as { kind: string }).kind, says: (error as Error).message, rendered };
  }
}

describe('a dataset', () => {
  const counting = (n: number) => `{% for i in range(${n}) %}{{ '' }}{% endfor %}`;

  it.each([
    // Each of which alone may be rendered.
    ['counts at every row', `${SAYS}${counting(3000)}`],
    ['counts in both of two loops', `${SAYS}${counting(1500)}${counting(1700)}`],
    ['counts inside counting', `${SAYS}{% for k in range(60) %}${counting(50)}{% endfor %}`],
    ['makes a text at every row', `${SAYS}{{ (range(4000) | join(' ')) | length }}`],
    [
      'calls itself',
      `{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}${SAYS}{{ f(10) }}`,
    ],
  ])('has one budget for a template that %s', (_, template) => {
    expect(outcome(template)).toBe(null);
    const { kind, says, rendered } = datasetOf(template, 4000);
    expect(kind).toBe('too-large');
    expect(says).toMatch(
      /^The model's chat template takes too many steps to render the conversations of the dataset; take/,
    );
    expect(says).not.toMatch(/talks|row|mend/);
    expect(rendered).toBeLessThan(120);
  });

  it('ends with the first conversation that costs too much by itself', () => {
    const { kind, says, rendered } = datasetOf(`${SAYS}${counting(90_000)}`, 50);
    expect({ kind, rendered }).toEqual({ kind: 'too-large', rendered: 1 });
    expect(says).toMatch(/^The model's chat template takes too many steps to render a conversation; take/);
  });

  it.each(SHAPES)('of any size is rendered by $name', ({ template, bos = '', eos }) => {
    const compiled = compileTemplate(template);
    for (const [turns, words] of [
      [1, 1],
      [2, 30],
      [20, 20],
    ] as const) {
      // Nothing to begin with: what a rendering is granted is enough for it, and so for any number of them.
      const all = { left: 0 };
      const messages = Array.from({ length: 2 * turns }, (_, k) => ({
        role: k % 2 === 0 ? 'user' : 'assistant',
        content: 'word '.repeat(words),
      }));
      compiled(
        messages,
        { bos_token: bos, eos_token: eos, tools: null, add_generation_prompt: false },
        new TemplateCost(all),
      );
      expect(all.left).toBeGreaterThan(0);
    }
  });

  it.each([
    [
      'a filter',
      '{% for m in messages %}{{ m.content | slugify }}{% endfor %}',
      'Unknown StringValue filter',
    ],
    [
      'a test',
      '{% for m in messages %}{% if m is wellformed %}{{ m.content }}{% endif %}{% endfor %}',
      'Unknown test',
    ],
    ['a function', '{% for m in messages %}{{ tokenise(m.content) }}{% endfor %}', 'cannot be run'],
    [
      'values of no kind',
      '{% for m in messages %}{{ m.content + m.name.first }}{% endfor %}',
      'cannot be run',
    ],
    [
      'a filter that few rows reach',
      "{% for m in messages %}{{ m.content | slugify if m.content == 'rare' else m.content }}{% endfor %}",
      'Unknown StringValue filter',
    ],
  ])('says of a template, not of its rows, that it uses %s that is not known', (_, template, why) => {
    const { kind, says } = datasetOf(template, 40, (k) => [
      { role: 'user', content: k === 30 ? 'rare' : 'often' },
      { role: 'assistant', content: 'yes' },
    ]);
    expect(kind).toBe('malformed-file');
    expect(says).toMatch(
      /^The model's chat template cannot be run \(.*\); take the model from elsewhere, or another chat template\.$/,
    );
    expect(says).toContain(why);
  });

  it('says of its rows what a template says of them', () => {
    const picky = `{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('No system here') }}{% endif %}{{ m.content }}</s>{% endfor %}`;
    const { kind, says } = datasetOf(picky, 9, (k) => [
      { role: k < 4 ? 'system' : 'user', content: 'x' },
      ...TALK,
    ]);
    expect(kind).toBe('bad-data');
    expect(says).toBe(
      "talks.jsonl is refused by the model's chat template (No system here) in rows 1, 2, 3, 4; mend or delete it.",
    );
  });
});
