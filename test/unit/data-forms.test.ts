/**
 * Data in forms of their own: CoNLL and CoNLL-U, JSON in all its shapes, lines that begin with their label, folders of texts, names of classes on a card.
 *
 * Seen to fail with: every line with # a comment, ranges of CoNLL-U read as words, NaN that is no JSON, class folders taken for running text.
 */
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/files/open.ts';
import type { TextClassDataset, TokenClassDataset } from '../../src/data/types.ts';
import { asClasses, file, opened, rows, times, tokenizer } from './data-support.ts';

describe('words one per line', () => {
  const tagged = (path: string, text: string, options = {}) =>
    opened<TokenClassDataset>([file(path, text)], { ...asClasses, task: 'token-class', ...options });
  const tagsOf = ({ train, labels }: TokenClassDataset) =>
    [...train.labels(0)].filter((l) => l >= 0).map((l) => labels[l]);

  it('may be number signs, words with # before them, and comments', async () => {
    const sentence = (i: number) => `# # B-NP B-SUM\n${i} CD I-NP I-SUM\n#tag NN I-NP O\n`;
    const { set } = await tagged('a.conll', times(12, sentence));
    expect(tokenizer.decode(set.train.ids(0))).toMatch(/^# \d+ #tag$/);
    expect(tagsOf(set)).toEqual(['B-SUM', 'I-SUM', 'O']);
    const commented = times(12, (i) => `# id ${i} domain=en\nAda _ _ B-PER\nsat _ _ O\n`);
    const other = await tagged('b.conll', `-DOCSTART- -X- -X- O\n\n${commented}`);
    expect(tagsOf(other.set)).toEqual(['B-PER', 'O']);
    expect(other.notes).toContain('b.conll: 12 lines begin with # and are read as comments.');
    const parts = await tagged('a.conll', times(12, sentence), { mapping: { tags: 2 } });
    expect(parts.set.labels).toEqual(['#', 'CD', 'NN']);
  });

  it('may be CoNLL-U under any name, with ranges, empty nodes and a chosen tag', async () => {
    const line = (id: string, word: string, upos: string, xpos: string) =>
      [id, word, 'x', upos, xpos, '_', '0', 'dep', '_', '_'].join('\t');
    const sentence = (upos: boolean) =>
      [
        '# sent_id = 1',
        line('1-2', 'zum', '_', '_'),
        line('1', 'zu', upos ? 'ADP' : '_', 'APPR'),
        line('2', 'dem Haus', upos ? 'NOUN' : '_', 'NN'),
        line('2.1', 'ist', 'VERB', '_'),
        '',
      ].join('\n');
    const { set, notes } = await tagged(
      'de.conll',
      times(12, () => sentence(true)),
    );
    expect(tagsOf(set)).toEqual(['ADP', 'NOUN']);
    expect(notes).toContain('without 12 ranges of several words and 12 empty nodes');
    expect(
      tagsOf(
        (
          await tagged(
            'de.conllu',
            times(12, () => sentence(false)),
          )
        ).set,
      ),
    ).toEqual(['APPR', 'NN']);
    const chosen = await tagged(
      'de.conllu',
      times(12, () => sentence(true)),
      { mapping: { tags: 'xpos' } },
    );
    expect(tagsOf(chosen.set)).toEqual(['APPR', 'NN']);
  });

  it('may lie in a .tsv with blank lines between the sentences', async () => {
    const { set } = await tagged(
      'wnut.tsv',
      times(12, () => 'Ada\tB-per\nsat\tO\nthere\tO\n'),
    );
    expect(set.train.count + set.held.count).toBe(12);
    expect(tagsOf(set)).toEqual(['B-per', 'O', 'O']);
  });
});

describe('JSON', () => {
  const all = rows(20);
  it.each<[string, string]>([
    ['beside other facts', JSON.stringify({ version: '2', about: { a: 1 }, data: all })],
    [
      "as pandas' split",
      JSON.stringify({
        columns: ['text', 'label'],
        index: all.map((_, i) => i),
        data: all.map((r) => [r.text, r.label]),
      }),
    ],
    ["as pandas' index", JSON.stringify(Object.fromEntries(all.map((r, i) => [i, r])))],
    ['as lists', JSON.stringify(all.map((r) => [`${r.text} of words`, r.label]))],
    ['as lists with a header', JSON.stringify([['text', 'label'], ...all.map((r) => [r.text, r.label])])],
    [
      "as the datasets server's rows",
      JSON.stringify({
        features: [{ name: 'text' }, { name: 'label' }],
        rows: all.map((row, i) => ({ row_idx: i, row })),
      }),
    ],
    ['one after the other', all.map((r) => JSON.stringify({ ...r, more: '} {' }, null, 2)).join('\n')],
    ['a line each, with commas', all.map((r) => `${JSON.stringify(r)},`).join('\n')],
    [
      'with NaN',
      all
        .map((r) => `{"text": "${r.text} NaN", "label": "${r.label}", "score": NaN, "more": [-Infinity]}`)
        .join('\n'),
    ],
    [
      "as Python's dicts",
      all.map((r) => `{'text': "${r.text}'s", 'label': '${r.label}', 'ok': True}`).join('\n'),
    ],
  ])('may be %s', async (_kind, text) => {
    const { set } = await opened<TextClassDataset>([file('a.json', text)], asClasses);
    expect([set.train.count + set.held.count, set.labels]).toEqual([20, ['class 0', 'class 1']]);
  });

  it('with NaN for a label says the row', async () => {
    const text = times(40, (i) => `{"text": "t ${i}", "label": ${i === 7 ? 'NaN' : i % 2}}`);
    const { notes } = await opened([file('a.jsonl', text)], asClasses);
    expect(notes).toContain('a.jsonl has no label in row 8: left out.');
  });
});

describe('labelled texts', () => {
  const say = (i: number) => `a tale of ${i} words`;

  it.each([
    ['fastText', 'a.txt', (i: number) => `__label__${i % 2 ? 'good' : 'bad'} ${say(i)}`, ['bad', 'good']],
    [
      'TREC',
      'train_1.label.txt',
      (i: number) => `${['NUM:date', 'LOC:city', 'HUM:ind'][i % 3]} Where was ${say(i)} ?`,
      ['HUM', 'LOC', 'NUM'],
    ],
    [
      'tabs, no ending',
      'SMSMessages',
      (i: number) => `${i % 2 ? 'ham' : 'spam'}\t${say(i)}`,
      ['ham', 'spam'],
    ],
    ['semicolons', 'a.txt', (i: number) => `${say(i)};${i % 2 ? 'joy' : 'fear'}`, ['fear', 'joy']],
  ])('may be lines: %s', async (_kind, path, line, labels) => {
    const { set } = await opened<TextClassDataset>([file(path, times(24, line))], asClasses);
    expect([set.train.count + set.held.count, set.labels]).toEqual([24, labels]);
    expect(tokenizer.decode(set.train.ids(0))).toMatch(/a tale of \d+ words( \?|\?)?$/);
  });

  it('with several labels, or none, are said', async () => {
    const text = times(40, (i) =>
      i === 5 ? '__label__a __label__b both' : `__label__${i % 2 ? 'a' : 'b'} ${say(i)}`,
    );
    const { notes } = await opened([file('a.txt', text)], asClasses);
    expect(notes).toContain('a.txt has several labels in row 6: left out.');
    await expect(
      openDataset(
        [
          file(
            'a.txt',
            times(20, (i) => `So, ${say(i)}.`),
          ),
        ],
        asClasses,
      ),
    ).rejects.toThrow(
      'The data are texts (a.txt), and the model reads texts with labels: a table (.csv, .jsonl, .parquet), text with a label in each line, or folders of classes.',
    );
  });

  it('may be a file each in folders of their classes, with splits above', async () => {
    const texts = (split: string, n: number) =>
      ['pos', 'neg'].flatMap((label) =>
        Array.from({ length: n }, (_, i) => file(`films/${split}/${label}/${i}_7.txt`, `${say(i)} ${label}`)),
      );
    const beside = [
      file('films/README', 'x'),
      file('films/films.vocab', 'the'),
      file('films/train/urls.txt', 'http'),
    ];
    const broken = file(
      'films/train/pos/99_1.txt',
      Uint8Array.from({ length: 30 }, (_, i) => 0x81 + (i % 3)),
    );
    const { set, notes } = await opened<TextClassDataset>(
      [...texts('train', 12), ...texts('test', 5), ...beside, broken],
      asClasses,
    );
    expect([set.train.count, set.held.count, set.labels]).toEqual([24, 10, ['neg', 'pos']]);
    expect(notes).toContain('Each file is a text, the folder that it lies in its class.');
    expect(notes).toContain('films/train/pos/99_1.txt is not UTF-8 text');
    const news = ['alt.tales', 'rec.words'].flatMap((group) =>
      Array.from({ length: 8 }, (_, i) =>
        file(`news-bydate-${i < 6 ? 'train' : 'test'}/${group}/${5000 + i}`, say(i)),
      ),
    );
    const second = await opened<TextClassDataset>(news, asClasses);
    expect([second.set.train.count, second.set.held.count, second.set.labels]).toEqual([
      12,
      4,
      ['alt.tales', 'rec.words'],
    ]);
  });
});

it('classes are named by the card or dataset_infos.json beside the tables', async () => {
  const data = file('data/train.csv', `text,label\n${times(20, (i) => `t ${i},${i % 2}`)}`);
  const card = `---\nlicense: mit\ndataset_info:\n  features:\n  - name: text\n    dtype: string\n  - name: label\n    dtype:\n      class_label:\n        names:\n          '0': sad\n          '1': merry\n  splits:\n  - name: train\n---\nA card.`;
  const infos = JSON.stringify({
    plain: {
      features: { text: { dtype: 'string' }, label: { names: ['sad', 'merry'], _type: 'ClassLabel' } },
    },
  });
  for (const beside of [file('README.md', card), file('dataset_infos.json', infos)]) {
    const { set } = await opened<TextClassDataset>([data, beside], asClasses);
    expect([...set.labels].sort()).toEqual(['merry', 'sad']);
  }
});
