/**
 * What evaluations measure of an adapter, held against the same worked out in float64 of what a look inside gives of every module. Seen to fail: a
 * base norm of one module alone, a defect of something else than the rotation, figures of a run that asked for none.
 */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { cliHost } from '../../src/cli/sources.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { loadWebRuntime } from '../../src/onnxruntime/webRuntime.ts';
import { ortBackend } from '../../src/training/backend.ts';
import type { MakeEngine } from '../../src/training/engine.ts';
import { metricsCsv } from '../../src/training/evaluation.ts';
import type { RunRequest } from '../../src/training/protocol.ts';
import { openSession } from '../../src/training/session.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { interpreterEngines } from '../../tools/verify/families/interpreterEngine.ts';
import { ownModels } from '../../tools/verify/families/matrix.ts';
import { openSubject, type Subject } from '../../tools/verify/families/subjects.ts';

let vit: Subject;
let ort: MakeEngine;
beforeAll(async () => {
  vit = await openSubject(join(await ownModels(), 'vit'));
  ort = (await ortBackend(await loadWebRuntime())).engine;
});

const TWO = ['query', 'value'];
const training = trainingSchema.parse({
  ...{ steps: 4, batchSize: 2, evalEvery: 2, evalExamples: 4, learningRate: 3e-2, warmupSteps: 0 },
});

async function trained(
  engine: MakeEngine,
  of: Pick<RunRequest, 'method' | 'config'> & Partial<Pick<RunRequest, 'training'>>,
  measuresAdapter = true,
) {
  const { data } = vit.training!;
  const request: RunRequest = { model: vit.source, data, training, ...of };
  const session = await openSession({ engine }, request, cliHost, () => {}, { measuresAdapter });
  await session.play();
  return session;
}

const squares = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, x) => sum + x * x, 0);

/** The same figures, module by module. */
async function byHand(session: Awaited<ReturnType<typeof trained>>) {
  let [change, base] = [0, 0];
  const defects: number[] = [];
  for (const { name } of session.plan.groups.flatMap(({ layers }) => layers)) {
    const { delta, rotation } = await session.inspect(name);
    change += squares(delta.data);
    base += squares(session.setup.parameters.get(`${name}.weight`)!.load());
    if (rotation) defects.push(rotation.orthogonality);
  }
  return { change: Math.sqrt(change / base), defect: Math.max(...defects) };
}

describe.each([
  ['the interpreter', () => interpreterEngines, 1e-9],
  ['onnxruntime', () => ort, 2e-6],
] as const)('on %s', (_name, engine, rounding) => {
  test('BOFT: how much of the weights has changed, and how far its rotations are from rotations', async () => {
    const config = { boft_block_size: 2, boft_n_butterfly_factor: 2, target_modules: TWO };
    const session = await trained(engine(), { method: 'boft', config });
    const { evals } = session.history;
    expect(evals.map(({ step }) => step)).toEqual([2, 4]);
    const [early, late] = evals.map(({ others }) => others!) as [
      Record<string, number>,
      Record<string, number>,
    ];
    const { change, defect } = await byHand(session);
    expect(change).toBeGreaterThan(1e-3);
    expect(late.relativeChange! / change).toBeCloseTo(1, 4);
    expect(early.relativeChange).toBeLessThan(late.relativeChange!);
    expect(Math.abs(late.orthogonality! - defect)).toBeLessThan(rounding + defect);
    // They go with the curve wherever it goes.
    expect(metricsCsv(session.history.steps, evals).split('\n')[0]).toMatch(
      /eval_relativeChange,eval_orthogonality$/,
    );
    await session.close();
  });
});

test('a short series far beyond small turns: the defect is the one that a look finds', async () => {
  const config = { oft_block_size: 4, use_cayley_neumann: true, target_modules: TWO };
  const far = { ...training, learningRate: 0.3 };
  const session = await trained(ort, { method: 'oft', config, training: far });
  const { defect } = await byHand(session);
  expect(defect).toBeGreaterThan(1e-2);
  expect(session.history.evals.at(-1)!.others!.orthogonality! / defect).toBeCloseTo(1, 3);
  await session.close();
});

test('a measurement that there is no room for is left out, and the run goes on', async () => {
  const engine: MakeEngine = async (options) => ({
    ...(await ort(options)),
    keep: () => Promise.reject(new PapilioError('limit', 'too large')),
  });
  const config = { r: 2, target_modules: TWO };
  const session = await trained(engine, { method: 'lora', config });
  expect(session.history.evals.map(({ others }) => others)).toEqual([undefined, undefined]);
  await session.close();
});

test('a method that does not turn has the change alone, a run that asks for nothing has neither', async () => {
  const config = { r: 2, target_modules: TWO };
  const lora = await trained(ort, { method: 'lora', config });
  expect(Object.keys(lora.history.evals.at(-1)!.others!)).toEqual(['relativeChange']);
  expect(lora.history.evals.at(-1)!.others!.relativeChange! / (await byHand(lora)).change).toBeCloseTo(1, 4);
  await lora.close();
  const silent = await trained(ort, { method: 'lora', config }, false);
  expect(silent.history.evals.at(-1)!.others).toBeUndefined();
  await silent.close();
  // It is looked at, not changed.
  expect(silent.history.steps.map(({ loss }) => loss)).toEqual(lora.history.steps.map(({ loss }) => loss));
});
