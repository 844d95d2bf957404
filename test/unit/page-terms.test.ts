/**
 * Terms of the textbook: each has a sentence in the glossary and a word in the list of terms, and a page or lab that uses one of those that a beginner
 * cannot guess says there what it means. Seen to fail with: a term that the list lacks, a lab that speaks of a head without its meaning, a page that
 * marks a term twice.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GLOSSARY } from '../../src/page/labs/textbook/glossary.ts';
import { PAGES } from '../../src/page/labs/textbook/pages.ts';
import { WAY } from '../../src/page/labs/textbook/way.ts';
import { phrasesIn } from '../../tools/words/words.mjs';

const LABS = 'src/page/labs';
const read = (path: string): string => readFileSync(path, 'utf8');
/** Sources of a page or a lab; a page ends with what its method costs. */
const sourcesOf = (id: string, isPage?: true): [path: string, text: string][] => {
  const folder = isPage ? `${LABS}/textbook/${id}` : `${LABS}/${id}`;
  const own = readdirSync(folder)
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => `${folder}/${name}`);
  return [...own, ...(isPage ? [`${LABS}/textbook/CostFigure.tsx`] : [])].map((path) => [path, read(path)]);
};
const markedIn = (text: string): string[] =>
  [...text.matchAll(/<Term of="([\w-]+)"/g)].map(([, name]) => name!);

/** Words that are explained wherever they are used. */
const EXPLAINED: Readonly<Record<string, RegExp>> = {
  rank: /(?<!low.)\brank\b/i,
  softmax: /\bsoftmax\b/i,
  head: /\bhead\b/i,
  'held-out': /\bheld[ -]out\b/i,
  merge: /\bmerg(e|es|ed|ing)\b/i,
  PEFT: /\bPEFT\b/,
  engine: /\bengine\b/i,
  float64: /\bfloat64\b/,
  AdamW: /\bAdamW\b/,
  'Hadamard-matrix': /\bHadamard\b/,
};

describe('the glossary', () => {
  const terms = JSON.parse(read('src/languages/terms/zh-Hans.json')) as object;

  it('has the words of the list of terms', () => {
    const names = Object.keys(GLOSSARY);
    expect(names.filter((name) => !(name in terms) && !(name.replace('-', ' ') in terms))).toEqual([]);
  });

  it('is linked once from each page for each term', () => {
    for (const { id } of PAGES) {
      const page = readdirSync(`${LABS}/textbook/${id}`).find((name) => name.endsWith('Page.tsx'))!;
      const linked = markedIn(read(`${LABS}/textbook/${id}/${page}`));
      expect(linked.length).toBeGreaterThan(4);
      expect(new Set(linked).size).toBe(linked.length);
    }
  });

  it('has its pages before the labs that they lead to', () => {
    for (const { id, before } of PAGES) {
      const at = WAY.findIndex((entry) => entry.id === id);
      expect(WAY.slice(at + 1).find(({ isPage }) => !isPage)?.id).toBe(before);
    }
  });
});

describe.each(WAY)('$id', ({ id, isPage }) => {
  const sources = sourcesOf(id, isPage);
  const marked = sources.flatMap(([, text]) => markedIn(text));

  it('marks terms that the glossary has', () => {
    expect(marked.filter((name) => !(name in GLOSSARY))).toEqual([]);
  });

  it('says what the words mean that a beginner cannot guess', () => {
    const said = sources.flatMap(([path, text]) => phrasesIn(path, text).map(({ phrase }) => phrase));
    const used = Object.keys(EXPLAINED).filter((name) =>
      said.some((phrase) => EXPLAINED[name]!.test(phrase)),
    );
    expect(used.filter((name) => !marked.includes(name))).toEqual([]);
  });
});

it('explains each of those words somewhere', () => {
  const everywhere = new Set(
    WAY.flatMap(({ id, isPage }) => sourcesOf(id, isPage).flatMap(([, text]) => markedIn(text))),
  );
  expect(Object.keys(EXPLAINED).filter((name) => !everywhere.has(name))).toEqual([]);
});
