/** Bundles trainerHost.ts beside the command line, so that workers of Node and Deno load one file. */
import { mkdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { pid } from 'node:process';
import { build } from 'vite';
import { isStale } from '../../src/cli/stale.mjs';

/** @returns the bundle's path */
export async function buildHost(root) {
  const bundle = join(root, 'dist-cli', 'faults-host.mjs');
  const sources = ['src', 'shaders', 'tools/faults', 'package-lock.json'].map((path) => join(root, path));
  if (!isStale(bundle, sources)) return bundle;
  const begun = new Date();
  const folder = join(root, 'dist-cli', `faults-${pid}`);
  mkdirSync(folder, { recursive: true });
  await build({
    ...{ root, configFile: false, publicDir: false, logLevel: 'error' },
    build: {
      ...{ ssr: 'tools/faults/trainerHost.ts', outDir: folder, target: 'es2023' },
      rollupOptions: { output: { entryFileNames: 'faults-host.mjs', codeSplitting: false } },
    },
    ssr: { noExternal: true, external: ['webgpu', 'onnxruntime-web', 'deno', '@jax-js/jax'] },
  });
  renameSync(join(folder, 'faults-host.mjs'), bundle);
  utimesSync(bundle, begun, begun);
  rmSync(folder, { recursive: true, force: true });
  return bundle;
}
