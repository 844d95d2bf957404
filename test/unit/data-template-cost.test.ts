// Chat templates that cost too much end in a sentence, soon; long conversations do not.
import { describe, expect, it } from 'vitest';
import { chatFormat } from '../../src/data/chat.ts';
import type { Message } from '../../src/data/messages.ts';

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
