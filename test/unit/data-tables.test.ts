import { describe, expect, it } from 'vitest';
import { checkMapping } from '../../src/data/files/columns.ts';
import { type OpenOptions, openDataset } from '../../src/data/files/open.ts';
import type { TextClassDataset } from '../../src/data/types.ts';
import { asClasses, file, lines, opened, rows, tokenizer } from './data-support.ts';

describe('rows that are bad', () => {
  it('are left out when they are few, each kind named with its rows', async () => {
    const list = lines(60);
    list[4] = '{"text": "x", "label": ';
    list[9] = JSON.stringify({ text: '', label: 'class 1' });
    list[14] = JSON.stringify({ text: 'y' });
    list[19] = JSON.stringify({ text: 'z' });
    const { set, notes } = await opened<TextClassDataset>([file('a.jsonl', list.join('\n'))], asClasses);
    expect(set.train.count + set.held.count).toBe(56);
    expect(notes).toContain('a.jsonl is not JSON in row 5: left out.');
    expect(notes).toContain('a.jsonl has no text in row 10: left out.');
    expect(notes).toContain('a.jsonl has no label in rows 15, 20: left out.');
    expect(set.train.origin(0)).toMatch(/^row \d+ of a\.jsonl$/);
  });

  it('end in an error when they are many, with the rows among its facts', async () => {
    const list = lines(20).map((line, i) => (i % 4 === 0 ? '{' : line));
    const opening = openDataset([file('a.jsonl', list.join('\n'))], asClasses);
    await expect(opening).rejects.toMatchObject({
      kind: 'bad-data',
      message: 'a.jsonl is not JSON in rows 1, 5, 9, 13, 17; mend or delete the line.',
      details: { rows: [1, 5, 9, 13, 17] },
    });
  });

  it('of a CSV may have a cell too many', async () => {
    const list = ['text,label', ...rows(30).map((r) => `${r.text},${r.label}`)];
    list[3] = 'one, two,class 0';
    const { set, notes } = await opened<TextClassDataset>([file('a.csv', list.join('\n'))], asClasses);
    expect(set.train.count + set.held.count).toBe(29);
    expect(notes).toContain('a.csv has 2 columns but another number of cells in row 4: left out.');
  });

  it('are said by file where there are several', async () => {
    const [a, b] = [lines(20), lines(20)];
    a[2] = '[]';
    b[7] = '[]';
    const { notes } = await opened([file('a.jsonl', a.join('\n')), file('b.jsonl', b.join('\n'))], asClasses);
    expect(notes).toContain('a.jsonl holds no object in row 3');
    expect(notes).toContain('b.jsonl holds no object in row 8');
  });
});

describe('columns', () => {
  const named = (changes: Partial<OpenOptions> = {}) =>
    opened<TextClassDataset>(
      [
        file(
          'a.csv',
          ['id,review,stars,label', ...rows(10).map((r, i) => `${i},${r.text},${i % 3},${r.label}`)].join(
            '\n',
          ),
        ),
      ],
      { ...asClasses, ...changes },
    );

  it('are guessed by name and told', async () => {
    const { set, found, notes } = await named();
    expect(found.mapping).toEqual({ text: 'review', label: 'label' });
    expect(found.columns).toEqual(['id', 'review', 'stars', 'label']);
    expect(notes).toContain('Columns: "review" as text, "label" as label.');
    expect(set.labels).toEqual(['class 0', 'class 1']);
  });

  it('are what the mapping says', async () => {
    const { set } = await named({ mapping: { label: 'stars' } });
    expect(set.labels).toEqual(['0', '1', '2']);
    await expect(named({ mapping: { text: 'Review' } })).rejects.toThrow(
      'a.csv has no column "Review"; it has "id", "review", "stars", "label". Did you mean "review"?',
    );
    const far = await named({ mapping: { text: 'paragraphs' } }).catch((e: Error) => e.message);
    expect(far).not.toMatch(/Did you mean/);
  });

  it('are checked where they come from outside', () => {
    expect(checkMapping({ text: 'a' })).toEqual({ text: 'a' });
    expect(() => checkMapping({ txt: 'a' })).toThrow(
      /cannot be mapped to "txt"; choose among text, pair, label/,
    );
    expect(checkMapping({ text: 3 })).toEqual({ text: 3 });
    expect(() => checkMapping({ text: 0 })).toThrow(/must be its name, or its number from 1, not 0/);
    expect(() => checkMapping([])).toThrow(/is an object such as/);
  });

  it('of two texts are read together, the longer one cut first', async () => {
    const pairs = Array.from({ length: 10 }, (_, i) =>
      JSON.stringify({ premise: `a tale of words ${i} `.repeat(6), hypothesis: `more ${i}`, label: i % 2 }),
    );
    const { set, notes } = await opened<TextClassDataset>([file('a.jsonl', pairs.join('\n'))], {
      ...asClasses,
      sequenceLength: 24,
    });
    const whole = tokenizer.encode('more 0').length;
    expect([...set.train.segments!(0)]).toEqual([
      ...new Array(24 - whole).fill(0),
      ...new Array(whole).fill(1),
    ]);
    expect(set.train.ids(0).length).toBe(24);
    expect(tokenizer.decode(set.train.ids(0).subarray(24 - whole))).toMatch(/^more \d$/);
    expect(notes).toMatch(
      /10 of 10 examples are longer than 24 tokens and lose their end: rows 1, 2, 3, 4, 5, 6, 7, 8 and 2 more of a\.jsonl\./,
    );
  });
});

describe('labels', () => {
  const labelled = (labels: readonly unknown[], changes: Partial<OpenOptions> = {}) =>
    opened<TextClassDataset>(
      [file('a.jsonl', labels.map((label, i) => JSON.stringify({ text: `t ${i}`, label })).join('\n'))],
      { ...asClasses, ...changes },
    );
  const many = (n: number, label: (i: number) => unknown) => Array.from({ length: n }, (_, i) => label(i));

  it('that the model does not have are named with their rows, and make a new classifier', async () => {
    const { set, notes } = await labelled(
      many(20, (i) => (i === 4 || i === 7 ? 'odd' : i % 2 === 0 ? 'a' : 'b')),
      {
        labels: ['a', 'b', 'c'],
      },
    );
    expect(set.labels).toEqual(['a', 'b', 'odd']);
    expect(notes).toContain(`The model's 3 classes (a, b, c) do not have "odd" (rows 5, 8 of a.jsonl)`);
  });

  it('are bad rows instead where the classifier is to stay', async () => {
    const options = { labels: ['a', 'b', 'c'], keepClasses: true };
    const { set, notes } = await labelled(
      many(30, (i) => (i === 4 ? 'odd' : i % 2 === 0 ? 'a' : 'b')),
      options,
    );
    expect(set.labels).toEqual(['a', 'b', 'c']);
    expect(notes).toContain(
      "a.jsonl has a label outside the model's 3 classes (a, b, c) in row 5: left out.",
    );
    await expect(
      labelled(
        many(8, (i) => (i % 2 ? 'a' : 'odd')),
        options,
      ),
    ).rejects.toThrow("has a label outside the model's 3 classes (a, b, c) in rows 1, 3, 5, 7;");
  });

  it('may be numbers of classes that nobody named; −1 is none', async () => {
    const numbered = await labelled(
      many(12, (i) => i % 3),
      { labels: ['LABEL_0', 'LABEL_1', 'LABEL_2'] },
    );
    expect(numbered.set.labels).toEqual(['LABEL_0', 'LABEL_1', 'LABEL_2']);
    expect(numbered.notes).toContain("numbers of the model's classes");
    const { set, notes } = await labelled(many(40, (i) => (i === 39 ? -1 : i % 2)));
    expect(set.labels).toEqual(['0', '1']);
    expect(notes).toContain('a.jsonl has the label -1, which means none, in row 40: left out.');
  });

  it('may be -1, 0 and 1 alike', async () => {
    const { set, notes } = await labelled(many(30, (i) => (i % 3) - 1));
    expect(set.labels).toEqual(['-1', '0', '1']);
    expect(notes).toContain('The label -1 is read as a class like the others.');
  });

  it('that differ from the model’s in case alone are the model’s, unless both ways are meant', async () => {
    const labels = ['very sad', 'Happy'];
    const { set, notes } = await labelled(
      many(20, (i) => (i % 2 ? 'Very sad' : 'HAPPY')),
      { labels },
    );
    expect(set.labels).toEqual(labels);
    expect(notes).toContain('are read as the model\'s "Happy"');
    const both = await labelled(
      many(20, (i) => (i % 2 ? 'happy' : 'HAPPY')),
      { labels },
    );
    expect(both.set.labels).toEqual(['HAPPY', 'happy']);
  });

  it('of one class only are refused', async () => {
    await expect(labelled(many(5, () => 'a'))).rejects.toThrow(/has only one class \("a"\)/);
  });
});

describe('sentences on tables', () => {
  const refusal = async (name: string, text: string): Promise<{ kind: string; message: string }> =>
    openDataset([file(name, text)], asClasses).then(
      () => expect.fail('was read'),
      (error: unknown) => error as { kind: string; message: string },
    );

  it('count the columns of a first line that is longer than what is looked at', async () => {
    const wide = (count: number) =>
      `${Array.from({ length: count }, (_, k) => `field${k}`).join(',')}\n${Array.from({ length: count }, () => '7').join(',')}\n`;
    const { kind, message } = await refusal('wide.csv', wide(60_000));
    expect(kind).toBe('too-large');
    expect(message).toMatch(/^wide.csv asks for [\d,]+ columns, and the most is 10,000; /);
  });

  it('do not speak of commas where lines end in three ways', async () => {
    const ends = ['\n', '\r\n', '\r'];
    const list = rows(30).map((r, k) => `${r.text},${r.label}${ends[k % 3]}`);
    const { set, notes } = await opened<TextClassDataset>(
      [file('ends.csv', `text,label\r${list.join('')}`)],
      asClasses,
    );
    expect(set.train.count + set.held.count).toBe(30);
    expect(notes).not.toMatch(/cells|column/);
  });

  it('say of files that are wrong alike that they are', async () => {
    const files = Array.from({ length: 30 }, (_, k) => file(`t${k}.jsonl`, '{'));
    const { message } = await openDataset(files, asClasses).then(
      () => expect.fail('was read'),
      (error: unknown) => error as Error,
    );
    expect(message).toMatch(
      /^t0.jsonl is not JSON in row 1; mend or delete the line \(the same is wrong in 29 more of 30\)\.$/,
    );
  });
});
