/** `npm run storm -- SECONDS SEED`: the input storm of test/e2e/storm.test.ts for so long (two minutes), with this seed (1). */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { argv, env, execPath, exit } from 'node:process';
import { fileURLToPath } from 'node:url';

const [seconds = '120', seed = '1'] = argv.slice(2);
for (const [name, value] of Object.entries({ SECONDS: seconds, SEED: seed }))
  if (!/^[1-9]\d{0,5}$/.test(value)) {
    process.stderr.write(`${name} must be a whole number from 1, not "${value}".\n`);
    exit(2);
  }

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const { status } = spawnSync(execPath, [vitest, 'run', '--project', 'e2e', 'test/e2e/storm.test.ts'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...env, STORM_SECONDS: seconds, STORM_SEED: seed },
});
exit(status ?? 1);
