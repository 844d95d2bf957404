/**
 * onnxruntime's native build computes the same bits with one thread and with two: losses, held-out score and trained numbers of the embedded vision model. It
 * is no dependency of the project (`npm install --no-save onnxruntime-node` puts it there), so this runs wherever it is installed. onnxruntime-web has no
 * threads in Node; `test/e2e/no-gpu.test.ts` compares its one and two threads in a browser. Seen to fail with: a last bit that moves with the second thread.
 */
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import type { MethodId } from '../../src/adapters/registry.ts';
import { cliHost } from '../../src/cli/sources.ts';
import { loadNativeRuntime } from '../../src/onnxruntime/nativeRuntime.ts';
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

async function trained(method: MethodId, config: object, threads: number) {
  const on = await ortBackend(loadNativeRuntime('.', threads));
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

describe.runIf(isInstalled())('onnxruntime-node, where it is installed', { timeout: 60_000 }, () => {
  it.each<[MethodId, object]>([
    ['lora', { r: 8 }],
    ['boft', { boft_block_size: 4, boft_n_butterfly_factor: 2 }],
    ['oft', { oft_block_size: 32 }],
    ['fourierft', { n_frequency: 1000 }],
  ])('trains %s with two threads as with one, bit for bit', async (method, config) => {
    const [one, two] = [await trained(method, config, 1), await trained(method, config, 2)];
    expect(one.losses).toHaveLength(3);
    expect(new Set(one.losses).size).toBe(3);
    expect(two).toEqual(one);
  });
});
