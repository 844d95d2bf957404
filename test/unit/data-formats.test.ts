/**
 * Formats, encodings and splits: JSON in its shapes, Parquet in its codecs, text that is no UTF-8, files that say which split they are.
 *
 * Seen to fail with: Latin-1 read in silence, class names of Parquet that are ignored, columns of different lengths, a Parquet file whose columns
 * are not its schema's, the test split measured on beside the validation split.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readText } from '../../src/data/files/bytes.ts';
import { openDataset } from '../../src/data/files/open.ts';
import { preprocessingOf } from '../../src/data/preprocessing.ts';
import type {
  TextClassDataset,
  TextDataset,
  TextValueDataset,
  TokenClassDataset,
} from '../../src/data/types.ts';
import type { InputFile } from '../../src/lib/bytes.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { rng } from '../../src/lib/rng.ts';
import {
  asClasses,
  asPictures,
  asText,
  file,
  GIF,
  grey,
  lines,
  opened,
  rows,
  tokenizer,
  utf8,
} from './data-support.ts';

const fixture = (name: string): InputFile => ({
  name: name,
  bytes: new Uint8Array(readFileSync(new URL(`../fixtures/data/${name}`, import.meta.url))),
});

describe('JSON', () => {
  it.each<[string, unknown]>([
    ['a list of objects', rows(10)],
    ['an object of lists', { text: rows(10).map((r) => r.text), label: rows(10).map((r) => r.label) }],
    [
      "pandas' columns",
      {
        text: Object.fromEntries(rows(10).map((r, i) => [i, r.text])),
        label: Object.fromEntries(rows(10).map((r, i) => [i, r.label])),
      },
    ],
    ['a list under a name', { data: rows(10) }],
  ])('may be %s', async (_kind, value) => {
    const { set } = await opened<TextClassDataset>([file('a.json', JSON.stringify(value))], asClasses);
    expect(set.train.count + set.held.count).toBe(10);
    expect(set.labels).toEqual(['class 0', 'class 1']);
  });

  it('may hold its own splits', async () => {
    const value = { train: rows(10), validation: rows(6) };
    const { set } = await opened<TextClassDataset>([file('a.json', JSON.stringify(value))], asClasses);
    expect([set.train.count, set.held.count]).toEqual([10, 6]);
  });

  it('may be JSONL by another name, which is said', async () => {
    const { notes } = await opened([file('a.json', lines(10).join('\n'))], asClasses);
    expect(notes).toContain('a.json has one JSON object per line and was read as JSONL.');
  });

  it.each([
    ['{"text": ["a", "b", "c"], "label": [0, 1]}', /different lengths \("text" 3, "label" 2\), so row 3 on/],
    ['{"version": 1, "rows": []}', /is an object \(version, rows\) but no table/],
    ['[1, 2]', /holds no object in rows 1, 2/],
    ['{"text": ', /is not JSON \(/],
    ['[]', /has a header but no rows/],
  ])('%s is refused', async (text, sentence) => {
    await expect(openDataset([file('a.json', text)], asClasses)).rejects.toThrow(sentence);
  });
});

describe('Parquet', () => {
  it('gives rows with the class names of its footer, whatever the codec', async () => {
    const { set } = await opened<TextClassDataset>([fixture('reviews-zstd.parquet')], asClasses);
    expect(set.labels).toEqual(['negative', 'positive']);
    expect(set.train.count + set.held.count).toBe(48);
    const values = await opened<TextValueDataset>([fixture('numbers-lz4.parquet')], {
      ...asClasses,
      task: 'text-value',
    });
    expect(new Set([0, 1, 2].map((i) => values.set.train.value(i)))).toEqual(new Set([0.5, 4.5]));
    expect(values.notes).toContain('The numbers lie between 0.5 and 4.5.');
    const tags = await opened<TokenClassDataset>([fixture('tags-snappy.parquet')], {
      ...asClasses,
      task: 'token-class',
    });
    expect(tags.set.labels).toEqual(['LOC', 'O', 'PER']);
  });

  it('with a class number that it has no name for says the row', async () => {
    const bytes = fixture('reviews-zstd.parquet').bytes.slice();
    const name = Buffer.from(bytes).indexOf('"negative", "positive"');
    // One name and a space of the same length: label 1 is then outside.
    bytes.set(utf8('"negative"            '), name);
    await expect(openDataset([{ name: 'r.parquet', bytes }], asClasses)).rejects.toThrow(
      /r\.parquet has a label outside the 1 classes that it names \(0 … 0\) in rows 2, 4, 6/,
    );
  });

  it('that is none, cut short or in an unknown codec is refused', async () => {
    const { bytes } = fixture('reviews-zstd.parquet');
    const open = (b: Uint8Array) => openDataset([{ name: 'r.parquet', bytes: b }], asClasses);
    await expect(open(utf8('hello, this is no parquet'))).rejects.toThrow(/no readable Parquet file/);
    await expect(open(bytes.subarray(0, 200))).rejects.toThrow(/no readable Parquet file/);
    await expect(open(new Uint8Array())).rejects.toThrow(/is empty/);
    const broken = bytes.slice();
    broken.fill(7, 30, 60);
    await expect(open(broken)).rejects.toThrow(/r\.parquet \(codec ZSTD\) cannot be read/);
  });

  it('with nested columns where a text is needed says so', async () => {
    const opening = openDataset([fixture('chat-gzip.parquet')], {
      ...asText,
      task: 'masked-text',
      mapping: { text: 'messages' },
    });
    await expect(opening).rejects.toThrow(/has no text in rows 1, 2/);
  });

  it('of broken bytes ends in a sentence', async () => {
    const r = rng(4);
    let refused = 0;
    for (let k = 0; k < 300; k++) {
      const name = r.pick(['reviews-zstd.parquet', 'tags-snappy.parquet', 'chat-gzip.parquet']);
      const bytes = fixture(name).bytes.slice();
      for (let m = r.int(4); m >= 0; m--) bytes[r.int(bytes.length)] = r.int(256);
      try {
        await openDataset(
          [{ name: name, bytes }],
          name.startsWith('tags')
            ? { ...asClasses, task: 'token-class' }
            : name.startsWith('chat')
              ? asText
              : asClasses,
        );
      } catch (error) {
        expect(error, String((error as Error).stack)).toBeInstanceOf(PapilioError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(30);
  });
});

describe('encodings', () => {
  const utf16 = (text: string) =>
    Uint8Array.from([...text].flatMap((c) => [c.charCodeAt(0) & 255, c.charCodeAt(0) >> 8]));

  it('other than UTF-8 are read and said', () => {
    const notes: string[] = [];
    expect(readText(utf16('text,label and more'), 'a.csv', notes)).toBe('text,label and more');
    const latin = Uint8Array.from(
      [...'a long line\nwith one caf'].map((c) => c.charCodeAt(0)).concat(0xe9, 0x20, 0x93, 0x61, 0x94),
    );
    expect(readText(latin, 'b.csv', notes)).toBe('a long line\nwith one café “a”');
    expect(notes).toEqual([
      'a.csv is UTF-16LE and was read as such.',
      'b.csv is not UTF-8 (line 2) and was read as Windows-1252 (Latin-1), 3 accented letter(s); check them, or save it as UTF-8.',
    ]);
    notes.length = 0;
    expect(readText(utf8('plain – text'), 'c', notes)).toBe('plain – text');
    expect(notes).toEqual([]);
  });

  it('that are guesses only are refused with the line', () => {
    const damaged = Uint8Array.from([...utf8('schön\nund gr'), 0xc3, 0x20, 0x20]);
    expect(() => readText(damaged, 'a.txt')).toThrow(
      'a.txt is not UTF-8 text (line 2 holds bytes that are none)',
    );
    const japanese = Uint8Array.from({ length: 40 }, (_, i) => 0x83 + (i % 5));
    expect(() => readText(japanese, 'a.txt')).toThrow(/not UTF-8 text \(line 1/);
  });
});

describe('splits', () => {
  const at = (path: string, n: number) => file(path, lines(n).join('\n'));

  it('are what the names of files say, without the test split where there is a validation split', async () => {
    const { set, notes } = await opened<TextClassDataset>(
      [at('d/train-00000-of-00001.jsonl', 12), at('d/validation.jsonl', 6), at('d/test.jsonl', 4)],
      asClasses,
    );
    expect([set.train.count, set.held.count]).toEqual([12, 6]);
    expect(notes).toContain('d/test.jsonl is left out');
    const tested = await opened<TextClassDataset>(
      [at('d/train.jsonl', 12), at('d/test.jsonl', 4)],
      asClasses,
    );
    expect([tested.set.train.count, tested.set.held.count]).toEqual([12, 4]);
    const one = await opened<TextClassDataset>([at('d/train.jsonl', 20)], asClasses);
    expect(one.set.held.count).toBeGreaterThan(0);
  });

  it('of texts too', async () => {
    const text = 'some words, and more words. '.repeat(20);
    const { set } = await opened<TextDataset>(
      [file('d/train.txt', text), file('d/test.txt', 'the held text')],
      asText,
    );
    expect(tokenizer.decode(set.held.tokens)).toBe('the held text');
  });
});

describe('pictures in tables', () => {
  const png = (value: number) => `data:image/png;base64,${Buffer.from(grey(value)).toString('base64')}`;

  it('are named files or the pictures themselves; missing ones are said', async () => {
    const files = Array.from({ length: 20 }, (_, i) => file(`p/${i}.png`, grey(i)));
    const table = file(
      'p/metadata.csv',
      ['file_name,label', ...files.map((_, i) => `${i === 3 ? 'no' : i}.png,${i % 2}`)].join('\n'),
    );
    const named = await opened<{ train: { count: number }; held: { count: number } }>(
      [table, ...files],
      asPictures,
    );
    expect(named.set.train.count + named.set.held.count).toBe(19);
    expect(named.notes).toContain(
      'names the picture "no.png", which is not among the files in row 5: left out.',
    );
    const coded = Array.from({ length: 8 }, (_, i) => JSON.stringify({ image: png(i), label: `c${i % 2}` }));
    const held = await opened<{ labels: string[] }>([file('a.jsonl', coded.join('\n'))], asPictures);
    expect(held.set.labels).toEqual(['c0', 'c1']);
  });

  it('that cannot be read are left out by name', async () => {
    const files = Array.from({ length: 24 }, (_, i) => file(`${i % 2 ? 'a' : 'b'}/${i}.png`, grey(i)));
    const { notes } = await opened([...files, file('a/broken.png', grey(1).slice(0, 40))], asPictures);
    expect(notes).toMatch(/a\/broken\.png cannot be read as a picture \(.*\): left out\./);
  });

  it('that the browser cannot decode are left out alike; what the model demands is another matter', async () => {
    const files = Array.from({ length: 24 }, (_, i) => file(`${i % 2 ? 'a' : 'b'}/${i}.jpg`, GIF));
    const decodeImage = async (_: Uint8Array, name: string) => {
      if (name === 'a/5.jpg') throw new Error('The browser says something of its own.');
      return { width: 1, height: 1, rgba: new Uint8Array(4) };
    };
    const { notes } = await opened(files, { ...asPictures, decodeImage });
    expect(notes).toContain(
      'a/5.jpg cannot be read as a picture (The browser says something of its own): left out.',
    );
    const preprocessing = preprocessingOf({}, {}, { width: 4, height: 4, channels: 2 });
    const strange = { ...asPictures, preprocessing, decodeImage };
    await expect(opened(files, strange)).rejects.toThrow(/The model wants 2 channels/);
  });
});
