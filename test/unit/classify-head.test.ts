/**
 * A drawing asked of both models and of the new head without the adapter. Seen to fail: the head as it began, the run's own numbers not put back, a
 * head where nothing but it trains.
 */
import { beforeAll, expect, test } from 'vitest';
import { TRAINABLE } from '../../src/adapters/inject.ts';
import { cliHost } from '../../src/cli/sources.ts';
import { loadWebRuntime } from '../../src/onnxruntime/webRuntime.ts';
import { ortBackend } from '../../src/training/backend.ts';
import type { MakeEngine } from '../../src/training/engine.ts';
import type { RunRequest } from '../../src/training/protocol.ts';
import { openSession } from '../../src/training/session.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { classifyDrawing } from '../../src/training/whatIf.ts';

let engine: MakeEngine;
beforeAll(async () => {
  ({ engine } = await ortBackend(await loadWebRuntime()));
});

const open = (of: Pick<RunRequest, 'method' | 'config'>) =>
  openSession(
    { engine },
    {
      model: { kind: 'embedded', name: 'glyphs-vit' },
      data: { kind: 'embedded', name: 'letters' },
      training: trainingSchema.parse({
        ...{ steps: 2, batchSize: 4, evalEvery: 0, evalExamples: 4, learningRate: 2e-2, warmupSteps: 0 },
      }),
      ...of,
    },
    cliHost,
  );
const drawing = Float32Array.from({ length: 28 * 28 }, (_, i) => (i % 28 === 14 ? 1 : 0.3));
const apart = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, p, i) => Math.max(most, Math.abs(p - b[i]!)), 0);

test('the head as it is trained, on the base: at first what both say, later neither', async () => {
  const config = { target_modules: ['query', 'value'], modules_to_save: ['classifier'], r: 2 };
  const session = await open({ method: 'lora', config });
  const ask = async () => (await session.atStep((one) => classifyDrawing(one, drawing))).value;
  const first = await ask();
  expect(apart(first.head!, first.after)).toBeLessThan(1e-6);
  await session.play();
  const before = await session.engine.readState(TRAINABLE);
  const last = await ask();
  expect(apart(last.head!, last.after)).toBeGreaterThan(1e-3);
  expect(apart(last.head!, first.head!)).toBeGreaterThan(1e-3);
  expect(last.head!.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
  // The run has its own numbers again.
  expect(await session.engine.readState(TRAINABLE)).toEqual(before);
  expect(apart((await ask()).after, last.after)).toBe(0);
  await session.close();
});

test('where the head alone trains there is no third answer', async () => {
  const session = await open({ method: 'head', config: {} });
  expect((await session.atStep((one) => classifyDrawing(one, drawing))).value.head).toBeNull();
  await session.close();
});
