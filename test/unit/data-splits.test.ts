/**
 * Which examples are learnt from and which held, by the names of files and folders, by a column, by the parts of a JSON file.
 *
 * Seen to fail with: the first word of a name alone, files without a split mixed into those that have one, test rows beside validation rows.
 */
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/files/open.ts';
import type { ImageDataset, TextClassDataset, TextDataset } from '../../src/data/types.ts';
import { splitsOf } from '../../src/hub/layout.ts';
import { splitInName, splitInPath } from '../../src/lib/names.ts';
import { asClasses, asPictures, asText, file, grey, lines, opened, tokenizer } from './data-support.ts';

const counts = async (...files: (readonly [string, number])[]) => {
  const { set, notes } = await opened<TextClassDataset>(
    files.map(([path, n]) => file(path, lines(n).join('\n'))),
    asClasses,
  );
  return { train: set.train.count, held: set.held.count, notes };
};

describe('a name', () => {
  it.each([
    ['my_train_file.csv', 'train'],
    ['train-00000-of-00002.parquet', 'train'],
    ['Training Set 3.csv', 'train'],
    ['trainData.csv', 'train'],
    ['test-file.csv', 'test'],
    ['a.testing.jsonl', 'test'],
    ['eval2020.csv', 'test'],
    ['validation1.csv', 'validation'],
    ['nlp_DEV_v2.tsv', 'validation'],
    ['x-val.json', 'validation'],
    ['eng.testa', 'validation'],
    ['eng.testb', 'test'],
    ['latest.csv', null],
    ['contest.csv', null],
    ['trainer.csv', null],
    ['attestation.csv', null],
    ['devices.csv', null],
    ['evaluate_train_test.csv', null],
  ])('%s says %s, on the Hub too', (name, split) => {
    expect(splitInName(name)).toBe(split);
    const [found] = splitsOf([{ path: `${name}.parquet`, size: 1 } as never]);
    expect(found!.split).toBe(split ?? 'train');
  });

  it('of a folder counts where the file says nothing, the nearest first', () => {
    expect(splitInPath('data/test/xyz.csv')).toBe('test');
    expect(splitInPath('train/dev/latest.csv')).toBe('validation');
    expect(splitInPath('test/my_train.csv')).toBe('train');
    expect(splitInPath('data/xyz.csv')).toBe(null);
  });
});

describe('files', () => {
  it('are held by their names, wherever the word stands, in shards and folders', async () => {
    expect(await counts(['shoes_train.jsonl', 14], ['shoes_test.jsonl', 6])).toMatchObject({
      train: 14,
      held: 6,
    });
    expect(
      await counts(
        ['d/train-00000-of-00002.jsonl', 8],
        ['d/train-00001-of-00002.jsonl', 8],
        ['d/eval.jsonl', 4],
      ),
    ).toMatchObject({ train: 16, held: 4 });
    expect(await counts(['data/train/a.jsonl', 8], ['data/test/a.jsonl', 4])).toMatchObject({
      train: 8,
      held: 4,
    });
    // What holds everything tells nothing apart.
    expect(await counts(['my-test/train.jsonl', 8], ['my-test/dev.jsonl', 4])).toMatchObject({
      train: 8,
      held: 4,
    });
    const latest = await counts(['latest.jsonl', 10], ['contest.jsonl', 10]);
    expect(latest.train + latest.held).toBe(20);
  });

  it('that say nothing are learnt from, or left out where others say it', async () => {
    const beside = await counts(['shoes.jsonl', 14], ['shoes-test.jsonl', 6]);
    expect(beside).toMatchObject({ train: 14, held: 6 });
    expect(beside.notes).toContain(
      'shoes.jsonl names no split and is learnt from; shoes-test.jsonl held out.',
    );
    const third = await counts(['train.jsonl', 14], ['test.jsonl', 6], ['all.jsonl', 20]);
    expect(third).toMatchObject({ train: 14, held: 6 });
    expect(third.notes).toContain('all.jsonl names no split while other files do: left out.');
    const three = await counts(['a_train.jsonl', 14], ['a_val.jsonl', 6], ['a_test.jsonl', 4]);
    expect(three).toMatchObject({ train: 14, held: 6 });
    expect(three.notes).toContain('a_test.jsonl is left out');
  });

  it('of test rows without labels are left out and said; others without columns are errors', async () => {
    const train = file(
      'train.csv',
      `id,text,target\n${lines(20)
        .map((_, i) => `${i * 3},tale ${i},${i % 2}`)
        .join('\n')}`,
    );
    const test = file(
      'test.csv',
      `id,text\n${lines(6)
        .map((_, i) => `${i},tale ${i}`)
        .join('\n')}`,
    );
    const { set, notes } = await opened<TextClassDataset>([train, test], asClasses);
    expect(set.train.count + set.held.count).toBe(20);
    expect(notes).toContain('test.csv: left out, since test.csv has no labels');
    await expect(openDataset([train, file('more.csv', 'id,text\n1,a\n2,b\n')], asClasses)).rejects.toThrow(
      'more.csv has no labels',
    );
  });

  it('of texts and of pictures go by the same rule', async () => {
    const text = 'some words, and more words. '.repeat(20);
    const { set } = await opened<TextDataset>(
      [file('my_train.txt', text), file('my_test.txt', 'the held text')],
      asText,
    );
    expect(tokenizer.decode(set.held.tokens)).toBe('the held text');
    const pictures = ['train_set/cat', 'train_set/dog', 'test-set/cat', 'test-set/dog'].flatMap((folder, k) =>
      Array.from({ length: k < 2 ? 6 : 3 }, (_, i) => file(`p/${folder}/${i}.png`, grey(i))),
    );
    const seen = await opened<ImageDataset>(pictures, asPictures);
    expect([seen.set.train.count, seen.set.held.count]).toEqual([12, 6]);
    expect(seen.set.labels).toEqual(['cat', 'dog']);
    const extra = await opened<ImageDataset>([...pictures, file('p/rest/cat/1.png', grey(1))], asPictures);
    expect([extra.set.train.count, extra.set.held.count]).toEqual([12, 6]);
    // Classes may be called like splits.
    const named = ['valid', 'invalid'].flatMap((folder) =>
      Array.from({ length: 8 }, (_, i) => file(`${folder}/${i}.png`, grey(i))),
    );
    expect((await opened<ImageDataset>(named, asPictures)).set.labels).toEqual(['invalid', 'valid']);
  });
});

describe('rows', () => {
  it('may say their split in a column', async () => {
    const row = (i: number) => `tale ${i},${i % 2},${i < 24 ? 'train' : i < 32 ? 'dev' : 'test'}`;
    const { set, notes } = await opened<TextClassDataset>(
      [file('a.csv', `text,label,split\n${Array.from({ length: 40 }, (_, i) => row(i)).join('\n')}`)],
      asClasses,
    );
    expect([set.train.count, set.held.count]).toEqual([24, 8]);
    expect(notes).toContain(
      'a.csv: the column "split" says which rows are held out; the 8 of the test split are left out',
    );
  });

  it('may lie under the names of splits in JSON, as lists too', async () => {
    const part = (n: number) => Array.from({ length: n }, (_, i) => [`tale ${i} of words`, `c${i % 2}`]);
    const { set, notes } = await opened<TextClassDataset>(
      [file('a.json', JSON.stringify({ train: part(20), val: part(8), test: part(6) }))],
      asClasses,
    );
    expect([set.train.count, set.held.count]).toEqual([20, 8]);
    expect(notes).toContain('"test" of a.json is left out');
  });
});
