/**
 * onnxruntime computes the same bits with one thread and with two: losses, held-out score and trained numbers of the embedded vision model, in its WebAssembly
 * build, and in its native one where that is installed. That is no dependency of the project (`npm install --no-save onnxruntime-node` puts it there). A browser
 * with one thread and with several is compared in `test/e2e/no-gpu.test.ts`. Seen to fail with: a last bit that moves with the second thread.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { MethodId } from '../../src/adapters/registry.ts';
import { cliHost } from '../../src/cli/sources.ts';
import { loadNativeRuntime } from '../../src/onnxruntime/nativeRuntime.ts';
import type { OrtRuntime } from '../../src/onnxruntime/runtime.ts';
import { ortBackend } from '../../src/training/backend.ts';
import { openSession } from '../../src/training/session.ts';
import { trainingSchema } from '../../src/training/settings.ts';

/** Without it another package stands under its name, which tokenizers' library asks for. */
function isInstalled(): boolean {
  try {
    const { name } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { name: string };
    return name === 'onnxruntime-node';
  } catch {
    return false;
  }
}

const TARGETS = ['query', 'value', 'key', 'output.dense', 'mlp.fc1', 'mlp.fc2'];

const WASM = createRequire(import.meta.url).resolve('onnxruntime-web/wasm');
const fileIn = (name: string) => pathToFileURL(WASM.replace(/[^/]*$/, name)).href;

/** Node's fetch reads no file and its import no blob: the file that threads begin with is named where the package asks for both. */
async function webWith(threads: number): Promise<OrtRuntime> {
  vi.stubGlobal('fetch', async () => new Response(''));
  vi.spyOn(URL, 'createObjectURL').mockReturnValue(fileIn('ort-wasm-simd-threaded.mjs'));
  // Once initialised the package has as many threads as it has.
  vi.resetModules();
  vi.doMock('onnxruntime-web/wasm', async () => ({
    ...(await import(`${fileIn('ort.wasm.bundle.min.mjs')}?${threads}`)),
    // Only the page's build has it.
    threadText: undefined,
  }));
  const { loadWebRuntime } = await import('../../src/onnxruntime/webRuntime.ts');
  return loadWebRuntime(threads);
}

async function trained(method: MethodId, config: object, threads: number, runtime: OrtRuntime) {
  const on = await ortBackend(runtime);
  expect(on.info).toMatchObject({ threads });
  const session = await openSession(
    on,
    {
      model: { kind: 'embedded', name: 'glyphs-vit' },
      data: { kind: 'embedded', name: 'letters' },
      method,
      config: { target_modules: TARGETS, modules_to_save: ['classifier'], ...config },
      training: trainingSchema.parse({ steps: 3, batchSize: 16, evalEvery: 0, evalExamples: 32 }),
    },
    cliHost,
  );
  await session.play();
  const score = await session.evaluate('adapted');
  const numbers = await session.engine.readState('trainable');
  await session.close();
  on.close();
  return { losses: session.history.steps.map(({ loss }) => loss), score, numbers };
}

const METHODS = [
  ['lora', { r: 8 }],
  ['boft', { boft_block_size: 4, boft_n_butterfly_factor: 2 }],
  ['oft', { oft_block_size: 32 }],
  ['fourierft', { n_frequency: 1000 }],
] as const satisfies readonly (readonly [MethodId, object])[];

async function trainsAlike(method: MethodId, config: object, open: (threads: number) => Promise<OrtRuntime>) {
  const [one, two] = [
    await trained(method, config, 1, await open(1)),
    await trained(method, config, 2, await open(2)),
  ];
  expect(one.losses).toHaveLength(3);
  expect(new Set(one.losses).size).toBe(3);
  expect(two).toEqual(one);
}

/** Of one method alone: its threads wait for each other by spinning, which is slow beside other work. */
it('onnxruntime-web trains with two threads as with one, bit for bit', { timeout: 120_000 }, async () => {
  const begun = vi.fn();
  process.on('worker', begun);
  onTestFinished(() => {
    process.off('worker', begun);
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
    vi.doUnmock('onnxruntime-web/wasm');
    // Files that come after this one load their own.
    vi.resetModules();
  });
  await trainsAlike(...METHODS[1], webWith);
  // The second thread of two; one has none beside itself.
  expect(begun).toHaveBeenCalledTimes(1);
});

describe.runIf(isInstalled())('onnxruntime-node, where it is installed', { timeout: 60_000 }, () => {
  it.each(METHODS)('trains %s with two threads as with one, bit for bit', (method, config) =>
    trainsAlike(method, config, async (threads) => loadNativeRuntime('.', threads)),
  );
});
