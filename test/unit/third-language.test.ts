/**
 * A third language is one file: forms of a sentence by a number, numbers with the language's own point, and a file that is found and checked without being
 * named anywhere. The languages here are invented, with the rules of Polish and German. Seen to fail with: the form of another number, a group of
 * thousands taken for parts, forms that a language has not, a number of a picture written with a point, a rate in a sentence by toPrecision, steps by toLocaleString('en-GB'),
 * a direction that is not taken over, a margin on the left.
 */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { fixed, inEnglish, language, local, say, speak, whole } from '../../src/common.ts';
import { formOf, numberOf } from '../../src/lib/plurals.ts';
import { brief, bytes, degrees, hundredths, percent, power, real } from '../../src/page/format.ts';
import { numberIn } from '../../src/page/labs/Question.tsx';
import { chooseLanguage, directionOf } from '../../src/page/language.ts';
import { allLanguages, problemOf } from '../../tools/words/words.mjs';

afterEach(() => speak());

const LETTERS = {
  ...{ of: '0', one: '{0} litera, {1}', few: '{0} litery, {1}', many: '{0} liter, {1}' },
  other: '{0} litery (część), {1}',
};
const inPolish = () => speak({ locale: 'pl', phrases: { '{0} letters, {1}': LETTERS } });

describe('a language with more forms than English', () => {
  it('says each number in its form, however it is written', () => {
    inPolish();
    const told = (n: number | string) => say`${n} letters, ${'a'}`;
    expect([1, 2, 5, 12, 22, 25].map(told)).toEqual([
      '1 litera, a',
      '2 litery, a',
      '5 liter, a',
      '12 liter, a',
      '22 litery, a',
      '25 liter, a',
    ]);
    expect(told(whole(12_345_672))).toMatch(/litery, a$/);
    expect(told(whole(12_345_675))).toMatch(/liter, a$/);
    expect(told(fixed(1.5, 1))).toBe('1,5 litery (część), a');
    expect(told('no number')).toBe('no number litery (część), a');
    // In English, and again.
    expect(inEnglish(() => told(2))).toBe('2 letters, a');
    expect(told(2)).toBe('2 litery, a');
  });

  it('reads numbers as the language writes them', () => {
    expect([numberOf('1.234,5', ','), numberOf('1,234.5', '.'), numberOf('−3', '.')]).toEqual([
      1234.5, 1234.5, -3,
    ]);
    expect(numberOf('none', '.')).toBeNaN();
    expect(numberOf('tales-gpt', '.')).toBeNaN();
    const rules = new Intl.PluralRules('pl');
    expect(formOf(LETTERS, '1,0', rules, ',')).toBe(LETTERS.one);
  });
});

describe('a language that is written from right to left', () => {
  it('turns the page round, and the next one turns it back', async () => {
    const root = { lang: '', dir: '' };
    vi.stubGlobal('document', { documentElement: root });
    vi.stubGlobal('localStorage', { setItem: () => {} });
    expect(['ar', 'he-IL', 'fa', 'ur-PK'].map(directionOf)).toEqual(['rtl', 'rtl', 'rtl', 'rtl']);
    expect(['en-GB', 'zh-Hans', 'de', 'arn', 'hei'].map(directionOf)).toEqual(Array(5).fill('ltr'));
    root.dir = 'rtl';
    expect(await chooseLanguage('zh-Hans')).toBeNull();
    expect(root).toEqual({ lang: 'zh-Hans', dir: 'ltr' });
    vi.unstubAllGlobals();
  });

  it('finds no left and right in the style sheets, but where a rule is for one direction', () => {
    const sheets = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((path) =>
      path.endsWith('.css'),
    );
    expect(sheets.length).toBeGreaterThan(10);
    const sided = sheets.flatMap((path) =>
      readFileSync(join('src', path), 'utf8')
        .split('\n')
        .map((line, i) => ({ line: line.trim(), at: `${path}:${i + 1}` }))
        .filter(({ line }) =>
          /^((margin|padding|border)-(left|right)\b|(left|right):|border-(top|bottom)-(left|right)|(text-align|float|clear): (left|right)|(margin|padding|inset): \S+ (?<end>\S+) \S+ (?!\k<end>;)\S+;)/.test(
            line,
          ),
        ),
    );
    expect(sided).toEqual([]);
  });
});

describe('a language with a comma', () => {
  it('has it in every number', () => {
    const all = () => [
      ...[percent(0.1234), hundredths(-0.5), real(0.12345), power(1.5e-7), bytes(1536), brief(1.25)],
      ...[fixed(2.5, 1), degrees(Math.PI / 8), say`at ${0.5}`, say`at ${3}`],
    ];
    const english = all();
    expect(english.join(' ')).not.toContain(',');
    speak({ locale: 'de', phrases: {} });
    expect(all()).toEqual(english.map((text) => text.replace('.', ',')));
    expect(local('0.5')).toBe('0,5');
    expect(inEnglish(all)).toEqual(english);
  });

  it('reads an answer as it writes it, and as English does', () => {
    expect(['1,234', '0.5', '0,5', '87.3 %'].map(numberIn)).toEqual([1234, 0.5, 0.5, 87.3]);
    speak({ locale: 'de', phrases: {} });
    expect(['1.234', '0.5', '0,5', '87,3 %', '1.234,5'].map(numberIn)).toEqual([
      1234, 0.5, 0.5, 87.3, 1234.5,
    ]);
    expect(language().locale).toBe('de');
  });

  /** What writes a number with a point, whatever is spoken, or names one language; the locale that is spoken is none. */
  const POINTED =
    /\.to(Fixed|Precision|Exponential)\(|\.toLocale\w*\((\)|['"`])|\bIntl\.\w+\((\)|['"`])|['"`]en-\w+['"`]/;
  /** Given the language's own point there and then, or a number again, which `say` writes. */
  const LOCAL =
    /\b(local|signed|exponent)\(.*\.to(Fixed|Precision|Exponential)\(|(?<!String\(|\$\{)\bNumber\(.*\.toPrecision\(|say`.*\$\{Number\(/;
  /** A line of a file by a piece of it; null: the whole file. */
  const FOR_MACHINES: readonly (readonly [path: string, piece: string | null])[] = [
    // Places on screen, styles, and what a slider snaps to.
    ['page/features/inspect/Learnt.tsx', 'zero.toFixed(2)'],
    ['page/labs/textbook/WireGraph.tsx', 'y(from).toFixed(1)'],
    ['page/labs/textbook/NeuronPlane.tsx', 'const at = '],
    ['page/labs/textbook/CostFigure.tsx', '<span style='],
    ['page/labs/cayley/Plane.tsx', 'UNIT * x).toFixed(2)'],
    ['page/labs/forgetting/PlaneFigure.tsx', 'const [x, y] = [placeOf('],
    ['page/labs/Plot.tsx', 'd={`M'],
    ['page/labs/controls.ts', '.toFixed(digitsOf(step))'],
    ['page/labs/MatrixGrid.tsx', 'color-mix('],
    // What a form is filled with, and what is to be written into a configuration: with a point, as they are read.
    ['page/lessons/draft.ts', '/ 50).toPrecision(1)'],
    ['page/features/runs/sweep.ts', '[value / by, value, value * by]'],
    ['training/outcome.ts', 'fitting.toPrecision(2)'],
    ['training/outcome.ts', 'next.toPrecision(2),'],
    // Files for others, and what a report of an error holds.
    ['page/parts/numberFiles.ts', '.toPrecision(DIGITS)'],
    ['page/features/training/controller.ts', '(at - began) / 1000'],
    ['training/checkReport.ts', 'r.error.toExponential(2)'],
    ['training/evaluation.ts', 's.seconds.toFixed(3)'],
    ['training/checkText.ts', null],
    ['training/comparisonTable.ts', null],
    ['training/modelCard.ts', null],
    ['python/readme.ts', null],
    // English itself.
    ['lib/say.ts', 'const ENGLISH'],
    ['page/language.ts', 'const ENGLISH'],
  ];
  it('has it in every number that a reader is told; the command line speaks English', () => {
    const pointed = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.tsx?$/.test(path) && !path.startsWith('cli/'))
      .flatMap((path) =>
        readFileSync(join('src', path), 'utf8')
          .split('\n')
          .flatMap((line) => (POINTED.test(line) && !LOCAL.test(line) ? [[path, line.trim()] as const] : [])),
      );
    const covered = FOR_MACHINES.map(([at, piece]) =>
      pointed.filter(([path, line]) => path === at && (piece === null || line.includes(piece))),
    );
    const left = pointed.filter((one) => !covered.some((lines) => lines.includes(one)));
    expect(left.map((one) => one.join(': '))).toEqual([]);
    // Each exception is of one line, or of a file that has some.
    for (const [i, [path, piece]] of FOR_MACHINES.entries())
      expect(Math.min(covered[i]!.length, piece === null ? 1 : 9), `${path}: ${piece}`).toBe(1);
  });
});

describe('the file of a language', () => {
  it('is found by its name alone', () => {
    const folder = mkdtempSync(join(tmpdir(), 'papilio-languages-'));
    writeFileSync(join(folder, 'pl.json'), JSON.stringify({ One: 'Jeden' }));
    writeFileSync(join(folder, 'notes.txt'), '');
    expect(allLanguages(folder)).toEqual([['pl.json', { One: 'Jeden' }]]);
  });

  it('is held to the values of each sentence and to the forms of its language', () => {
    const phrase = '{0} letters, {1}';
    expect(problemOf(phrase, LETTERS, 'pl')).toBeNull();
    expect(problemOf(phrase, '{1}: {0}', 'pl')).toBeNull();
    expect(problemOf(phrase, '{0}', 'pl')).toBe('its values are others');
    expect(problemOf(phrase, { ...LETTERS, few: '{0}' }, 'pl')).toBe('its values are others');
    expect(problemOf(phrase, LETTERS, 'de')).toMatch(/^its forms are few many one other, and/);
    expect(problemOf(phrase, { ...LETTERS, of: '2' }, 'pl')).toBe('"of" names no value of it: 2');
  });
});
