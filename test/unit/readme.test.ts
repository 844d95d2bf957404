/**
 * The texts that a reader begins with: the Chinese README is the English one, links lead somewhere, tables have all commands, and numbers
 * that stand in docs/ are the program's own. That commands can be typed as they stand is held by cli-options.test.ts.
 * Seen to fail with: a paragraph in one README alone, a link to a heading that was renamed, a button by another name than
 * the page's, a command left out of a table, another bound than the text's, an example changed in one place.
 */
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commands as products } from '../../src/cli/commands.ts';
import { BOUNDS } from '../../src/lib/budget.ts';
import { tools } from '../../tools/commands.ts';
import {
  anchorOf,
  blocksOf,
  codeOf,
  headingsOf,
  linksOf,
  READMES,
  TEXTS,
  textOf,
  typedIn,
  withoutCode,
} from '../tools/markdown.ts';

const commands = { ...products, ...tools };
describe('the Chinese README', () => {
  const [english, chinese] = READMES.map(textOf) as [string, string];

  it('has the headings, code and links of the English one, in its order', () => {
    const levels = (text: string): string[] => headingsOf(text).map((heading) => /^#+/.exec(heading)![0]);
    expect(levels(english).length).toBeGreaterThan(8);
    expect(levels(chinese)).toEqual(levels(english));
    expect(codeOf(chinese)).toEqual(codeOf(english));
    const [to, back] = [linksOf(english), linksOf(chinese)];
    expect([to[0], back[0]]).toEqual(['README.zh-Hans.md', 'README.md']);
    expect(back.slice(1).map(anchorless)).toEqual(to.slice(1).map(anchorless));
  });

  it('says block by block what the English one says: its kind, its code, its numbers and its terms', () => {
    const [from, to] = [blocksOf(english), blocksOf(chinese)];
    expect(to.length).toBe(from.length);
    const terms = Object.entries(
      JSON.parse(textOf('src/languages/terms/zh-Hans.json')) as Record<string, string | string[]>,
    );
    const kind = (block: string): string => /^(#+|\||-|\d+\.)?/.exec(block)![0];
    const code = (block: string): string[] => (block.match(/`[^`]+`/g) ?? []).sort();
    const numbers = (block: string): string[] => (block.match(/\d+(\.\d+)*/g) ?? []).sort();
    from.forEach((block, i) => {
      const other = to[i]!;
      expect([kind(other), code(other), numbers(other)], block).toEqual([
        kind(block),
        code(block),
        numbers(block),
      ]);
      for (const [term, words] of terms)
        if (new RegExp(`(?<![\\w-])${term}(s|es)?(?![\\w-])`, 'i').test(withoutCode(block)))
          expect(
            [words].flat().some((word) => other.includes(word)),
            `${term}: ${other}`,
          ).toBe(true);
    });
  });

  it('calls the controls of the page what the page calls them, in either language', () => {
    const table = JSON.parse(textOf('src/languages/zh-Hans.json')) as Record<string, string>;
    const named = (text: string): string[] => [...text.matchAll(/\*\*(.+?)\*\*/g)].map(([, name]) => name!);
    /** A sentence of the page, or one with a word of the page in it. */
    const spoken = (name: string): string | undefined => {
      const [first = '', ...rest] = name.split(' ');
      const word = table[rest.join(' ')];
      return table[name] ?? (word && table[`${first} {0}`]?.replace('{0}', word));
    };
    expect(named(english).length).toBeGreaterThan(10);
    expect(named(chinese)).toEqual(named(english).map(spoken));
  });

  it('is written in Chinese, with its own punctuation and a space beside Latin words', () => {
    const prose = withoutCode(chinese).replace(/\]\([^)]*\)/g, ']');
    expect(prose.match(/[\u4e00-\u9fff][,;:!?]|[\u4e00-\u9fff]\.(?=\s|$)/g)).toBeNull();
    expect(prose.match(/[\u4e00-\u9fff][A-Za-z0-9]|[A-Za-z0-9][\u4e00-\u9fff]/g)).toBeNull();
    expect(prose.match(/[\u4e00-\u9fff]/g)!.length).toBeGreaterThan(800);
  });
});

/** Headings have other names in another language. */
const anchorless = (target: string): string => target.replace(/#.*/, '');

it('a stranger reads the README in a few minutes', () => {
  const words = blocksOf(textOf('README.md')).join(' ').split(/\s+/).length;
  expect(words).toBeLessThan(850);
});

it('every link leads to a file, and to a heading of it', () => {
  const missing = TEXTS.flatMap((file) =>
    linksOf(textOf(file))
      .filter((target) => !/^https?:/.test(target))
      .filter((target) => {
        const [path = '', anchor] = target.split('#');
        const to = path === '' ? file : normalize(join(dirname(file), path));
        if (!existsSync(to)) return true;
        return anchor !== undefined && !headingsOf(textOf(to)).map(anchorOf).includes(anchor);
      })
      .map((target) => `${file}: ${target}`),
  );
  expect(missing).toEqual([]);
});

describe('every command', () => {
  it('is in a table, once: those of a user in the README, all of them in docs/', () => {
    const listed = (file: string): string[] => [
      ...new Set(
        blocksOf(textOf(file)).flatMap((block) => /^\| `([a-z]+)` \|/.exec(block)?.slice(1, 2) ?? []),
      ),
    ];
    expect(listed('README.md').sort()).toEqual(Object.keys(products).sort());
    expect(listed('docs/command-line.md').sort()).toEqual(Object.keys(commands).sort());
  });

  it('is what a clean machine runs', () => {
    const readme = typedIn(textOf('README.md'));
    expect(readme).toEqual(expect.arrayContaining(['npm ci', 'npm start', 'npm test']));
    expect(textOf('.ci/run')).toMatch(/^npm ci\nnpm test$/m);
  });
});

it('the examples stand in the texts as they are', () => {
  const examples = [
    ['finetune.mjs', 'README.md', 15],
    ['finetune.html', 'docs/library.md', 25],
  ] as const;
  for (const [name, file, most] of examples) {
    const example = textOf(join('examples', name)).trim();
    expect(textOf(file)).toContain(example);
    expect(example.split('\n').length).toBeLessThanOrEqual(most);
  }
});

it('the limits of docs/data.md are those that are counted', () => {
  const rows = blocksOf(textOf('docs/data.md'));
  const said = (what: string): string => rows.find((row) => row.startsWith(`| ${what} |`)) ?? '';
  const whole = (n: number): string => n.toLocaleString('en-GB');
  const { tableRows, columns, textBytes, picturePixels, jpegPixels, unpackedBytes } = BOUNDS;
  const mega = (n: number): string => String(Number((n / 1e6).toPrecision(2)));
  expect(said('rows of a table')).toContain(
    `${whole(tableRows.most)}, or one for each ${1 / tableRows.perByte} bytes; never more than ${whole(tableRows.never)}`,
  );
  expect(said('columns')).toContain(whole(columns.most));
  expect(said('text in one file')).toContain(`${textBytes.most / 2 ** 20} MiB`);
  expect(said('a picture')).toContain(
    `${mega(picturePixels.most)} megapixels, or ${picturePixels.perByte} for each byte of its file; never more than ${picturePixels.never / 2 ** 20} megapixels`,
  );
  expect(said('a JPEG outside the browser')).toContain(
    `${mega(jpegPixels.most)} megapixels, or ${jpegPixels.perByte} pixels for each byte; never more than ${jpegPixels.never / 2 ** 20} megapixels`,
  );
  expect(said('a zip, a gzip or a Parquet file')).toContain(
    `unpacks to ${unpackedBytes.most / 2 ** 20} MiB, or ${unpackedBytes.perByte} times its size; never to more than ${unpackedBytes.never / 2 ** 30} GiB`,
  );
});
