/** Waiting for what is read off the page to be as it should, so that a failure says what it was instead. */
import { inspect } from 'node:util';
import { until } from './page-tools.ts';

/** What is waited for: a part of the words, words of a kind, or anything that holds. */
type Expected<T> = (T extends string ? string | RegExp : never) | ((seen: T) => boolean);

/** Waits until what `read` gives is as expected, and gives it. A failure says what was seen last. */
export async function untilSeen<T>(
  read: () => T | Promise<T>,
  expected: Expected<T>,
  what: string,
  seconds?: number,
): Promise<T> {
  const isExpected = (seen: T): boolean =>
    typeof expected === 'function'
      ? expected(seen)
      : typeof expected === 'string'
        ? String(seen).includes(expected)
        : expected.test(String(seen));
  const looks: T[] = [];
  const look = async () => {
    looks.splice(0, 1, await read());
    return isExpected(looks[0]!);
  };
  await until(look, what, seconds).catch((error: Error) => {
    const [last] = looks;
    error.message += ` Seen last: ${inspect(last, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 2000 })}.`;
    throw error;
  });
  return looks[0]!;
}
