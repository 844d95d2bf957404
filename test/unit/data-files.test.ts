// Text and tables → datasets: how they are split, broken bytes, and the sentence for each way a file can be wrong.

import { gzipSync, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { readText } from '../../src/data/files/bytes.ts';
import { type OpenOptions, openDataset } from '../../src/data/files/open.ts';
import { stratifiedSplit } from '../../src/data/rows.ts';
import type { TextClassDataset, TextDataset } from '../../src/data/types.ts';
import type { InputFile } from '../../src/lib/bytes.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { rng } from '../../src/lib/rng.ts';
import { asClasses, asPictures, asText, file, idx, png, tokenizer, utf8 } from './data-support.ts';

describe('tables', () => {
  const rows = Array.from({ length: 20 }, (_, i) => `"text, number ${i}",${i % 2 === 0 ? 'good' : 'bad'}`);

  it('are split per class, by seed, without an example in both', async () => {
    const set = (await openDataset(
      [file('r.csv', ['Text,Label', ...rows, ''].join('\r\n'))],
      asClasses,
    )) as TextClassDataset;
    expect(set.labels).toEqual(['bad', 'good']);
    expect([set.train.count, set.held.count]).toEqual([16, 4]);
    const texts = (split: TextClassDataset['train']) =>
      Array.from({ length: split.count }, (_, i) => tokenizer.decode(split.ids(i)));
    expect(new Set([...texts(set.train), ...texts(set.held)]).size).toBe(20);
    texts(set.held).forEach((text, i) => {
      expect(set.held.label(i)).toBe(Number(/\d+/.exec(text)![0]) % 2 === 0 ? 1 : 0);
    });
  });

  it('keep the order of the model where it knows all labels, and sort numbers as numbers', async () => {
    const open = async (labels: readonly string[], known?: string[]) => {
      const lines = labels.flatMap((label) =>
        [1, 2].map((k) => JSON.stringify({ sentence: `t${k}`, class: label })),
      );
      const set = await openDataset([file('r.jsonl', lines.join('\n'))], {
        ...asClasses,
        ...(known ? { labels: known } : {}),
      });
      return (set as TextClassDataset).labels;
    };
    expect(await open(['10', '9'])).toEqual(['9', '10']);
    expect(await open(['b', 'a'], ['c', 'b', 'a'])).toEqual(['c', 'b', 'a']);
    expect(await open(['b', 'x'], ['c', 'b', 'a'])).toEqual(['b', 'x']);
  });

  it('may be divided by semicolons or tabs, whatever the texts contain', async () => {
    for (const mark of [';', '\t']) {
      const lines = [`text${mark}label`, ...[1, 2, 3, 4].map((i) => `a, b, c, ${i}${mark}${i % 2}`)];
      const set = (await openDataset([file('r.tsv', lines.join('\n'))], asClasses)) as TextClassDataset;
      expect(tokenizer.decode(set.train.ids(0))).toMatch(/^a, b, c, \d$/);
    }
  });

  it.each([
    ['a.csv', 'text,label\nx,1\ny,\nz,2\nw,\n', /no label in rows 3, 5;/],
    ['a.csv', 'text,label\nx,1\n,2\n', /no text in row 3;/],
    ['a.csv', 'text,label\nx,1\none, two,2\n', /another number of cells in row 3;/],
    ['a.csv', 'text,label\n', /no rows/],
    ['a.csv', 'text,score\nx,1\n', /no labels: no column "label"; it has "text", "score"/],
    ['a.csv', 'thing,label\nx,1\n', /no column "text"/],
    ['a.csv', 'text,text\nx,1\n', /no labels: no column "label"; it has "text", "text\.1"/],
    ['a.csv', 'text,label\nx,1\ny,1\n', /only one class \("1"\)/],
    ['a.csv', 'text,label\nx,1\ny,2\n', /one example per class/],
    ['a.jsonl', '{"text":"x","label":1}\n{"text":"y"', /not JSON in row 2/],
    ['a.jsonl', '{"text":"x","label":1}\n[1]\n', /no object in row 2/],
    ['a.jsonl', '{"text":"x"}\n', /no labels/],
    ['a.jsonl', '{"text":5,"label":1}\n', /no text in row 1/],
    ['a.csv', '', /is empty/],
    ['a.txt', 'x', /The data are texts \(a\.txt\), and the model reads texts with labels: a table/],
  ])('%s %j is refused with its row', async (path, content, sentence) => {
    await expect(openDataset([file(path, content)], asClasses)).rejects.toThrow(sentence);
    await expect(openDataset([file(path, content)], asClasses)).rejects.toMatchObject({ kind: 'bad-data' });
  });
});

describe('text', () => {
  it('holds its last tenth', async () => {
    const text = 'some words, and more words. '.repeat(100);
    const set = (await openDataset([file('a.txt', text)], asText)) as TextDataset;
    expect(set.heldShare).toBe(0.1);
    expect(set.held.tokens.length / (set.train.tokens.length + set.held.tokens.length)).toBeCloseTo(0.1, 2);
    expect(tokenizer.decode([...set.train.tokens, ...set.held.tokens])).toBe(text);
  });

  it('comes from rows as well, each ended by the end token, the last rows held', async () => {
    const lines = Array.from({ length: 20 }, (_, i) => JSON.stringify({ text: `document ${i}` })).join('\n');
    const set = (await openDataset([file('a.jsonl', lines)], asText)) as TextDataset;
    expect(set.held.tokens.filter((id) => id === tokenizer.eos).length).toBe(2);
    expect(tokenizer.decode(set.held.tokens)).toBe('document 18document 19');
  });

  it('is UTF-8, or UTF-16 with its mark', () => {
    const utf16 = Uint8Array.from([0xff, 0xfe, 0x68, 0, 0xe9, 0]);
    expect(readText(utf16, 'x')).toBe('hé');
    expect(readText(utf8('\ufeffhé'), 'x')).toBe('hé');
  });

  it.each([
    ['a.txt', Uint8Array.from([0x68, 0xe9, 0x20]), /not UTF-8 text/],
    ['a.txt', Uint8Array.from([1, 0, 2]), /some of its bytes are 0/],
    ['a.txt', utf8(' \n'), /white space/],
    ['a.txt', new Uint8Array(), /is empty/],
    ['a.txt', utf8('short'), /has only \d+ tokens/],
    ['a.pdf', utf8('x'), /are files of the kind \.pdf \(a\.pdf\), and the model reads text: \.txt/],
    ['a.zip', utf8('no zip'), /cannot be unpacked/],
    ['.DS_Store', utf8('x'), /no files/],
  ])('%s is refused (%#)', async (path, bytes, sentence) => {
    await expect(openDataset([{ name: path, bytes }], asText)).rejects.toThrow(sentence);
  });

  it('needs the tokenizer of the model', async () => {
    await expect(openDataset([file('a.txt', 'x')], { task: 'text' })).rejects.toThrow(/tokenizer\.json/);
  });
});

describe('broken bytes', () => {
  it('end in a sentence or in data, never in another error', async () => {
    const r = rng(11);
    const rows = Array.from({ length: 8 }, (_, y) => Array.from({ length: 24 }, (_, x) => (x * y) & 255));
    const picture = png(8, 8, { colour: 2, rows, filters: [0, 1, 2, 3, 4, 4, 3, 2] });
    const zip = zipSync({ 'a/1.png': picture, 'a/2.png': picture, 'b/1.png': picture, 'b/2.png': picture });
    const labels = file('train-labels-idx1-ubyte', idx([6], [3, 7, 3, 7, 3, 7]));
    const images = gzipSync(
      idx(
        [6, 3, 3],
        Array.from({ length: 54 }, (_, i) => i),
      ),
    );
    const table = utf8('text,label\n"a, b",1\nc,2\n"d ""e""",1\nf,2\n');
    const kinds: readonly (readonly [string, Uint8Array, OpenOptions, readonly InputFile[]])[] = [
      ['p.zip', zip, asPictures, []],
      ['train-images-idx3-ubyte.gz', images, asPictures, [labels]],
      ['t.csv', table, asClasses, []],
    ];
    let refused = 0;
    for (let k = 0; k < 1500; k++) {
      const [path, source, options, beside] = r.pick(kinds);
      const bytes = source.slice(0, r.chance(0.3) ? r.int(source.length) : source.length);
      for (let m = r.int(4); m >= 0 && bytes.length > 0; m--) bytes[r.int(bytes.length)] = r.int(256);
      try {
        await openDataset([{ name: path, bytes }, ...beside], options);
      } catch (error) {
        expect(error).toBeInstanceOf(PapilioError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(300);
  });
});

describe('split', () => {
  it('leaves every class in both parts and changes with the seed', () => {
    const labels = Array.from({ length: 100 }, (_, i) => i % 3);
    const a = stratifiedSplit(labels, 1);
    expect([a.train.length, a.held.length]).toEqual([85, 15]);
    expect(new Set([...a.train, ...a.held]).size).toBe(100);
    expect([...a.held].filter((i) => labels[i] === 2).length).toBe(5);
    expect(stratifiedSplit(labels, 1)).toEqual(a);
    expect(stratifiedSplit(labels, 2)).not.toEqual(a);
  });
});
