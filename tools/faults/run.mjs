/** `npm run faults -- …`: loads the harness through vite, as tests do. */
import { dirname, join } from 'node:path';
import { argv, exit } from 'node:process';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const { module } = await runnerImport(join(dirname(fileURLToPath(import.meta.url)), 'main.ts'), {
  configFile: false,
});
exit(await module.main(argv.slice(2)));
