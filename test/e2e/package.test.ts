/**
 * The package in an empty folder: it brings nothing with it, both examples fine-tune and write their merged file, in Node and in a page without a
 * build, and the two files answer alike in onnxruntime. Its types are those of the library.
 *
 * Seen to fail with: a chunk that imports a package in any of the ways there are, a check file that a build leaves out.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findAdapters } from '../../src/cli/adapters.mjs';
import { openSession } from '../../src/inference/session.ts';
import { type Installed, importsOf, installPackage, run, serveFolder } from '../tools/package.ts';
import { downloaded } from './page-tools.ts';
import { type Stage, setStage } from './stage.ts';

let installed: Installed | undefined;
const stage: Stage = setStage('chrome', {
  // What the folder has is no file of the built page.
  elsewhere: () => [stage.url],
  serve: async () => {
    installed = await installPackage();
    return serveFolder(installed.folder);
  },
});
const at = (...names: string[]) => join(installed!.folder, ...names);

let environment: NodeJS.ProcessEnv = {};
beforeAll(async () => {
  const way = (await findAdapters(resolve('.'))).find(({ runtime }) => runtime === 'node');
  environment = {
    ...process.env,
    XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? '/tmp',
    ...(way?.driver ? { VK_ICD_FILENAMES: way.driver } : {}),
  };
});
afterAll(() => installed && rm(dirname(installed.folder), { recursive: true }));

interface Pictures {
  readonly size: number;
  readonly classes: readonly { readonly images: readonly Float32Array[] }[];
}

/** What a file answers to the example's pictures, and how many of its answers are right. */
async function answers(onnx: Uint8Array, { size, classes }: Pictures) {
  const images = classes.flatMap(({ images: own }, label) => own.map((image) => ({ image, label })));
  // Without a preprocessor of its own a model is given -1 … 1.
  const data = Float32Array.from(images.flatMap(({ image }) => [...image].map((grey) => (grey - 0.5) / 0.5)));
  const session = await openSession(onnx, { providers: ['wasm'] });
  const dims = [images.length, 1, size, size];
  const { logits } = await session.run({ pixel_values: { dtype: 'float32', dims, data } });
  await session.release();
  const scores = [...(logits!.data as Float32Array)];
  const right = images.filter(({ label }, i) => scores[2 * i + label]! > scores[2 * i + 1 - label]!).length;
  return { scores, right: right / images.length };
}

describe('the package', () => {
  test('brings nothing with it', () => {
    expect(installed!.packages).toEqual(['papilio']);
    expect(installed!.unpackedBytes).toBeLessThan(6e6);
  });

  test('imports no package but onnxruntime, and that when it is wanted', () => {
    const folder = at('node_modules', 'papilio', 'dist-lib');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.js'),
    );
    const wanted = files.flatMap((name) =>
      importsOf(name, readFileSync(join(folder, name), 'utf8')).map(
        (from) => `${name.replace(/-[\w-]{8}\.js$/, '')}: ${from}`,
      ),
    );
    expect(files.length).toBeGreaterThan(4);
    // Both by `import(…)`, one in Node and one in a page.
    expect(wanted).toEqual([
      'chunks/session: onnxruntime-web/wasm',
      'chunks/session: onnxruntime-web/webgpu',
      'chunks/webRuntime: onnxruntime-web/wasm',
    ]);
  });

  test('has the types of the library', async () => {
    await writeFile(
      at('use.ts'),
      `import { openData, openModel, PapilioError, type Run, startRun } from 'papilio';
import type { ErrorKind, FileStore, InputFile, Inspection, ParityReport, Progress, QuantisedMerge } from 'papilio';
import { METHODS } from 'papilio/adapters';
import { createBuilder, matmul } from 'papilio/engine';
import { decodeModel } from 'papilio/onnx';
export type Named = [ErrorKind, FileStore, InputFile, Inspection, ParityReport, Progress, QuantisedMerge];
export async function use(bytes: Uint8Array): Promise<Run> {
  const model = await openModel(bytes);
  const data = await openData(model, { text: 'a text' }, { task: 'causal-lm' });
  const run = await startRun(model, data, { adapter: { peft_type: 'LORA' }, training: { steps: 3 } });
  for await (const event of run.train()) if (event.type === 'step') event.loss.toFixed(2);
  // @ts-expect-error there is no such setting
  await startRun(model, data, { training: { step: 3 } });
  // @ts-expect-error what it is inside is its own
  model.opened;
  console.log(decodeModel((await run.merge()).onnx).graph, METHODS.oft.title, createBuilder, matmul, PapilioError);
  return run;
}
`,
    );
    const flags = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2023', '--lib', 'es2023,dom'];
    const modules = ['--module', 'nodenext', '--moduleResolution', 'nodenext', '--types', ''];
    const compiler = resolve('node_modules/typescript/bin/tsc');
    const said = await run(process.execPath, [compiler, ...flags, ...modules, 'use.ts'], {
      cwd: installed!.folder,
    }).catch((error: { stdout: string }) => error);
    expect(said.stdout).toBe('');
  });
});

test('both examples write a merged file that knows the pictures, and the two answer alike', async () => {
  const { stdout } = await run(process.execPath, ['finetune.mjs'], {
    cwd: installed!.folder,
    env: environment,
  });
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events.filter(({ type }) => type === 'step')).toHaveLength(40);
  expect(events.at(-1)).toMatchObject({ type: 'eval', metric: 'accuracy', step: 40 });
  const inNode = new Uint8Array(await readFile(at('merged.onnx')));

  const page = await stage.browser.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(`${stage.url}finetune.html`);
  await page.waitForSelector('a', { timeout: 300_000 }).catch(() => expect(errors).toEqual([]));
  await page.click('a');
  const inPage = new Uint8Array(await readFile(await downloaded(stage.downloads, 'merged.onnx')));
  await page.close();

  const { model, pictures } = (await import(/* @vite-ignore */ pathToFileURL(at('model.mjs')).href)) as {
    model: Uint8Array;
    pictures: Pictures;
  };
  const [before, node, browser] = [
    await answers(model, pictures),
    await answers(inNode, pictures),
    await answers(inPage, pictures),
  ];
  expect(before.right).toBeLessThan(0.8);
  expect(node.right).toBeGreaterThan(0.9);
  expect(browser.right).toBeGreaterThan(0.9);
  const most = Math.max(...node.scores.map(Math.abs));
  expect(Math.max(...node.scores.map((x, i) => Math.abs(x - browser.scores[i]!))) / most).toBeLessThan(1e-3);
});
