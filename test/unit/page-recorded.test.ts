/**
 * The recorded run: whether it is still a run of the first preset on the model that is shipped, what the page makes of its file, and when it is on screen.
 * Seen to fail with: another model's hash, a learning rate that the preset no longer has, factors multiplied in the wrong order, a recording that
 * stays when a run begins, scores without measures of the adapter (as `record` once wrote them).
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  createRecorded,
  isRecordedShown,
  RECORDED_PATH,
  recordedOf,
} from '../../src/page/features/recorded/recorded.ts';
import { productOf, type RecordedFile, runIn } from '../../src/page/features/recorded/recordedFile.ts';
import { PRESETS } from '../../src/page/features/setup/presets.ts';
import { baseSettings } from '../../src/page/features/setup/settings.ts';
import { newRun } from '../../src/page/features/training/runs.ts';
import { pacesOf, unitOf } from '../../src/page/features/training/series.ts';
import { createStores } from '../../src/page/stores.ts';
import { maxRotationAngle, orthogonalityDefect } from '../../src/training/inspect.ts';

const text = readFileSync(`public/${RECORDED_PATH}`, 'utf8');
const file = JSON.parse(text) as RecordedFile;
const AGAIN = 'make it again: npm run -s papilio -- record';

describe('the file', () => {
  it('is a run of the first preset as it is, on the model as it is', () => {
    const settings = baseSettings(PRESETS[0]!.id);
    expect(file.settings, AGAIN).toEqual(settings);
    const model = readFileSync(`public/models/${settings.model}/model.onnx`);
    expect(file.modelSha256, AGAIN).toBe(createHash('sha256').update(model).digest('hex'));
  });

  it('is small, says when and on what, and speaks of no folder', () => {
    expect(text.length).toBeLessThanOrEqual(100_000);
    expect(file.date).toMatch(/^\d{4}-\d\d-\d\d$/);
    expect(file.runtime).toMatch(/onnxruntime|Dawn|wgpu/);
    expect(file.hardware.length).toBeGreaterThan(3);
    expect(text).not.toMatch(/[/\\](home|root|Users|tmp)[/\\]/);
  });
});

describe('the run in it', () => {
  const run = runIn(file).getState();
  const { series } = run.current!;

  it('has its whole curve, and learnt something', () => {
    expect(run.state).toBe('finished');
    expect(series.length).toBe(file.open.totalSteps);
    expect([...series.column('step')].at(-1)).toBe(file.step);
    for (const name of ['loss', 'learningRate', 'gradNorm'] as const)
      expect(series.column(name).every((value) => value > 0 && Number.isFinite(value))).toBe(true);
    const seconds = series.column('seconds');
    expect(seconds.every((value, i) => i === 0 || value > seconds[i - 1]!)).toBe(true);
    expect(series.evals[0]).toMatchObject({ step: 0, metric: 'accuracy' });
    expect(series.evals.at(-1)!.step).toBe(file.step);
    expect(series.evals.at(-1)!.value).toBeGreaterThan(series.evals[0]!.value + 0.3);
  });

  it('says at every score after the first how far the adapter had taken the weights', () => {
    const [before, ...evals] = series.evals;
    expect(before!.others).toBeUndefined();
    expect(evals.map(({ step }) => step)).toEqual(
      Array.from({ length: evals.length }, (_, i) => (i + 1) * file.settings.training.evalEvery),
    );
    const changes = evals.map(({ others }) => others!.relativeChange!);
    expect(changes.every((change) => change > 0.01 && change < 1)).toBe(true);
    expect(changes.at(-1)).toBeGreaterThan(changes[0]!);
    const defects = evals.map(({ others }) => others!.orthogonality!);
    expect(defects.every((defect) => defect > 0 && defect < 1e-4)).toBe(true);
    // The largest of all modules, of which one was looked into at the same step.
    expect(defects.at(-1)).toBeGreaterThan(0.99 * run.inspection!.value.rotation!.orthogonality);
  });

  it('has a pace at every step but the first', () => {
    const paces = pacesOf(series, unitOf(run.open));
    expect(paces.subarray(1).every((pace) => pace > 0 && Number.isFinite(pace))).toBe(true);
  });

  it('has a rotation that is the product of its factors, and as far from orthogonal as was measured', () => {
    const { rotation, factors, delta } = run.inspection!.value;
    const { size, data } = rotation!;
    expect(factors!.length).toBe(file.settings.config.boft_n_butterfly_factor);
    expect(Math.abs(orthogonalityDefect(data, size) - rotation!.orthogonality)).toBeLessThan(1e-6);
    expect(Math.abs(maxRotationAngle(data, size) - rotation!.maxAngle)).toBeLessThan(1e-3);
    expect(rotation!.maxAngle).toBeGreaterThan(0.01);
    // ΔW is rounded to 8 bits.
    expect(delta.data.length).toBe(delta.rows * delta.columns);
    const largest = delta.data.reduce((most, entry) => Math.max(most, Math.abs(entry)), 0);
    expect(Math.abs(largest / file.inspection.delta.largest - 1)).toBeLessThan(1e-6);
  });

  it('has pictures with what both models make of them', () => {
    const comparison = run.comparison!.value;
    if (comparison.kind !== 'image') throw new Error('There are no pictures.');
    expect(comparison.examples.length).toBeGreaterThan(8);
    for (const { pixels, width, height, label, before, after } of comparison.examples) {
      expect(pixels.length).toBe(width * height);
      expect(new Set(pixels).size).toBeGreaterThan(2);
      expect(comparison.labels[label]).toBeDefined();
      for (const side of [before, after])
        expect(Math.abs(side.reduce((sum, p) => sum + p, 0) - 1)).toBeLessThan(1e-4);
    }
  });
});

it('multiplies the factors as the rotation is written, B_0 first', () => {
  // Two factors of pairs over four nodes: neighbours, then those two apart.
  const wiring = {
    size: 4,
    block: 2,
    shared: false,
    stages: [
      { label: 'B_0', group: Uint32Array.of(0, 0, 1, 1), members: Uint32Array.of(0, 1, 2, 3) },
      { label: 'B_1', group: Uint32Array.of(0, 1, 0, 1), members: Uint32Array.of(0, 2, 1, 3) },
    ],
  };
  const first = { data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) };
  const second = { data: Float32Array.of(1, 10, 0, 1, 1, 0, 100, 1) };
  expect([...productOf(wiring, [first, second])]).toEqual([
    ...[1, 2, 50, 60],
    ...[3, 4, 0, 0],
    ...[0, 0, 5, 6],
    ...[300, 400, 7, 8],
  ]);
});

describe('the recorded run on screen', () => {
  const of = () => {
    const stores = createStores();
    const recorded = createRecorded(stores);
    const chosen = stores.choice.getState();
    recorded.view.setState({ recorded: recordedOf(file, runIn(file), chosen) });
    const isShown = () =>
      isRecordedShown(recorded.view.getState(), stores.run.getState(), stores.choice.getState().settings);
    return { stores, recorded, isShown };
  };

  it('is there before a run of its settings, whatever the seed, and not before another', () => {
    const { stores, isShown } = of();
    expect(isShown()).toBe(true);
    const { settings } = stores.choice.getState();
    stores.choice.setState({ settings: { ...settings, training: { ...settings.training, seed: 9 } } });
    expect(isShown()).toBe(true);
    stores.choice.setState({ settings: { ...settings, training: { ...settings.training, steps: 9 } } });
    expect(isShown()).toBe(false);
  });

  it('gives way to a run that begins, and comes back when asked for, or when that is reset', () => {
    const { stores, recorded, isShown } = of();
    const { settings } = stores.choice.getState();
    stores.run.setState({ current: newRun(1, settings, 0) });
    expect(isShown()).toBe(false);
    recorded.want(true);
    expect(isShown()).toBe(true);
    stores.run.setState({ current: newRun(2, settings, 0) });
    expect(isShown()).toBe(false);
    stores.run.setState({ current: null });
    expect(isShown()).toBe(true);
    recorded.want(false);
    expect(isShown()).toBe(false);
  });

  it('shows its own settings and model, whatever is chosen', () => {
    const { stores, recorded } = of();
    stores.choice.setState({ settings: baseSettings('fourier-few') });
    const { choice } = recorded.view.getState().recorded!;
    expect(choice.getState()).toMatchObject({ settings: file.settings, report: file.open.model });
  });

  it('is not there where there is no file', async () => {
    const { recorded } = of();
    recorded.view.setState({ recorded: null });
    const kept = globalThis.fetch;
    globalThis.fetch = async () => new Response('', { status: 404 });
    try {
      await recorded.load('/');
    } finally {
      globalThis.fetch = kept;
    }
    expect(recorded.view.getState().recorded).toBeNull();
  });
});
