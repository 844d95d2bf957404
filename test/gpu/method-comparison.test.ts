/** Methods at equal parameters, trained side by side on a model small enough for a software adapter. */
import { describe, expect, it } from 'vitest';
import { METHODS } from '../../src/adapters/registry.ts';
import { gpuBackend } from '../../src/training/backend.ts';
import { methodComparisonMarkdown, provenance } from '../../src/training/comparisonTable.ts';
import { compareMethods } from '../../src/training/methodComparison.ts';
import type { MethodComparisonEvent, MethodComparisonRequest } from '../../src/training/protocol.ts';
import { testDevice } from './device.ts';
import { losses, openTiny, testHost, tinyRequest } from './tinyRuns.ts';

const { model, data, training } = tinyRequest({ method: 'lora', config: {} });
const request: MethodComparisonRequest = {
  model,
  data,
  training: { ...training, steps: 12 },
  methods: ['oft', 'lora', 'fourierft'],
  budget: 300,
  // So few steps are too few for their own.
  learningRates: { lora: 0.03, oft: 0.03 },
  where: { target_modules: ['query', 'value', 'mlp.fc1'], modules_to_save: ['classifier'] },
};

const options = async (signal = new AbortController().signal) => ({
  on: gpuBackend(await testDevice()),
  where: 'the test’s device',
  host: testHost,
  signal,
});

describe('a comparison of methods', () => {
  it('gives a row for each, measured with the same data, near the same size', async () => {
    const events: MethodComparisonEvent[] = [];
    const { rows, isWhole, ranOn } = await compareMethods(request, await options(), (e) => events.push(e));
    expect(isWhole).toBe(true);
    expect(rows.map((r) => r.method)).toEqual(request.methods);
    for (const row of rows) {
      expect(Math.abs(row.adapter - 300), row.method).toBeLessThan(120);
      // The classifier of 3 × 32 numbers and 3 biases trains beside every adapter.
      expect(row.trainable.stored, row.method).toBe(row.adapter + 99);
      expect(row.before, row.method).toBe(rows[0]!.before);
      expect(row.after, row.method).toBeGreaterThan(row.before);
      expect(row.steps).toBe(12);
      // FourierFT's is its own, which follows the width of the layers.
      if (row.method === 'fourierft')
        expect(row.learningRate).toBeGreaterThanOrEqual(METHODS.fourierft.start.learningRate);
      else expect(row.learningRate).toBe(0.03);
      expect(row.secondsPerStep).toBeGreaterThan(0);
      expect(row.peakBytes).toBeGreaterThan(0);
      expect(row.dispatchesPerStep).toBeGreaterThan(10);
      expect(events.filter((e) => e.type === 'step' && e.method === row.method)).toHaveLength(12);
    }
    const table = methodComparisonMarkdown({ rows, isWhole, ranOn });
    for (const row of rows) expect(table).toContain(`| ${row.adapter} |`);
    for (const words of Object.values(provenance(ranOn))) expect(table).toContain(words);
  });

  it('leaves an open run as it was', async () => {
    const run = {
      method: 'lora' as const,
      config: { r: 2, target_modules: ['query'], modules_to_save: ['classifier'] },
    };
    const alone = await openTiny(run);
    await alone.play(6);
    const beside = await openTiny(run);
    await beside.play(3);
    await compareMethods(
      { ...request, methods: ['oft'], training: { ...training, steps: 2 } },
      await options(),
      () => {},
    );
    await beside.play(3);
    expect(losses(beside)).toEqual(losses(alone));
    await alone.close();
    await beside.close();
  });

  it('stops when asked to and keeps what was finished', async () => {
    const stop = new AbortController();
    const { rows, isWhole } = await compareMethods(request, await options(stop.signal), (event) => {
      if (event.type === 'step' && event.method === 'lora' && event.step === 2) stop.abort();
    });
    expect(isWhole).toBe(false);
    expect(rows.map((r) => r.method)).toEqual(['oft']);
  });

  it('says why a method takes no part, and goes on', async () => {
    const events: MethodComparisonEvent[] = [];
    const where = { ...request.where, target_modules: ['query', 'patch_embeddings.projection'] };
    const short = {
      ...request,
      where,
      methods: ['oft', 'lora'] as const,
      training: { ...training, steps: 2 },
    };
    const { rows } = await compareMethods(short, await options(), (e) => events.push(e));
    expect(events.find((e) => e.type === 'refused')).toMatchObject({
      method: 'oft',
      reason: expect.stringContaining('convolution'),
    });
    expect(rows.length + events.filter((e) => e.type === 'refused').length).toBe(2);
  });
});
