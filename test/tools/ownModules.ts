/**
 * Unit files of a worker share the modules that they load. One that replaces modules (`vi.mock`) begins and ends with none loaded: what was linked
 * to the real ones would not see its own, and what is linked to its own would outlive it. What a file stubs and forgets ends with it, and so does
 * its language.
 */
import { readFileSync } from 'node:fs';
import { afterAll, expect, vi } from 'vitest';

const path = expect.getState().testPath!;
const replaces = /\bvi\.mock\(/.test(readFileSync(path, 'utf8'));
if (replaces) vi.resetModules();

afterAll(async () => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  if (replaces) {
    vi.resetModules();
    return;
  }
  const { language, speak } = await import('../../src/lib/say.ts');
  if (language().locale !== 'en-GB') speak();
});
