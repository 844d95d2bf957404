/**
 * Other weights for the length of a question, on the interpreter and on onnxruntime. Seen to fail with: own numbers not put back after an error,
 * strengths in the order of the other end, coefficients written to the first layer of the group.
 */
import { join } from 'node:path';
import { beforeAll, describe } from 'vitest';
import { cliHost } from '../../src/cli/sources.ts';
import { loadWebRuntime } from '../../src/onnxruntime/webRuntime.ts';
import { ortBackend } from '../../src/training/backend.ts';
import type { MakeEngine } from '../../src/training/engine.ts';
import { openSession } from '../../src/training/session.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { interpreterEngines } from '../../tools/verify/families/interpreterEngine.ts';
import { ownModels } from '../../tools/verify/families/matrix.ts';
import { openSubject, type Subject } from '../../tools/verify/families/subjects.ts';
import { type LooksSubject, looksSuite } from '../tools/looksSuite.ts';

let vit: Subject;
let ort: MakeEngine;
beforeAll(async () => {
  vit = await openSubject(join(await ownModels(), 'vit'));
  ort = (await ortBackend(await loadWebRuntime())).engine;
});

const on =
  (engine: () => MakeEngine): LooksSubject['open'] =>
  async (method, config) =>
    openSession(
      { engine: engine() },
      {
        model: vit.source,
        data: vit.training!.data,
        method,
        config,
        training: trainingSchema.parse({
          ...{ steps: 6, batchSize: 2, evalEvery: 0, evalExamples: 4, learningRate: 3e-2, warmupSteps: 0 },
        }),
      },
      cliHost,
    );

describe('what if', () => {
  looksSuite('the interpreter', { open: on(() => interpreterEngines), tolerance: 1e-6, isFiner: true });
  looksSuite('onnxruntime', { open: on(() => ort), tolerance: 1e-5 });
});
