/** Where the repository lies: `run.mjs` tells, as the built file lies elsewhere. */
import { join } from 'node:path';
import { cwd, env } from 'node:process';

export const ROOT = env.PAPILIO_ROOT ?? cwd();
export const FIXTURES = join(ROOT, 'test', 'fixtures');
