/**
 * JSON that walks badly, at every door that reads some: nested beyond any stack, and values whose toString and valueOf are no functions. Each is read
 * or refused in a sentence.
 */
import { describe, expect, it } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { jsonOf, numberFrom, plainWords } from '../../src/lib/json.ts';
import type { Door, Input } from '../../tools/fuzz/door.ts';
import { DOORS } from '../../tools/fuzz/doors/index.ts';

const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
const STRANGE = '{"toString":1,"valueOf":{},"constructor":null,"length":-1,"then":true}';

describe('JSON from elsewhere', () => {
  it('is JSON.parse, but for depth', () => {
    const text = String.raw`{"a[[[":["\"[[\\",{"b":1e9}],"]}":null}`;
    expect(jsonOf(text)).toEqual(JSON.parse(text));
    expect(jsonOf(deep(400))).toEqual(JSON.parse(deep(400)));
    expect(() => jsonOf(deep(600))).toThrow(/nested/);
    for (const broken of ['"', '"\\', '[', '{"a', ']]]]', ''])
      expect(() => jsonOf(broken)).toThrow(SyntaxError);
  });

  it('is words and numbers, whatever it is', () => {
    const strange = JSON.parse(STRANGE) as unknown;
    expect(plainWords(strange)).toContain('toString');
    expect(numberFrom(strange)).toBeNaN();
    expect([plainWords('a'), plainWords(1.5), plainWords(null), numberFrom('7')]).toEqual([
      'a',
      '1.5',
      'null',
      7,
    ]);
  });
});

/** The text with its values, one after the other, replaced; keys stay. */
function* replaced(text: string, value: string): Generator<string> {
  const values = [
    ...text.matchAll(/(?<=[:[,]\s*)(?:"(?:[^"\\]|\\.)*"(?!\s*:)|-?\d[\d.e+-]*|true|false|null)/g),
  ];
  const step = Math.max(1, Math.floor(values.length / 25));
  for (let i = 0; i < values.length; i += step) {
    const { 0: found, index } = values[i]!;
    yield text.slice(0, index) + value + text.slice(index + found.length);
  }
  yield value;
}

const utf8 = (text: string) => new TextEncoder().encode(text);
const isJson = (name: string) => /\.(json|jsonl)$/.test(name);

function* spoiled(door: Door): Generator<Input> {
  for (const input of door.seeds().slice(0, 8))
    for (const file of input.files.filter(({ name }) => isJson(name)))
      for (const value of [deep(20_000), STRANGE])
        for (const text of replaced(new TextDecoder().decode(file.bytes), value))
          yield { ...input, files: input.files.map((f) => (f === file ? { ...f, bytes: utf8(text) } : f)) };
}

describe('at a door', () => {
  it.each(['onnx-bytes', 'adapter-folder', 'tokenizer', 'template', 'table'].map((name) => [name] as const))(
    '%s',
    async (name) => {
      const door = DOORS.find((d) => d.name === name)!;
      let count = 0;
      for (const input of spoiled(door)) {
        count++;
        try {
          await door.open(input);
        } catch (error) {
          if (!(error instanceof PapilioError)) throw error;
          expect(error.kind).not.toBe('internal');
        }
      }
      expect(count).toBeGreaterThan(3);
    },
  );
});

describe('many values', () => {
  const many = (item: string, count: number) => `[${`${item},`.repeat(count)}${item}]`;

  // Seen to fail without the bound.
  it.each(['{}', '[]', '""', '{"a":0}'])('of %s are counted before they are made', (item) => {
    expect(() => jsonOf(many(item, 2_000_000), 'x.json')).toThrow(/^x.json asks for [\d,]+ bytes of values/);
  });

  it('are taken as a tokenizer of 256,000 tokens and 580,000 merges has them', () => {
    const vocab = Object.fromEntries(Array.from({ length: 256_000 }, (_, i) => [`t${i.toString(36)}`, i]));
    const merges = Array.from({ length: 580_000 }, (_, i) => `${(i % 4096).toString(36)} ${i.toString(36)}`);
    expect(() => jsonOf(JSON.stringify({ vocab, merges }))).not.toThrow();
  });
});
