/** The order of test files: what is named as long is there and comes first. Seen to fail with: a name that no file has, sizes the wrong way round. */
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import type { TestSpecification } from 'vitest/node';
import { LONGEST, LongestFirst } from '../tools/longestFirst.ts';

const path = (name: string): string => resolve('test', `${name}.test.ts`);

it('names files that there are, each once', () => {
  expect(LONGEST.filter((name) => !existsSync(path(name)))).toEqual([]);
  expect(new Set(LONGEST).size).toBe(LONGEST.length);
});

it('puts them first, in their order, and then what has the longest text', async () => {
  const [first, second] = LONGEST as readonly [string, string];
  const others = ['unit/failures', 'unit/longest-first'].sort(
    (a, b) => statSync(path(a)).size - statSync(path(b)).size,
  );
  const given = [others[0]!, second, others[1]!, first].map(
    (name) => ({ moduleId: path(name) }) as TestSpecification,
  );
  const sorted = await new LongestFirst().sort(given);
  expect(sorted.map(({ moduleId }) => moduleId)).toEqual([first, second, others[1]!, others[0]!].map(path));
});
