/**
 * The shape of files and functions: rule 6 of docs/architecture.md, read off the sources.
 * Seen to fail with: a function of 81 lines, a sixth exception, a file of 700 lines, and a file of ten lines beside its only importer.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { parseSync, Visitor } from 'vite';
import { describe, expect, it } from 'vitest';

const MOST_LINES_OF_A_FUNCTION = 80;
const MOST_EXCEPTIONS = 5;
const MOST_LINES_OF_A_FILE = 600;
const FEW_LINES = 40;

/** Small files that stand alone for their kind: cases and checks, cards, graphs of methods, workers. */
const STANDS_ALONE = /(\.check|\/(cases|card|graph|worker|checks))\.tsx?$/;

const read = (folder: string): Map<string, string> =>
  new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((path) => join(folder, path).replaceAll('\\', '/'))
      .filter((path) => /\.(tsx?|mjs)$/.test(path) && !/\.d\.[mc]?ts$/.test(path))
      .sort()
      .map((path) => [path, readFileSync(path, 'utf8')]),
  );
const sources = read('src');
const tools = read('tools');

const linesOf = (text: string): number => text.split('\n').length - 1;

interface Long {
  readonly at: string;
  readonly lines: number;
  /** Whether the comment before it says why it is long. */
  readonly isExplained: boolean;
}

function longFunctions(path: string, text: string): Long[] {
  const { program, errors } = parseSync(path, text);
  expect(errors, path).toEqual([]);
  const found: Long[] = [];
  const look = ({ start, end }: { readonly start: number; readonly end: number }) => {
    const lines = linesOf(text.slice(start, end)) + 1;
    if (lines <= MOST_LINES_OF_A_FUNCTION) return;
    const before = text.slice(0, start);
    const doc =
      /\/\*\*(?:(?!\*\/)[\s\S])*\*\/\s*(?:export\s+|default\s+|async\s+|const\s+\w+[^=\n]*=\s*)*$/.exec(
        before,
      );
    found.push({
      at: `${path}:${linesOf(before) + 1}`,
      lines,
      isExplained: /Long because/.test(doc?.[0] ?? ''),
    });
  };
  new Visitor({
    FunctionDeclaration: look,
    FunctionExpression: look,
    ArrowFunctionExpression: look,
  }).visit(program);
  return found;
}

/** Files of the project that import each file. */
function importers(files: ReadonlyMap<string, string>): Map<string, Set<string>> {
  const out = new Map<string, Set<string>>();
  for (const [path, text] of files) {
    const { module } = parseSync(path, text);
    const named = [
      ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
      ...module.staticExports.flatMap(({ entries }) =>
        entries.flatMap(({ moduleRequest }) => (moduleRequest ? [moduleRequest.value] : [])),
      ),
      ...module.dynamicImports.flatMap(({ moduleRequest }) => {
        const literal = /^['"]([^'"]+)['"]$/.exec(text.slice(moduleRequest.start, moduleRequest.end));
        return literal ? [literal[1]!] : [];
      }),
    ];
    for (const specifier of named) {
      if (!specifier.startsWith('.')) continue;
      const to = normalize(join(dirname(path), specifier.split('?')[0]!));
      out.set(to, (out.get(to) ?? new Set()).add(path));
    }
  }
  return out;
}

describe('functions', () => {
  const long = [...sources, ...tools].flatMap(([path, text]) => longFunctions(path, text));

  it(`have at most ${MOST_LINES_OF_A_FUNCTION} lines, or say why not`, () => {
    expect(long.filter(({ isExplained }) => !isExplained)).toEqual([]);
  });

  it(`are longer in at most ${MOST_EXCEPTIONS} cases`, () => {
    expect(long.length).toBeLessThanOrEqual(MOST_EXCEPTIONS);
  });

  it('are found at any length', () => {
    const body = (lines: number) => `const a = () => {\n${'  b();\n'.repeat(lines - 2)}};\n`;
    expect(longFunctions('a.ts', body(80))).toEqual([]);
    expect(longFunctions('a.ts', body(81))).toEqual([{ at: 'a.ts:1', lines: 81, isExplained: false }]);
    const explained = `/** Does it. Long because it is a table. */\nexport const a = (): void => {\n${'  b();\n'.repeat(90)}};\n`;
    expect(longFunctions('a.ts', explained)).toEqual([{ at: 'a.ts:2', lines: 92, isExplained: true }]);
  });
});

describe('files', () => {
  it(`have at most ${MOST_LINES_OF_A_FILE} lines`, () => {
    const long = [...sources, ...tools].filter(([, text]) => linesOf(text) > MOST_LINES_OF_A_FILE);
    expect(long.map(([path, text]) => `${path}: ${linesOf(text)}`)).toEqual([]);
  });

  it(`of fewer than ${FEW_LINES} lines have importers elsewhere than beside them, or several`, () => {
    const all = new Map([...sources, ...tools]);
    const by = importers(new Map([...all, ...read('test')]));
    const tiny = [...all].filter(([path, text]) => {
      const [only, ...others] = by.get(path) ?? [];
      const isBeside = only !== undefined && others.length === 0 && dirname(only) === dirname(path);
      return (
        linesOf(text) < FEW_LINES &&
        isBeside &&
        !STANDS_ALONE.test(`/${basename(path)}`) &&
        !STANDS_ALONE.test(path)
      );
    });
    expect(tiny.map(([path, text]) => `${path}: ${linesOf(text)}`)).toEqual([]);
  });
});
