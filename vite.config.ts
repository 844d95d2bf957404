import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import react from '@vitejs/plugin-react';
import type { Plugin, UserConfig } from 'vite';
import { defineConfig } from 'vitest/config';
import { offline } from './src/cli/offlineFiles.ts';
import { withPolicy } from './src/cli/policy.mjs';
import { LongestFirst } from './test/tools/longestFirst.ts';

/** As react-aria names what src/languages has. */
const SPOKEN = /(en-US|zh-CN)\.mjs$/;

/** The page's languages alone: react-aria's texts in thirty others stay out of the bundle. */
const spokenOnly: Plugin = {
  name: 'spoken-only',
  enforce: 'pre',
  load: (id) =>
    /react-aria(-components)?\/dist\/private\/intl\/.*[a-z]{2}-[A-Z]{2}\.mjs$/.test(id) && !SPOKEN.test(id)
      ? 'export default {};'
      : null,
};

/** The built page says what the browser may let it do; the development server's own scripts need more. */
const confined: Plugin = {
  name: 'confined',
  apply: 'build',
  transformIndexHtml: { order: 'post', handler: withPolicy },
};

/**
 * zod compiles schemas with `Function` where it may. The page's policy forbids that, and to try is a violation already: a chunk that holds zod says
 * first that it may not.
 */
const withoutFunction = {
  banner: ({ moduleIds }: { readonly moduleIds: readonly string[] }) =>
    moduleIds.some((id) => /\/zod\/v4\/core\/core\.js$/.test(id))
      ? 'globalThis.__zod_globalConfig = { jitless: true };'
      : '',
};

/**
 * onnxruntime's threads begin with the file that onnxruntime is bundled into. In the page they begin with a text that it carries, the file of its threads
 * alone: see src/lib/threads.ts. For a helper in place of `require`, which no browser has, the bundled file would import that of the worker around it.
 */
const threadsAlone: Plugin = {
  name: 'threads-alone',
  transform(code, id) {
    const [wasm] = /ort-wasm-simd-threaded[\w.]*(?=\.wasm)/.exec(code) ?? [];
    if (wasm === undefined || !/\/onnxruntime-web\/dist\/ort\./.test(id)) return null;
    const text = readFileSync(join(dirname(id), `${wasm}.mjs`), 'utf8');
    return `${code.replace(/\brequire\b(?! of)/g, 'undefined')}\nexport const threadText = ${JSON.stringify(text)};\n`;
  },
};

/** What the page begins with, and the page of the labs. */
const PAGES = { page: 'src/main.tsx', labs: 'src/page/labs/main.tsx' } as const;

interface Modules {
  getModuleInfo(
    id: string,
  ): { readonly importedIds: readonly string[]; readonly dynamicallyImportedIds: readonly string[] } | null;
}

/** Every module that comes with one, `later` also those that it asks for when it needs them. */
function reachedFrom(entry: string, modules: Modules, later: boolean): Set<string> {
  const found = new Set<string>();
  const waiting = [new URL(entry, import.meta.url).pathname];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    const info = modules.getModuleInfo(id);
    waiting.push(...(info?.importedIds ?? []), ...(later ? (info?.dynamicallyImportedIds ?? []) : []));
  }
  return found;
}

/**
 * Two pages share modules, of which a bundler would make a small chunk for every set of users; many small chunks pack badly. What the page begins with
 * is in three: what the labs begin with too, what a lab may need later, and the rest.
 */
function firstChunks() {
  let sets: Readonly<Record<'first' | 'labs' | 'later', Set<string>>> | undefined;
  const named = (chunk: 'shared' | 'lent' | 'page', priority: number) => ({
    priority,
    debugName: chunk,
    name(id: string, modules: Modules): string | null {
      sets ??= {
        first: reachedFrom(PAGES.page, modules, false),
        labs: reachedFrom(PAGES.labs, modules, false),
        later: reachedFrom(PAGES.labs, modules, true),
      };
      // Other packages follow whoever needs them: what they list is more than what is taken of it.
      if (/node_modules\/(?!(react|react-dom|scheduler)\/)/.test(id) || !sets.first.has(id)) return null;
      const found = sets.labs.has(id) ? 'shared' : sets.later.has(id) ? 'lent' : 'page';
      return found === chunk ? chunk : null;
    },
  });
  return [named('shared', 3), named('lent', 2), named('page', 1)];
}

/** The package's entry points, `papilio` (index.ts), `papilio/engine` and so on: the files beside the folders of src/. */
const ENTRY_POINTS = readdirSync(new URL('src', import.meta.url))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.slice(0, -'.ts'.length));

/** What runs in Node and Deno, each bundled with the engine, shaders included, into one file. */
const PROGRAMS: Readonly<Record<string, { readonly entry: string; readonly file: string }>> = {
  cli: { entry: 'src/cli/papilio.ts', file: 'papilio.mjs' },
  tools: { entry: 'tools/papilio.ts', file: 'tools.mjs' },
};

const programBuild = ({ entry, file }: { readonly entry: string; readonly file: string }): UserConfig => ({
  publicDir: false,
  build: {
    ssr: entry,
    outDir: 'dist-cli',
    target: 'es2023',
    rollupOptions: { output: { entryFileNames: file, codeSplitting: false } },
  },
  ssr: { noExternal: true, external: ['webgpu', 'onnxruntime-web', 'deno', '@jax-js/jax'] },
});

/**
 * The library runs in pages and in Node from the same files: where it is, it asks when it runs. Deno has Node's versions too; the `process` that a
 * bundler puts into a page has none.
 */
const anyRuntime: Plugin = {
  name: 'any-runtime',
  enforce: 'pre',
  transform: (code) =>
    code.includes('import.meta.env.SSR')
      ? code.replaceAll('import.meta.env.SSR', '(globalThis.process?.versions?.node !== undefined)')
      : null,
};

/** The package: `papilio` and its subpaths, shaders and all packages inside, for bundlers, Node and pages without a build. */
const library: UserConfig = {
  publicDir: false,
  plugins: [anyRuntime],
  build: {
    lib: {
      entry: Object.fromEntries(ENTRY_POINTS.map((name) => [name, `src/${name}.ts`])),
      formats: ['es'],
    },
    outDir: 'dist-lib',
    target: 'es2023',
    minify: false,
    license: { fileName: 'licenses.md' },
    rollupOptions: {
      external: [/^onnxruntime-web/],
      output: { chunkFileNames: 'chunks/[name]-[hash].js' },
    },
  },
};

// Four builds from one config: the page (`vite build`), the command line (`--mode cli`), the tools of a clone (`--mode tools`) and the package
// (`--mode library`).
export default defineConfig(({ mode }) => {
  if (mode === 'library') return library;
  const program = PROGRAMS[mode];
  return program
    ? programBuild(program)
    : {
        base: './',
        plugins: [spokenOnly, react(), confined, offline],
        worker: {
          format: 'es' as const,
          plugins: () => [threadsAlone],
          rollupOptions: { output: withoutFunction },
        },
        build: {
          target: 'es2023',
          chunkSizeWarningLimit: 1600,
          rollupOptions: {
            input: ['index.html', 'labs.html'],
            output: { ...withoutFunction, codeSplitting: { groups: firstChunks() } },
          },
        },
        test: {
          sequence: { sequencer: LongestFirst },
          projects: [
            {
              extends: true,
              test: {
                name: 'unit',
                include: ['test/unit/**/*.test.ts'],
                environment: 'node',
                isolate: false,
                setupFiles: ['test/tools/ownModules.ts'],
                // Some take seconds, and many times that on a busy machine.
                testTimeout: 120_000,
              },
            },
            {
              extends: true,
              test: {
                name: 'gpu',
                sequence: { groupOrder: 1 },
                include: ['test/gpu/**/*.test.ts'],
                environment: 'node',
                // Files of a worker share a device, with what they compile.
                isolate: false,
                setupFiles: ['test/tools/ownModules.ts'],
                // A file keeps little more than one core at work, whatever the adapter; more than two would share what memory a GPU has.
                maxWorkers: 2,
                testTimeout: 300_000,
                hookTimeout: 120_000,
              },
            },
            {
              extends: true,
              test: {
                name: 'e2e',
                sequence: { groupOrder: 2 },
                include: ['test/e2e/**/*.test.ts'],
                environment: 'node',
                globalSetup: ['test/tools/builtPage.ts'],
                maxWorkers: 2,
                testTimeout: 600_000,
                hookTimeout: 180_000,
              },
            },
          ],
        },
      };
});
