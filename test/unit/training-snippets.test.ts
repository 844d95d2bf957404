/**
 * The snippets that run a merged file elsewhere: the very texts that are copied, run in Node with the packages that they name, give what the file gives.
 * Seen to fail with: a mean that is not subtracted, an input of another name, a label of another class, a picture that is not made grey.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { cliHost } from '../../src/cli/sources.ts';
import { completeFeeds } from '../../src/inference/feeds.ts';
import { type FeedTensor, openSession } from '../../src/inference/session.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { mergeReport } from '../../src/training/merging.ts';
import { openModel } from '../../src/training/openModel.ts';
import { reportModel } from '../../src/training/reports.ts';
import { hubFolder } from '../../src/training/sidecars.ts';
import {
  type Exported,
  onnxruntimeSnippet,
  type Snippet,
  transformersSnippet,
} from '../../src/training/snippets.ts';
import { png } from './data-support.ts';

const NAME = 'brave-otter';
let folder = '';
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A file as merging leaves it, without having changed anything, in a folder with its sidecars. */
async function exported(
  name: string,
  data: Exported['data'],
): Promise<Exported & { readonly onnx: Uint8Array }> {
  const opened = await openModel({ kind: 'embedded', name }, cliHost);
  const { model } = opened;
  const report = mergeReport(opened, model, { onnx: model.onnx, changed: [], written: [] }, encodeModel);
  folder = await mkdtemp(join(tmpdir(), 'papilio-snippet-'));
  await symlink(resolve('node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, `${NAME}.onnx`), report.onnx);
  for (const { name: file, bytes } of report.sidecars) await writeFile(join(folder, file), bytes);
  const { inputs, outputs, onnx } = report;
  const files = report.sidecars.map((file) => file.name);
  return { name: NAME, file: `${NAME}.onnx`, inputs, outputs, files, data, model: reportModel(opened), onnx };
}

const codeOf = (snippet: Snippet): string => {
  if ('reason' in snippet) throw new Error(snippet.reason);
  return snippet.code;
};

/** In Node nothing is served: what a page fetches beside itself is read beside the script. */
const FETCH = `import { readFile } from 'node:fs/promises';
globalThis.fetch = async (file) => new Response(await readFile(file));`;

/**
 * transformers.js asks for onnxruntime's native build in Node, which is no dependency of the project: it gets the WebAssembly of onnxruntime-web, as in a
 * page, from where that lies and not from the network.
 */
const ON_WEB = `import Module, { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
const require = createRequire(import.meta.url);
const folder = dirname(require.resolve('onnxruntime-web'));
require('onnxruntime-web').env.wasm.wasmPaths = pathToFileURL(folder).href + '/';
const find = Module._resolveFilename;
Module._resolveFilename = (name, ...rest) => find(name === 'onnxruntime-node' ? 'onnxruntime-web' : name, ...rest);`;

/** Runs a snippet as it is, beside the files, and gives what it prints, as JSON. @param before runs first */
async function run(code: string, before = FETCH): Promise<unknown> {
  await writeFile(join(folder, 'snippet.mjs'), code);
  await writeFile(join(folder, 'before.mjs'), before);
  const print = `console.log = (value) => process.stdout.write(JSON.stringify(value));`;
  await writeFile(
    join(folder, 'main.mjs'),
    `${print}\nawait import('./before.mjs');\nawait import('./snippet.mjs');\n`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, ['main.mjs'], {
    cwd: folder,
    timeout: 100_000,
  });
  return JSON.parse(stdout);
}

const softmax = (scores: readonly number[]): number[] => {
  const most = Math.max(...scores);
  const parts = scores.map((x) => Math.exp(x - most));
  return parts.map((x) => x / parts.reduce((a, b) => a + b));
};

describe('onnxruntime-web', () => {
  test('classifies a picture as the file does', async () => {
    const picture = {
      width: 32,
      height: 32,
      channels: 1,
      mean: [0.5],
      std: [0.5],
      tones: { ground: 0, stroke: 1 as const },
    };
    const labels = [...'0123456789'];
    const file = await exported('glyphs-vit', { kind: 'image', labels, picture });
    const code = codeOf(onnxruntimeSnippet(file));
    // The black picture of the snippet, and one with a stroke.
    const stroke = Array.from({ length: 1024 }, (_, i) =>
      i % 32 > 14 && i % 32 < 18 && i > 128 && i < 900 ? 1 : 0,
    );
    for (const pixels of [new Array(1024).fill(0), stroke]) {
      const session = await openSession(file.onnx);
      const feed: FeedTensor = {
        dtype: 'float32',
        dims: [1, 1, 32, 32],
        data: pixels.map((x) => (x - 0.5) / 0.5),
      };
      const { logits } = await session.run({ pixel_values: feed });
      await session.release();
      const expected = softmax([...logits!.data])
        .map((score, i) => ({ label: labels[i], score }))
        .sort((a, b) => b.score - a.score)
        .slice(0, 3);
      const text =
        pixels === stroke
          ? code.replace('new Float32Array(channels * height * width)', JSON.stringify(stroke))
          : code;
      expect(text === code).toBe(pixels !== stroke);
      const got = (await run(text)) as { readonly label: string; readonly score: number }[];
      expect(got.map(({ label }) => label)).toEqual(expected.map(({ label }) => label));
      got.forEach(({ score }, i) => {
        expect(score).toBeCloseTo(expected[i]!.score, 5);
      });
    }
  }, 120_000);

  test('writes on as the file does', async () => {
    const file = await exported('tales-gpt', { kind: 'text', labels: [] });
    const written = (await run(codeOf(onnxruntimeSnippet(file)))) as string;
    const { tokenizer } = await openModel({ kind: 'embedded', name: 'tales-gpt' }, cliHost);
    const ids = [...tokenizer!.encode('Once', { specials: true })];
    const session = await openSession(file.onnx);
    for (let i = 0; i < 20; i++) {
      const dims = [1, ids.length];
      const feeds: Record<string, FeedTensor> = {
        input_ids: { dtype: 'int64', dims, data: ids },
        attention_mask: { dtype: 'int64', dims, data: ids.map(() => 1) },
      };
      const { logits } = await session.run(completeFeeds(session.inputs, feeds));
      const last = [...logits!.data.slice(-logits!.dims.at(-1)!)];
      ids.push(last.indexOf(Math.max(...last)));
    }
    await session.release();
    expect(written).toBe(tokenizer!.decode(ids));
    expect(written.length).toBeGreaterThan(20);
  }, 120_000);

  test('classifies a text, tags its tokens and gives a number, by the names and shapes of the file', async () => {
    const { inputs: _, ...tales } = await exported('tales-gpt', { kind: 'text', labels: [] });
    // y = sum of ids · [1, 2, −1] / 100 over the text, and the same for every token.
    const g = graphBuilder({ name: 'sums' });
    const ids = g.op('Cast', [g.input('tokens', 'int32', [1, 8])], { to: 1 });
    const seen = g.op('Cast', [g.input('seen', 'int64', [1, 8])], { to: 1 });
    const kept = g.op('Unsqueeze', [g.op('Mul', [ids, seen]), g.ints([2])]);
    const each = g.op(
      'MatMul',
      [kept, g.weight('w', [1, 3], [0.01, 0.02, -0.01])],
      {},
      { outputs: ['scores'] },
    );
    g.output(each, 'float32', [1, 8, 3]);
    g.output(
      g.op('ReduceSum', [each, g.ints([1])], { keepdims: 0 }, { outputs: ['all'] }),
      'float32',
      [1, 3],
    );
    await writeFile(join(folder, `${NAME}.onnx`), encodeModel(g.build()));
    const inputs = [
      { name: 'tokens', dtype: 'int32', dims: [1, 8] },
      { name: 'seen', dtype: 'int64', dims: [1, 8] },
    ];
    const model = { limit: null, exactly: 8, feeds: { tokens: 'input_ids', seen: 'attention_mask' } };
    const labels = ['low', 'high', 'under'];
    const of = (kind: Exported['data']['kind'], output: string): Exported => ({
      ...{ ...tales, inputs, model, data: { kind, labels } },
      outputs: [{ name: output, dtype: 'float32', dims: null }],
    });
    const { tokenizer } = await openModel({ kind: 'embedded', name: 'tales-gpt' }, cliHost);
    const once = tokenizer!.encode('Once', { specials: true });
    const sums = [1, 2, -1].map((by) => (by * once.reduce((a, b) => a + b, 0)) / 100);
    const [best] = softmax(sums)
      .map((score, i) => ({ label: labels[i], score }))
      .sort((a, b) => b.score - a.score);

    const classes = (await run(codeOf(onnxruntimeSnippet(of('text-class', 'all'))))) as {
      label: string;
      score: number;
    }[];
    expect(classes[0]!.label).toBe(best!.label);
    expect(classes[0]!.score).toBeCloseTo(best!.score, 5);
    expect(await run(codeOf(onnxruntimeSnippet(of('text-value', 'all'))))).toBeCloseTo(sums[0]!, 4);
    const tags = (await run(codeOf(onnxruntimeSnippet(of('token-class', 'scores'))))) as {
      token: string;
      label: string;
    }[];
    expect(tags.map(({ label }) => label)).toEqual(Array.from(once, () => 'high'));
    expect(tags.map(({ token }) => token)).toEqual(Array.from(once, (id) => tokenizer!.token(id)));
  }, 240_000);

  test('is not promised where a few lines are not enough', async () => {
    const tales = await exported('tales-gpt', { kind: 'text', labels: [] });
    const branch = { name: 'use_cache_branch', dtype: 'bool', dims: [1] };
    expect(onnxruntimeSnippet({ ...tales, inputs: [...tales.inputs, branch] })).toEqual({
      reason: expect.stringContaining('use_cache_branch'),
    });
    // A cache of one text alone, whose batch is a number in the file.
    const past = { name: 'past_key_values.0.key', dtype: 'float32' as const, dims: [1, 2, 'past', 8] };
    expect(codeOf(onnxruntimeSnippet({ ...tales, inputs: [...tales.inputs, past] }))).toContain(
      '"past_key_values.0.key":[1,2,0,8]',
    );
    expect(onnxruntimeSnippet({ ...tales, files: [] })).toEqual({
      reason: expect.stringContaining('tokenizer.json'),
    });
    expect(onnxruntimeSnippet({ ...tales, data: { kind: 'masked-text', labels: [] } })).toHaveProperty(
      'reason',
    );
  });
});

test('the preprocessor beside a file makes the pictures that the run was fed', async () => {
  const picture = {
    width: 32,
    height: 32,
    channels: 1,
    mean: [0.5],
    std: [0.5],
    tones: { ground: 0, stroke: 1 as const },
  };
  const file = await exported('glyphs-vit', { kind: 'image', labels: ['a'], picture });
  const steps = JSON.parse(await readFile(join(folder, 'preprocessor_config.json'), 'utf8'));
  expect(steps).toMatchObject({ size: { height: 32, width: 32 }, do_center_crop: false });
  const { width, height, crop, resize, notes } = (
    await openModel({ kind: 'embedded', name: 'glyphs-vit' }, cliHost)
  ).model.image!;
  expect({ width, height, crop, resize, notes }).toEqual({
    ...{ width: 32, height: 32, crop: false, notes: [] },
    resize: { to: 'exact', width: 32, height: 32 },
  });
  expect(file.files).toContain('preprocessor_config.json');
});

describe('transformers.js', () => {
  /** The folder that is saved, beside the snippet. */
  async function saved(file: Awaited<ReturnType<typeof exported>>): Promise<void> {
    const sidecars = await Promise.all(
      file.files.map(async (name) => ({ name, bytes: new Uint8Array(await readFile(join(folder, name))) })),
    );
    for (const { name, bytes } of hubFolder(file.onnx, sidecars)) {
      await mkdir(dirname(join(folder, NAME, name)), { recursive: true });
      await writeFile(join(folder, NAME, name), bytes);
    }
  }

  test('classifies a picture as the file does', async () => {
    const picture = {
      width: 32,
      height: 32,
      channels: 1,
      mean: [0.5],
      std: [0.5],
      tones: { ground: 0, stroke: 1 as const },
    };
    const file = await exported('glyphs-vit', { kind: 'image', labels: [...'0123456789'], picture });
    await saved(file);
    const grey = new Uint8Array(1024).map((_, i) =>
      i % 32 > 14 && i % 32 < 18 && i > 128 && i < 900 ? 255 : 40,
    );
    // In red, green and blue, as most pictures are.
    const rows = Array.from({ length: 32 }, (_, y) =>
      [...grey.subarray(32 * y, 32 * (y + 1))].flatMap((x) => [x, x, x]),
    );
    await writeFile(join(folder, 'picture.png'), png(32, 32, { colour: 2, rows }));
    const session = await openSession(file.onnx);
    const data = Array.from(grey, (x) => (x / 255 - 0.5) / 0.5);
    const { logits } = await session.run({ pixel_values: { dtype: 'float32', dims: [1, 1, 32, 32], data } });
    await session.release();
    const { id2label } = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'));
    const expected = softmax([...logits!.data])
      .map((score, i) => ({ label: id2label[i], score }))
      .sort((a, b) => b.score - a.score)
      .slice(0, 3);
    const got = (await run(codeOf(transformersSnippet(file)), ON_WEB)) as typeof expected;
    expect(got.map(({ label }) => label)).toEqual(expected.map(({ label }) => label));
    got.forEach(({ score }, i) => {
      expect(score).toBeCloseTo(expected[i]!.score, 5);
    });
  }, 120_000);

  test('writes on as the file does', async () => {
    const file = await exported('tales-gpt', { kind: 'text', labels: [] });
    await saved(file);
    const [{ generated_text }] = (await run(codeOf(transformersSnippet(file)), ON_WEB)) as [
      { readonly generated_text: string },
    ];
    // The same model and texts as the lines for onnxruntime-web, which stop at no end of a text.
    const written = (await run(codeOf(onnxruntimeSnippet(file)))) as string;
    expect(generated_text).toBe(written);
    expect(written.length).toBeGreaterThan(20);
  }, 120_000);

  test('has no pipeline for numbers', async () => {
    expect(transformersSnippet({ name: NAME, data: { kind: 'text-value', labels: [] } })).toHaveProperty(
      'reason',
    );
  });
});
