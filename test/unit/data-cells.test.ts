/**
 * What cells hold: lists and dicts as Python, numpy and JSON write them, SQuAD's answers, numbers, nothing.
 *
 * Seen to fail with: quotation marks exchanged before JSON.parse, the text of a dict learnt as the answer, questions without answers counted as faults,
 * numbers of 16 digits left to JSON.parse, the percent sign left on.
 */
import { describe, expect, it } from 'vitest';
import { decimalMark, listOf, numberOf, readLiteral, squadAnswer } from '../../src/data/files/cells.ts';
import type { OpenOptions } from '../../src/data/files/open.ts';
import type {
  InstructionDataset,
  TextClassDataset,
  TextValueDataset,
  TokenClassDataset,
} from '../../src/data/types.ts';
import { asClasses, asText, file, opened, times, tokenizer } from './data-support.ts';

describe('a literal', () => {
  it.each<[string, unknown]>([
    [`['a', "b's", 'c"d']`, ['a', "b's", 'c"d']],
    [String.raw`['a\'b', 'c\n', '\u00e9\x41', 'back\\']`, ["a'b", 'c\n', 'éA', 'back\\']],
    ["['a' 'b'\n 'c']", ['a', 'b', 'c']],
    ['[1 0]', [1, 0]],
    ['[ 1. -2.5  3e2]', [1, -2.5, 300]],
    ['(1, 2)', [1, 2]],
    ["('a',)", ['a']],
    ['(1)', 1],
    [
      '[9007199254740993, -9007199254740993, 9007199254740991]',
      ['9007199254740993', '-9007199254740993', 9007199254740991],
    ],
    [
      "['a', 12345678901234567890, 0.12345678901234560000, 1e20]",
      ['a', '12345678901234567890', 0.1234567890123456, 1e20],
    ],
    ['["12345678901234567890", 0.1234567890123456]', ['12345678901234567890', 0.1234567890123456]],
    ['[None, True, False, nan, null, true]', [null, true, false, null, null, true]],
    ["array(['a', 'b'], dtype=object)", ['a', 'b']],
    ['array([1, 2], dtype=int32)', [1, 2]],
    ["[np.str_('a'), np.int64(3), numpy.float32(1.5)]", ['a', 3, 1.5]],
    ["{'text': array(['a'], dtype=object), 'answer_start': array([3])}", { text: ['a'], answer_start: [3] }],
    ["{'a', 'b'}", ['a', 'b']],
    ["[b'caf\\xc3\\xa9', r'a\\n', '''x'y''']", ['café', 'a\\n', "x'y"]],
    ['{"a": [1, {"b": "c"}]}', { a: [1, { b: 'c' }] }],
    ['[]', []],
  ])('%s is read', (text, value) => {
    expect(readLiteral(text)).toEqual(value);
  });

  it.each([
    '[1, 2',
    "['a",
    '[a, b]',
    '[1] x',
    'open("x")',
    "['a' ... 'b']",
    `${'['.repeat(60)}'a'${']'.repeat(60)}`,
    '',
  ])('%s is none', (text) => {
    expect(readLiteral(text)).toBe(undefined);
  });

  it('is a list, or words between spaces', () => {
    expect(listOf('the ( big ) end')).toEqual(['the', '(', 'big', ')', 'end']);
    expect(listOf('[ sic ] he said')).toEqual(['[', 'sic', ']', 'he', 'said']);
    expect(listOf("['a' ... 'b']")).toBe(null);
    expect(listOf('')).toBe(null);
  });
});

describe('words and tags in a CSV', () => {
  const tagged = (row: (i: number) => string, options = {}) =>
    opened<TokenClassDataset>(
      [file('w.csv', `tokens,ner_tags\n${Array.from({ length: 16 }, (_, i) => row(i)).join('\n')}\n`)],
      { ...asClasses, task: 'token-class', ...options },
    );

  it.each([
    ['Python', `"['it', ""Ann's"", 'a,b']","['O', 'B-P', 'O']"`],
    ['numpy', `"['it' ""Ann's""\n 'a,b']","['O' 'B-P' 'O']"`],
    ['JSON', `"[""it"", ""Ann's"", ""a,b""]","[""O"", ""B-P"", ""O""]"`],
    ['words between spaces', "it Ann's a,b".replace(',', ';').concat(',O B-P O')],
  ])('are lists as %s', async (_kind, row) => {
    const { set } = await tagged(() => row);
    expect(set.train.count + set.held.count).toBe(16);
    expect(tokenizer.decode(set.train.ids(0))).toContain("Ann's");
    expect([...set.train.labels(0)].filter((l) => l >= 0).map((l) => set.labels[l])).toEqual([
      'O',
      'B-P',
      'O',
    ]);
  });

  it('that cannot be read say so, and how to write them', async () => {
    await expect(tagged(() => `"['a' ... 'b']","[0 1]"`)).rejects.toThrow(
      'has a list of words that cannot be read (write it as JSON: ["a", "b"]) in rows 2, 3',
    );
  });

  it('may be one word a row, sentences told apart by a column', async () => {
    const text = `Sentence #,Word,POS,Tag\n${Array.from({ length: 12 }, (_, i) => `Sentence: ${i + 1},London,NNP,B-geo\n,is,VBZ,O\n,"""",X,O`).join('\n')}`;
    const { set, notes } = await opened<TokenClassDataset>([file('ner.csv', text)], {
      ...asClasses,
      task: 'token-class',
    });
    expect(set.train.count + set.held.count).toBe(12);
    expect(tokenizer.decode(set.train.ids(0))).toBe('London is "');
    expect(notes).toContain('the column "Sentence #" tells its 12 sentences apart');
  });
});

describe("SQuAD's answers", () => {
  const learnt = ({ train }: InstructionDataset, i: number): string =>
    tokenizer.decode([...train.ids(i)].filter((_, t) => train.learnt(i)[t] === 1)).trim();
  const chats = (path: string, text: string) => opened<InstructionDataset>([file(path, text)], asText);
  const many = (row: (i: number) => string, n = 24) => Array.from({ length: n }, (_, i) => row(i)).join('\n');

  it.each([
    [
      'JSONL',
      'q.jsonl',
      many((i) =>
        JSON.stringify({
          question: `q ${i}`,
          context: 'c',
          answers: { text: ['first', 'second'], answer_start: [1, 2] },
        }),
      ),
    ],
    [
      "Python's dict",
      'q.csv',
      `question,context,answers\n${many((i) => `q ${i},c,"{'text': ['first', ""it's""], 'answer_start': [${i}, 2]}"`)}`,
    ],
    [
      "numpy's arrays",
      'q.csv',
      `question,context,answers\n${many((i) => `q ${i},c,"{'text': array(['first'], dtype=object), 'answer_start': array([${i}], dtype=int32)}"`)}`,
    ],
    ['a list', 'q.csv', `question,answers\n${many((i) => `q ${i},"['first', 'other']"`)}`],
    [
      'as published',
      'train.json',
      JSON.stringify({
        version: '1.1',
        data: [
          {
            title: 't',
            paragraphs: [
              {
                context: 'c',
                qas: Array.from({ length: 24 }, (_, i) => ({
                  id: `${i}`,
                  question: `q ${i}`,
                  answers: [{ text: 'first', answer_start: 0 }],
                })),
              },
            ],
          },
        ],
      }),
    ],
  ])('are the first of them: %s', async (_kind, path, text) => {
    const { set } = await chats(path, text);
    expect(set.train.count + set.held.count).toBe(24);
    expect([learnt(set, 0), learnt(set, 5)]).toEqual(['first', 'first']);
  });

  it('that are none leave the question out, however many there are', async () => {
    const row = (i: number) =>
      JSON.stringify({
        question: `q ${i}`,
        context: 'c',
        answers: i % 2 ? { text: ['a'], answer_start: [0] } : { text: [], answer_start: [] },
      });
    const { set, notes } = await chats('q.jsonl', many(row));
    expect(set.train.count + set.held.count).toBe(12);
    expect(notes).toContain('12 of 24 questions have no answer and are left out: rows 1, 3, 5');
    expect(squadAnswer({ text: [], answer_start: [] })).toBe(null);
  });

  it('are not what an answer in JSON is', async () => {
    const { set } = await chats(
      'q.csv',
      `prompt,response\n${many((i) => `q ${i},"{""text"": ""x"", ""n"": ${i}}"`)}`,
    );
    expect(learnt(set, 0)).toMatch(/^\{"text": "x", "n": \d+\}$/);
  });
});

describe('a number', () => {
  it.each([
    [['3,5', '1,25'], 'comma'],
    [['1.234,5', '2,0'], 'comma'],
    [['1,234.5', '2'], 'point'],
    [['1,234', '12,5'], 'comma'],
    [['1.5', '2'], 'point'],
  ] as const)('of %j has a decimal %s', (values, mark) => {
    expect(decimalMark(values, 'point')).toBe(mark);
  });

  it('that could be both goes by what divides the cells', () => {
    expect(decimalMark(['1,234', '5,678'], 'comma')).toBe('comma');
    expect([
      numberOf('1,234', 'comma'),
      numberOf('1,234'),
      numberOf('1.234.567', 'comma'),
      numberOf('x'),
    ]).toEqual([1.234, 1234, 1234567, null]);
  });
});

it('a list with several labels is said, one of one label is that', async () => {
  const text = `text,labels\n${Array.from({ length: 40 }, (_, i) => `tale ${i},${i === 3 ? '"[1, 0]"' : `[${i % 2}]`}`).join('\n')}`;
  const { set, notes } = await opened<{ labels: string[] }>([file('a.csv', text)], asClasses);
  expect(set.labels).toEqual(['0', '1']);
  expect(notes).toContain('a.csv has several labels at once in row 5: left out.');
});

describe('whole numbers beyond 2^53', () => {
  const ids = ['9007199254740992', '9007199254740993', '90071992547409931'];
  const object = (i: number) => `{"text": "t ${i} \\"1234567890123456789\\"", "label": ${ids[i % 3]}}`;
  it.each([
    ['JSON lines', 'a.jsonl', times(24, object)],
    ['a JSON list', 'a.json', `[${Array.from({ length: 24 }, (_, i) => object(i)).join(',')}]`],
    [
      'JSON values one after the other',
      'a.json',
      Array.from({ length: 24 }, (_, i) => object(i).replace(', ', ',\n')).join('\n'),
    ],
    [
      'JSON with NaN',
      'a.json',
      `[${Array.from({ length: 24 }, (_, i) => object(i).replace('{', '{"x": NaN, ')).join(',')}]`,
    ],
  ])('stay apart as labels: %s', async (_, path, content) => {
    const { set, notes } = await opened<TextClassDataset>([file(path, content)], asClasses);
    expect([...set.labels].sort()).toEqual([...ids].sort());
    expect(notes).toContain(`${path}: whole numbers beyond 2^53 are read as text, digit for digit.`);
  });
});

describe('percentages to be predicted', () => {
  const asValues: OpenOptions = { task: 'text-value', tokenizer };
  const table = (cell: (i: number) => string, head = 'text;score') =>
    file('p.csv', `${head}\n${times(30, (i) => `some words on ${i};${cell(i)}`)}`);

  it.each([
    ['12%', (i: number) => `${i % 15}%`],
    ['12.5 %', (i: number) => `${i}.5 %`],
    ['12,5%', (i: number) => `${i},5%`],
  ])('are read without their sign, and it is said: %s', async (_, cell) => {
    for (const head of ['text;score', 'what people wrote;growth']) {
      const { set, notes } = await opened<TextValueDataset>([table(cell, head)], asValues);
      const found = [set.train, set.held].flatMap((part) =>
        Array.from({ length: part.count }, (_, i) => part.value(i)),
      );
      const wanted = Array.from({ length: 30 }, (_, i) =>
        Number(cell(i).replace(',', '.').replace(/ ?%/, '')),
      );
      expect(found.sort((a, b) => a - b)).toEqual(wanted.sort((a, b) => a - b));
      expect(notes).toContain('p.csv: its numbers are percentages, 12% is read as 12.');
    }
  });

  it('are refused where some have the sign and others do not', async () => {
    const mixed = table((i) => (i % 2 ? `${i}%` : `0.${i}`));
    await expect(opened([mixed], asValues)).rejects.toThrow(
      /has a percent sign \(%\) behind some of the numbers to be predicted and not behind others in rows 3, 5/,
    );
  });

  it('what is no number is shown', async () => {
    await expect(opened([table((i) => `$${i}`)], asValues)).rejects.toThrow(
      /has something else than a plain number to be predicted in rows .*instead of "\$0"/,
    );
  });
});
