// Tokenizers' expressions: those in use are left to the engine, others are counted and find the same.
import { describe, expect, it } from 'vitest';
import { compile, matchAt } from '../../src/lib/regex/program.ts';
import { boundedRegExp, isLinear, readScript } from '../../src/lib/regex/script.ts';
import { rng } from '../../src/lib/rng.ts';

const refuse = (): never => {
  throw new Error('too many steps');
};

/** As the tokenizers library hands them to the engine. */
const IN_USE: Readonly<Record<string, string>> = {
  'GPT-2': "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  'GPT-4, Llama 3':
    "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  'Qwen 2':
    "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  'GPT-4o':
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  'DeepSeek V3':
    '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  'DeepSeek digits': '\\p{N}{1,3}',
  'DeepSeek CJK': '[一-龥぀-ゟ゠-ヿ]+',
  'DeepSeek lines': '[\\r\\n]',
  BLOOM: ' ?[^()|\\s.,!?…。，、।۔،]+',
  'SentencePiece spaces': ' {2,}',
  XLM: '``',
  Digits: '[^\\d]+|\\d',
  words: '\\p{L}+',
  Gemma: ' ',
  CLIP: "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+",
};

const HOSTILE = [
  '(\\w|_)*%',
  '(?:[a-z]+)+%',
  '(?:a?){30}a{30}',
  '(.*)*%',
  '\\w+%',
  '\\s+$',
  '.*,.*,.*%',
  '\\s*\\n|\\s|\\s+',
  '(?:x+x+)+y',
  '(?=(?:\\w+_?)+%)',
  '(?<=\\w*)%',
  '\\w*\\d*\\w*%|\\w+',
];

describe('expressions of tokenizers', () => {
  it.each(Object.entries(IN_USE))('%s: is the engine’s own', (_, source) => {
    const expression = new RegExp(source, 'gu');
    expect(boundedRegExp(expression, refuse)).toBe(expression);
  });

  it.each(HOSTILE)('%s is counted, and gives up or ends', (source) => {
    const counted = boundedRegExp(new RegExp(source, 'gu'), refuse);
    expect(isLinear(readScript(counted).node)).toBe(false);
    for (const text of ['a_'.repeat(2_000), ' '.repeat(4_000), 'word, '.repeat(600), 'x'.repeat(4_000)]) {
      const started = performance.now();
      try {
        text.replaceAll(counted, '');
        [...text.matchAll(counted)];
        text.split(counted);
      } catch (error) {
        expect(String(error)).toBe('Error: too many steps');
      }
      // Three passes of as many steps as letters allow.
      expect(performance.now() - started).toBeLessThan(3000);
    }
  });

  const draw = rng(41);
  const text = () =>
    Array.from({ length: 1 + draw.int(60) }, () => draw.pick([..."aB 9.,\n\t_é漢😀's%x  "])).join('');

  it.each([...Object.entries(IN_USE), ...HOSTILE.slice(4).map((source) => [source, source] as const)])(
    '%s: counted, it finds what the engine finds',
    (_, source) => {
      const expression = new RegExp(source, 'gu');
      const program = compile(readScript(expression));
      const sticky = new RegExp(source, 'yu');
      for (let k = 0; k < 150; k++) {
        const some = text();
        for (let at = 0; at <= some.length; at++) {
          // Between the halves of a letter the engine steps back.
          if (/^[\udc00-\udfff]/.test(some.slice(at))) continue;
          sticky.lastIndex = at;
          const found = matchAt(program, some, at, { left: 1e6 });
          const native = sticky.exec(some);
          expect([some, at, found && some.slice(found[0], found[1])]).toEqual([
            some,
            at,
            native?.[0] ?? null,
          ]);
        }
      }
    },
  );

  it('works in the string methods as the engine’s own does', () => {
    for (const source of ['(\\w+)+(%)?', '(?:a|(b))+c?', '\\s+$|x(?=y)', '(?:)|a+?b', '(?<![a-z]*)q']) {
      const own = new RegExp(source, 'gu');
      const counted = boundedRegExp(own, refuse);
      if (counted === own) continue;
      for (let k = 0; k < 100; k++) {
        const some = text();
        expect(some.match(counted)).toEqual(some.match(own));
        expect(some.replaceAll(counted, '<$&>')).toBe(some.replaceAll(own, '<$&>'));
        expect([...some.matchAll(counted)].map((m) => [m.index, m[0]])).toEqual(
          [...some.matchAll(own)].map((m) => [m.index, m[0]]),
        );
        expect(some.split(counted).filter(Boolean).join('|').length).toBe(
          some.split(own).filter(Boolean).join('|').length,
        );
      }
    }
  });

  it('does not know references back', () => {
    expect(() => boundedRegExp(/(a+)\1/gu, refuse)).toThrow(SyntaxError);
  });
});
