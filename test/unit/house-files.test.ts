/** What every file of the repository keeps to: a head comment, no loose ends, and no word of the machine it was written on. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ignored = new Set(['node_modules', '.git', ...ignoredFolders()]);

/** The folders that .gitignore names: what builds and runs leave behind. */
function ignoredFolders(): string[] {
  return readFileSync('.gitignore', 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('/'))
    .map((line) => line.replaceAll('/', ''));
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (ignored.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path.replaceAll('\\', '/')];
  });
}

/** Text files: no zero byte near the start. */
const texts = new Map(
  filesBelow('.')
    .filter((path) => statSync(path).size < 4_000_000)
    .map((path) => [path, readFileSync(path)] as const)
    .filter(([, bytes]) => !bytes.subarray(0, 8192).includes(0))
    .map(([path, bytes]) => [path, bytes.toString('utf8')] as const),
);

const isCode = (path: string) => /^(src|test|tools|shaders)\/.*\.(tsx?|mjs|wgsl|css)$/.test(path);

describe('source files', () => {
  it('begin with a comment that says what they are', () => {
    const silent = [...texts].filter(
      ([path, text]) =>
        isCode(path) && !path.startsWith('test/') && !/^(#![^\n]*\n)?\s*(\/\*|\/\/)/.test(text),
    );
    expect(silent.map(([path]) => path)).toEqual([]);
  });

  it('hold no loose ends', () => {
    const words = new RegExp(
      `\\b(${['TO', 'FIX', 'XX'].map((w, i) => w + ['DO', 'ME', 'X'][i]).join('|')})\\b`,
    );
    const loose = [...texts].filter(([path, text]) => isCode(path) && words.test(text));
    expect(loose.map(([path]) => path)).toEqual([]);
  });
});

describe('the repository', () => {
  // Spelt in two parts, so that this file does not mention them itself.
  const words = [
    ['..', '/shared'],
    ['/wo', 'rk/'],
    ['/ro', 'ot/'],
    ['/ho', 'me/'],
    ['/Use', 'rs/'],
  ].map((parts) => parts.join(''));

  it('mentions no path of a machine', () => {
    const found = [...texts].flatMap(([path, text]) =>
      text
        .split('\n')
        .flatMap((line, i) =>
          words.filter((word) => line.includes(word)).map((word) => `${path}:${i + 1}: ${word}`),
        ),
    );
    expect(found).toEqual([]);
  });

  it('names no source file in its docs that there is not', () => {
    const paths = [...texts.keys()].map((path) => `/${path}`);
    const docs = [...texts].filter(([path]) => path.endsWith('.md') && !path.startsWith('test/'));
    const named = docs.flatMap(([path, text]) =>
      [...text.matchAll(/`([\w./-]+\.(?:tsx?|mjs|wgsl|css))`/g)].map(([, name]) => ({ path, name: name! })),
    );
    expect(named.length).toBeGreaterThan(100);
    const gone = named.filter(({ name }) => !paths.some((path) => path.endsWith(`/${name}`)));
    expect(gone).toEqual([]);
  });

  it('holds no marks of a merge', () => {
    const marks = ['<'.repeat(7), '>'.repeat(7)];
    const left = [...texts].filter(([, text]) =>
      text.split('\n').some((line) => marks.some((mark) => line.startsWith(`${mark} `))),
    );
    expect(left.map(([path]) => path)).toEqual([]);
  });

  it('installs from the public registry alone', () => {
    const hosts = new Set(
      [...texts.get('package-lock.json')!.matchAll(/"resolved": "https?:\/\/([^/"]+)/g)].map((m) => m[1]),
    );
    hosts.delete('registry.npmjs.org');
    expect([...hosts]).toEqual([]);
  });
});

describe('tests in a browser', () => {
  it('all act on the stage, which fails on a violation of the policy and on a request that nobody asked for', () => {
    const files = [...texts].filter(([path]) => path.startsWith('test/e2e/'));
    const tests = files.filter(([path]) => path.endsWith('.test.ts'));
    expect(tests.length).toBeGreaterThan(5);
    expect(tests.filter(([, text]) => !/\bsetStage\(/.test(text)).map(([path]) => path)).toEqual([]);
    const others = files.filter(
      ([path, text]) => path !== 'test/e2e/stage.ts' && /openBrowser|puppeteer\.launch/.test(text),
    );
    expect(others.map(([path]) => path)).toEqual([]);
  });
});
