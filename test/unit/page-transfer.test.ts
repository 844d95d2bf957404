/** How a download stands. Seen to fail: kept bytes that count for the pace of the network. */
import { expect, test } from 'vitest';
import { transferText, transferTimes } from '../../src/page/features/hub/transfer.ts';

const MB = 2 ** 20;

test('what was kept is no part of the network’s pace', () => {
  const now = { done: 30 * MB, total: 50 * MB, kept: 20 * MB, since: 1000 };
  // 10 MB in 4 s: the 20 that are missing take 8.
  expect(transferTimes(now, 5000)).toEqual({ seconds: 4, left: 8 });
  expect(transferText(now, 5000)).toMatch(
    /10 MB from the network in 4 s.*20 MB kept from before.*about 8 s left/,
  );
});

test('no pace is told too early, of nothing, or at the end', () => {
  const now = { done: 30 * MB, total: 50 * MB, kept: 0, since: 1000 };
  expect(transferTimes(now, 2000).left).toBeNull();
  expect(transferTimes({ ...now, kept: now.done }, 9000).left).toBeNull();
  expect(transferTimes({ ...now, done: now.total }, 9000).left).toBeNull();
  expect(transferText(now, 2000)).not.toMatch(/kept|left/);
});
