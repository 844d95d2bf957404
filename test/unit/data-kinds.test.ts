/**
 * Data of another kind than the model reads: the sentence says what they are and what is read.
 *
 * Seen to fail with: nothing said of what a table seems to hold.
 */
import { describe, expect, it } from 'vitest';
import { type OpenOptions, openDataset } from '../../src/data/files/open.ts';
import { asClasses, asPictures, asText, file, grey, times, tokenizer } from './data-support.ts';

const asTags: OpenOptions = { task: 'token-class', tokenizer };
const words = 'Ada B-PER\nwalks O\n\nBob B-PER\nsits O\n';
const picture = grey(7);

describe('files of another kind', () => {
  it.each<[string, OpenOptions, readonly string[], RegExp]>([
    [
      'tagged words for a classifier',
      asClasses,
      ['team.conll'],
      /^The data are words with tags \(team\.conll\), and the model reads texts with labels: /,
    ],
    [
      'tagged words for a language model',
      asText,
      ['team.iob2'],
      /^The data are words with tags \(team\.iob2\), and the model reads text: /,
    ],
    [
      'pictures for a language model',
      asText,
      ['red/0.png', 'red/1.png', 'blue/0.png'],
      /^The data are pictures \(blue\/0\.png, red\/0\.png and 1 more\), and the model reads text: /,
    ],
    [
      'pictures for a tagger',
      asTags,
      ['red/0.png', 'blue/0.png'],
      /^The data are pictures \(.*\), and the model reads words with tags: /,
    ],
    [
      'texts for a picture model',
      asPictures,
      ['a.txt', 'b.md'],
      /^The data are texts \(a\.txt, b\.md\), and the model reads pictures: /,
    ],
    [
      'something else beside texts',
      asPictures,
      ['a.txt', 'b.mp3'],
      /^The data are texts \(a\.txt\) and files of the kind \.mp3 \(b\.mp3\), and the model reads pictures: /,
    ],
  ])('%s', async (_, options, paths, sentence) => {
    const content = (path: string) => (path.endsWith('.png') ? picture : words);
    const files = paths.map((path) => file(path, content(path)));
    await expect(openDataset(files, options)).rejects.toThrow(sentence);
  });
});

describe('tables of another kind', () => {
  const table = (head: string, row: (i: number) => string) => file('t.csv', `${head}\n${times(12, row)}`);
  const json = (row: (i: number) => object) =>
    file(
      't.jsonl',
      times(12, (i) => JSON.stringify(row(i))),
    );
  const reviews = table(
    'opinion,grade',
    (i) => `a rather long opinion of thing ${i},${i % 2 ? 'good' : 'bad'}`,
  );
  it.each([
    [
      'reviews for a picture model',
      asPictures,
      reviews,
      /no column "image"; .*It seems to hold texts, and the model reads pictures\./,
    ],
    [
      'pictures for a classifier',
      asClasses,
      table('shot,label', (i) => `img/${i}.png,${i % 2}`),
      /no column "text"; .*It seems to hold pictures, and the model reads texts\./,
    ],
    [
      'tagged words for a classifier',
      asClasses,
      json((i) => ({ tokens: ['a', `b${i}`], ner_tags: [0, 1] })),
      /no column "text"; .*It seems to hold words with tags, and the model reads texts\./,
    ],
    [
      'conversations for a classifier',
      asClasses,
      json((i) => ({ messages: [{ role: 'user', content: `hi ${i}` }] })),
      /It seems to hold conversations, and the model reads texts\./,
    ],
    [
      'reviews for a tagger',
      asTags,
      reviews,
      /no column "tokens"; .*It seems to hold texts, and the model reads words with tags\./,
    ],
  ] as const)('%s', async (_, options, data, sentence) => {
    await expect(openDataset([data], options)).rejects.toThrow(sentence);
  });

  it('are not guessed at where only the label is missing', async () => {
    const data = table('text,note', (i) => `a text ${i},another note ${i}`);
    const error = await openDataset([data], asClasses).catch((e: Error) => e.message);
    expect(error).toMatch(/^t\.csv has no labels/);
    expect(error).not.toMatch(/seems/);
    expect(error).toContain(`--columns '{"label": …}'`);
  });
});
