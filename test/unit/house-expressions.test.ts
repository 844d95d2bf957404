/**
 * Expressions of the sources that may take time beyond the length of a text: none, or the reason why not there. What strangers write goes through
 * them. Seen to fail with: `\d*\d+$`, which a cell of a million digits made a hang.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { analyse } from 'scslre';
import { parseSync, Visitor } from 'vite';
import { describe, expect, it } from 'vitest';

/** What can be read in two ways and yet never is read twice. */
const HARMLESS: Readonly<Record<string, string>> = {
  '/^((?:__label__\\S+[\\s,]+)+)(.*)$/s': 'what comes after always matches, so that nothing is tried again',
  '/^([^@/]+(?:\\/[^@/]+)?)(.*)$/s': 'what comes after always matches, so that nothing is tried again',
};

function expressionsOf(path: string): string[] {
  const { program, errors } = parseSync(path, readFileSync(path, 'utf8'));
  expect(errors, path).toEqual([]);
  const found: string[] = [];
  new Visitor({
    Literal(node) {
      if ('regex' in node) found.push(`/${node.regex.pattern}/${node.regex.flags}`);
    },
  }).visit(program);
  return found;
}

const isSlow = (expression: string): boolean => {
  const end = expression.lastIndexOf('/');
  const source = expression.slice(1, end);
  return analyse({ source, flags: expression.slice(end + 1).replace('v', 'u') }).reports.length > 0;
};

describe('expressions', () => {
  it('take time in proportion to the text', () => {
    const paths = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(tsx?|mjs)$/.test(path))
      .map((path) => `src/${path}`);
    const all = new Set(paths.flatMap(expressionsOf));
    expect(all.size).toBeGreaterThan(400);
    expect([...all].filter(isSlow).sort()).toEqual(Object.keys(HARMLESS).sort());
  });

  it.each([
    ['/\\d*\\d+$/', true],
    ['/^(a+)+$/', true],
    ['/\\s+$/', true],
    ['/^\\d+(\\.\\d*)?$/', false],
  ])('%s would be seen', (expression, slow) => expect(isSlow(expression)).toBe(slow));
});
