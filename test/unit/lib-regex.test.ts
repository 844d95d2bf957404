// Expressions in Python's syntax: against what Python says of random ones, and with a bound where they would take forever.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compile, type Found, matchStart, TooManySteps } from '../../src/lib/regex/program.ts';
import { readPython } from '../../src/lib/regex/python.ts';
import { rng } from '../../src/lib/rng.ts';

interface Figures {
  readonly names: readonly string[];
  /** Expression; of some names: which, whether it matches as a whole, and the spans of the match at its start. */
  readonly rows: readonly (readonly [
    string,
    readonly (readonly [number, number, readonly (readonly number[])[] | null])[],
  ])[];
  readonly edges: readonly (readonly [string, number])[];
}

const figures = JSON.parse(readFileSync('test/fixtures/regex/python.json', 'utf8')) as Figures;
const programOf = (pattern: string) => compile(readPython(pattern));

/** Pairs of positions, in characters as Python counts them. */
const spans = (found: Found | null) =>
  found && Array.from({ length: found.length / 2 }, (_, g) => [found[2 * g], found[2 * g + 1]]);

describe('Python’s expressions', () => {
  it('match as Python says, with the same groups', () => {
    const wrong: unknown[] = [];
    for (const [pattern, answers] of figures.rows) {
      const program = programOf(pattern);
      for (const [k, whole, expected] of answers) {
        const name = figures.names[k]!;
        const isWhole = matchStart(program, name, { left: 1e5 }, true) !== null;
        const found = spans(matchStart(program, name, { left: 1e5 }));
        if (isWhole !== (whole === 1) || JSON.stringify(found) !== JSON.stringify(expected))
          wrong.push([pattern, name, { isWhole, whole }, found, expected]);
      }
    }
    expect(wrong).toEqual([]);
  });

  it.each(figures.edges)('%j is read: %i', (pattern, isRead) => {
    if (isRead) programOf(pattern);
    else expect(() => programOf(pattern)).toThrow(SyntaxError);
  });
});

/** Layers' names, some of them long. */
const NAMES = [
  'model.layers.11.self_attn.q_proj',
  'transformer.h.0.attn.c_attn',
  `encoder.${'block.'.repeat(40)}mlp.fc2`,
  `x${'_ab'.repeat(300)}`,
];

describe('JavaScript’s engine', () => {
  const draw = rng(77);
  const PARTS = [
    'a',
    '\\.',
    '.',
    '\\w',
    '\\d',
    '[a-m]',
    '[^.]',
    '_',
    'layers',
    'proj',
    'attn',
    'h',
    '(?!x)',
    '(?=\\w)',
    '\\b',
  ];
  const expression = (depth: number): string =>
    Array.from({ length: 1 + draw.int(4) }, () => {
      const inner = depth > 0 && draw.uniform() < 0.4;
      const part = inner ? `(?:${expression(depth - 1)}|${expression(depth - 1)})` : draw.pick(PARTS);
      return /^\(\?[!=]|\\b/.test(part)
        ? part
        : part + draw.pick(['', '', '*', '+', '?', '{1,2}', '+?', '*?']);
    }).join('');

  it('finds the same in layers’ names', () => {
    let tried = 0;
    for (let k = 0; k < 3000; k++) {
      const pattern = expression(2);
      // The engine it is compared with has no bound.
      if ((pattern.match(/[*+]|\{/g)?.length ?? 0) > 3) continue;
      const program = programOf(pattern);
      const native = new RegExp(`^(?:${pattern})$`, 'u');
      for (const name of NAMES.slice(0, 2)) {
        const found = matchStart(program, name, { left: 1e6 }, true);
        expect([pattern, name, found !== null]).toEqual([pattern, name, native.test(name)]);
        tried++;
      }
    }
    expect(tried).toBeGreaterThan(2000);
  });
});

describe('a bound on steps', () => {
  /** Each takes a backtracking engine without memory longer than anyone waits. */
  const HOSTILE = [
    '(\\w+\\.?)+!',
    '(?:.|\\w)*!',
    '(.*)*!',
    '(.*.*)*!',
    '(?:(?:a|_)+b?)+!',
    '((x|_|a|b)*)*!',
    '(\\w|_|[a-z])+$!',
    '(?:\\w*)*\\.!',
    '.*.*.*.*.*.*!',
    '(?:\\w{1,30}_?){1,40}!',
    '(?=(?:\\w+_?)+!).*',
    '(?!(?:(?:\\w+_?)*)*!)y',
    '(?:(?:.+?)+?)+?!',
    '(?:a?_?b?x?){200}!',
    '(?i)(?:[A-Z]+_*)+!',
  ];

  it.each(HOSTILE)('%s ends at once', (pattern) => {
    const program = programOf(pattern);
    for (const name of NAMES) {
      const steps = { left: 5e6 };
      expect(matchStart(program, name, steps, true)).toBeNull();
    }
  });

  it.each(['(\\w+)*?\\1!', '((\\w)(\\w+))*\\2\\1!', '(?:(\\w)(?(1)\\w*|a))*!'])(
    '%s, whose failures cannot be remembered, is given up',
    (pattern) => {
      const started = performance.now();
      expect(() => matchStart(programOf(pattern), NAMES[3]!, { left: 1e6 }, true)).toThrow(TooManySteps);
      expect(performance.now() - started).toBeLessThan(2000);
    },
  );

  it.each([
    ['(?:(?:a{1,500}){1,500}){1,500}', /written out/],
    ['(){4000000000}a{30000}', /written out/],
    [`${'('.repeat(300)}a${')'.repeat(300)}`, /nested/],
    [`a${'|b'.repeat(10_001)}`, /characters/],
    ['a{4294967295}', /too large/],
  ])('%.40s is not read', (pattern, reason) => {
    expect(() => programOf(pattern)).toThrow(reason);
  });

  it('writes nothing out for parts that take nothing', () => {
    expect(programOf('(?:){4000000000}(?:){1,4000000000}').code).toHaveLength(1);
  });
});
