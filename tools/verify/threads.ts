/**
 * Whether onnxruntime computes the same bits with one thread and with two: losses, held-out score and trained numbers of the embedded vision model.
 * `papilio verify threads DIR` asks its native build, which is no dependency of the project; its WebAssembly build is asked by a unit test, and a browser by
 * test/e2e/no-gpu.test.ts.
 */
import { isDeepStrictEqual } from 'node:util';
import type { MethodId } from '../../src/adapters/registry.ts';
import { cliHost } from '../../src/cli/sources.ts';
import { print } from '../../src/cli/terminal.ts';
import { loadNativeRuntime } from '../../src/onnxruntime/nativeRuntime.ts';
import type { OrtRuntime } from '../../src/onnxruntime/runtime.ts';
import { ortBackend } from '../../src/training/backend.ts';
import { openSession } from '../../src/training/session.ts';
import { trainingSchema } from '../../src/training/settings.ts';

const TARGETS = ['query', 'value', 'key', 'output.dense', 'mlp.fc1', 'mlp.fc2'];

export const STEPS = 3;

/** A method with its settings. */
type Trained = readonly [method: MethodId, config: object];

export const BOFT: Trained = ['boft', { boft_block_size: 4, boft_n_butterfly_factor: 2 }];

const METHODS: readonly Trained[] = [
  ['lora', { r: 8 }],
  BOFT,
  ['oft', { oft_block_size: 32 }],
  ['fourierft', { n_frequency: 1000 }],
];

/** What a few steps came to, to the bit. */
export async function trained([method, config]: Trained, runtime: OrtRuntime) {
  const on = await ortBackend(runtime);
  const session = await openSession(
    on,
    {
      model: { kind: 'embedded', name: 'glyphs-vit' },
      data: { kind: 'embedded', name: 'letters' },
      method,
      config: { target_modules: TARGETS, modules_to_save: ['classifier'], ...config },
      training: trainingSchema.parse({ steps: STEPS, batchSize: 16, evalEvery: 0, evalExamples: 32 }),
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

/**
 * @param folder whose node_modules holds onnxruntime-node
 * @returns 1 where a method trains otherwise with two threads than with one
 * @throws PapilioError('not-found') where there is none
 */
export async function verifyThreads(folder: string, json: boolean): Promise<number> {
  const different: MethodId[] = [];
  const [one, two] = [1, 2].map((threads) => loadNativeRuntime(folder, threads)) as [OrtRuntime, OrtRuntime];
  for (const of of METHODS) {
    const [method] = of;
    const isSame = isDeepStrictEqual(await trained(of, two), await trained(of, one));
    if (!isSame) different.push(method);
    if (!json)
      print(
        `${isSame ? 'ok  ' : 'FAIL'} ${method}: ${STEPS} steps with two threads and with one, bit for bit\n`,
      );
  }
  if (json) print(`${JSON.stringify({ runtime: `${one.name} ${one.version}`, different })}\n`);
  return different.length === 0 ? 0 : 1;
}
