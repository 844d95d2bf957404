/** Colours of a stylesheet as pixels. Seen to fail with the short form read as if it were long, as it once was: white came out blue. */
import { expect, test } from 'vitest';
import { pixelOfHex } from '../../src/page/features/inspect/pixels.ts';

test('a colour is the same in its long and its short form', () => {
  expect(pixelOfHex('#fff')).toBe(0xffffffff);
  expect(pixelOfHex('#ffffff')).toBe(0xffffffff);
  expect(pixelOfHex('#1f4ea3')).toBe(0xffa34e1f);
  expect(pixelOfHex(' #a1c', 130)).toBe(((130 << 24) | 0xcc11aa) >>> 0);
});
