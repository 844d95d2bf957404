/**
 * What zod refuses is said in one place, in the reader's language: seen to fail with zod's own words, with a sentence that a schema has of its own,
 * and with a room that takes zod itself.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import { type Phrases, speak } from '../../src/lib/say.ts';
import { z } from '../../src/lib/schema.ts';
import { METHODS } from '../../src/methods.ts';
import { refuseValue, trainingShape } from '../../src/page/features/setup/settings.ts';

afterEach(() => speak());

const cases: readonly [z.ZodType, unknown, string][] = [
  [z.number(), Number.NaN, 'it must be a finite number'],
  [z.number(), '1', 'it must be a number'],
  [z.number(), undefined, 'it is missing'],
  [z.int(), 1.5, 'it must be a whole number'],
  [z.string(), 1, 'it must be text'],
  [z.boolean(), 1, 'it must be true or false'],
  [z.array(z.int()), 1, 'it must be a list'],
  [z.tuple([z.int()]), 1, 'it must be a list'],
  [z.record(z.string(), z.int()), 1, 'it must be an object with named fields'],
  [z.object({ a: z.int() }), null, 'it must be an object with named fields'],
  [z.null(), 1, 'it must be null'],
  [z.date(), 1, 'it must be of the type date'],
  [z.int().min(1), -3, 'it must be at least 1'],
  [z.number().positive(), 0, 'it must be more than 0'],
  [z.int().max(65_536), 70_000, 'it must be at most 65,536'],
  [z.number().lt(1), 1, 'it must be less than 1'],
  [z.string().min(2), 'a', 'it must have at least 2 letters'],
  [z.string().max(2), 'abc', 'it must have at most 2 letters'],
  [z.array(z.int()).min(2), [1], 'it must have at least 2 entries'],
  [z.array(z.int()).min(1), [], 'it must not be empty'],
  [z.array(z.int()).max(2), [1, 2, 3], 'it must have at most 2 entries'],
  [z.literal('a'), 'b', 'it must be "a"'],
  [z.enum(['sgd', 'adamw', 'lion']), 'x', 'it must be one of these: sgd, adamw or lion'],
  [z.strictObject({}), { a: 1, b: 2 }, 'there is no setting "a" or "b"'],
  [z.number().multipleOf(4), 6, 'it must be a multiple of 4'],
  [z.union([z.int(), z.string()]), null, 'none of the accepted types fits this value'],
  [z.string().regex(/^a$/), 'b', 'it is not written as such a text is'],
  [z.int().refine(() => false), 1, 'it does not fit'],
];

const said = (schema: z.ZodType, value: unknown) => schema.safeParse(value).error?.issues[0]?.message;

it.each(cases)('a value that does not fit has a plain sentence (%#)', (schema, value, sentence) => {
  expect(said(schema, value)).toBe(sentence);
});

it('says it in the language of the moment, and nothing of it in English', () => {
  const phrases = JSON.parse(readFileSync('src/languages/zh-Hans.json', 'utf8')) as Phrases;
  speak({ locale: 'zh-Hans', phrases });
  for (const [schema, value] of cases)
    expect(said(schema, value)).not.toMatch(/\b(it|must|is|of|there|at|than)\b/);
  expect(refuseValue(trainingShape, 'steps', -3)).toBe('必须不小于 1');
  expect(() => validateConfig(METHODS.lora, { r: 1.5 })).toThrow('LoRA 的配置，r：必须是整数。');
});

it('is where every room has zod from', () => {
  const own = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.tsx?$/.test(path))
    .filter((path) => /import \{[^}]*\} from 'zod'/.test(readFileSync(`src/${path}`, 'utf8')));
  expect(own.map((path) => path.replaceAll('\\', '/'))).toEqual(['lib/schema.ts']);
});
