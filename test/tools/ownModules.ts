/**
 * Unit files of a worker share the modules that they load. One that replaces modules (`vi.mock`) begins and ends with none loaded: what was linked
 * to the real ones would not see its own, and what is linked to its own would outlive it. What a file stubs and forgets goes with it.
 */
import { readFileSync } from 'node:fs';
import { afterAll, expect, vi } from 'vitest';

const path = expect.getState().testPath!;
if (/\bvi\.mock\(/.test(readFileSync(path, 'utf8'))) {
  vi.resetModules();
  afterAll(() => void vi.resetModules());
}
