/**
 * A third language is one file: forms of a sentence by a number, numbers with the language's own point, and a file that is found and checked without being
 * named anywhere. The languages here are invented, with the rules of Polish and German. Seen to fail with: the form of another number, a group of
 * thousands taken for parts, forms that a language has not, a number of a picture written with a point.
 */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { fixed, inEnglish, language, local, say, speak, whole } from '../../src/common.ts';
import { formOf, numberOf } from '../../src/lib/plurals.ts';
import { brief, bytes, hundredths, percent, power, real } from '../../src/page/format.ts';
import { numberIn } from '../../src/page/labs/Question.tsx';
import { degrees } from '../../src/page/labs/textbook/degrees.ts';
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

  /** Places on screen, styles and what a slider snaps to are no words. */
  const PLACES =
    /^features\/training\/controller\.ts|^features\/inspect\/Learnt\.tsx|<path|`M\$|L\$|style=|NeuronPlane|Plane\.tsx|PlaneFigure|digitsOf\(step\)|WireGraph/;
  it('has it in every number of the page', () => {
    const folder = 'src/page';
    const pointed = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.tsx?$/.test(path))
      .flatMap((path) =>
        readFileSync(join(folder, path), 'utf8')
          .split('\n')
          .flatMap((line) => (/\.toFixed\(/.test(line) ? [`${path}: ${line.trim()}`] : [])),
      );
    expect(pointed.length).toBeGreaterThan(3);
    expect(pointed.filter((line) => !PLACES.test(line))).toEqual([]);
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
