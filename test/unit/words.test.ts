/**
 * Sentences in the reader's language: every language has each of them, with the same values, and nothing else.
 * Seen to fail with: a sentence taken out of a table, one added, a value left out, a term in another word, a list of terms under another name, a sentence said while a file is loaded,
 * a space written after one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { afterEach, describe, expect, it } from 'vitest';
import {
  facts,
  inEnglish,
  language,
  listOf,
  onLanguage,
  paragraph,
  say,
  speak,
  whole,
} from '../../src/common.ts';
import { allAgain, clause, englishOf, rememberSaid } from '../../src/lib/say.ts';
import { LOCALES, ownName, suited } from '../../src/page/language.ts';
import { Sentences } from '../../src/page/parts/Sentences.tsx';
import {
  allLanguages,
  allPhrases,
  gluedIn,
  LANGUAGES,
  phrasesIn,
  problemOf,
  textsOf,
  unsaidIn,
} from '../../tools/words/words.mjs';

const said = allPhrases();
const phrases = new Set(said.map(({ phrase }) => phrase));

describe.each(allLanguages())('%s', (name, table) => {
  it('has every sentence', () => {
    expect([...phrases].filter((phrase) => !table[phrase])).toEqual([]);
  });
  it('has nothing that is not said', () => {
    expect(Object.keys(table).filter((phrase) => !phrases.has(phrase))).toEqual([]);
  });
  it('keeps the values of each sentence', () => {
    const locale = name.replace('.json', '');
    const broken = Object.entries(table).flatMap(([from, to]) => problemOf(from, to, locale) ?? []);
    expect(broken).toEqual([]);
  });
});

/** A language may do without. */
const TERMS = new Map(
  allLanguages(`${LANGUAGES}/terms`) as (readonly [
    string,
    Readonly<Record<string, string | readonly string[]>>,
  ])[],
);

it('has terms for languages that there are, Chinese among them', () => {
  const names = allLanguages().map(([name]) => name);
  expect([...TERMS.keys()].filter((name) => !names.includes(name))).toEqual([]);
  expect([...TERMS.keys()]).toContain('zh-Hans.json');
});

describe.each([...TERMS])('the terms of %s', (name, terms) => {
  const table = Object.entries(new Map(allLanguages()).get(name) ?? {});
  const saidWith = (term: string) => {
    const isUsed = new RegExp(`(?<![\\w-])${term}(s|es)?(?![\\w-]|\\.\\w)`, 'i');
    return table.filter(([from]) => isUsed.test(from));
  };
  it('are each one word', () => {
    const broken = Object.entries(terms).flatMap(([term, word]) =>
      saidWith(term)
        .filter(([, to]) => !textsOf(to).every((text) => [word].flat().some((one) => text.includes(one))))
        .map(([from, to]) => ({ term, word, from, to })),
    );
    expect(broken).toEqual([]);
  });
  it('are all said', () => {
    expect(Object.keys(terms).filter((term) => saidWith(term).length === 0)).toEqual([]);
  });
});

it('says nothing while a file is loaded', () => {
  expect(said.filter(({ isLate }) => !isLate)).toEqual([]);
});

/** Rooms of the engine whose sentences reach the page and are said: more with every commit. */
const ROOMS = [
  ...['adapters', 'data', 'gpu', 'graph', 'hub', 'inference', 'lib', 'models', 'onnx'],
  ...['onnxruntime', 'ops', 'python', 'training'],
];
/** Names, code and selectors, which are the same in every language. */
const NO_WORDS: readonly RegExp[] = [
  /^src\/page\/(App|labs\/LabsPage)\.tsx:\d+: Papilio$/,
  /^src\/page\/commands\.ts:\d+: input:not/,
  // Texts to be learnt.
  /^src\/data\/(tales|kitchen|recipes|styles|grammar)\.ts:/,
  /^src\/data\/glyphs[./]/,
  /^src\/data\/files\/conll\.ts:\d+: no upos$/,
  // Names: of kinds of tables and heads, of what is looked for in a file.
  /^src\/models\/import\/tables\.ts:\d+: (position table|causal buffer|rotary table)$/,
  /^src\/models\/contract\.ts:\d+: (position table|causal buffer|rotary table)$/,
  /^src\/models\/newHead\.ts:\d+: (output first|first and patches)$/,
  /^src\/models\/catalogue\.ts:\d+: (Glyphs ViT|Tales GPT)$/,
  /^src\/models\/import\/operators\/normalisation\.ts:\d+: no mask$/,
  /^src\/onnx\/decode\.ts:\d+: version https:/,
  /^src\/training\/stepTime\.ts:\d+: a chain of one$/,
  // Of cases, buffers and tables: "odd sizes", "sums of q".
  /^src\/ops\/\w+\.check\.ts:/,
  /^src\/ops\/sparseIdft\.ts:\d+: (frequency (rows|columns)|frequencies for (products|transforms))$/,
  /^src\/ops\/spectralOnnx\.ts:\d+: (half waves of|of cells)$/,
  /^src\/graph\/schedule\.ts:\d+: (partial )?sums of$/,
  /^src\/gpu\/(compile|readback)\.ts:\d+: (parameters of the kernels|read-back ring)$/,
  // Places in shaders, as compilers name them.
  /^src\/gpu\/(compile|pipelines)\.ts:\d+: (, entry point|of the linked text)$/,
  // Formulas and papers.
  /^src\/adapters\/\w+\/card\.ts:/,
  /^src\/adapters\/peft\.ts:\d+: version https:/,
  // Files for others, in English in every language.
  /^src\/training\/(checkText|comparisonTable|modelCard|snippets)\.ts:/,
  /^src\/python\/(readme|settings)\.ts:/,
  // Of the command line alone.
  /^src\/onnxruntime\/nativeRuntime\.ts:/,
  // Lines of Python.
  /^src\/page\/exports\.ts:/,
  /^src\/page\/features\/hub\/Access\.tsx:\d+: hf_…$/,
  /^src\/page\/features\/device\/DeviceCheck\.tsx:\d+: papilio check$/,
  /^src\/page\/features\/runs\/sweep\.ts:\d+: oft, boft, lora$/,
  /^src\/page\/features\/training\/Forecast\.tsx:\d+: MB$/,
  /^src\/page\/features\/start\/Start\.tsx:\d+: \.onnx$/,
  /^src\/page\/features\/setup\/Targets\.tsx:\d+: target_modules$/,
  /^src\/page\/features\/inspect\/Learnt\.tsx:\d+: (<svg xmlns|" preserveAspectRatio)/,
  // Formulas; names and titles of papers.
  /^src\/page\/labs\/textbook\/(formulas\.ts|Sources\.tsx):/,
  // Names of styles and places, and the way to the languages, said in all of them.
  /^src\/page\/parts\/Action\.tsx:\d+: button button-/,
  /^src\/page\/parts\/Chart\.tsx:\d+: top center$/,
  /^src\/page\/parts\/LanguageMenu\.tsx:\d+: Language, 语言$/,
];

const foundIn = (room: string, find: (path: string, text: string) => string[]): string[] =>
  readdirSync(room, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.tsx?$/.test(path) && !path.endsWith('.d.ts'))
    .flatMap((path) => find(`${room}/${path}`, readFileSync(`${room}/${path}`, 'utf8')));

const unsaidOf = (room: string): string[] =>
  foundIn(`src/${room}`, unsaidIn).filter((words) => !NO_WORDS.some((pattern) => pattern.test(words)));

it('says every word of the page', () => {
  expect(unsaidOf('page')).toEqual([]);
});

it.each(ROOMS)('says every sentence of %s', (room) => {
  expect(unsaidOf(room)).toEqual([]);
});

it('finds words that are not said, and leaves out what only a mistake of the program meets', () => {
  const lines = [
    "fail('bad-data', 'A row is empty.');",
    "fail('internal', 'A row is empty.');",
    "throw new PapilioError('limit', `$" + '{n} rows are too many.`);',
    "throw new SyntaxError('a row is empty');",
    "if (kind === 'a row') fail('limit', say`A row is empty.`);",
  ];
  expect(unsaidIn('a.ts', lines.join('\n'))).toEqual([
    'a.ts:1: A row is empty.',
    'a.ts:3: rows are too many.',
  ]);
});

it('leaves what stands between sentences to the language', () => {
  expect(foundIn('src', gluedIn)).toEqual([]);
});

it('finds sentences that a space is written after, and no space elsewhere', () => {
  const found = [
    "<p>{say`One.`}{' '}{two}</p>;",
    '<p>{is ? rich`Is it $' + '{<b>{say`one`}</b>}?` : two} {three}</p>;',
    '<p>{one}{is ? <> {say`Two.`}</> : null}</p>;',
    'const a = `$' + '{say`One.`} $' + '{two}`;',
    "const b = [say`One.`, two].join(' ');",
    "const c = say`One.` + ' ' + two;",
  ];
  const fine = [
    "<p><b>{say`recorded`}</b>{' '}{say`Two.`}</p>;",
    '<p>{say`One.`}\n<i>{two}</i></p>;',
    '<Sentences>{say`One.`}{say`Two.`}</Sentences>;',
    'const d = paragraph([say`One.`, two]);',
  ];
  expect([...found, ...fine].map((line) => gluedIn('a.tsx', line).length)).toEqual([
    ...found.map(() => 1),
    ...fine.map(() => 0),
  ]);
});

const SOME = ['en-GB', 'zh-Hans'];

it('begins with the first of the browser’s languages that there is', () => {
  expect(LOCALES).toEqual(['en-GB', ...allLanguages().map(([name]) => name.replace('.json', ''))]);
  expect(LOCALES).toContain('zh-Hans');
  expect(suited(['fr-FR', 'zh-TW', 'en-US'], SOME)).toBe('zh-Hans');
  expect(suited(['en-US', 'zh-CN'], SOME)).toBe('en-GB');
  expect(suited(['fr'], SOME)).toBe('en-GB');
  expect(['en-GB', 'zh-Hans', 'de'].map(ownName)).toEqual(['British English', '简体中文', 'Deutsch']);
});

describe('say', () => {
  afterEach(() => speak());

  it('puts values where the language has them, and speaks English where it has none', () => {
    expect(said.length).toBeGreaterThan(10);
    expect(say`Layer ${'q'} has ${3} rows`).toBe('Layer q has 3 rows');
    const heard: string[] = [];
    const end = onLanguage(({ locale }) => heard.push(locale));
    speak({ locale: 'zh-Hans', phrases: { 'Layer {0} has {1} rows': '{1} 行，层 {0}' } });
    expect(say`Layer ${'{1}'} has ${3} rows`).toBe('3 行，层 {1}');
    expect(say`Nobody translated ${1}`).toBe('Nobody translated 1');
    expect(say`constructor`).toBe('constructor');
    end();
    speak();
    expect([heard, language().locale]).toEqual([['zh-Hans'], 'en-GB']);
    expect(say`Layer ${'q'} has ${3} rows`).toBe('Layer q has 3 rows');
  });

  it('speaks English for files that others read, and the reader’s language again', () => {
    speak({ locale: 'zh-Hans', phrases: { 'One.': '一。', 'Two.': '二。' } });
    const both = () => paragraph([say`One.`, say`Two.`]);
    expect([facts(['1 a', 'b']), inEnglish(() => facts(['1 a', 'b']))]).toEqual(['1 a，b', '1 a, b']);
    expect([both(), inEnglish(both), both(), clause(both())]).toEqual([
      '一。二。',
      'One. Two.',
      '一。二。',
      '一。二',
    ]);
    const broken = () =>
      inEnglish(() => {
        throw new Error('broken');
      });
    expect(broken).toThrow('broken');
    expect(language().locale).toBe('zh-Hans');
    speak({ locale: 'de', phrases: {} });
    expect([whole(12345.6), inEnglish(() => whole(12345.6))]).toEqual(['12.346', '12,346']);
  });

  it('has between sentences on the page what the language has', () => {
    const drawn = () =>
      renderToStaticMarkup(
        createElement(Sentences, null, 'One.', '', null, createElement('b', null, 'Two.')),
      );
    expect(drawn()).toBe('One. <b>Two.</b>');
    speak({ locale: 'zh-Hans', phrases: {} });
    expect(drawn()).toBe('One.<b>Two.</b>');
  });

  it('knows the English of what a worker said in another language', () => {
    rememberSaid();
    speak({
      locale: 'zh-Hans',
      phrases: {
        'Row {0} is empty.': '第 {0} 行为空。',
        'Left out: {0}': '未使用：{0}',
        'one file': '一个文件',
      },
    });
    const files = listOf([say`one file`, 'a.csv']);
    const said = paragraph([say`Left out: ${files}`, say`Row ${3} is empty.`]);
    expect(said).toBe('未使用：一个文件和 a.csv第 3 行为空。');
    expect(englishOf(said)).toBe('Left out: one file and a.csv Row 3 is empty.');
    expect(englishOf(say`Left out: ${clause(say`Row ${3} is empty.`)}`)).toBe('Left out: Row 3 is empty');
    expect(englishOf('never said')).toBe('never said');
    // Said again in the language of now, from either, however it was put together.
    speak();
    const english = say`Row ${7} is empty.`;
    expect(new Map(allAgain()).get(said)).toBe('Left out: one file and a.csv Row 3 is empty.');
    speak({ locale: 'zh-Hans', phrases: { 'Row {0} is empty.': '第 {0} 行为空。' } });
    const again = new Map(allAgain());
    expect(again.get(english)).toBe('第 7 行为空。');
    expect(again.get('Left out: one file and a.csv Row 3 is empty.')).toBe(
      'Left out: one file 和 a.csv第 3 行为空。',
    );
    // What is passed on a thousand times is remembered once.
    for (let times = 0; times < 5000; times++) paragraph([listOf([say`Row ${3} is empty.`])]);
    speak();
    expect(new Map(allAgain()).get('第 3 行为空。')).toBe('Row 3 is empty.');
  });

  it('is found in the sources with its values numbered', () => {
    expect(phrasesIn('a.ts', 'const f = () => say`A $' + '{x} and $' + '{say`b`}.`;\nsay`now`;')).toEqual([
      { phrase: 'A {0} and {1}.', at: 'a.ts:1', isLate: true },
      { phrase: 'b', at: 'a.ts:1', isLate: true },
      { phrase: 'now', at: 'a.ts:2', isLate: false },
    ]);
  });
});
