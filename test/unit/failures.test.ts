import { expect, test } from 'vitest';
import { failuresIn } from '../tools/failures.mjs';

const passed = { status: 'passed', fullName: 'adds', failureMessages: [] };

test('a report names each test that failed with the first line of its error, and nothing else', () => {
  const testResults = [
    { name: '/p/test/a.test.ts', status: 'passed', message: '', assertionResults: [passed] },
    {
      name: '/p/test/b.test.ts',
      status: 'failed',
      message: '',
      assertionResults: [
        passed,
        {
          status: 'failed',
          fullName: 'the page waits',
          failureMessages: ['Error: \u001b[31mtoo late\u001b[39m\n    at b.test.ts:3'],
        },
      ],
    },
    {
      name: '/p/test/c.test.ts',
      status: 'failed',
      message: 'Cannot find ./gone\nand more',
      assertionResults: [],
    },
  ];
  expect(failuresIn({ testResults }, '/p')).toEqual([
    '  test/b.test.ts: the page waits: Error: too late',
    '  test/c.test.ts: Cannot find ./gone',
  ]);
});
