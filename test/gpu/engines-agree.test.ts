/**
 * The two engines on the same run: every method's first 20 losses on WebGPU and in onnxruntime, for pictures and for text, within 1e-4 of their
 * size. Seen to fail with: two halves of a block's gradient swapped on one engine.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { METHODS, type MethodId } from '../../src/adapters/registry.ts';
import { loadWebRuntime } from '../../src/onnxruntime/webRuntime.ts';
import { type Backend, gpuBackend, ortBackend } from '../../src/training/backend.ts';
import { openSession } from '../../src/training/session.ts';
import { testDevice } from './device.ts';
import { losses, type TinyRun, testHost, tinyLanguage, tinyRequest, tinyText } from './tinyRuns.ts';

const STEPS = 20;
const APART = 1e-4;
/** For all weights at once: at ten times the rate their losses jump, and a last bit grows to 1e-3. */
const MODERATE = 2e-2;

let engines: readonly Backend[];
beforeAll(async () => {
  engines = [gpuBackend(await testDevice()), await ortBackend(await loadWebRuntime())];
});

/** Settings that the tiny models' layers of 16 numbers allow. */
const CONFIGS: Partial<Record<MethodId, Readonly<Record<string, unknown>>>> = {
  lora: { r: 2 },
  oft: { oft_block_size: 4 },
  boft: { boft_block_size: 4, boft_n_butterfly_factor: 2, bias: 'boft_only' },
  fourierft: { n_frequency: 20, scaling: 20 },
  adalora: { init_r: 4, target_r: 2, tinit: 2, tfinal: 4, deltaT: 2 },
};

async function lossesOn(on: Backend, run: TinyRun): Promise<number[]> {
  const session = await openSession(on, tinyRequest(run), testHost);
  await session.play();
  await session.close();
  return losses(session);
}

const MODELS: readonly (readonly [string, number, Partial<TinyRun>])[] = [
  ['pictures', MODERATE, {}],
  ['text', 1e-1, { model: tinyLanguage(), data: tinyText }],
];

describe.each(MODELS)('on %s', (_what, rate, model) => {
  it.each(Object.keys(METHODS) as MethodId[])('%s loses the same on both engines', async (method) => {
    const training = {
      steps: STEPS,
      batchSize: 4,
      learningRate: method === 'full' ? MODERATE : rate,
      seed: 3,
      maxGradNorm: 1,
      weightDecay: 0.1,
    };
    const run = { ...model, method, config: CONFIGS[method] ?? {}, training };
    const [gpu, ort] = [await lossesOn(engines[0]!, run), await lossesOn(engines[1]!, run)];
    expect(gpu).toHaveLength(STEPS);
    const worst = Math.max(...gpu.map((loss, i) => Math.abs(loss - ort[i]!) / Math.abs(ort[i]!)));
    expect(worst).toBeLessThanOrEqual(APART);
    // They do train.
    expect(Math.min(...gpu)).toBeLessThan(gpu[0]! * 0.999);
  });
});
