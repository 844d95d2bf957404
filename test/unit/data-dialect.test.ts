/**
 * Delimited tables as spreadsheets, pandas, R and people write them: what divides cells, what quotation marks are, whether there is a header. Every
 * guess is said and can be told otherwise; no row is lost in silence.
 *
 * Seen to fail with: the first row always a header, a quotation mark between tabs always one that wraps, a stray mark that swallows the rows after
 * it, columns guessed by name alone.
 */
import { describe, expect, it } from 'vitest';
import { draftOf, tableOf } from '../../src/data/files/delimited.ts';
import type { OpenOptions } from '../../src/data/files/open.ts';
import { openDataset } from '../../src/data/files/open.ts';
import { createDrops } from '../../src/data/notes.ts';
import type { TextClassDataset, TextValueDataset } from '../../src/data/types.ts';
import { createBudget } from '../../src/lib/budget.ts';
import { asClasses, asText, file, opened, tokenizer } from './data-support.ts';

const say = (i: number): string => `a tale of ${i} words, ${i % 2 ? 'merry' : 'sad'} to the end`;
const table = (n: number, row: (i: number) => string, header = ''): string =>
  `${header}${Array.from({ length: n }, (_, i) => row(i)).join('\n')}\n`;
const classes = (path: string, text: string | Uint8Array, options: Partial<OpenOptions> = {}) =>
  opened<TextClassDataset>([file(path, text)], { ...asClasses, ...options });
/** Texts with their labels, of both splits. */
const examples = ({ train, held, labels }: TextClassDataset): string[] =>
  [train, held].flatMap((split) =>
    Array.from(
      { length: split.count },
      (_, i) => `${tokenizer.decode(split.ids(i))} → ${labels[split.label(i)]}`,
    ),
  );

describe('a table without a header', () => {
  it('keeps its first row; columns are guessed by what they hold and told by number', async () => {
    const rows = (n: number, from: number) => table(n, (i) => `${say(i + from)}\t${(i + from) % 3}`);
    const files = [file('d/test.tsv', rows(9, 50)), file('d/train.tsv', rows(21, 0))];
    const { set, notes, found } = await opened<TextClassDataset>(files, asClasses);
    expect([set.train.count, set.held.count]).toEqual([21, 9]);
    expect(notes).toContain(
      'No header row in d/train.tsv, d/test.tsv: column 1 as text, column 2 as label. Columns can be told by their numbers.',
    );
    expect(found).toMatchObject({ hasHeader: false, mapping: { text: 'column 1', label: 'column 2' } });
    expect(found.firstCells!['column 1']).toBe(say(0));
    expect(examples(set)).toContain(`${say(0)} → 0`);
    const swapped = await opened<TextClassDataset>(
      [
        file(
          'a.csv',
          table(12, (i) => `${i % 2 ? 'x' : 'y'}|${i % 3 ? 'red' : 'blue'}|${say(i)}`),
        ),
      ],
      { ...asClasses, mapping: { text: 3, label: 2 } },
    );
    expect(swapped.set.labels).toEqual(['blue', 'red']);
    await expect(
      openDataset([file('a.tsv', rows(9, 0))], { ...asClasses, mapping: { text: 3 } }),
    ).rejects.toThrow('a.tsv has no column 3; it has column 1, column 2.');
  });

  it.each([
    ['a label first', (i: number) => `"${(i % 4) + 1}","Head ${i}, Inc.","${say(i)} and much more"`, 4],
    ['a source, a label, a mark', (i: number) => `gj0${i % 5}\t${i % 2}\t${i % 2 ? '' : '*'}\t${say(i)}`, 2],
    ['single words', (i: number) => `Name${i},${i % 2 ? 'male' : 'female'}`, 2],
    ['hashtags', (i: number) => `#tale ${say(i)}\t${i % 2 ? 'pos' : 'neg'}`, 2],
    ['semicolons', (i: number) => `${say(i)};${['joy', 'anger', 'fear'][i % 3]}`, 3],
  ])('is known as such: %s', async (_kind, row, count) => {
    const { set, notes } = await classes('some.data', table(24, row));
    expect(notes).toContain('No header row');
    expect(set.train.count + set.held.count).toBe(24);
    expect(set.labels.length).toBe(count);
  });

  it.each([
    ['names', 'text,label\n', (i: number) => `${say(i).replace(',', '')},label${i % 2}`],
    ['names that nobody knows', 'essai,note\n', (i: number) => `${say(i).replace(',', '')},${i % 4}`],
    ["a spreadsheet's", 'v1,v2,,,\n', (i: number) => `${i % 2 ? 'ham' : 'spam'},"${say(i)}",,,`],
    ["pandas' numbers", ',0,1\n', (i: number) => `${i},"${say(i)}",c${i % 2}`],
    [
      'a long question',
      'id,"What do you think of it, all in all?",Stars\n',
      (i: number) => `${i * 7},"${say(i)}",${i % 5}`,
    ],
  ])('is told from one with %s', async (_kind, header, row) => {
    const { set, found } = await classes('a.csv', table(24, row, header));
    expect(found.hasHeader).toBe(true);
    expect(set.train.count + set.held.count).toBe(24);
  });

  it('is what is told, whatever it looks like', async () => {
    const text = table(12, (i) => `${say(i)}\t${i % 2 ? 'label' : 'other'}`, 'text\tlabel\n');
    const { set } = await classes('a.tsv', text, { header: false });
    expect(set.train.count + set.held.count).toBe(13);
    const named = await classes(
      'a.tsv',
      table(12, (i) => `${say(i)}\t${i % 2}`),
      { header: true, mapping: { text: 1, label: 2 } },
    );
    expect(named.set.train.count + named.set.held.count).toBe(11);
  });
});

describe('a quotation mark', () => {
  it('between tabs is a character, unless the file is consistent', async () => {
    const stray = table(30, (i) => `${i % 2 ? 'yes' : 'no'}\t${i === 10 ? '"' : ''}${say(i)}`);
    const { set, notes } = await classes('m.tsv', stray);
    expect(set.train.count + set.held.count).toBe(30);
    expect(examples(set)).toContain(`"${say(10)} → no`);
    expect(notes).toContain('m.tsv: quotation marks are read as characters (row 11).');
    const all = await classes(
      'm.tsv',
      table(20, (i) => `"${say(i)}"\t${i % 2}`, '"text"\t"label"\n'),
    );
    expect(examples(all.set)).toContain(`${say(3)} → 1`);
    const needed = table(
      40,
      (i) => (i % 9 === 4 ? `"${say(i)} ""so""\tit is"\t${i % 2}` : `${say(i)}\t${i % 2}`),
      'text\tlabel\n',
    );
    expect(examples((await classes('m.tsv', needed)).set)).toContain(`${say(4)} "so"\tit is → 0`);
    const some = table(
      40,
      (i) => (i % 9 === 4 ? `"${say(i)}"\t${i % 2}` : `${say(i)}\t${i % 2}`),
      'text\tlabel\n',
    );
    expect(examples((await classes('m.tsv', some)).set)).toContain(`"${say(4)}" → 0`);
    expect(examples((await classes('m.tsv', some, { quotes: true })).set)).toContain(`${say(4)} → 0`);
  });

  it('that closes nowhere costs its own row at most, in a .csv too', async () => {
    const plain = (i: number) => say(i).replace(',', '');
    const odd: Readonly<Record<number, string>> = {
      7: `"${plain(7)},1`,
      12: `${plain(12)} ",0`,
      20: `5" of ${plain(20)},0`,
      25: `"${plain(25)}" he said,1`,
      28: `"ok "fine" ${plain(28)}",0`,
    };
    const { set, notes } = await classes(
      'a.csv',
      table(60, (i) => odd[i] ?? `${plain(i)},${i % 2}`, 'text,label\n'),
    );
    expect(set.train.count + set.held.count).toBe(60);
    expect(notes).toContain(
      'a.csv has a quotation mark that is not closed or misplaced in rows 9, 27, 30: read as a character.',
    );
    for (const text of [
      `"${plain(7)} → 1`,
      `${plain(8)} → 0`,
      `"${plain(25)}" he said → 1`,
      `ok "fine" ${plain(28)} → 0`,
    ])
      expect(examples(set)).toContain(text);
  });

  it('wraps cells of several lines, and may stand behind a backslash or a space', async () => {
    const long = table(30, (i) => `"${say(i)}\nand, so\n""on"", ${i}",${i % 2}`, 'text,label\n');
    expect(examples((await classes('a.csv', long)).set)).toContain(`${say(3)}\nand, so\n"on", 3 → 1`);
    const slashed = await classes(
      'a.csv',
      table(30, (i) => `"he \\"${say(i)}\\", ok",${i % 2}`, 'text,label\n'),
    );
    expect(slashed.notes).toContain('a.csv: a backslash stands before quotation marks in texts.');
    expect(examples(slashed.set)).toContain(`he "${say(2)}", ok → 0`);
    const spaced = await classes(
      'a.csv',
      table(30, (i) => `"${say(i)}", "${i % 2 ? 'a' : 'b'}"`, '"text", "label"\n'),
    );
    expect(spaced.set.labels).toEqual(['a', 'b']);
  });

  it('in more than a tenth of the rows that have other cells too is an error with rows', async () => {
    const text = table(40, (i) => `${i % 3 ? 'x, y' : 'x'},${i % 2}`, 'text,label\n');
    await expect(openDataset([file('a.csv', text)], asClasses)).rejects.toThrow(
      /another number of cells in rows 3, 4, 6, 7.*put quotation marks around texts with commas/,
    );
  });
});

describe('what divides cells, and what stands around them', () => {
  it.each([
    ['a.csv', (i: number) => `${say(i)}\t${i % 2}`, 'text\tlabel\n', 'tabs divide the cells'],
    ['a.tsv', (i: number) => `"${say(i)}",${i % 2}`, 'text,label\n', 'commas divide the cells'],
    ['a.csv', (i: number) => `${say(i)}|${i % 2}`, 'text|label\n', 'vertical bars divide the cells'],
    [
      'a.csv',
      (i: number) => `${say(i)};${i % 2}`,
      '\ufeffsep=;\r\ntext;label\r\n',
      'the first line says that semicolons',
    ],
    [
      'a.csv',
      (i: number) => `"${say(i)}",${i % 2}`,
      '# by hand\n# in 2020\n\ntext,label\n',
      'begin with # are left out',
    ],
    [
      'a.csv',
      (i: number) => `${say(i)};${i % 2};`,
      'Report 2020;;\n;;\nText;Label;\n',
      'what stands above the header in row 3',
    ],
    [
      'a.csv',
      (i: number) => `${i},"${say(i)}",${i % 2}`,
      ',text,label\n',
      'column 1 counts the rows and is left out',
    ],
    [
      'a.csv',
      (i: number) => `"${i + 1}","${say(i)}",${i % 2}`,
      '"","text","label"\n',
      'column 1 counts the rows',
    ],
    [
      'a.tsv',
      (i: number) => `"${i + 1}"\t"${say(i)}"\t"${i % 2}"`,
      '"text"\t"label"\n',
      'lacks the first column',
    ],
    [
      'a.csv',
      (i: number) => `"${say(i)}",x${i},${i % 2}`,
      'text,text,label\n',
      '"text" names two columns, the later is called "text.1"',
    ],
    [
      'a.csv',
      (i: number) => `"${say(i)}",${i % 2}.0`,
      'text,label\n',
      'Labels such as 0.0 are read as whole numbers',
    ],
  ])('%s (%#) is read and said', async (path, row, header, note) => {
    const { set, notes } = await classes(path, table(20, row, header));
    expect(notes).toContain(note);
    expect(set.labels).toEqual(['0', '1']);
    expect(examples(set).sort()).toEqual(Array.from({ length: 20 }, (_, i) => `${say(i)} → ${i % 2}`).sort());
  });

  it('may be lines that end in \\r\\n or \\r, with blank ones among them', async () => {
    const text = table(12, (i) => `"${say(i)}",${i % 2}`, 'text,label\n');
    for (const end of ['\r\n', '\r', '\n\n'])
      expect(examples((await classes('a.csv', text.replaceAll('\n', end))).set)).toContain(`${say(5)} → 1`);
    const latin = Uint8Array.from(`text;label\n${table(12, (i) => `${say(i)} f\u00fcr;${i % 2}`)}`, (c) =>
      c.charCodeAt(0),
    );
    expect(examples((await classes('a.csv', latin)).set)).toContain(`${say(5)} für → 1`);
  });

  it('says rows that are bad: a header again, nothing where a label should be', async () => {
    const text = table(
      60,
      (i) => (i === 9 ? 'text,label' : `"${say(i)}",${i === 4 ? 'NULL' : i === 6 ? '\\N' : i % 2}`),
      'text,label\n',
    );
    const { set, notes } = await classes('a.csv', text);
    expect(set.train.count + set.held.count).toBe(57);
    expect(notes).toContain('a.csv has its header again in row 11: left out.');
    expect(notes).toContain('a.csv has no label in rows 6, 8: left out.');
  });

  it('is one column where nothing divides', async () => {
    const { set, found } = await opened<{ train: { tokens: Int32Array } }>(
      [
        file(
          'a.csv',
          table(20, (i) => say(i), 'text\n'),
        ),
      ],
      asText,
    );
    expect(found.columns).toEqual(['text']);
    expect(tokenizer.decode(set.train.tokens)).toContain(say(3));
  });
});

describe('numbers', () => {
  const values = async (header: string, row: (i: number) => string, options: Partial<OpenOptions> = {}) => {
    const { set, notes } = await opened<TextValueDataset>([file('a.csv', table(20, row, header))], {
      ...asClasses,
      task: 'text-value',
      ...options,
    });
    const all = [set.train, set.held].flatMap((s) => Array.from({ length: s.count }, (_, i) => s.value(i)));
    return { all: all.sort((a, b) => a - b), notes };
  };
  const halves = Array.from({ length: 20 }, (_, i) => i + 0.5);

  it('have decimal commas where they show it', async () => {
    const german = await values('Text;Wert\n', (i) => `${say(i)};${i},5`);
    expect(german.all).toEqual(halves);
    expect(german.notes).toContain('the comma in its numbers is a decimal one');
    expect((await values('text;score\n', (i) => `${say(i)};1.0${10 + i},5`)).all[1]).toBe(1011.5);
    expect((await values('text,score\n', (i) => `"${say(i)}","1,0${10 + i}"`)).all[1]).toBe(1011);
    const told = await values('text,score\n', (i) => `"${say(i)}","1,0${10 + i}"`, { decimal: 'comma' });
    expect(told.all[1]).toBe(1.011);
  });

  it('are found by what the columns hold, and are no classes', async () => {
    const { all } = await values('', (i) => `${say(i)}\t${i}.5`);
    expect(all).toEqual(halves);
    const text = table(80, (i) => `"${say(i)}",${(i * 0.137).toFixed(3)}`, 'text,closeness\n');
    await expect(openDataset([file('a.csv', text)], asClasses)).rejects.toThrow(
      'train for the task regression, if "closeness" is to be predicted',
    );
    const named = table(80, (i) => `"${say(i)}",person ${i % 70}`, 'text,label\n');
    await expect(openDataset([file('a.csv', named)], asClasses)).rejects.toThrow(
      'There are 70 different labels in 80 rows, such as "person 0", so they name no classes',
    );
  });
});

describe('a large table', () => {
  const read = (text: string) => {
    const notes: string[] = [];
    const made = tableOf(draftOf(text, 'a.csv', 'csv'), true, {
      ...{ drops: createDrops(), notes },
      room: createBudget('tableRows'),
      json: createBudget('tablesJsonBytes'),
    });
    return { count: made.rows.length, total: made.total, notes };
  };

  it.each([
    ['wrapped cells', (i: number) => `"${say(i)}",${i % 2}`],
    ['marks that close nowhere', (i: number) => `${i % 40 === 7 ? '"' : ''}${i} tales,${i % 2}`],
    ['other delimiters in its texts', (i: number) => `"${say(i)}; and | so ""on""",${i % 2}`],
    ['a cell as long as a book', (i: number) => `"${`${say(i)}\n`.repeat(i === 500 ? 9000 : 1)}",${i % 2}`],
  ])('with %s costs time in proportion, and no row', (_kind, row) => {
    const begun = performance.now();
    expect(read(table(30_000, row, 'text,label\n'))).toMatchObject({ count: 30_000, total: 30_000 });
    expect(performance.now() - begun).toBeLessThan(20_000);
  });
});
