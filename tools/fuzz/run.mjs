/** `npm run fuzz -- …`: builds the fuzzer into one file when a source is newer than the last build, and starts it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv, env, execPath, exit, pid } from 'node:process';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { isStale } from '../../src/cli/stale.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const bundle = join(root, 'dist-cli', 'fuzz.mjs');

if (
  isStale(
    bundle,
    ['src', 'tools', 'test/tools', 'test/unit', 'package-lock.json'].map((p) => join(root, p)),
  )
) {
  const begun = new Date();
  const folder = join(root, 'dist-cli', `fuzz-${pid}`);
  mkdirSync(folder, { recursive: true });
  await build({
    ...{ root, configFile: false, publicDir: false, logLevel: 'error' },
    build: {
      ...{ ssr: 'tools/fuzz/main.ts', outDir: folder, target: 'es2023', minify: false },
      rollupOptions: { output: { entryFileNames: 'fuzz.mjs', codeSplitting: false } },
    },
    ssr: { noExternal: true, external: ['webgpu', 'onnxruntime-web', 'deno', '@jax-js/jax', 'vitest'] },
  });
  renameSync(join(folder, 'fuzz.mjs'), bundle);
  utimesSync(bundle, begun, begun);
  rmSync(folder, { recursive: true, force: true });
}
const { status, signal } = spawnSync(execPath, [bundle, ...argv.slice(2)], {
  stdio: 'inherit',
  env: { ...env, PAPILIO_ROOT: root },
});
exit(signal === null ? (status ?? 1) : 1);
