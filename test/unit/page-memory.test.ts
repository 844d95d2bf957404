/**
 * Memory of runs on the processor, measured apart: what each is asked for, what is told of it, and that its worker ends. Seen to fail with: a worker that is not
 * ended, a measurement of other files, an evaluation on all held-out examples.
 */
import { describe, expect, it } from 'vitest';
import { figuresOf } from '../../src/page/features/runs/figures.ts';
import { isMeasuredApart, MemoryMeter } from '../../src/page/features/runs/memory.ts';
import { createChoice } from '../../src/page/features/setup/choice.ts';
import { encodeHash } from '../../src/page/features/setup/link.ts';
import { baseSettings } from '../../src/page/features/setup/settings.ts';
import { newRun, type RunRecord } from '../../src/page/features/training/runs.ts';
import { createSeries } from '../../src/page/features/training/series.ts';
import { fakeTrainer, openReport, stepMetric } from './page-fixtures.ts';

const MIB = 2 ** 20;

/** A finished run of the first preset, on the processor. */
function finished(id: number, data = 'letters'): RunRecord {
  const settings = baseSettings('letters-boft');
  const report = openReport({ steps: 300 });
  const figures = figuresOf(createSeries(), { ...report, data: { ...report.data, name: data } }, 0.005, 0);
  return {
    ...newRun(id, settings, id, `run-${id}`),
    outcome: {
      end: 'finished',
      link: encodeHash(settings),
      figures: { ...figures, engine: 'onnxruntime', peakBytes: null },
    },
  };
}

/** A meter whose workers grow to so many bytes with every step. */
function meterOf(bytesPerStep: number, told: Partial<{ error: string }> = {}) {
  const measured = new Map<string, number>();
  const trainers: ReturnType<typeof fakeTrainer>[] = [];
  const meter = new MemoryMeter(
    createChoice(),
    { measured: (key, bytes) => measured.set(key, bytes) },
    () => {
      const trainer = fakeTrainer();
      let step = 0;
      trainers.push(trainer);
      return {
        ...trainer,
        step: () => {
          step++;
          if (told.error !== undefined)
            trainer.send({
              type: 'error',
              error: { kind: 'out-of-memory', message: told.error, details: {} },
            });
          else
            trainer.send({
              ...{ type: 'step', metric: stepMetric(step), submits: 0 },
              heapBytes: step * bytesPerStep,
            });
          trainer.send({ type: 'state', state: 'paused' });
          return trainer.step();
        },
      };
    },
  );
  return { meter, measured, trainers };
}

describe('memory that is measured apart', () => {
  it('is of two steps with an evaluation between them, each run in a worker that ends', async () => {
    const { meter, measured, trainers } = meterOf(10 * MIB);
    const runs = [finished(1), finished(2)];
    await meter.measure(runs);
    expect([...measured]).toEqual(runs.map(({ key }) => [key, 20 * MIB]));
    expect(trainers.map(({ calls }) => calls)).toEqual([
      ['open', 'step', 'step', 'end'],
      ['open', 'step', 'step', 'end'],
    ]);
    expect(trainers[0]!.requests[0]!.request).toMatchObject({
      ...{ engine: 'onnxruntime', model: { name: 'glyphs-vit' }, data: { name: 'letters' }, method: 'boft' },
      training: { steps: 300, evalEvery: 1, batchSize: 16, evalExamples: 16 },
    });
    expect(meter.view.getState()).toEqual({ busy: null, error: null });
  });

  it('is not that of other files', async () => {
    const { meter, measured, trainers } = meterOf(MIB);
    await meter.measure([finished(1, 'mine.csv')]);
    expect(measured.size).toBe(0);
    expect(trainers[0]!.calls).toEqual(['open', 'end']);
    expect(meter.view.getState().error?.message).toBe(
      'run-1 trained glyphs-vit on mine.csv, and other files are chosen now: choose those, and measure again.',
    );
  });

  it('says what went wrong, and ends the worker', async () => {
    const { meter, measured, trainers } = meterOf(MIB, { error: 'Too large.' });
    await meter.measure([finished(1), finished(2)]);
    expect(measured.size).toBe(0);
    expect(trainers.map(({ calls }) => calls)).toEqual([['open', 'step', 'end']]);
    expect(meter.view.getState()).toMatchObject({ busy: null, error: { kind: 'out-of-memory' } });
  });

  it('is of runs on the processor alone', () => {
    expect(isMeasuredApart({ engine: 'onnxruntime' })).toBe(true);
    expect(isMeasuredApart({ engine: 'webgpu' })).toBe(false);
  });
});
