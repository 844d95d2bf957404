/** Long texts are encoded in parts, with the tokens of the whole. Seen to fail: with a cut anywhere, and without the bound on words. */
import { expect, it } from 'vitest';
import { openDataset } from '../../src/data/files/open.ts';
import { encodeText, textDataset } from '../../src/data/text.ts';
import type { Tokenizer } from '../../src/data/tokenizer.ts';
import { rng } from '../../src/lib/rng.ts';
import { tokenizer } from './data-support.ts';

/** Words and white space of many kinds, so many letters. */
function story(letters: number): string {
  const random = rng(11);
  const words = ['a', 'tale', 'of', 'words', 'and', 'more', 'tales,', '"wordy"', 'más', '和', '😀'];
  const spaces = [' ', ' ', ' ', '  ', '\n', '\n\n', ' \n  ', '\t', '\r\n'];
  const parts: string[] = [];
  for (let length = 0; length < letters; length += 5) parts.push(random.pick(words), random.pick(spaces));
  return parts.join('').slice(0, letters);
}

/** Counts what it is given, and how long the longest was. */
function watched(encode: (text: string) => number[]): { readonly tokenizer: Tokenizer; longest: number } {
  const seen = { tokenizer: { ...tokenizer, encode: (text: string) => note(text) }, longest: 0 };
  const note = (text: string): number[] => {
    seen.longest = Math.max(seen.longest, text.length);
    return encode(text);
  };
  return seen;
}

it('has the tokens of the whole, encoded in parts', () => {
  const text = story(200_000);
  const seen = watched(tokenizer.encode);
  const ids = encodeText(seen.tokenizer, text, 'a story', 16_384);
  expect(
    Buffer.compare(Buffer.from(ids.buffer), Buffer.from(Int32Array.from(tokenizer.encode(text)).buffer)),
  ).toBe(0);
  expect(seen.longest).toBeLessThan(17_000);
});

it('is encoded as a whole where a cut changes tokens', () => {
  // A token for the beginning of whatever it is given, and one for each letter.
  const encode = (text: string) => [
    -1,
    ...Array.from({ length: 9 }, (_, i) => text.charCodeAt(i)),
    text.length,
  ];
  const text = story(60_000);
  const seen = watched(encode);
  expect([...encodeText(seen.tokenizer, text, 'a story', 16_384)]).toEqual(encode(text));
  expect(seen.longest).toBe(text.length);
});

it('is refused where a word or white space goes on and on, and taken where lines are as long as people write', () => {
  for (const [text, from] of [
    ['"'.repeat(1_769_730), 'one word'],
    [`${story(5000)}${'x'.repeat(300_000)} and on`, 'one in the middle'],
    [`${story(5000)}\n${'x'.repeat(300_000)}`, 'one at the end'],
    [`${story(5000)}${' \n'.repeat(150_000)}and on`, 'white space'],
  ] as const)
    expect(() => textDataset('t.txt', text, tokenizer), from).toThrow(
      /^t.txt asks for [\d,]+ letters in one word or one white space/,
    );
  expect(textDataset('t.txt', '和'.repeat(40_000), tokenizer).train.tokens.length).toBeGreaterThan(40_000);
});

it('in a row of a table is left out and named, where it is no text', async () => {
  const rows = Array.from({ length: 30 }, (_, i) => ({
    text: i === 4 ? 'QUJD'.repeat(70_000) : story(300),
  }));
  const found = { notes: [] as string[] };
  const bytes = new TextEncoder().encode(rows.map((row) => JSON.stringify(row)).join('\n'));
  const data = await openDataset([{ name: 'web.jsonl', bytes }], { task: 'text', tokenizer }, found);
  expect(data.kind).toBe('text');
  expect(found.notes.join('\n')).toMatch(
    /row 5\b.*letters in one word or one white space|letters in one word or one white space.*row 5\b/,
  );
});
